// Protects the Neighbors engine: exactly the float64 order, ties by index, the same lists on any number of threads.
#include "neighbors.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "data.hpp"
#include "error.hpp"

using namespace kernalign;

namespace {

// The contract's truth: float64, in feature order; cosine by rows multiplied by the reciprocal of their norm.
template <class T>
std::vector<double> similarities(const check::Matrix<T>& x, Similarity kind) {
    std::vector<double> wide(x.values.begin(), x.values.end());
    const auto at = [&](std::int64_t i, std::int64_t f) -> double& { return wide[std::size_t(i * x.cols + f)]; };
    for (std::int64_t i = 0; kind == Similarity::cosine && i < x.rows; ++i) {
        double square = 0;
        for (std::int64_t f = 0; f < x.cols; ++f) square += at(i, f) * at(i, f);
        const double inverse = 1 / std::sqrt(square);
        for (std::int64_t f = 0; f < x.cols; ++f) at(i, f) *= inverse;
    }
    std::vector<double> s(std::size_t(x.rows * x.rows));
    for (std::int64_t i = 0; i < x.rows; ++i)
        for (std::int64_t j = 0; j < x.rows; ++j) {
            double sum = 0;
            for (std::int64_t f = 0; f < x.cols; ++f) {
                const double gap = at(i, f) - at(j, f);
                sum += kind == Similarity::euclidean ? -gap * gap : at(i, f) * at(j, f);
            }
            s[std::size_t(i * x.rows + j)] = sum;
        }
    return s;
}

template <class T>
int wrong_rows(const check::Matrix<T>& x, std::int64_t k, Similarity kind, int threads) {
    const Neighbors got = nearest_neighbors(x.all(), k, kind, Detail::lists, threads, nullptr);
    const std::vector<double> s = similarities(x, kind);
    int wrong = 0;
    for (std::int64_t i = 0; i < x.rows; ++i) {
        std::vector<std::int32_t> order;
        for (std::int32_t j = 0; j < x.rows; ++j)
            if (j != i) order.push_back(j);
        const double* row = s.data() + i * x.rows;
        std::stable_sort(order.begin(), order.end(), [row](std::int32_t a, std::int32_t b) { return row[a] > row[b]; });
        const bool tie = k < x.rows - 1 && row[order[std::size_t(k - 1)]] == row[order[std::size_t(k)]];
        bool same = tie == (got.tie[std::size_t(i)] != 0);
        for (std::int64_t r = 0; r < k; ++r) {
            const auto at = std::size_t(i * k + r);
            same = same && got.index[at] == order[std::size_t(r)] &&
                   std::fabs(got.similarity[at] - row[order[std::size_t(r)]]) <= 1e-12 * (1 + std::fabs(row[order[0]]));
        }
        wrong += !same;
    }
    return wrong;
}

struct StopNow : Monitor {
    void poll(std::int64_t, std::int64_t) override { throw Stopped(); }
};

constexpr Similarity kKinds[] = {Similarity::cosine, Similarity::dot, Similarity::euclidean};

}  // namespace

TEST(lists_are_those_of_a_full_sort_in_float64) {
    for (const Similarity kind : kKinds)
        for (const std::int64_t n : {2, 17, 130, 600}) {
            const std::int64_t k = std::min<std::int64_t>(10, n - 1);
            CHECK(wrong_rows(check::gaussian<float>(n, 33, 1), k, kind, 2) == 0);
            CHECK(wrong_rows(check::gaussian<double>(n, 5, 2, 3), k, kind, 2) == 0);
        }
    CHECK(wrong_rows(check::gaussian<float>(60, 4, 3), 59, Similarity::cosine, 1) == 0);
}

TEST(ties_go_to_the_lower_index) {
    for (const Similarity kind : {Similarity::dot, Similarity::euclidean})
        for (const std::int64_t k : {1, 3, 20}) CHECK(wrong_rows(check::lattice(250, 3), k, kind, 2) == 0);

    const check::Matrix<float> equal{9, 2, std::vector<float>(18, 1.5F)};
    CHECK(wrong_rows(equal, 4, Similarity::euclidean, 1) == 0);
    CHECK(wrong_rows(equal, 4, Similarity::cosine, 2) == 0);
}

TEST(parallel_rows_tie_whatever_their_lengths) {
    const check::Matrix<float> x = check::lattice(250, 4), y = check::lengthened(x);
    const Neighbors a = nearest_neighbors(x.all(), 5, Similarity::cosine, Detail::lists, 2, nullptr);
    const Neighbors b = nearest_neighbors(y.all(), 5, Similarity::cosine, Detail::lists, 1, nullptr);
    CHECK(a.index == b.index && a.similarity == b.similarity && a.tie == b.tie);
    CHECK(std::count(a.tie.begin(), a.tie.end(), 1) > 50);
}

TEST(threads_do_not_change_a_bit) {
    const auto x = check::gaussian<float>(900, 24, 4);
    for (const Similarity kind : kKinds) {
        const Neighbors one = nearest_neighbors(x.all(), 7, kind, Detail::lists, 1, nullptr);
        for (const int threads : {2, 3, 5}) {
            const Neighbors many = nearest_neighbors(x.all(), 7, kind, Detail::lists, threads, nullptr);
            CHECK(many.index == one.index && many.similarity == one.similarity && many.tie == one.tie);
        }
    }
}

TEST(overlap_of_a_representation_with_itself_is_k) {
    const auto plain = check::gaussian<float>(300, 6, 5);
    const auto tied = check::lattice(300, 2);
    for (const auto* x : {&plain, &tied}) {
        const Neighbors own = nearest_neighbors(x->all(), 8, Similarity::euclidean, Detail::lists, 2, nullptr);
        const Overlap overlap = fractional_overlap(x->all(), own, x->all("y"), own, Similarity::euclidean, 2, nullptr);
        double sum = 0;
        for (const double item : overlap.item) {
            CHECK(item > 0 && item <= 8 + 1e-12);
            sum += item;
        }
        CHECK_NEAR(sum, overlap.x.square, 1e-9);
        CHECK_NEAR(overlap.x.degree_square, overlap.y.degree_square, 1e-9);
        if (x == &plain) CHECK(sum == 300 * 8);
    }
}

TEST(the_monitor_stops_it) {
    const auto x = check::gaussian<float>(900, 8, 1);
    StopNow monitor;
    CHECK_THROWS(nearest_neighbors(x.all(), 5, Similarity::dot, Detail::lists, 2, &monitor), Stopped, "stopped");
}
