// The loops of simd.hpp for CPUs with AVX2.
#ifdef KERNALIGN_X86_KERNELS
#ifndef __AVX2__
#error "CMakeLists.txt must name this file where it sets compiler options"
#endif
#define KERNALIGN_SIMD_TABLE simd_avx2
#define KERNALIGN_SIMD_NAME "avx2"
#include "cpu/simd/simd_kernels.inl"
#endif
