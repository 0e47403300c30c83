// Contract of the Moments engine: streaming, mergeable second moments of paired rows, with all that unbiased HSIC
// needs.
//
// For paired rows x_i (p columns) and y_i (q columns), with fixed shifts m and power-of-two scales, let
//     x'_i = (x_i - m_x) 2^-e_x,   y'_i = (y_i - m_y) 2^-e_y.
// The state holds sums over i of x', y', x'x'^T, x'y'^T, y'y'^T, the squared norms, and the products of squared norms
// with x', y' and with each other. Every linear HSIC, CKA, KA and CCA-like quantity is a function of these.
//
// Blocks     Rows are cut into blocks of 1024 counted from the start of the stream; rows short of a block wait. So the
//            arithmetic does not depend on how the stream was cut into batches, nor on the number of threads: same
//            bits.
// Shift      Mean of the first block, in the input's precision. Scale: the exponent of the largest deviation in the
// first
//            block that has any.
// Precision  Matrix products in float32 (16- and 32-bit float input) or float64 (float64, integers), of rows centred on
//            their own block's mean and carried to the common shift exactly in float64, so a drifting mean costs
//            nothing. All sums are float64. Relative error of unbiased CKA in float32: below 1e-6 (measured 1e-7).
// Merging    The other state is re-based to this one's shift and scale, which is exact up to float64 rounding.
// Memory     8 (p^2 + pq + q^2) bytes of state, 1024 waiting rows, and at most about 40 MB of scratch.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cpu/parallel.hpp"
#include "statistics.hpp"
#include "view.hpp"

namespace kernalign {

constexpr std::int64_t kMomentsBlock = 1024;

// One side of a pair: index 0 is x, 1 is y.
struct SideSums {
    std::int64_t cols = 0;
    int exponent = 0;
    bool scaled = false;        // exponent was chosen (some row deviated from the shift)
    std::vector<double> shift;  // m, unscaled
    std::vector<double> sum;    // sum of x'
    std::vector<double> own;    // sum of |x'|^2 x'
    std::vector<double> other;  // sum of |y'|^2 x'  (the other side's norms)
    double norm = 0;            // sum of |x'|^2
    double norm_square = 0;     // sum of |x'|^4
};

// The value of the state: sums over whole blocks. Products are row-major; xx and yy hold the upper triangle until
// symmetrise().
struct MomentSums {
    std::int64_t n = 0;
    std::array<SideSums, 2> side;
    double norm_product = 0;  // sum of |x'|^2 |y'|^2
    std::vector<double> xx, xy, yy;

    void rebase(const std::vector<double>& shift_x, const std::vector<double>& shift_y);
    void rescale(int exponent_x, int exponent_y);
    void add(const MomentSums& other);  // same shifts and scales
    void symmetrise();

    std::vector<double> mean(int which) const;  // unscaled column means
    PairSums pair(int a, int b) const;          // sums of the Grams of x' or y'; needs symmetrise()
};

class Moments {
  public:
    Moments(std::int64_t p, std::int64_t q, Precision precision);

    // Adds rows. If it throws std::invalid_argument (bad values) or is stopped, the state is as before the call.
    void update(const Rows& x, const Rows& y, int threads, Monitor* monitor);
    void merge(const Moments& other);

    // All rows, waiting ones included; centred: re-based so that the shift is the mean (else shift zero: raw moments).
    MomentSums finish(bool centred) const;

    std::int64_t count() const { return sums_.n + waiting_; }
    std::int64_t cols(int which) const { return sums_.side[std::size_t(which)].cols; }
    Precision precision() const { return precision_; }

    // Everything that save/load must keep, as one vector of float64.
    std::vector<double> pack() const;
    static Moments unpack(std::int64_t p, std::int64_t q, Precision precision, const std::vector<double>& packed);

  private:
    struct Block;
    template <class T>
    void update_as(const Rows& x, const Rows& y, int threads, Progress& progress);
    template <class T>
    void add_blocks(T* x, T* y, const std::int64_t* rows_in_block, std::int64_t blocks, int threads,
                    Progress& progress);
    template <class T>
    void start(const T* x, const T* y, std::int64_t rows);
    template <class T>
    void add_products(int a, int b, const T* left, const T* right, const std::vector<Block>& blocks, int threads,
                      Progress& progress);
    void flush(int threads, Progress& progress);

    Precision precision_;
    MomentSums sums_;
    std::int64_t waiting_ = 0;
    std::vector<double> waiting_x_, waiting_y_;  // raw rows, exact in float64
};

// Second pass for the jackknife: for every row i of x and y (read again), with the centred moments of the same rows,
// the quantities of science 3.6. Row-major n x 10: |x'|^2, r_x, |y'|^2, r_y, E_xy, E_xx, E_yy ... see moments_rows.cpp.
}  // namespace kernalign
