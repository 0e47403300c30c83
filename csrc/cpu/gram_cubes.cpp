// Third-order sums of one U-centred Gram matrix, which give the skewness of unbiased HSIC under random pairing.
#include <algorithm>
#include <array>
#include <utility>

#include "cpu/blas.hpp"
#include "cpu/gram_side.hpp"
#include "cpu/simd.hpp"
#include "grams.hpp"

namespace kernalign {
namespace {

// X = K^U in terms of the Gram matrix of the centred rows: X_ij = K_ij + a_i + a_j + c off the diagonal, 0 on it.
struct Centring {
    std::vector<double> a;
    double c = 0;

    explicit Centring(const GramSide<double>& side) {
        const double n = double(side.diagonal.size());
        double total = 0;
        for (std::size_t i = 0; i < side.diagonal.size(); ++i) {
            const double row = side.sums[i] - side.diagonal[i];
            a.push_back(-row / (n - 2));
            total += row;
        }
        c = total / ((n - 1) * (n - 2));
    }
};

using Task = std::pair<std::int64_t, std::int64_t>;

std::vector<Task> upper_tiles(std::int64_t n) {
    std::vector<Task> tasks;
    for (std::int64_t i = 0; i < n; i += kGramTile)
        for (std::int64_t j = i; j < n; j += kGramTile) tasks.push_back({i, j});
    return tasks;
}

// Sums of squares and cubes over all tiles; whole, if not empty, receives X itself.
CubeSums sum_tiles(const GramSide<double>& side, const Centring& centring, std::vector<double>& whole, int threads,
                   Progress& progress) {
    const std::int64_t n = std::int64_t(side.diagonal.size()), cols = side.cols();
    const std::vector<Task> tasks = upper_tiles(n);
    std::vector<std::array<double, 2>> partial(tasks.size());
    parallel_for(std::int64_t(tasks.size()), threads, progress, [&](std::int64_t task, int) {
        const auto [i0, j0] = tasks[std::size_t(task)];
        const std::int64_t m = std::min(kGramTile, n - i0), k = std::min(kGramTile, n - j0);
        std::vector<double> left, right, tile(std::size_t(m * k));
        const double* rows = side.get(i0, i0 + m, left);
        blas::gemm_nt(m, k, cols, rows, cols, i0 == j0 ? rows : side.get(j0, j0 + k, right), cols, tile.data(), k);
        double squares = 0, cubes = 0;
        for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t j = 0; j < k; ++j) {
                double& x = tile[std::size_t(i * k + j)];
                const std::size_t gi = std::size_t(i0 + i), gj = std::size_t(j0 + j);
                x = gi == gj ? 0 : x + (centring.a[gi] + centring.a[gj] + centring.c);
                squares += x * x;
                cubes += x * x * x;
                if (!whole.empty()) whole[gi * std::size_t(n) + gj] = whole[gj * std::size_t(n) + gi] = x;
            }
        const double times = i0 == j0 ? 1 : 2;
        partial[std::size_t(task)] = {times * squares, times * cubes};
    });
    CubeSums sums;
    for (const auto& [squares, cubes] : partial) {
        sums.squares += squares;
        sums.cubes += cubes;
    }
    return sums;
}

// tr X^3 from X itself.
double trace_of_cube(const std::vector<double>& x, std::int64_t n, int threads, Progress& progress) {
    const std::vector<Task> tasks = upper_tiles(n);
    std::vector<double> partial(tasks.size());
    parallel_for(std::int64_t(tasks.size()), threads, progress, [&](std::int64_t task, int) {
        const auto [i0, j0] = tasks[std::size_t(task)];
        const std::int64_t m = std::min(kGramTile, n - i0), k = std::min(kGramTile, n - j0);
        std::vector<double> square(std::size_t(m * k));
        blas::gemm_nt(m, k, n, x.data() + i0 * n, n, x.data() + j0 * n, n, square.data(), k);
        double sum = 0;
        for (std::int64_t i = 0; i < m; ++i) sum += simd().dot(square.data() + i * k, x.data() + (i0 + i) * n + j0, k);
        partial[std::size_t(task)] = i0 == j0 ? sum : 2 * sum;
    });
    double trace = 0;
    for (const double sum : partial) trace += sum;
    return trace;
}

// tr X^3 by algebra of the features. X = B - D with B = Z M Z', Z = [x, a, 1], M = [[I,0,0],[0,0,1],[0,1,c]] and D the
// diagonal of B, so tr X^3 = tr (Z'Z M)^3 - 3 sum D_i (B^2)_ii + 2 sum D_i^3.
double trace_of_cube(const GramSide<double>& side, const Centring& centring) {
    const std::int64_t n = std::int64_t(side.diagonal.size()), p = side.cols(), m = p + 2;
    std::vector<double> gram(std::size_t(m * m), 0.0), part(gram.size()), scratch, z, v;
    const auto fill = [&](std::int64_t begin, std::int64_t rows, bool weighted) {  // Z, or Z M
        const double* x = side.get(begin, begin + rows, scratch);
        z.resize(std::size_t(rows * m));
        for (std::int64_t i = 0; i < rows; ++i) {
            const double a = centring.a[std::size_t(begin + i)];
            double* row = z.data() + i * m;
            std::copy(x + i * p, x + (i + 1) * p, row);
            row[p] = weighted ? 1 : a;
            row[p + 1] = weighted ? a + centring.c : 1;
        }
    };
    for (std::int64_t begin = 0; begin < n; begin += kGramTile) {
        const std::int64_t rows = std::min(kGramTile, n - begin);
        fill(begin, rows, false);
        blas::gemm_tn(m, m, rows, z.data(), m, z.data(), m, part.data(), m);
        for (std::size_t e = 0; e < gram.size(); ++e) gram[e] += part[e];
    }
    double trace = 0;
    for (std::int64_t begin = 0; begin < n; begin += kGramTile) {
        const std::int64_t rows = std::min(kGramTile, n - begin);
        fill(begin, rows, true);
        v.resize(z.size());
        blas::gemm_nn(rows, m, m, z.data(), m, gram.data(), m, v.data(), m);
        for (std::int64_t i = 0; i < rows; ++i) {
            const std::size_t g = std::size_t(begin + i);
            const double d = side.diagonal[g] + 2 * centring.a[g] + centring.c;
            trace += d * (2 * d * d - 3 * simd().dot(v.data() + i * m, z.data() + i * m, m));
        }
    }
    std::vector<double> h(gram.size());  // Z'Z M
    for (std::int64_t i = 0; i < m; ++i) {
        const double* row = gram.data() + i * m;
        std::copy(row, row + p, h.data() + i * m);
        h[std::size_t(i * m + p)] = row[p + 1];
        h[std::size_t(i * m + p + 1)] = row[p] + centring.c * row[p + 1];
    }
    blas::gemm_nn(m, m, m, h.data(), m, h.data(), m, part.data(), m);
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < m; ++j) trace += part[std::size_t(i * m + j)] * h[std::size_t(j * m + i)];
    return trace;
}

}  // namespace

CubeSums u_centred_cubes(const Rows& rows, int threads, Monitor* monitor) {
    threads = resolve_threads(threads);
    const std::int64_t n = rows.rows();
    Progress progress(monitor, 0);
    const GramSide<double> side(rows, true, threads, progress);
    const Centring centring(side);
    std::vector<double> whole(n <= rows.cols() ? std::size_t(n * n) : 0);
    CubeSums sums = sum_tiles(side, centring, whole, threads, progress);
    sums.trace = whole.empty() ? trace_of_cube(side, centring) : trace_of_cube(whole, n, threads, progress);
    return sums;
}

}  // namespace kernalign
