// The loops of simd.hpp for CPUs with AVX512.
#ifdef KERNALIGN_X86_KERNELS
#ifndef __AVX512F__
#error "CMakeLists.txt must name this file where it sets compiler options"
#endif
#define KERNALIGN_SIMD_TABLE simd_avx512
#define KERNALIGN_SIMD_NAME "avx512"
#include "cpu/simd/simd_kernels.inl"
#endif
