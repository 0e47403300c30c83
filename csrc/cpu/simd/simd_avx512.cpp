// The loops of simd.hpp for CPUs with AVX512.
#ifdef KERNALIGN_X86_KERNELS
#define KERNALIGN_SIMD_TABLE simd_avx512
#define KERNALIGN_SIMD_NAME "avx512"
#include "cpu/simd/simd_kernels.inl"
#endif
