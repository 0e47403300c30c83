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

#include <array>
#include <cstdint>
#include <vector>

#include "cpu/runtime/large.hpp"
#include "cpu/runtime/parallel.hpp"
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
    void rescale(int exponent_x, int exponent_y);
    std::array<int, 2> exponents_for(const std::vector<double>& shift_x, const std::vector<double>& shift_y) const;
    void add(const MomentSums& other);          // same shifts and scales
    std::vector<double> mean(int which) const;  // unscaled column means
    PairSums pair(int a, int b) const;          // of the Grams of x' or y' (a <= b); needs symmetrise()
};

class Moments {
  public:
    Moments(std::int64_t p, std::int64_t q, Precision precision);

    // Adds rows. Stopped by the monitor, it has taken count() rows and stays usable: what was under way is completed
    // by the next call. Bad values throw std::invalid_argument; rows of earlier chunks of this call may have been
    // taken by then, so callers that must not lose a state check_rows() first.
    void update(const Rows& x, const Rows& y, int threads, Monitor* monitor);
    void merge(const Moments& other);

    // The sums over all rows of a state (copied or moved in), waiting ones included, symmetrised and re-based: to the
    // mean if centred, else to shift zero (raw moments).
    static MomentSums finish(Moments state, bool centred, int threads, Monitor* monitor);

    std::int64_t count() const;
    std::int64_t cols(int which) const { return sums_.side[std::size_t(which)].cols; }
    Precision precision() const { return precision_; }

    // All that a saved state must hold, as float64, and back; unpack throws std::invalid_argument on a wrong length.
    std::vector<double> pack() const;
    static Moments unpack(std::int64_t p, std::int64_t q, Precision precision, const std::vector<double>& packed);

  private:
    // Prepared blocks whose products are not yet in the sums.
    struct Block {
        std::int64_t rows = 0;
        double norm_product = 0;
        std::array<SideSums, 2> side;                 // sums of this block alone, about the common shift
        std::array<std::vector<double>, 2> delta;     // (block centre - shift), scaled
        std::array<std::vector<double>, 2> residual;  // sum of the centred rows
        std::array<std::vector<double>, 2> wide;      // float64 copy of the rows, where an outlier needs it
    };
    struct Chunk {
        std::vector<Block> blocks;
        std::array<LargeVector<float>, 2> narrow;  // centred, scaled rows; one of narrow and wide is in use
        std::array<LargeVector<double>, 2> wide;
        std::vector<char> done;  // per tile of the products

        void swap(Chunk& other) noexcept {
            blocks.swap(other.blocks);
            narrow.swap(other.narrow);
            wide.swap(other.wide);
            done.swap(other.done);
        }
    };

    // One side of a block as it is read: T, or float64 where preprocessed rows have more digits than T holds.
    template <class T>
    struct Source {
        const T* rows = nullptr;
        const double* wide = nullptr;
        std::int64_t stride = 0;

        template <class F>
        void visit(F&& f) const;  // f(whichever there is)
    };

    template <class T>
    void take(const Rows& x, const Rows& y, int threads, Progress& progress);
    template <class T>
    void start(const std::array<Source<T>, 2>& source, std::int64_t rows);
    template <class T>
    void prepare(Block& block, const std::array<Source<T>, 2>& source, const std::array<T*, 2>& out) const;
    bool fits(const std::vector<Block>& blocks);
    template <class T>
    void commit(int threads, Progress& progress);
    void complete(int threads, Progress& progress);
    void flush(int threads, Progress& progress);
    std::int64_t blocks_per_chunk() const;
    std::int64_t tiles_per_chunk() const;
    template <class T>
    static std::array<LargeVector<T>, 2>& buffers(Chunk& chunk);

    Precision precision_;
    MomentSums sums_;
    std::int64_t waiting_ = 0;
    std::array<std::vector<double>, 2> waiting_rows_;  // as given, exact in float64
    Chunk chunk_;
};

template <>
std::array<LargeVector<float>, 2>& Moments::buffers<float>(Chunk& chunk);
template <>
std::array<LargeVector<double>, 2>& Moments::buffers<double>(Chunk& chunk);

// Reads all rows once and throws std::invalid_argument on the first bad value.
void check_rows(const Rows& rows, int threads, Monitor* monitor);

// Per-row sums that the delete-one jackknife of HSIC needs (science 3.6). With K, L the Grams of the centred rows of x
// and y, k = K1 - diag K and l likewise (n x 11, row-major, in this order):
//   K_ii, L_ii, (K1)_i, (L1)_i, (K.L 1)_i, (K.K 1)_i, (L.L 1)_i, (Kl)_i, (Kk)_i, (Lk)_i, (Ll)_i      (. elementwise)
// of the rows scaled as in `sums`, which is finish(centred) of the same rows. O(n (p^2 + pq + q^2)).
constexpr std::int64_t kRowTerms = 11;
std::vector<double> moments_row_terms(const Rows& x, const Rows& y, const MomentSums& sums, Precision precision,
                                      int threads, Monitor* monitor);

}  // namespace kernalign
