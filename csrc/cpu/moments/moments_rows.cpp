// Second pass over the rows, against finished moments: the per-row sums of the jackknife.
#include <algorithm>
#include <cmath>

#include "cpu/runtime/blas.hpp"
#include "cpu/runtime/load.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"
#include "moments.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kRows = 256;
constexpr std::int64_t kColumns = 256;

// What every block needs of the sums, computed once.
template <class T>
struct RowPlan {
    std::array<std::vector<T>, 3> products;                    // xx, xy, yy
    std::array<std::array<std::vector<double>, 2>, 2> weight;  // [s][o]: sum_j row_j of side s times k or l of side o
    std::array<double, 2> factor;

    explicit RowPlan(const MomentSums& sums) {
        for (std::size_t m = 0; m < 3; ++m) products[m].assign(sums.products[m].begin(), sums.products[m].end());
        for (std::size_t s = 0; s < 2; ++s) {
            factor[s] = std::ldexp(1.0, -sums.side[s].exponent);
            for (std::size_t o = 0; o < 2; ++o) weight[s][o] = weights(sums, s, o);
        }
    }

    // sum_j v_j (t_j - |w_j|^2) with v the rows of side s and t, w the row sums and rows of side o.
    static std::vector<double> weights(const MomentSums& sums, std::size_t s, std::size_t o) {
        const LargeVector<double>& m = sums.products[s + o];
        const std::vector<double>& total = sums.side[o].sum;
        const std::vector<double>& norms = s == o ? sums.side[s].own : sums.side[s].other;
        std::vector<double> result(norms.size());
        const std::size_t q = std::size_t(sums.side[1].cols);
        for (std::size_t i = 0; i < result.size(); ++i) {
            double sum = 0;
            for (std::size_t j = 0; j < total.size(); ++j) {
                const bool transposed = s == 1 && o == 0;
                sum += (transposed ? m[j * q + i] : m[i * total.size() + j]) * total[j];
            }
            result[i] = sum - norms[i];
        }
        return result;
    }
};

// out[i * kRowTerms] += left_i^T M right_i for every row of the block.
template <class T>
void add_quadratic(std::int64_t rows, const std::vector<T>& left, std::int64_t p, const std::vector<T>& matrix,
                   const std::vector<T>& right, std::int64_t q, double* out) {
    std::vector<T> tile(std::size_t(rows * kColumns));
    for (std::int64_t j = 0; j < q; j += kColumns) {
        const std::int64_t n = std::min(kColumns, q - j);
        blas::gemm_nn(rows, n, p, left.data(), p, matrix.data() + j, q, tile.data(), n);
        for (std::int64_t i = 0; i < rows; ++i) {
            double sums[3] = {};
            simd().pair_products(tile.data() + i * n, right.data() + i * q + j, sums, n);
            out[i * kRowTerms] += sums[0];
        }
    }
}

template <class T>
std::vector<double> row_terms(const Rows& x, const Rows& y, const MomentSums& sums, int threads, Monitor* monitor) {
    const RowPlan<T> plan(sums);
    const std::array<const Rows*, 2> sides{&x, &y};
    const std::int64_t tasks = (x.rows() + kRows - 1) / kRows;
    std::vector<double> out(std::size_t(x.rows() * kRowTerms), 0.0);
    Progress progress(monitor, tasks);
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int) {
        const std::int64_t begin = task * kRows, rows = std::min(kRows, x.rows() - begin);
        double* block = out.data() + begin * kRowTerms;
        std::array<std::vector<T>, 2> data;
        for (std::size_t s = 0; s < 2; ++s) {
            const SideSums& side = sums.side[s];
            data[s].resize(std::size_t(rows * side.cols));
            std::vector<double> wide;  // preprocessed rows are centred before they are rounded
            if (sizeof(T) < sizeof(double) && !sides[s]->plain()) {
                wide.resize(data[s].size());
                load_rows(*sides[s], begin, begin + rows, wide.data(), side.cols);
            } else {
                load_rows(*sides[s], begin, begin + rows, data[s].data(), side.cols);
            }
            for (std::int64_t i = 0; i < rows; ++i) {
                T* row = data[s].data() + i * side.cols;
                double* terms = block + i * kRowTerms;
                const auto centre = [&](const auto* from) {
                    terms[s] = simd().squared_norm(from, side.shift.data(), plan.factor[s], side.cols);
                    for (std::int64_t j = 0; j < side.cols; ++j)
                        row[j] = T((double(from[j]) - side.shift[std::size_t(j)]) * plan.factor[s]);
                };
                if (wide.empty())
                    centre(static_cast<const T*>(row));
                else
                    centre(static_cast<const double*>(wide.data() + i * side.cols));
                terms[2 + s] = simd().dot(row, side.sum.data(), side.cols);
                terms[s ? 9 : 8] = simd().dot(row, plan.weight[s][0].data(), side.cols);
                terms[s ? 10 : 7] = simd().dot(row, plan.weight[s][1].data(), side.cols);
            }
        }
        const std::int64_t p = x.cols(), q = y.cols();
        add_quadratic(rows, data[0], p, plan.products[1], data[1], q, block + 4);
        add_quadratic(rows, data[0], p, plan.products[0], data[0], p, block + 5);
        add_quadratic(rows, data[1], q, plan.products[2], data[1], q, block + 6);
    });
    return out;
}

}  // namespace

std::vector<double> moments_row_terms(const Rows& x, const Rows& y, const MomentSums& sums, Precision precision,
                                      int threads, Monitor* monitor) {
    threads = resolve_threads(threads);
    return precision == Precision::f32 ? row_terms<float>(x, y, sums, threads, monitor)
                                       : row_terms<double>(x, y, sums, threads, monitor);
}

}  // namespace kernalign
