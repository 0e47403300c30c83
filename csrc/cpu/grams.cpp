// Walks n x n Gram matrices in tiles, two representations at once, and reduces them on the fly.
#include "grams.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "cpu/blas.hpp"
#include "cpu/load.hpp"
#include "cpu/outlier.hpp"
#include "cpu/simd.hpp"
#include "error.hpp"
#include "moments.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kTile = 256;
constexpr std::int64_t kPanelElements = 1 << 22;  // a tile is made smaller where its panels of rows would be larger
constexpr std::int64_t kSmall = 1 << 18;          // elements that are not worth a second thread
constexpr std::int64_t kKeptBytes = 32 << 20;     // converted rows of one side are all kept if they fit

// One representation as its tiles see it: rows shifted, scaled by a power of two and converted to T.
template <class T>
class Side {
  public:
    Side(const Rows& rows, bool centred) : rows_(rows), cols_(rows.cols()) {
        find_shift_and_scale(centred);
        const std::int64_t n = rows.rows();
        if (n * cols_ * std::int64_t(sizeof(T)) <= kKeptBytes) {
            kept_.resize(std::size_t(n * cols_));
            convert(0, n, kept_.data());
        }
        std::vector<T> scratch(std::size_t(kTile * cols_));
        const std::vector<T> zero(std::size_t(cols_), T(0));
        const std::vector<double> no_shift(std::size_t(cols_), 0.0);
        total.assign(std::size_t(cols_), 0.0);
        for (std::int64_t begin = 0; begin < n; begin += kTile) {
            const T* panel = get(begin, std::min(n, begin + kTile), scratch);
            for (std::int64_t i = 0; i < std::min(kTile, n - begin); ++i) {
                simd().add_difference(panel + i * cols_, zero.data(), total.data(), cols_);
                diagonal.push_back(simd().squared_norm(panel + i * cols_, no_shift.data(), 1.0, cols_));
            }
        }
        for (std::int64_t begin = 0; begin < n; begin += kTile) {
            const T* panel = get(begin, std::min(n, begin + kTile), scratch);
            for (std::int64_t i = 0; i < std::min(kTile, n - begin); ++i)
                sums.push_back(simd().dot(panel + i * cols_, total.data(), cols_));
        }
    }

    std::int64_t cols() const { return cols_; }
    int exponent() const { return exponent_; }

    // Rows [begin, end) as a dense panel: kept ones, or converted into scratch.
    const T* get(std::int64_t begin, std::int64_t end, std::vector<T>& scratch) const {
        if (!kept_.empty()) return kept_.data() + begin * cols_;
        scratch.resize(std::max(scratch.size(), std::size_t((end - begin) * cols_)));
        convert(begin, end, scratch.data());
        return scratch.data();
    }

    std::vector<double> total;           // sum of the rows
    std::vector<double> diagonal, sums;  // K_ii and (K1)_i

  private:
    void find_shift_and_scale(bool centred) {
        std::vector<double> first(std::size_t(cols_), 0.0), row(first), sum(first);
        if (centred) load_rows(rows_, 0, 1, first.data(), cols_);  // differences from it: exactly 0 in constant columns
        double largest = 0;
        for (std::int64_t i = 0; i < rows_.rows(); ++i) {
            load_rows(rows_, i, i + 1, row.data(), cols_);
            if (centred) simd().add_difference(row.data(), first.data(), sum.data(), cols_);
            for (std::size_t j = 0; j < row.size(); ++j) largest = std::max(largest, std::fabs(row[j] - first[j]));
        }
        shift_.resize(row.size());
        for (std::size_t j = 0; j < row.size(); ++j) shift_[j] = first[j] + sum[j] / double(rows_.rows());
        if (largest > 0) exponent_ = std::clamp(std::ilogb(largest), -1000, 1000);
    }

    void convert(std::int64_t begin, std::int64_t end, T* out) const {
        const double factor = std::ldexp(1.0, -exponent_);
        std::vector<double> wide(shift_.size());
        for (std::int64_t i = begin; i < end; ++i) {
            load_rows(rows_, i, i + 1, wide.data(), cols_);
            T* row = out + (i - begin) * cols_;
            for (std::size_t j = 0; j < wide.size(); ++j) row[j] = T((wide[j] - shift_[j]) * factor);
        }
    }

    const Rows& rows_;
    std::int64_t cols_;
    int exponent_ = 0;
    std::vector<double> shift_;
    std::vector<T> kept_;
};

template <class T>
using Sides = std::array<std::unique_ptr<Side<T>>, 2>;

template <class T>
Sides<T> prepare(const Rows& x, const Rows& y, bool centred, int threads) {
    require_same_rows(x.rows(), y.rows());
    Sides<T> sides;
    Progress progress(nullptr, 2);
    const bool small = x.rows() * (x.cols() + y.cols()) < kSmall;
    parallel_for(2, small ? 1 : threads, progress,
                 [&](std::int64_t s, int) { sides[std::size_t(s)] = std::make_unique<Side<T>>(s ? y : x, centred); });
    return sides;
}

template <class T>
std::int64_t tile_size(const Sides<T>& sides, std::int64_t n) {
    const std::int64_t widest = std::max(sides[0]->cols(), sides[1]->cols());
    return std::min(n <= 512 ? kTile / 2 : kTile, std::max<std::int64_t>(16, kPanelElements / widest));
}

// One worker's panels and tiles, per representation.
template <class T>
struct Scratch {
    std::array<std::vector<T>, 2> left, right, tile;
};

template <class T>
PairSums pair_sums(const Side<T>& x, const Side<T>& y, double off_diagonal) {
    PairSums sums;
    for (std::size_t i = 0; i < x.diagonal.size(); ++i) {
        sums.diagonal += x.diagonal[i] * y.diagonal[i];
        sums.rows += x.sums[i] * y.sums[i];
        sums.rows_diagonal += x.sums[i] * y.diagonal[i];
        sums.diagonal_rows += x.diagonal[i] * y.sums[i];
        sums.trace_x += x.diagonal[i];
        sums.trace_y += y.diagonal[i];
    }
    sums.full = sums.diagonal + off_diagonal;
    for (const double v : x.total) sums.total_x += v * v;
    for (const double v : y.total) sums.total_y += v * v;
    return sums;
}

template <class T>
GramSums sums_of(const Sides<T>& sides, std::int64_t n, int threads, Monitor* monitor) {
    const std::int64_t size = tile_size(sides, n);
    std::vector<std::pair<std::int64_t, std::int64_t>> tasks;
    for (std::int64_t i = 0; i < n; i += size)
        for (std::int64_t j = i; j < n; j += size) tasks.push_back({i, j});

    std::vector<std::array<double, 3>> partial(tasks.size());  // <k,l>, <k,k>, <l,l> above the diagonal
    std::vector<Scratch<T>> scratch(static_cast<std::size_t>(threads));
    Progress progress(monitor, std::int64_t(tasks.size()));
    parallel_for(std::int64_t(tasks.size()), threads, progress, [&](std::int64_t task, int worker) {
        const auto [i0, j0] = tasks[std::size_t(task)];
        const std::int64_t m = std::min(size, n - i0), k = std::min(size, n - j0);
        Scratch<T>& own = scratch[std::size_t(worker)];
        for (std::size_t s = 0; s < 2; ++s) {
            const std::int64_t cols = sides[s]->cols();
            own.tile[s].resize(std::size_t(size * size));
            const T* left = sides[s]->get(i0, i0 + m, own.left[s]);
            if (i0 == j0) {
                blas::syrk_nt(m, cols, left, cols, own.tile[s].data(), k);
            } else {
                const T* right = sides[s]->get(j0, j0 + k, own.right[s]);
                blas::gemm_nt(m, k, cols, left, cols, right, cols, own.tile[s].data(), k);
            }
        }
        std::array<double, 3>& sums = partial[std::size_t(task)];
        sums.fill(0);
        for (std::int64_t i = 0; i < m; ++i) {
            const std::int64_t from = i0 == j0 ? i + 1 : 0;
            simd().pair_products(own.tile[0].data() + i * k + from, own.tile[1].data() + i * k + from, sums.data(),
                                 k - from);
        }
    });

    std::array<double, 3> off{};
    for (const std::array<double, 3>& sums : partial)
        for (std::size_t t = 0; t < 3; ++t) off[t] += 2 * sums[t];
    GramSums result;
    result.n = n;
    result.exponent = {sides[0]->exponent(), sides[1]->exponent()};
    result.pairs = {pair_sums(*sides[0], *sides[0], off[1]), pair_sums(*sides[0], *sides[1], off[0]),
                    pair_sums(*sides[1], *sides[1], off[2])};
    return result;
}

template <class T>
std::vector<double> row_terms_of(const Sides<T>& sides, std::int64_t n, int threads, Monitor* monitor) {
    const std::int64_t size = tile_size(sides, n), bands = (n + size - 1) / size;
    std::array<std::vector<double>, 2> weight;  // k and l: row sums without the diagonal
    for (std::size_t s = 0; s < 2; ++s)
        for (std::size_t i = 0; i < std::size_t(n); ++i) weight[s].push_back(sides[s]->sums[i] - sides[s]->diagonal[i]);

    std::vector<double> out(std::size_t(n * kRowTerms), 0.0);
    std::vector<Scratch<T>> scratch(static_cast<std::size_t>(threads));
    Progress progress(monitor, bands);
    // A thread owns a whole band of rows, so that each row is summed in the same order for any number of threads.
    parallel_for(bands, threads, progress, [&](std::int64_t band, int worker) {
        const std::int64_t i0 = band * size, m = std::min(size, n - i0);
        Scratch<T>& own = scratch[std::size_t(worker)];
        for (std::int64_t j0 = 0; j0 < n; j0 += size) {
            const std::int64_t k = std::min(size, n - j0);
            for (std::size_t s = 0; s < 2; ++s) {
                const std::int64_t cols = sides[s]->cols();
                own.tile[s].resize(std::size_t(size * size));
                const T* left = sides[s]->get(i0, i0 + m, own.left[s]);
                const T* right = sides[s]->get(j0, j0 + k, own.right[s]);
                blas::gemm_nt(m, k, cols, left, cols, right, cols, own.tile[s].data(), k);
            }
            for (std::int64_t i = 0; i < m; ++i) {
                double* terms = out.data() + (i0 + i) * kRowTerms;
                const T* row_k = own.tile[0].data() + i * k;
                const T* row_l = own.tile[1].data() + i * k;
                simd().pair_products(row_k, row_l, terms + 4, k);
                terms[7] += simd().dot(row_k, weight[1].data() + j0, k);
                terms[8] += simd().dot(row_k, weight[0].data() + j0, k);
                terms[9] += simd().dot(row_l, weight[0].data() + j0, k);
                terms[10] += simd().dot(row_l, weight[1].data() + j0, k);
            }
        }
    });
    for (std::size_t i = 0; i < std::size_t(n); ++i)
        for (std::size_t s = 0; s < 2; ++s) {
            out[i * kRowTerms + s] = sides[s]->diagonal[i];
            out[i * kRowTerms + 2 + s] = sides[s]->sums[i];
        }
    return out;
}

}  // namespace

namespace {

// Calls f with both sides in float32, or in float64 where that is asked for or an outlier needs it.
template <class F>
auto with_sides(const Rows& x, const Rows& y, bool centred, Precision precision, int threads, F&& f) {
    if (precision == Precision::f32) {
        const Sides<float> sides = prepare<float>(x, y, centred, threads);
        if (!has_outlier(sides[0]->diagonal) && !has_outlier(sides[1]->diagonal)) return f(sides);
    }
    return f(prepare<double>(x, y, centred, threads));
}

}  // namespace

GramSums gram_sums(const Rows& x, const Rows& y, bool centred, Precision precision, int threads, Monitor* monitor) {
    threads = resolve_threads(threads);
    return with_sides(x, y, centred, precision, threads,
                      [&](const auto& sides) { return sums_of(sides, x.rows(), threads, monitor); });
}

std::vector<double> gram_row_terms(const Rows& x, const Rows& y, bool centred, Precision precision, int threads,
                                   Monitor* monitor) {
    threads = resolve_threads(threads);
    return with_sides(x, y, centred, precision, threads,
                      [&](const auto& sides) { return row_terms_of(sides, x.rows(), threads, monitor); });
}

}  // namespace kernalign
