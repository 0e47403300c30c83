// Chooses the table of vectorised loops that this CPU can run.
#include "cpu/simd/simd.hpp"

#include <cstdlib>
#include <cstring>

namespace kernalign {
namespace {

const Simd& choose() {
#ifdef KERNALIGN_X86_KERNELS
    const char* wanted = std::getenv("KERNALIGN_ISA");
    if (wanted && std::strcmp(wanted, "amx") == 0) wanted = nullptr;  // see bfloat_product.hpp
    const auto allowed = [&](const char* name) { return !wanted || std::strcmp(wanted, name) == 0; };
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl");
    if (avx512 && allowed("avx512")) return simd_avx512;
    if (avx2 && (allowed("avx2") || (wanted && std::strcmp(wanted, "avx512") == 0))) return simd_avx2;
#endif
    return simd_baseline;
}

}  // namespace

const Simd& simd() {
    static const Simd& table = choose();
    return table;
}

}  // namespace kernalign
