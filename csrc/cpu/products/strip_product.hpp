// Products of a few rows, or of short ones, by our own AVX-512 loops: much of such calls the BLAS spends on packing.
#pragma once

#include <cstdint>

namespace kernalign::strips {

constexpr std::int64_t kDepth = 384;         // coordinates of a panel
constexpr std::int64_t kFactor = 512 << 10;  // bytes of a factor's rows and of a panel that the second cache holds

template <class T>
constexpr std::int64_t kStrip = 128 / sizeof(T);  // rows that lie side by side: two vectors

template <class T>
constexpr std::int64_t panel_size(std::int64_t rows, std::int64_t depth) {
    return (rows + kStrip<T> - 1) / kStrip<T> * kStrip<T> * depth;
}

// A panel holds strip after strip, of each coordinate after coordinate, of each all rows of the strip; the last strip
// is filled up with zeros. It begins on a cache line.
void fill(const float* rows, std::int64_t ld, std::int64_t count, std::int64_t depth, float* panel);
void fill(const double* rows, std::int64_t ld, std::int64_t count, std::int64_t depth, double* panel);

// C = A B^T, or C += A B^T, of the rows of A and a panel of `count` rows; if `upper`, blocks without an entry on or
// above the diagonal are left out. Each entry is the sum of a panel's coordinates in order, in its own precision.
void product(const float* a, std::int64_t lda, std::int64_t rows, const float* panel, std::int64_t count,
             std::int64_t depth, float* c, std::int64_t ldc, bool add, bool upper);
void product(const double* a, std::int64_t lda, std::int64_t rows, const double* panel, std::int64_t count,
             std::int64_t depth, double* c, std::int64_t ldc, bool add, bool upper);

// The same of two panels.
void product_of_panels(const float* a, std::int64_t rows, const float* panel, std::int64_t count, std::int64_t depth,
                       float* c, std::int64_t ldc, bool add, bool upper);
void product_of_panels(const double* a, std::int64_t rows, const double* panel, std::int64_t count, std::int64_t depth,
                       double* c, std::int64_t ldc, bool add, bool upper);

// C += A A^T on and above the diagonal, of the rows of A and a panel of them: sums of kShort products are made in
// float32 and added in float64. The rows of C begin on cache lines and have place for whole strips.
constexpr std::int64_t kShort = 8;
void add_square(const float* a, std::int64_t lda, std::int64_t rows, const float* panel, std::int64_t depth, double* c,
                std::int64_t ldc);

}  // namespace kernalign::strips
