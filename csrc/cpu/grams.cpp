// Walks n x n Gram matrices in tiles, two representations at once, and reduces them on the fly.
#include "grams.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <type_traits>
#include <utility>

#include "cpu/blas.hpp"
#include "cpu/gram_side.hpp"
#include "cpu/outlier.hpp"
#include "cpu/simd.hpp"
#include "error.hpp"
#include "moments.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kPanelElements = 1 << 20;  // a tile is made smaller where its panels of rows would be larger

template <class T>
using Sides = std::array<std::unique_ptr<GramSide<T>>, 2>;

template <class T>
Sides<T> prepare(const Rows& x, const Rows& y, bool centred, int threads, Monitor* monitor) {
    require_same_rows(x.rows(), y.rows());
    Progress progress(monitor, 0);
    return {std::make_unique<GramSide<T>>(x, centred, threads, progress),
            std::make_unique<GramSide<T>>(y, centred, threads, progress)};
}

template <class T>
std::int64_t tile_size(const Sides<T>& sides, std::int64_t n) {
    const std::int64_t wanted = n <= 512 ? kGramTile / 4 : kGramTile;
    if (sides[0]->kept() && sides[1]->kept()) return wanted;
    const std::int64_t widest = std::max(sides[0]->cols(), sides[1]->cols());
    return std::min(wanted, std::max<std::int64_t>(16, kPanelElements / widest));
}

// One worker's panels and tiles, per representation.
template <class T>
struct Scratch {
    std::array<std::vector<T>, 2> left, right, tile;
};

template <class T>
PairSums pair_sums(const GramSide<T>& x, const GramSide<T>& y, double off_diagonal) {
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
auto with_sides(const Rows& x, const Rows& y, bool centred, Precision precision, int threads, Monitor* monitor, F&& f) {
    if (precision == Precision::f32) {
        const Sides<float> sides = prepare<float>(x, y, centred, threads, monitor);
        if (!has_outlier(sides[0]->diagonal) && !has_outlier(sides[1]->diagonal)) return f(sides);
    }
    return f(prepare<double>(x, y, centred, threads, monitor));
}

}  // namespace

GramSums gram_sums(const Rows& x, const Rows& y, bool centred, Precision precision, int threads, Monitor* monitor) {
    threads = resolve_threads(threads);
    return with_sides(x, y, centred, precision, threads, monitor, [&](const auto& sides) {
        GramSums sums = sums_of(sides, x.rows(), threads, monitor);
        sums.widened = precision == Precision::f32 && std::is_same_v<decltype(sides), const Sides<double>&>;
        return sums;
    });
}

std::vector<double> gram_row_terms(const Rows& x, const Rows& y, bool centred, Precision precision, int threads,
                                   Monitor* monitor) {
    threads = resolve_threads(threads);
    return with_sides(x, y, centred, precision, threads, monitor,
                      [&](const auto& sides) { return row_terms_of(sides, x.rows(), threads, monitor); });
}

}  // namespace kernalign
