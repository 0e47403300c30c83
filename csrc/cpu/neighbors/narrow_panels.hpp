// Rows as bfloat16 panels whose products bound similarities from above (the narrow bound of neighbors.hpp).
#pragma once

#include <cstdint>

#include "cpu/neighbors/bound_panels.hpp"
#include "cpu/products/bfloat_product.hpp"

namespace kernalign {

class NarrowPanels {
  public:
    static constexpr std::int64_t kRows = 2 * bfloat::kBlock;  // rows that are filled together

    NarrowPanels(const ExactRows& rows, const Frame& frame);

    // Coordinates with the three appended ones, in whole blocks. The pair (a, b) begins at an even place.
    std::int64_t depth() const { return (pair() + 4 + bfloat::kDepth - 1) / bfloat::kDepth * bfloat::kDepth; }

    // Rows [row, row + count), count <= 32, as left and right factors (bfloat_product.hpp) of 32 rows, zeros beyond
    // count; h'_i of each; and the two numbers whose products with the other row's are what was paid for rounding:
    // paid_ij = lost_i size_j + size_i lost_j.
    void fill(std::int64_t row, std::int64_t count, std::uint16_t* left, std::uint16_t* right, float* offsets,
              float* lost, float* size, double* scratch) const;

  private:
    std::int64_t pair() const { return (rows_.cols() + 1) / 2 * 2; }

    const ExactRows& rows_;
    const Frame& frame_;
    double lost_;
};

}  // namespace kernalign
