// Rows in a few coordinates, of which products bound those of whole rows from above (the projected bound of
// neighbors.hpp).
#include "cpu/neighbors/projection.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/products/rounding.hpp"
#include "cpu/runtime/blas.hpp"
#include "cpu/runtime/ordering.hpp"
#include "cpu/simd/simd.hpp"
#include "memory.hpp"

namespace kernalign {
namespace {

constexpr double kUnit = 0x1p-24;
constexpr double kUnderflow = 0x1p-90;                         // also for products of flushed coordinates with others
constexpr std::int64_t kLeastRows = 3000, kLeastColumns = 96;  // below these the basis costs more than it saves
constexpr std::int64_t kSample = 2048;                         // rows that the basis is made of ...
constexpr std::int64_t kSampleFloats = std::int64_t(1) << 21;  // ... unless they are long
constexpr std::int64_t kQueries = 64;                          // and of which these are compared with all others
constexpr std::int64_t kFew[] = {16, 32}, kMany[] = {64, 96, 128};  // sizes to try
constexpr double kHopeless = 0.75, kEnough = 0.03;                  // shares left by 32 coordinates

// Work per pair of rows in units of a multiplication inside a matrix product, measured on AVX-512. While cuts are loose
// twice as many pairs are left, and the first tiles of every row, 1500 columns in all, are multiplied whole.
double whole_work(double cols) { return cols + 40; }
double projected_work(double size, double cols, double share, double rows) {
    return size + 60 + 2 * share * (6 * cols + 1000) + 1500 / rows * cols;
}
constexpr double kPays = 0.5;  // what else there is to do does not shrink: at 0.6 nothing was gained (bench/README.md)

// Orthonormal columns that span those of w (cols x size), without the dependent ones; the rest is zero.
void orthonormalise(std::vector<double>& w, std::int64_t cols, std::int64_t size, int passes) {
    std::vector<double> columns(w.size());  // one after the other
    for (std::int64_t f = 0; f < cols; ++f)
        for (std::int64_t t = 0; t < size; ++t) columns[std::size_t(t * cols + f)] = w[std::size_t(f * size + t)];
    for (std::int64_t t = 0; t < size; ++t) {
        double* column = columns.data() + t * cols;
        const double before = std::sqrt(simd().dot(column, column, cols));
        for (int pass = 0; pass < passes; ++pass)
            for (std::int64_t s = 0; s < t; ++s) {
                const double* earlier = columns.data() + s * cols;
                const double by = simd().dot(column, earlier, cols);
                for (std::int64_t f = 0; f < cols; ++f) column[f] -= by * earlier[f];
            }
        const double norm = std::sqrt(simd().dot(column, column, cols));
        const double by = norm > 1e-10 * before ? 1 / norm : 0;
        for (std::int64_t f = 0; f < cols; ++f) column[f] *= by;
    }
    for (std::int64_t f = 0; f < cols; ++f)
        for (std::int64_t t = 0; t < size; ++t) w[std::size_t(f * size + t)] = columns[std::size_t(t * cols + f)];
}

struct Sample {
    std::int64_t count, cols, stride;
    LargeVector<float> rows;
    std::vector<float> offsets;

    Sample(const BoundPanels<float>& panels, std::int64_t n)
        : count(std::min({n, kSample, kSampleFloats / panels.stride()})),
          cols(panels.width() - 1),
          stride(panels.stride()),
          rows(std::size_t(count * stride)),
          offsets(std::size_t(count)) {
        std::vector<double> scratch(static_cast<std::size_t>(cols));
        float raised;
        for (std::int64_t s = 0; s < count; ++s)
            panels.fill(s * n / count, rows.data() + s * stride, &offsets[std::size_t(s)], &raised, scratch.data());
    }

    // Subspace iteration, begun with some of the rows; the first columns are the most important ones.
    std::vector<double> basis(std::int64_t size) const {
        std::vector<float> narrow(std::size_t(cols * size)), products(std::size_t(count * size));
        std::vector<double> wide(narrow.size());
        for (std::int64_t t = 0; t < size; ++t)
            for (std::int64_t f = 0; f < cols; ++f)
                wide[std::size_t(f * size + t)] = double(rows[std::size_t(t * count / size * stride + f)]);
        for (int step = 0; step < 2; ++step) {
            orthonormalise(wide, cols, size, 1);
            narrow.assign(wide.begin(), wide.end());
            blas::gemm_nn(count, size, cols, rows.data(), stride, narrow.data(), size, products.data(), size);
            blas::gemm_tn(cols, size, count, rows.data(), stride, products.data(), size, narrow.data(), size);
            wide.assign(narrow.begin(), narrow.end());
        }
        orthonormalise(wide, cols, size, 2);
        return wide;
    }

    // For some rows the least U that is of use, if all n rows are like these.
    std::vector<float> cuts(std::int64_t n, std::int64_t k, std::int64_t queries) const {
        std::vector<float> products(std::size_t(queries * count)), least(static_cast<std::size_t>(queries));
        const std::int64_t apart = count / queries, place = std::clamp<std::int64_t>(k * count / n, 1, count - 1);
        blas::gemm_nt(queries, count, stride, rows.data(), apart * stride, rows.data(), stride, products.data(), count);
        for (std::int64_t q = 0; q < queries; ++q) {
            float* u = products.data() + q * count;
            for (std::int64_t s = 0; s < count; ++s) u[s] += offsets[std::size_t(s)];
            u[q * apart] = -std::numeric_limits<float>::infinity();
            std::nth_element(u, u + place - 1, u + count, Descending());
            least[std::size_t(q)] = u[place - 1];
        }
        return least;
    }

    // Share of the pairs that a projection does not rule out.
    double share(const Projection& projection, const std::vector<float>& cuts) const {
        const std::int64_t wide = projection.stride(), queries = std::int64_t(cuts.size()), apart = count / queries;
        std::vector<float> projected(std::size_t(count * wide)), products(std::size_t(queries * count));
        projection.fill(rows.data(), count, projected.data());
        blas::gemm_nt(queries, count, wide, projected.data(), apart * wide, projected.data(), wide, products.data(),
                      count);
        std::int64_t left = 0;
        for (std::int64_t q = 0; q < queries; ++q)
            for (std::int64_t s = 0; s < count; ++s)
                left += products[std::size_t(q * count + s)] + offsets[std::size_t(s)] >= cuts[std::size_t(q)];
        return double(left) / double(queries * count);
    }
};

}  // namespace

Projection::Projection(const BoundPanels<float>& panels, const std::vector<float>& basis, std::int64_t size)
    : cols_(panels.width() - 1), row_stride_(panels.stride()), size_(size), basis_(basis) {
    const std::vector<double> wide(basis_.begin(), basis_.end());
    std::vector<double> gram(std::size_t(size_ * size_));
    blas::syrk_tn(size_, cols_, wide.data(), size_, gram.data(), size_);
    double square = 0;  // of the Frobenius norm of the Gram matrix less the identity
    for (std::int64_t s = 0; s < size_; ++s)
        for (std::int64_t t = s; t < size_; ++t) {
            const double gap = gram[std::size_t(s * size_ + t)] - (s == t ? 1.0 : 0.0);
            square += (s == t ? 1 : 2) * gap * gap;
        }
    const double product = rounding::gamma(double(cols_) + 1, kUnit);
    skew_ = std::sqrt(square) * rounding::kSafe + 2 * double(size_) * rounding::gamma(double(cols_) + 8, 0x1p-53);
    wrong_ = 1.01 * product * std::sqrt(double(size_) * (1 + skew_));
    lost_ = product + 3 * kUnit * (1 + product);
    sound_ = skew_ < 1e-3 && wrong_ < 1e-2 && width() <= panels.width();
}

void Projection::fill(const float* rows, std::int64_t count, float* out) const {
    blas::gemm_nn(count, size_, cols_, rows, row_stride_, basis_.data(), size_, out, stride());
    const double most = 1 + skew_ + wrong_, worst = (3 * skew_ + 2 * wrong_) * most * most;
    const std::vector<double> zero(static_cast<std::size_t>(cols_), 0.0);
    for (std::int64_t r = 0; r < count; ++r) {
        const float* row = rows + r * row_stride_;
        float* projected = out + r * stride();
        const double square = simd().squared_norm(row, zero.data(), 1.0, cols_) * rounding::kSafe;  // N^2
        const double inside = simd().squared_norm(projected, zero.data(), 1.0, size_);              // |P|^2
        const double outside = square - (1 - skew_) * inside + 2 * wrong_ * std::sqrt(square * inside) + kUnderflow;
        const double g = double(row[cols_]);
        const double paid = g * g + (worst + 0.05 * lost_) / (1 - lost_) * square + kUnderflow;
        projected[size_] = rounding::up<float>(std::sqrt(outside) * rounding::kSafe);
        projected[size_ + 1] = rounding::up<float>(std::sqrt(paid) * rounding::kSafe);
        std::fill(projected + width(), projected + stride(), 0.0F);
    }
}

std::unique_ptr<Projection> Projection::sampled(const BoundPanels<float>& panels, std::int64_t rows, std::int64_t k) {
    const std::int64_t cols = panels.width() - 1;
    if (rows < kLeastRows || cols < kLeastColumns || panels.stride() * 8 * kQueries > kSampleFloats) return nullptr;
    const Sample sample(panels, rows);
    const std::vector<float> cuts = sample.cuts(rows, k, kQueries);
    std::unique_ptr<Projection> best;
    double least = kPays * whole_work(double(cols)), share = 1;
    const auto attempt = [&](const auto& sizes) {
        std::int64_t largest = 0;
        for (const std::int64_t size : sizes)
            if (3 * size <= cols && 4 * size <= sample.count) largest = size;
        const std::vector<double> basis = sample.basis(largest);
        for (const std::int64_t size : sizes) {
            if (size > largest) break;
            std::vector<float> columns;
            for (std::int64_t f = 0; f < cols; ++f)
                for (std::int64_t t = 0; t < size; ++t) columns.push_back(float(basis[std::size_t(f * largest + t)]));
            auto projection = std::make_unique<Projection>(panels, columns, size);
            if (!projection->sound()) break;
            share = sample.share(*projection, cuts);
            const double work = projected_work(double(size), double(cols), share, double(rows));
            if (work >= least) continue;
            least = work;
            best = std::move(projection);
        }
    };
    attempt(kFew);
    if (share > kEnough && share < kHopeless) attempt(kMany);
    return best;
}

}  // namespace kernalign
