// Contract of the Moments engine: streaming, mergeable second moments of paired rows, with all that unbiased HSIC
// needs.
//
// For paired rows x_i (p columns) and y_i (q columns), with shifts m and power-of-two scales, let
//     x'_i = (x_i - m_x) 2^-e_x,   y'_i = (y_i - m_y) 2^-e_y.
// The state holds sums over i of x', y', x'x'^T, x'y'^T, y'y'^T, the squared norms, and the products of squared norms
// with x', y' and with each other. Every linear HSIC, CKA, KA and CCA-like quantity is a function of these.
//
// Blocks     Rows are cut into blocks of 1024 counted from the start of the stream; rows short of a block wait. So the
//            arithmetic does not depend on how the stream was cut into batches, nor on the threads: same bits.
// Shift      Mean of the first block, in the input's precision. Scale: the exponent of the largest deviation in the
//            first block that has any; raised, exactly, when later rows are larger by 2^50 or more.
// Precision  Matrix products in float32 (16- and 32-bit float input) or float64 (float64, integers), of rows centred on
//            their own block's mean and carried to the common shift in float64, so a drifting mean costs nothing.
//            Preprocessed rows are rounded to float32 after they are centred. All sums are float64. Relative error of
//            unbiased CKA from float32 products: about 1e-7.
// Merging    The other state is re-based to this one's shift and scale, which is exact up to float64 rounding.
// Memory     8 (p^2 + pq + q^2) bytes of state, 1024 waiting rows, and about 40 MB of scratch (one block at least; of
//            preprocessed rows in float32 products, also one block in float64 per thread).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "memory.hpp"
#include "monitor.hpp"
#include "statistics.hpp"
#include "view.hpp"

namespace kernalign {

constexpr std::int64_t kMomentsBlock = 1024;

// One side of a pair: 0 is x, 1 is y.
struct SideSums {
    std::int64_t cols = 0;
    int exponent = 0;
    bool scaled = false;        // the exponent was chosen: some row deviated from the shift
    std::vector<double> shift;  // m, unscaled
    std::vector<double> sum;    // sum of x'
    std::vector<double> own;    // sum of |x'|^2 x'
    std::vector<double> other;  // sum of |y'|^2 x', with the other side's norms
    double norm = 0;            // sum of |x'|^2
    double norm_square = 0;     // sum of |x'|^4
};

// The value of the state, over whole blocks. Products are row-major; xx and yy hold their upper triangles until
// symmetrise() copies them down.
struct MomentSums {
    std::int64_t n = 0;
    std::array<SideSums, 2> side;
    double norm_product = 0;                      // sum of |x'|^2 |y'|^2
    bool widened = false;                         // some block was multiplied in float64 because of an outlier
    std::array<LargeVector<double>, 3> products;  // xx, xy, yy

    MomentSums() = default;
    MomentSums(std::int64_t p, std::int64_t q);
    void symmetrise();
    void rebase(const std::vector<double>& shift_x, const std::vector<double>& shift_y);  // needs symmetrise()
    void
    centre();  // about the means, and what rounding took from them: `shift` is the rounded mean; needs symmetrise()
    void finish(bool centred);  // symmetrised, then about the means or, as they are, about zero
    void move(const std::array<std::vector<double>, 2>& d);  // all rows, in scaled units
    void rescale(int exponent_x, int exponent_y);
    std::array<int, 2> exponents_for(const std::vector<double>& shift_x, const std::vector<double>& shift_y) const;
    void add(const MomentSums& other);                       // same shifts and scales
    void merge(MomentSums other);                            // any shifts and scales; both need symmetrise()
    std::vector<double> mean(int which) const;               // unscaled column means
    const LargeVector<double>& product(int a, int b) const;  // of sides a <= b
    PairSums pair(int a, int b) const;                       // of the Grams of x' or y' (a <= b); needs symmetrise()
};

// A stream as a value: the sums of its whole blocks, symmetrised, and the rows that wait for theirs, in float64.
struct MomentState {
    MomentSums sums;
    std::int64_t waiting = 0;
    std::array<std::vector<double>, 2> rows;
};

// The sums over pairs of centred Grams of rows that are at hand: at most 2048 columns and 2^28 numbers together, for
// they are read twice. nullopt if they are more, constant or not finite, or if float32 products would not do for them,
// go to the matrix unit or are of rows that are prepared while they are read: the stream is then the way, and says what
// is the matter.
//
// Centring   Rows are x - mean, in float64, times a power of two, and rounded to the products' type; norms are those of
//            what is multiplied. What their rounding leaves of the means changes no sum by more than the rounding of
//            its products; so the sums of rows are taken for zeros.
// Precision  As above, in blocks of 1024 rows. Not the bits of the stream, but the same for any number of threads and
//            any layout.
// Memory     Some blocks of both sides and their products, 64 MB, and 8 (p + q)^2 bytes; `moments`, if they are to be
//            kept, as above.
enum class Keep : std::uint8_t { nothing, products, everything };  // of `moments`: products without `own` and `other`
struct HeldSums {
    std::array<PairSums, 3> pairs;   // xx, xy, yy
    std::array<int, 2> exponents{};  // kernel values were divided by 2^exponent
    std::optional<MomentSums> moments;
};
std::optional<HeldSums> held_moment_sums(const Rows& x, const Rows& y, Precision precision, Keep keep, int threads,
                                         Monitor* monitor);

// Per-row sums that the delete-one jackknife of HSIC needs (mathematics 3.6). With K, L the Grams of the centred rows
// of x and y, k = K1 - diag K and l likewise (n x 11, row-major, in this order):
//   K_ii, L_ii, (K1)_i, (L1)_i, (K.L 1)_i, (K.K 1)_i, (L.L 1)_i, (Kl)_i, (Kk)_i, (Lk)_i, (Ll)_i      (. elementwise)
// of the rows scaled as in `sums`, which is finish(centred) of the same rows. O(n (p^2 + pq + q^2)).
constexpr std::int64_t kRowTerms = 11;
std::vector<double> moments_row_terms(const Rows& x, const Rows& y, const MomentSums& sums, Precision precision,
                                      int threads, Monitor* monitor);

// Products of rows about means that are known beforehand: what shapes and fits of rows held whole are made of.
//
// Centring   Rows are x - mean - rest, in float64, times 2^-exponent: `rest` is what rounding took from the mean, so
//            that a large offset costs no digits of a small spread. Constant columns are exactly 0.
// Precision  Products in float64, or of rows rounded to float32 and summed 1024 at a time; sums and squares are
//            float64.
//            The same bits for any number of threads.
// Memory     8 bytes for each product wanted, 32 MB of centred rows, and one tile of products per thread.
struct Omitted {  // numbers of rows, ascending
    const std::int64_t* rows = nullptr;
    std::int64_t count = 0;
    std::int64_t before(std::int64_t i) const { return std::lower_bound(rows, rows + count, i) - rows; }  // how many
    bool holds(std::int64_t i) const { return std::binary_search(rows, rows + count, i); }
};
struct Centre {
    std::vector<double> mean, rest;
    double largest = 0;  // distance of an entry from that of the first row (from 0 if not centred)
    int exponent = 0;    // of the rows' scale; find_centre leaves it 0
};
Centre find_centre(const Rows& rows, bool centred, Omitted omitted, int threads, Monitor* monitor);

struct CentredProducts {
    std::array<LargeVector<double>, 3> products;  // xx, xy, yy, row-major; empty if not wanted
    std::array<std::vector<double>, 2> squares;   // of the columns of x and of y
};
CentredProducts centred_products(const Rows& x, const Rows& y, const std::array<Centre, 2>& centres,
                                 const std::array<bool, 3>& wanted, Omitted omitted, Precision precision, int threads,
                                 Monitor* monitor);

// Z^T Z of n float64 rows as they are; what overflows is infinite or nan.
LargeVector<double> self_product(const double* rows, std::int64_t n, std::int64_t cols, int threads, Monitor* monitor);

}  // namespace kernalign
