// Products of matrices: float32 ones on the CPU's matrix unit for bfloat16 where there is one; else of few or short
// rows by loops of our own (strip_product.hpp), and all others by the BLAS.
//
// The matrix unit  is given each number as the sum of three bfloat16, x = h + m + l, which is exact: h and m are the
//                  nearest, and what is left has at most 8 digits. Of the nine products the six largest are summed in
//                  float32; the others are together below 2^-22 |x_k y_k| for each k, about 2^-27 of it on average.
//                  Sums are made of 128 coordinates and added up in order, so the error of a product is smaller than
//                  that of the BLAS, and does not depend on the shape of the matrices around it.
// Bits             differ between instruction sets: the loops of our own fuse, for AVX-512 only; the BLAS chooses its
//                  own.
// Range            Scale the rows: products x_k y_k below 2^-102 lose digits there and those below 2^-126 may count as
//                  zero; numbers beyond 2^127 may count as infinite, or make nan.
// Memory           0.8 KB of scratch per vector of the left factor, and 0.4 MB; without the matrix unit about 1 MB.
#pragma once

#include <cstdint>

#include "memory.hpp"

namespace kernalign {

// Whether float32 products of k coordinates go to the matrix unit.
bool by_parts(std::int64_t k);

// What one thread needs; empty if the products are the BLAS's.
struct ProductScratch {
    LargeVector<std::uint16_t> left, right;
    LargeVector<double> strips;
};

// Makes the scratch large enough for float32 products of `a` and `b` columns of k coordinates, which then cannot fail.
void reserve(std::int64_t a, std::int64_t b, std::int64_t k, ProductScratch& scratch);

// Vectors of k coordinates: the rows of a matrix, or its columns.
template <class T>
struct Factor {
    const T* data;
    std::int64_t ld;
    std::int64_t count;
    bool by_columns = false;
};

// C_ij = the product of vectors i and j.
void multiply(const Factor<float>& a, const Factor<float>& b, std::int64_t k, float* c, std::int64_t ldc,
              ProductScratch& scratch);
void multiply(const Factor<double>& a, const Factor<double>& b, std::int64_t k, double* c, std::int64_t ldc,
              ProductScratch& scratch);

// C_ij += the products of rows i <= j, of which sums of 8 are made in float32 and added in float64. C begins on a cache
// line and has `wide_columns(count)` columns, 0 if there is no loop for so many; what is below its diagonal is not to
// be read.
void add_wide_square(const Factor<float>& a, std::int64_t k, double* c, ProductScratch& scratch);
std::int64_t wide_columns(std::int64_t count);

// Rows in the order in which our own loops read them, for products of many blocks of them, to the same bits.
template <class T>
class Panels {
  public:
    // Whether products of so many rows with as many others, of k coordinates, are made by these loops.
    static bool serve(std::int64_t rows, std::int64_t k);
    static std::int64_t size(std::int64_t rows, std::int64_t k);

    Panels() = default;
    // Fills memory of `size(rows.count, k)` numbers, which it does not own and which begins on a cache line.
    Panels(const Factor<T>& rows, std::int64_t k, T* memory);

    explicit operator bool() const { return data_ != nullptr; }
    // C = the products of rows [i, i + m) and [j, j + count), where i and j are multiples of 32; if both are the same
    // rows, only on and above the diagonal.
    void multiply(std::int64_t i, std::int64_t m, std::int64_t j, std::int64_t count, T* c, std::int64_t ldc) const;

  private:
    const T* data_ = nullptr;
    std::int64_t padded_ = 0, k_ = 0;  // rows that strips fill, coordinates
};

extern template class Panels<float>;
extern template class Panels<double>;

// The same of a factor and itself, for i <= j; what is below the diagonal is not to be read.
void square(const Factor<float>& a, std::int64_t k, float* c, std::int64_t ldc, ProductScratch& scratch);
void square(const Factor<double>& a, std::int64_t k, double* c, std::int64_t ldc, ProductScratch& scratch);

}  // namespace kernalign
