// Says that there is a matrix unit wherever its stand-in runs: on CPUs with AVX-512.
#include "cpu/products/bfloat_product.hpp"

#include <cstring>

#include "cpu/simd/simd.hpp"

namespace kernalign::bfloat {

bool available() { return std::strcmp(simd().name, "avx512") == 0; }

void product(std::int64_t rows, std::int64_t cols, std::int64_t depth, const std::uint16_t* left,
             const std::uint16_t* right, float* out, std::int64_t ld) {
    product_amx(rows, cols, depth, left, right, out, ld);
}

}  // namespace kernalign::bfloat
