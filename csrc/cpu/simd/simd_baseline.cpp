// The loops of simd.hpp for any CPU.
#define KERNALIGN_SIMD_TABLE simd_baseline
#define KERNALIGN_SIMD_NAME "baseline"
#include "cpu/simd/simd_kernels.inl"
