// Asks the CPU and the operating system for the matrix unit behind bfloat_product.hpp.
#include "cpu/products/bfloat_product.hpp"

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#ifdef KERNALIGN_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/simd/simd.hpp"
#endif

namespace kernalign::bfloat {
namespace {

bool ask() {
#ifdef KERNALIGN_AMX
    const char* wanted = std::getenv("KERNALIGN_ISA");
    if (wanted && std::strcmp(wanted, "amx") != 0) return false;
    if (std::strcmp(simd().name, "avx512") != 0) return false;
    constexpr unsigned kBfloat = 1u << 22, kTiles = 1u << 24;  // of EDX of leaf 7
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & kBfloat) || !(d & kTiles)) return false;
    constexpr long kAskForState = 0x1023, kTileData = 18;  // the system saves tiles only for processes that ask
    return syscall(SYS_arch_prctl, kAskForState, kTileData) == 0;
#else
    return false;
#endif
}

}  // namespace

bool available() {
    static const bool answer = ask();
    return answer;
}

#ifdef KERNALIGN_AMX
void product(std::int64_t rows, std::int64_t cols, std::int64_t depth, const std::uint16_t* left,
             const std::uint16_t* right, float* out, std::int64_t ld) {
    product_amx(rows, cols, depth, left, right, out, ld);
}
#else
void product(std::int64_t, std::int64_t, std::int64_t, const std::uint16_t*, const std::uint16_t*, float*,
             std::int64_t) {
    throw std::logic_error("this build has no bfloat16 products");
}
#endif

}  // namespace kernalign::bfloat
