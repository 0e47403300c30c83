// Protects the projected search: its bounds hold on any basis, and it finds what a full sort finds.
#include "cpu/neighbors/projection.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "check.hpp"
#include "data.hpp"

using namespace kernalign;

namespace {

const int no_matrix_unit = setenv("KERNALIGN_ISA", "avx512", 1);  // which would search without projecting

constexpr Similarity kKinds[] = {Similarity::cosine, Similarity::dot, Similarity::euclidean};

// Rows near a space of few dimensions, some of them equal or tiny.
check::Matrix<float> flat(std::int64_t rows, std::int64_t cols, std::int64_t inside, double noise, double scale) {
    check::Matrix<float> x = check::gaussian<float>(rows, cols, 1, 0.3, noise);
    const auto where = check::gaussian<float>(rows, inside, 2), axes = check::gaussian<float>(inside, cols, 3);
    for (std::int64_t i = 0; i < rows; ++i) {
        const std::int64_t from = i % 17 == 3 ? 0 : i;  // every 17th row is the same
        for (std::int64_t f = 0; f < cols; ++f) {
            double sum = double(x(from, f));
            for (std::int64_t t = 0; t < inside; ++t) sum += double(where(from, t)) * double(axes(t, f));
            x.values[std::size_t(i * cols + f)] = float(scale * sum * (i % 19 == 5 ? 1e-12 : 1));
        }
    }
    return x;
}

// How many pairs of rows of x are not bounded by their products on the basis.
int wrong_pairs(const check::Matrix<float>& x, Similarity kind, const std::vector<float>& basis, std::int64_t size) {
    const ExactRows rows(x.all(), kind, 1, nullptr);
    const Frame frame(rows, 1, nullptr);
    const BoundPanels<float> panels(rows, frame);
    const Projection projection(panels, basis, size);
    CHECK(projection.sound());
    const auto n = std::size_t(x.rows), stride = std::size_t(panels.stride()), few = std::size_t(projection.stride());
    std::vector<float> whole(n * stride), projected(n * few), offsets(n);
    std::vector<double> values(std::size_t(x.cols)), scratch;
    float raised;
    for (std::size_t i = 0; i < n; ++i)
        panels.fill(std::int64_t(i), whole.data() + i * stride, &offsets[i], &raised, values.data());
    projection.fill(whole.data(), x.rows, projected.data());
    int wrong = 0;
    for (std::size_t i = 0; i < n; ++i) {
        rows.read(std::int64_t(i), values.data());
        for (std::size_t j = 0; j < n; ++j) {
            const auto other = std::int32_t(j);
            double s = 0;
            rows.score(values.data(), &other, 1, &s, scratch);
            float sum = 0;
            for (std::size_t f = 0; f < few; ++f) sum += projected[i * few + f] * projected[j * few + f];
            wrong += !(double((sum + offsets[i]) + offsets[j]) >= panels.threshold(s));
        }
    }
    return wrong;
}

// Unit vectors along the axes, turned a little and scaled by 1 + error.
std::vector<float> skew_basis(std::int64_t cols, std::int64_t size, double error) {
    std::vector<float> basis(std::size_t(cols * size), 0.0F);
    for (std::int64_t t = 0; t < size; ++t) {
        basis[std::size_t(t * size + t)] = float(1 + error);
        basis[std::size_t((t + 1) * size + t)] = float(error);
    }
    return basis;
}

double by_definition(const std::vector<double>& a, const std::vector<double>& b, bool distance) {
    double sum = 0;
    for (std::size_t f = 0; f < a.size(); ++f) sum += distance ? -(a[f] - b[f]) * (a[f] - b[f]) : a[f] * b[f];
    return sum;
}

// Sampled rows whose neighbours are not those of a full sort.
int wrong_rows(const check::Matrix<float>& x, std::int64_t k, Similarity kind, int threads) {
    const Neighbors got = nearest_neighbors(x.all(), k, kind, Detail::lists, threads, nullptr);
    std::vector<std::vector<double>> rows(std::size_t(x.rows), std::vector<double>(std::size_t(x.cols)));
    for (std::int64_t i = 0; i < x.rows; ++i) {
        std::vector<double>& row = rows[std::size_t(i)];
        for (std::int64_t f = 0; f < x.cols; ++f) row[std::size_t(f)] = double(x(i, f));
        const double inverse = 1 / std::sqrt(by_definition(row, row, false));
        for (double& value : row) value *= kind == Similarity::cosine ? inverse : 1;
    }
    int wrong = 0;
    for (std::int64_t i = 0; i < x.rows; i += 199) {
        std::vector<std::pair<double, std::int32_t>> order;
        for (std::int32_t j = 0; j < x.rows; ++j)
            if (j != i)
                order.emplace_back(
                    -by_definition(rows[std::size_t(i)], rows[std::size_t(j)], kind == Similarity::euclidean), j);
        std::sort(order.begin(), order.end());
        for (std::int64_t t = 0; t < k; ++t) wrong += got.index[std::size_t(i * k + t)] != order[std::size_t(t)].second;
    }
    return wrong;
}

}  // namespace

TEST(projected_bounds_hold_on_any_basis) {
    CHECK(no_matrix_unit == 0);
    for (const Similarity kind : kKinds)
        for (const double scale : {1e-12, 1.0, 1e9})
            for (const double noise : {0.0, 0.01, 1.0}) {
                const auto x = flat(60, 70, 4, noise, scale);
                for (const double error : {0.0, 1e-7, 5e-5})
                    for (const std::int64_t size : {1, 5, 40})
                        CHECK(wrong_pairs(x, kind, skew_basis(70, size, error), size) == 0);
            }
}

TEST(a_basis_far_from_orthonormal_is_refused) {
    const auto x = flat(60, 70, 4, 0.1, 1);
    const ExactRows rows(x.all(), Similarity::dot, 1, nullptr);
    const Frame frame(rows, 1, nullptr);
    const BoundPanels<float> panels(rows, frame);
    CHECK(!Projection(panels, skew_basis(70, 5, 1e-2), 5).sound());
    CHECK(!Projection(panels, std::vector<float>(70 * 5, 0.0F), 5).sound());
}

TEST(a_sample_says_whether_to_project) {
    const auto low = flat(8000, 320, 6, 0.02, 1), full = check::gaussian<float>(8000, 320, 5);
    for (const auto* x : {&low, &full}) {
        const ExactRows rows(x->all(), Similarity::cosine, 1, nullptr);
        const Frame frame(rows, 1, nullptr);
        const BoundPanels<float> panels(rows, frame);
        CHECK((Projection::sampled(panels, x->rows, 10) != nullptr) == (x == &low));
    }
}

TEST(the_projected_search_finds_what_a_full_sort_finds) {
    const auto x = flat(8000, 320, 6, 0.02, 1);
    for (const Similarity kind : kKinds) CHECK(wrong_rows(x, 10, kind, 1) == 0);
    CHECK(wrong_rows(x, 3, Similarity::cosine, 3) == 0);
}
