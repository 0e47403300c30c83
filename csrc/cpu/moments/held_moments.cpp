// Sums over two linear Gram matrices from rows that are at hand: their means first, then products of centred rows.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>
#include <utility>

#include "cpu/products/float_product.hpp"
#include "cpu/runtime/dense_centre.hpp"
#include "cpu/runtime/load.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"
#include "moments.hpp"
#include "outlier.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kWidest = 2048;       // of both sides: more columns have larger products than their stream
constexpr std::int64_t kTile = 1024;         // columns of products that threads share
constexpr double kMost = 1 << 28;            // numbers of both sides: more may lie on a disk, and are read once
constexpr std::int64_t kRead = 32;           // rows that are read together
constexpr std::int64_t kScratch = 64 << 20;  // bytes of the blocks that threads work on, four at least

template <class T>
struct HeldSide : DenseCentre {
    DenseRows<T> rows;
    std::int64_t cols;

    explicit HeldSide(const Rows& given) : rows(given), cols(given.cols()) {}
};

template <class T>
struct HeldBlock {
    std::int64_t begin = 0, count = 0;
    LargeVector<T> rows;                       // both sides' columns beside each other, centred and scaled
    LargeVector<T> product;                    // of all columns
    std::array<std::vector<double>, 2> norms;  // squared
    std::array<std::array<std::vector<double>, 3>, 2> weighted;  // sums of rows, and of these times norms, if kept
    bool sound = true;
};

template <class T>
class Held {
  public:
    Held(const Rows& x, const Rows& y, Keep keep, int threads, Monitor* monitor)
        : n_(x.rows()),
          p_(x.cols()),
          width_(x.cols() + y.cols()),
          keep_(keep != Keep::nothing),
          weighed_(keep == Keep::everything),
          threads_(threads),
          tiles_((width_ + kTile - 1) / kTile),
          progress_(monitor, (n_ + kMomentsBlock - 1) / kMomentsBlock * (1 + tiles_ * tiles_)),
          sides_{HeldSide<T>(x), HeldSide<T>(y)} {}

    std::optional<HeldSums> sums() {
        for (HeldSide<T>& side : sides_)
            if (!side.find(side.rows, n_, side.cols, threads_, progress_)) return std::nullopt;
        const std::int64_t count = (n_ + kMomentsBlock - 1) / kMomentsBlock;
        const bool alone = count == 1 && !keep_;
        const std::int64_t fit = kScratch / ((kMomentsBlock + width_) * width_ * std::int64_t(sizeof(T)));
        std::vector<HeldBlock<T>> blocks(std::size_t(std::min({count, fit, std::int64_t(threads_)})));
        if (keep_) start_moments();
        if (!alone) total_.resize(std::size_t(width_ * width_));
        for (std::int64_t first = 0; first < count; first += std::int64_t(blocks.size())) {
            blocks.resize(std::size_t(std::min<std::int64_t>(std::int64_t(blocks.size()), count - first)));
            parallel_for(std::int64_t(blocks.size()), threads_, progress_, [&](std::int64_t b, int) {
                HeldBlock<T>& block = blocks[std::size_t(b)];
                block.begin = (first + b) * kMomentsBlock;
                block.count = std::min(kMomentsBlock, n_ - block.begin);
                prepare(block);
            });
            for (const HeldBlock<T>& block : blocks)
                if (!block.sound) return std::nullopt;
            parallel_for(std::int64_t(blocks.size()) * tiles_ * tiles_, threads_, progress_, [&](std::int64_t at, int) {
                const std::int64_t a = at / tiles_ % tiles_, b = at % tiles_;
                if (a <= b) multiply(blocks[std::size_t(at / tiles_ / tiles_)], a, b);
            });
            for (const HeldBlock<T>& block : blocks) {
                if (!alone) add_product(block);
                add_norms(block);
            }
        }
        return alone ? finish(blocks[0].product.data()) : finish(total_.data());
    }

  private:
    void prepare(HeldBlock<T>& block) const {
        block.rows.resize(std::size_t(block.count * width_));
        block.product.resize(std::size_t(width_ * width_));
        block.sound = true;
        for (std::size_t s = 0; s < 2; ++s) {
            const HeldSide<T>& side = sides_[s];
            const double factor = std::ldexp(1.0, -side.exponent);
            T* out = block.rows.data() + (s ? p_ : 0);
            std::vector<double>& norms = block.norms[s];
            norms.resize(std::size_t(block.count));
            typename DenseRows<T>::Block some;
            for (std::int64_t i = 0; i < block.count; ++i, out += width_) {
                if (i % kRead == 0) {
                    const std::int64_t begin = block.begin + i;
                    side.rows.read(begin, begin + std::min(kRead, block.count - i), some);
                }
                norms[std::size_t(i)] = simd().copy_centred(some.rows + i % kRead * some.stride, side.mean.data(),
                                                            side.rest.data(), factor, out, side.cols);
            }
            block.sound = block.sound && std::isfinite(std::accumulate(norms.begin(), norms.end(), 0.0)) &&
                          (std::is_same_v<T, double> || !has_outlier(norms));
        }
        if (weighed_) weigh(block);
    }

    void weigh(HeldBlock<T>& block) const {
        for (std::size_t s = 0; s < 2; ++s) {
            const std::vector<double> zero(std::size_t(sides_[s].cols), 0.0);
            const std::vector<T> none(zero.size(), T(0));
            auto& [sum, own, other] = block.weighted[s];
            for (std::vector<double>* v : {&sum, &own, &other}) v->assign(zero.size(), 0.0);
            T* row = block.rows.data() + (s ? p_ : 0);
            for (std::size_t i = 0; i < block.norms[s].size(); ++i, row += width_)
                simd().accumulate_row(row, row, zero.data(), none.data(), 1.0, block.norms[s][i], block.norms[1 - s][i],
                                      sum.data(), own.data(), other.data(), sides_[s].cols);
        }
    }

    // The columns of two tiles.
    void multiply(HeldBlock<T>& block, std::int64_t a, std::int64_t b) const {
        ProductScratch none;
        const std::int64_t size = (width_ + tiles_ - 1) / tiles_, i = a * size, j = b * size;
        const Factor<T> left{block.rows.data() + i, width_, std::min(size, width_ - i), true},
            right{block.rows.data() + j, width_, std::min(size, width_ - j), true};
        T* out = block.product.data() + i * width_ + j;
        if (a == b)
            square(left, block.count, out, width_, none);
        else
            kernalign::multiply(left, right, block.count, out, width_, none);
    }

    // Sets the sums of products where the first block begins.
    void add_product(const HeldBlock<T>& block) {
        const std::vector<double> zero(std::size_t(width_), 0.0);
        for (std::int64_t i = 0; i < width_; ++i) {
            const T* product = block.product.data() + i * width_ + i;
            double* to = total_.data() + i * width_ + i;
            if (block.begin == 0)
                simd().grams.widen(product, to, width_ - i);
            else
                simd().add_rank_two(to, product, 0, zero.data(), 0, zero.data(), width_ - i);
        }
    }

    void add_norms(const HeldBlock<T>& block) {
        for (std::size_t i = 0; i < block.norms[0].size(); ++i) {
            const double x = block.norms[0][i], y = block.norms[1][i];
            traces_[0] += x;
            traces_[1] += y;
            diagonals_[0] += x * x;
            diagonals_[1] += x * y;
            diagonals_[2] += y * y;
        }
        for (std::size_t s = 0; weighed_ && s < 2; ++s) {
            SideSums& side = moments_.side[s];
            const std::array<std::vector<double>*, 3> sums{&side.sum, &side.own, &side.other};
            for (std::size_t k = 0; k < 3; ++k)
                for (std::size_t j = 0; j < sums[k]->size(); ++j) (*sums[k])[j] += block.weighted[s][k][j];
        }
    }

    template <class Product>
    HeldSums finish(const Product* product) {
        std::array<double, 3> squares{};
        const auto of = [&](const Product* v, std::int64_t count) {
            double sums[3] = {};
            simd().pair_products(v, v, sums, count);
            return sums[1];
        };
        for (std::int64_t i = 0; i < width_; ++i, product += width_) {
            const std::int64_t end = i < p_ ? p_ : width_;
            const double own = double(product[i]);
            squares[i < p_ ? 0 : 2] += own * own + 2 * of(product + i + 1, end - i - 1);
            if (i < p_) squares[1] += of(product + p_, width_ - p_);
        }
        HeldSums result;
        for (std::size_t k = 0; k < 3; ++k) {
            PairSums& pair = result.pairs[k];
            pair.full = squares[k];
            pair.diagonal = diagonals_[k];
            pair.trace_x = traces_[k / 2];
            pair.trace_y = traces_[(k + 1) / 2];
        }
        for (std::size_t s = 0; s < 2; ++s) result.exponents[s] = 2 * sides_[s].exponent;
        if (keep_) result.moments = finish_moments();
        return result;
    }

    void start_moments() {
        moments_ = MomentSums(p_, width_ - p_);
        moments_.n = n_;
        for (std::size_t s = 0; s < 2; ++s) {
            moments_.side[s].exponent = sides_[s].exponent;
            moments_.side[s].scaled = true;
            moments_.side[s].shift = sides_[s].mean;
        }
    }

    MomentSums finish_moments() {
        for (std::size_t s = 0; s < 2; ++s) {
            moments_.side[s].norm = traces_[s];
            moments_.side[s].norm_square = diagonals_[2 * s];
            const double none = std::numeric_limits<double>::quiet_NaN();
            for (std::vector<double>* v : {&moments_.side[s].own, &moments_.side[s].other})
                if (!weighed_) std::fill(v->begin(), v->end(), none);
        }
        moments_.norm_product = diagonals_[1];
        for (std::size_t k = 0; k < 3; ++k) {
            const std::int64_t rows = k == 2 ? width_ - p_ : p_, cols = k == 0 ? p_ : width_ - p_;
            const double* from = total_.data() + (k == 2 ? p_ : 0) * width_ + (k == 0 ? 0 : p_);
            for (std::int64_t i = 0; i < rows; ++i, from += width_)
                std::copy(from + (k == 1 ? 0 : i), from + cols,
                          moments_.products[k].data() + i * cols + (k == 1 ? 0 : i));
        }
        moments_.symmetrise();
        return std::move(moments_);
    }

    std::int64_t n_, p_, width_;
    bool keep_, weighed_;
    int threads_;
    std::int64_t tiles_;  // of columns
    Progress progress_;
    std::array<HeldSide<T>, 2> sides_;
    std::array<double, 2> traces_{};
    std::array<double, 3> diagonals_{};
    LargeVector<double> total_;  // the products of all columns: their upper triangle
    MomentSums moments_;
};

template <class T>
std::optional<HeldSums> held(const Rows& x, const Rows& y, Keep keep, int threads, Monitor* monitor) {
    return Held<T>(x, y, keep, threads, monitor).sums();
}

}  // namespace

std::optional<HeldSums> held_moment_sums(const Rows& x, const Rows& y, Precision precision, Keep keep, int threads,
                                         Monitor* monitor) {
    if (x.rows() != y.rows() || x.rows() < 2) return std::nullopt;
    const double columns = double(x.cols() + y.cols());
    if (columns > kWidest || columns * double(x.rows()) > kMost) return std::nullopt;
    threads = resolve_threads(threads, 0.5 * double(x.rows()) * columns * columns);
    if (precision == Precision::f64) return held<double>(x, y, keep, threads, monitor);
    if (by_parts(kMomentsBlock)) return std::nullopt;   // the matrix unit's products are those of the stream
    if (!x.plain() || !y.plain()) return std::nullopt;  // what is prepared in float64 is centred before it is rounded
    return held<float>(x, y, keep, threads, monitor);
}

}  // namespace kernalign
