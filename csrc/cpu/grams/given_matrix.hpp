// A Gram matrix that the caller computed, read in tiles.
#pragma once

#include <cstdint>
#include <vector>

#include "view.hpp"

namespace kernalign {

template <class T>
class GivenMatrix {
  public:
    explicit GivenMatrix(const Rows& matrix);

    int exponent() const { return exponent_; }  // entries were divided by 2^exponent

    // Entries of rows [i0, i0 + m) and columns [j0, j0 + k), scaled; throws unless their mirror images are the same up
    // to rounding.
    void tile(std::int64_t i0, std::int64_t m, std::int64_t j0, std::int64_t k, T* out) const;

    std::vector<double> diagonal;  // scaled

  private:
    // An error of the loader would name the column within the tile, so the rows are then read again, whole.
    void read(std::int64_t i0, std::int64_t m, std::int64_t j0, std::int64_t k, T* out) const;

    [[noreturn]] void refuse(std::int64_t i, std::int64_t j, double a, double b) const;

    Rows matrix_;
    int exponent_ = 0;
};

extern template class GivenMatrix<float>;
extern template class GivenMatrix<double>;

}  // namespace kernalign
