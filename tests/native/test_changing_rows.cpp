// Protects memory safety: rows whose values change, to any bits, while an engine reads them are refused or answered.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "cpu/moments/accumulator.hpp"
#include "cpu/neighbors/exact_rows.hpp"
#include "data.hpp"
#include "grams.hpp"
#include "moments.hpp"
#include "neighbors.hpp"
#include "rescoring.hpp"

using namespace kernalign;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kValues[] = {std::nan(""), kInfinity, -kInfinity, 1e38, -1e308, 1e-310, 0, 1, -3};

// Writes into some of the rows at the given call of poll().
template <class T>
struct Writer : Monitor {
    check::Matrix<T>& rows;
    std::int64_t calls = 0, when;
    std::mt19937_64 random;

    Writer(check::Matrix<T>& changed, std::int64_t at, unsigned seed) : rows(changed), when(at), random(seed) {}
    void poll(std::int64_t, std::int64_t) override {
        if (calls++ != when) return;
        for (int row = 0; row < 40; ++row) {
            const double value = kValues[random() % std::size(kValues)];
            const std::int64_t i = std::int64_t(random() % std::uint64_t(rows.rows));
            for (std::int64_t j = 0; j < rows.cols; ++j) rows.values[std::size_t(i * rows.cols + j)] = T(value);
        }
    }
};

// call(rows, monitor) for rows that change at every poll in turn, until there are no more polls.
template <class T>
void change_during(const check::Matrix<T>& good, const std::function<void(const Rows&, Monitor*)>& call) {
    if (check::kRacesOnly) return;  // all of it is on one thread
    check::Matrix<T> rows = good;
    Writer<T> nobody(rows, -1, 0);
    call(rows.all(), &nobody);
    const std::int64_t polls = nobody.calls;
    std::int64_t answers = 0, refusals = 0;
    for (std::int64_t at = 0; at < polls; at += std::max<std::int64_t>(1, polls / 12)) {
        rows = good;
        Writer<T> writer(rows, at, unsigned(at));
        try {
            call(rows.all(), &writer);
            ++answers;
        } catch (const std::invalid_argument&) {
            ++refusals;
        }
    }
    CHECK(polls > 1);
    CHECK(refusals > 0);
}

template <class T>
check::Matrix<T> repeated(std::int64_t n) {  // rounded, and every fourth row is the one before: ties everywhere
    auto rows = check::gaussian<T>(n, 5, 3);
    for (std::size_t e = 0; e < rows.values.size(); ++e)
        rows.values[e] = e / 5 % 4 == 3 ? rows.values[e - 5] : T(std::round(2 * double(rows.values[e]))) + T(0.25);
    return rows;
}

template <class T>
void search_changing_rows() {
    for (const auto& good : {check::gaussian<T>(600, 7, 1), repeated<T>(600)})
        for (const Similarity similarity : {Similarity::cosine, Similarity::dot, Similarity::euclidean}) {
            for (const Detail detail : {Detail::lists, Detail::sets})
                change_during(good, [&](const Rows& x, Monitor* monitor) {
                    const Neighbors found = nearest_neighbors(x, 10, similarity, detail, 1, monitor);
                    for (const std::int32_t j : found.index) CHECK(j >= 0 && j < 600);
                });
            const Neighbors lists = nearest_neighbors(good.all(), 10, similarity, Detail::sets, 1, nullptr);
            change_during(good, [&](const Rows& x, Monitor* monitor) {
                fractional_overlap(x, lists, x, lists, similarity, 1, monitor);
            });
            std::vector<std::int32_t> queries;
            for (std::int32_t i = 0; i < 300; ++i) queries.push_back(2 * i);
            change_during(good, [&](const Rows& x, Monitor* monitor) {
                const ExactRows rows(x, similarity, 1, monitor);
                nearest_of_rows(rows, queries.data(), 300, 10, 1, monitor);
            });
        }
}

}  // namespace

TEST(neighbours_of_changing_rows) {
    search_changing_rows<float>();
    search_changing_rows<double>();
}

TEST(projected_searches_of_changing_rows) {
    auto good = check::gaussian<float>(3200, 128, 5);
    for (std::size_t e = 0; e < good.values.size(); ++e) good.values[e] /= float(1 + e % 128);
    change_during(good, [](const Rows& x, Monitor* monitor) {
        nearest_neighbors(x, 5, Similarity::cosine, Detail::sets, 1, monitor);
    });
}

TEST(moments_of_changing_rows) {
    const auto good = check::gaussian<float>(9000, 9, 2);
    change_during(good, [](const Rows& x, Monitor* monitor) {
        Moments state(9, 9, Precision::f32);
        state.update(x, x, 1, monitor);
        state.finish(true, 1, nullptr);
    });
}

TEST(medians_of_changing_rows) {
    const auto good = check::gaussian<double>(1500, 400, 4);
    change_during(good, [](const Rows& x, Monitor* monitor) {
        GramSource source;
        source.parts = {x};
        source.precision = Precision::f64;
        median_distance(source, true, 1, monitor);
    });
}

TEST(a_saved_state_of_no_rows_is_refused) {
    if (check::kRacesOnly) return;
    const auto x = check::gaussian<float>(1500, 3, 1);
    Moments state(3, 3, Precision::f32);
    state.update(x.all(), x.all(), 1, nullptr);
    const std::vector<double> good = state.pack();
    std::int64_t answers = 0;
    for (std::size_t at = 0; at < good.size(); at += at < 256 ? 1 : 5)  // then come rows, which are all alike
        for (const double value : kValues) {
            std::vector<double> packed = good;
            packed[at] = value;
            try {
                Moments::unpack(3, 3, Precision::f32, packed).finish(true, 1, nullptr);
                CHECK(std::isfinite(value));
                ++answers;
            } catch (const std::invalid_argument&) {
            }
        }
    CHECK(answers > 0);
}
