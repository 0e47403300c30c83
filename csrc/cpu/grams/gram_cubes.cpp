// Third-order sums of one U-centred Gram matrix, which give the skewness of unbiased HSIC under random pairing.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "cpu/grams/gram_tiles.hpp"
#include "cpu/products/float_product.hpp"
#include "cpu/runtime/blas.hpp"
#include "cpu/simd/simd.hpp"
#include "grams.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kCubeTile = 512;
constexpr double kMostTaken = 1e6;  // cubed diagonal of B, of |X|^3: ten digits are left
constexpr std::int64_t kUnheldTile = 256;
constexpr std::int64_t kCubeBand = 1024;  // rows of X that are held, twice

// X = K^U in terms of the Gram matrix of the centred rows: X_ij = K_ij + a_i + a_j + c off the diagonal, 0 on it.
struct Centring {
    std::vector<double> a;
    double c = 0;

    explicit Centring(const std::vector<double>& hollow_sums) {
        const double n = double(hollow_sums.size());
        double total = 0;
        for (const double row : hollow_sums) {
            a.push_back(-row / (n - 2));
            total += row;
        }
        c = total / ((n - 1) * (n - 2));
    }
};

// Rows of x as columns of out: m x k values with n and `stride` between rows.
template <class T>
void mirror(const T* x, std::int64_t m, std::int64_t k, std::int64_t stride, T* out, std::int64_t n) {
    constexpr std::int64_t kPatch = 16;  // rows of both that stay in cache
    for (std::int64_t i0 = 0; i0 < m; i0 += kPatch)
        for (std::int64_t j = 0; j < k; ++j)
            for (std::int64_t i = i0; i < std::min(m, i0 + kPatch); ++i) out[j * n + i] = x[i * stride + j];
}

// One thread's; a tile that is allocated anew costs more than its products of few columns.
template <class T>
struct TileScratch {
    LargeVector<T> left, right, tile;
    ProductScratch product;
};

// Sums of squares and cubes over all tiles; `whole`, if there is one, receives X itself, and the squares of its rows
// are summed.
template <class T>
CubeSums sum_tiles(const ScaledRows<T>& side, const Centring& centring, LargeVector<T>* whole, int threads,
                   Progress& progress) {
    const std::int64_t n = side.size(), cols = side.cols();
    // Of very wide rows fewer: they are converted anew for every tile, but a panel of 512 could be larger than memory.
    const std::int64_t size = whole ? std::clamp<std::int64_t>(4 * kPanelElements / cols, 128, kCubeTile) : kUnheldTile;
    const std::vector<GramTask> tasks = gram_tasks(n, size);
    std::vector<std::array<double, 2>> partial(tasks.size());
    std::vector<std::vector<double>> rows_of(
        tasks.size());  // sums of squares of the rows of a tile, then of its columns
    std::vector<TileScratch<T>> scratches(static_cast<std::size_t>(threads));
    parallel_for(std::int64_t(tasks.size()), threads, progress, [&](std::int64_t task, int worker) {
        const auto [i0, m, j0, k] = tasks[std::size_t(task)];
        const bool diagonal = i0 == j0;
        auto& [left, right, tile, scratch] = scratches[std::size_t(worker)];
        tile.resize(std::size_t(size * size));
        const Factor<T> rows{side.get(i0, i0 + m, left), cols, m};
        if (diagonal)
            square(rows, cols, tile.data(), k, scratch);
        else
            multiply(rows, Factor<T>{side.get(j0, j0 + k, right), cols, k}, cols, tile.data(), k, scratch);
        double both[2] = {0, 0};
        std::vector<double>& squares = rows_of[std::size_t(task)];
        if (whole) squares.assign(std::size_t(m + k), 0.0);
        for (std::int64_t i = 0; i < m; ++i) {
            const std::int64_t from = diagonal ? i + 1 : 0;
            T* row = tile.data() + i * k;
            const double before = both[0];
            simd().grams.cubes(row + from, centring.a[std::size_t(i0 + i)] + centring.c, centring.a.data() + j0 + from,
                               both, k - from);
            if (!whole) continue;
            squares[std::size_t(i)] = both[0] - before;
            double* columns = squares.data() + m;
            for (std::int64_t j = from; j < k; ++j) columns[j] += double(row[j]) * double(row[j]);
        }
        partial[std::size_t(task)] = {2 * both[0], 2 * both[1]};
        if (!whole) return;
        if (diagonal)
            for (std::int64_t i = 0; i < m; ++i) {
                tile[std::size_t(i * k + i)] = 0;
                for (std::int64_t j = 0; j < i; ++j) tile[std::size_t(i * k + j)] = tile[std::size_t(j * k + i)];
            }
        else
            mirror(tile.data(), m, k, k, whole->data() + j0 * n + i0, n);
        for (std::int64_t i = 0; i < m; ++i) std::copy_n(tile.data() + i * k, k, whole->data() + (i0 + i) * n + j0);
    });
    CubeSums sums;
    for (const auto& [squares, cubes] : partial) {
        sums.squares += squares;
        sums.cubes += cubes;
    }
    if (!whole) return sums;
    std::vector<double> squares(std::size_t(n), 0.0);
    for (std::size_t task = 0; task < tasks.size(); ++task) {
        const auto [i0, m, j0, k] = tasks[task];
        const double* part = rows_of[task].data();
        for (std::int64_t i = 0; i < m; ++i) squares[std::size_t(i0 + i)] += part[i];
        for (std::int64_t j = 0; j < k; ++j) squares[std::size_t(j0 + j)] += part[m + j];
    }
    sums.rows = simd().dot(squares.data(), squares.data(), n);
    return sums;
}

// tr X^3 from X itself.
template <class T>
double trace_of_cube(const LargeVector<T>& x, std::int64_t n, int threads, Progress& progress) {
    const std::vector<GramTask> tasks = gram_tasks(n, kCubeTile);
    std::vector<double> partial(tasks.size());
    parallel_for(std::int64_t(tasks.size()), threads, progress, [&](std::int64_t task, int) {
        const auto [i0, m, j0, k] = tasks[std::size_t(task)];
        const Factor<T> rows{x.data() + i0 * n, n, m};
        LargeVector<T> tile(std::size_t(m * k));
        ProductScratch scratch;
        if (i0 == j0)
            square(rows, n, tile.data(), k, scratch);
        else
            multiply(rows, Factor<T>{x.data() + j0 * n, n, k}, n, tile.data(), k, scratch);
        double sums[3] = {0, 0, 0};  // X is zero on its diagonal
        for (std::int64_t i = 0; i < m; ++i) {
            const std::int64_t from = i0 == j0 ? i + 1 : 0;
            simd().pair_products(tile.data() + i * k + from, x.data() + (i0 + i) * n + j0 + from, sums, k - from);
        }
        partial[std::size_t(task)] = 2 * sums[0];
    });
    double trace = 0;
    for (const double sum : partial) trace += sum;
    return trace;
}

// sum over bands of rows of f(begin, rows), in parallel and added in order.
template <class F>
double sum_bands(std::int64_t n, int threads, Progress& progress, F&& f) {
    std::vector<double> partial(std::size_t((n + kCubeTile - 1) / kCubeTile));
    parallel_for(std::int64_t(partial.size()), threads, progress, [&](std::int64_t band, int) {
        partial[std::size_t(band)] = f(band * kCubeTile, std::min(kCubeTile, n - band * kCubeTile));
    });
    double sum = 0;
    for (const double part : partial) sum += part;
    return sum;
}

// tr X^3 by algebra of the features. X = B - D with B = Z M Z', Z = [x, a, 1], M = [[I,0,0],[0,0,1],[0,1,c]] and D the
// diagonal of B, so tr X^3 = tr (Z'Z M)^3 - 3 sum D_i (B^2)_ii + 2 sum D_i^3, and row i of X has the square
// (B^2)_ii - D_i^2. False if the diagonal is so much of B that what is left would have lost digits.
bool add_features(const ScaledRows<double>& side, const Centring& centring, CubeSums& sums, int threads,
                  Progress& progress) {
    const std::int64_t n = side.size(), p = side.cols(), m = p + 2;
    std::vector<double> diagonal(side.squared_norms);
    double taken = 0;
    for (std::size_t i = 0; i < diagonal.size(); ++i) {
        diagonal[i] += 2 * centring.a[i] + centring.c;
        taken += std::pow(std::fabs(diagonal[i]), 3);
    }
    if (taken > kMostTaken * std::pow(sums.squares, 1.5)) return false;
    std::vector<double> z(std::size_t(n * m)), gram(std::size_t(m * m)), h(gram.size());
    sum_bands(n, threads, progress, [&](std::int64_t begin, std::int64_t rows) {
        LargeVector<double> scratch;
        const double* x = side.get(begin, begin + rows, scratch);
        for (std::int64_t i = begin; i < begin + rows; ++i, x += p) {
            double* row = z.data() + i * m;
            std::copy(x, x + p, row);
            row[p] = centring.a[std::size_t(i)];
            row[p + 1] = 1;
        }
        return 0.0;
    });
    const auto times_m = [&](double* row) {  // row <- row M
        std::swap(row[p], row[p + 1]);
        row[p + 1] += centring.c * row[p];
    };
    sum_bands(m, threads, progress, [&](std::int64_t begin, std::int64_t rows) {
        blas::gemm_tn(rows, m, n, z.data() + begin, m, z.data(), m, gram.data() + begin * m, m);
        for (std::int64_t i = begin; i < begin + rows; ++i) {
            std::copy(gram.data() + i * m, gram.data() + (i + 1) * m, h.data() + i * m);
            times_m(h.data() + i * m);
        }
        return 0.0;
    });
    std::vector<double> squares(static_cast<std::size_t>(n));
    const double diagonals = sum_bands(n, threads, progress, [&](std::int64_t begin, std::int64_t rows) {
        std::vector<double> v(std::size_t(rows * m));
        for (std::int64_t i = begin; i < begin + rows; ++i) times_m(z.data() + i * m);
        blas::gemm_nn(rows, m, m, z.data() + begin * m, m, gram.data(), m, v.data(), m);
        double sum = 0;
        for (std::int64_t i = 0; i < rows; ++i) {
            const std::size_t g = std::size_t(begin + i);
            const double d = diagonal[g];
            const double whole = simd().dot(v.data() + i * m, z.data() + (begin + i) * m, m);
            squares[g] = whole - d * d;
            sum += d * (2 * d * d - 3 * whole);
        }
        return sum;
    });
    sums.rows = simd().dot(squares.data(), squares.data(), n);
    sums.trace = diagonals + sum_bands(m, threads, progress, [&](std::int64_t begin, std::int64_t rows) {
                     std::vector<double> square(std::size_t(rows * m));
                     blas::gemm_nn(rows, m, m, h.data() + begin * m, m, h.data(), m, square.data(), m);
                     double sum = 0;
                     for (std::int64_t i = 0; i < rows; ++i)
                         for (std::int64_t j = 0; j < m; ++j)
                             sum += square[std::size_t(i * m + j)] * h[std::size_t(j * m + begin + i)];
                     return sum;
                 });
    return true;
}

template <class T>
Centring u_centring(const GramSide<T>& side) {
    std::vector<double> hollow = side.sums;
    for (std::size_t i = 0; i < hollow.size(); ++i) hollow[i] -= side.diagonal[i];
    return Centring(hollow);
}

template <class T>
CubeSums held_cubes(const GramSide<T>& side, int threads, Progress& progress) {
    const std::int64_t n = side.size();
    LargeVector<T> whole(std::size_t(n * n));
    CubeSums sums = sum_tiles(side.rows(), u_centring(side), &whole, threads, progress);
    sums.trace = trace_of_cube(whole, n, threads, progress);
    return sums;
}

struct BandSums {
    std::vector<CubeSums> parts;
    std::vector<double> rows;  // sums of squares of the rows of the band, for one tile of columns after the other
};

// Rows [begin, begin + m) of X, for any kernel.
void fill_band(const GramSide<double>& side, const Centring& centring, std::int64_t begin, std::int64_t m,
               std::vector<double>& band, BandSums* sums, int threads, Progress& progress) {
    const std::int64_t n = side.size(), tiles = (n + kGramTile - 1) / kGramTile;
    const std::int64_t parts = (m + kGramTile - 1) / kGramTile;
    band.resize(std::size_t(kCubeBand * n));
    if (sums) {
        sums->parts.assign(std::size_t(tiles * parts), CubeSums());
        sums->rows.assign(std::size_t(tiles * m), 0.0);
    }
    parallel_for(tiles * parts, threads, progress, [&](std::int64_t task, int) {
        const std::int64_t j0 = task / parts * kGramTile, k = std::min(kGramTile, n - j0);
        const std::int64_t i0 = begin + task % parts * kGramTile, rows = std::min(kGramTile, begin + m - i0);
        GramSide<double>::Panels panels;
        std::vector<double> tile(std::size_t(rows * k));
        side.tile(i0, rows, j0, k, panels, tile.data());
        double both[2] = {0, 0};
        for (std::int64_t i = 0; i < rows; ++i) {
            double* row = tile.data() + i * k;
            const double before = both[0];
            if (i0 == j0) {
                row[i] = 0;
                for (std::int64_t j = 0; j < i; ++j) row[j] = band[std::size_t((i0 - begin + j) * n + j0 + i)];
                for (std::int64_t j = 0; j < k; ++j) {
                    if (j > i) row[j] += centring.a[std::size_t(i0 + i)] + centring.c + centring.a[std::size_t(j0 + j)];
                    both[0] += row[j] * row[j];
                    both[1] += row[j] * row[j] * row[j];
                }
            } else {
                simd().grams.cubes(row, centring.a[std::size_t(i0 + i)] + centring.c, centring.a.data() + j0, both, k);
            }
            if (sums) sums->rows[std::size_t(task / parts * m + i0 - begin + i)] = both[0] - before;
            std::copy(row, row + k, band.data() + (i0 - begin + i) * n + j0);
        }
        if (sums) sums->parts[std::size_t(task)] = {both[0], both[1], 0, 0};
    });
}

// Sum of the products of X^2 and X over two bands of rows.
double band_trace(const std::vector<double>& left, std::int64_t m, const std::vector<double>& right, std::int64_t k,
                  std::int64_t n, std::int64_t right_begin, int threads, Progress& progress) {
    const std::int64_t across = (k + kGramTile - 1) / kGramTile, tasks = (m + kGramTile - 1) / kGramTile * across;
    std::vector<double> partial(static_cast<std::size_t>(tasks));
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int) {
        const std::int64_t i0 = task / across * kGramTile, rows = std::min(kGramTile, m - i0);
        const std::int64_t j0 = task % across * kGramTile, cols = std::min(kGramTile, k - j0);
        std::vector<double> square(std::size_t(rows * cols));
        blas::gemm_nt(rows, cols, n, left.data() + i0 * n, n, right.data() + j0 * n, n, square.data(), cols);
        for (std::int64_t i = 0; i < rows; ++i)
            partial[std::size_t(task)] +=
                simd().dot(square.data() + i * cols, left.data() + (i0 + i) * n + right_begin + j0, cols);
    });
    double sum = 0;
    for (const double part : partial) sum += part;
    return sum;
}

CubeSums banded_cubes(const GramSide<double>& side, const Centring& centring, int threads, Progress& progress) {
    const std::int64_t n = side.size();
    CubeSums sums;
    std::vector<double> left, right;
    BandSums partial;
    for (std::int64_t i = 0; i < n; i += kCubeBand) {
        const std::int64_t m = std::min(kCubeBand, n - i);
        fill_band(side, centring, i, m, left, &partial, threads, progress);
        for (const CubeSums& part : partial.parts) {
            sums.squares += part.squares;
            sums.cubes += part.cubes;
        }
        for (std::int64_t row = 0; row < m; ++row) {
            double square = 0;
            for (std::size_t at = std::size_t(row); at < partial.rows.size(); at += std::size_t(m))
                square += partial.rows[at];
            sums.rows += square * square;
        }
        sums.trace += band_trace(left, m, left, m, n, i, threads, progress);
        for (std::int64_t j = i + kCubeBand; j < n; j += kCubeBand) {
            const std::int64_t k = std::min(kCubeBand, n - j);
            fill_band(side, centring, j, k, right, nullptr, threads, progress);
            sums.trace += 2 * band_trace(left, m, right, k, n, j, threads, progress);
        }
    }
    return sums;
}

CubeSums linear_cubes(const GramSource& source, int threads, Monitor* monitor) {
    Progress progress(monitor, 0);
    const bool held = source.rows() <= 2 * source.cols();
    CubeSums sums;
    bool summed = false;
    if (source.precision == Precision::f32) {
        const GramSide<float> side(source, true, kKeptBytes, threads, progress);
        if (!needs_double(source, side)) {
            if (held) return held_cubes(side, threads, progress);
            sums = sum_tiles<float>(side.rows(), u_centring(side), nullptr, threads, progress);
            summed = true;
        }
    }
    const GramSide<double> side(source, true, kKeptBytes, threads, progress);
    if (held) return held_cubes(side, threads, progress);
    const Centring centring = u_centring(side);
    if (!summed) sums = sum_tiles<double>(side.rows(), centring, nullptr, threads, progress);
    if (add_features(side.rows(), centring, sums, threads, progress)) return sums;
    return banded_cubes(side, centring, threads, progress);
}

CubeSums kernel_cubes(GramSource source, int threads, Monitor* monitor) {
    source.precision = Precision::f64;
    const GramSums all = gram_sums({source}, true, threads, monitor);
    Progress progress(monitor, 0);
    const GramSide<double> side(source, true, kKeptBytes, threads, progress);
    return banded_cubes(side, Centring(all.sides[0].hollow), threads, progress);
}

}  // namespace

CubeSums u_centred_cubes(const GramSource& source, int threads, Monitor* monitor) {
    threads = resolve_threads(threads, source.work());
    return source.kernel.form == KernelForm::linear ? linear_cubes(source, threads, monitor)
                                                    : kernel_cubes(source, threads, monitor);
}

}  // namespace kernalign
