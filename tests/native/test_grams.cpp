// Protects the Grams engine: tiles give the sums of whole matrices, and the same bits on any number of threads.
#include "grams.hpp"

#include <array>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "data.hpp"
#include "error.hpp"
#include "grams_by_hand.hpp"
#include "moments.hpp"

using namespace kernalign;

namespace {

std::vector<double> flat(const GramSums& sums) {
    std::vector<double> out;
    for (const PairSums& s : sums.pairs)
        out.insert(out.end(), {s.full, s.diagonal, s.rows, s.rows_diagonal, s.diagonal_rows, s.trace_x, s.trace_y,
                               s.total_x, s.total_y});
    return out;
}

template <class T>
double worst_gap(std::int64_t n, std::int64_t p, std::int64_t q, bool centred, Precision precision) {
    const auto x = check::gaussian<T>(n, p, 1, 2), y = check::gaussian<T>(n, q, 2, -1);
    const GramSums sums = gram_sums(x.all(), y.all("y"), centred, precision, 2, nullptr);
    const auto k = check::gram(x, centred), l = check::gram(y, centred);
    double worst = 0;
    const std::array<std::array<int, 2>, 3> sides = {{{0, 0}, {0, 1}, {1, 1}}};
    for (std::size_t pair = 0; pair < 3; ++pair) {
        const auto [a, b] = sides[pair];
        const auto expected = check::products(n, check::pair_sums(n, a ? l : k, b ? l : k));
        const auto got =
            check::products(n, sums.pairs[pair], sums.exponent[std::size_t(a)], sums.exponent[std::size_t(b)]);
        // Relative to the size of the pair's own terms: an independent pair's cross term is near zero.
        const double size = check::pair_sums(n, a ? l : k, b ? l : k).full;
        for (std::size_t j = 0; j < got.size(); ++j) worst = std::fmax(worst, std::fabs(got[j] - expected[j]) / size);
    }
    return worst;
}

struct StopNow : Monitor {
    void poll(std::int64_t, std::int64_t) override { throw Stopped(); }
};

}  // namespace

TEST(tiles_give_the_sums_of_whole_matrices) {
    for (const std::int64_t n : {4, 5, 100, 300})
        for (const bool centred : {true, false}) {
            CHECK(worst_gap<double>(n, 7, 40, centred, Precision::f64) < 1e-12);
            CHECK(worst_gap<float>(n, 7, 40, centred, Precision::f32) < 1e-5);
        }
}

TEST(threads_do_not_change_a_bit) {
    const auto x = check::gaussian<float>(700, 30, 1), y = check::gaussian<float>(700, 11, 2);
    const auto sums = flat(gram_sums(x.all(), y.all(), true, Precision::f32, 1, nullptr));
    const auto terms = gram_row_terms(x.all(), y.all(), true, Precision::f32, 1, nullptr);
    for (const int threads : {2, 3, 5}) {
        CHECK(flat(gram_sums(x.all(), y.all(), true, Precision::f32, threads, nullptr)) == sums);
        CHECK(gram_row_terms(x.all(), y.all(), true, Precision::f32, threads, nullptr) == terms);
    }
}

TEST(row_terms_agree_with_the_moments_route) {
    const std::int64_t n = 400;
    const auto x = check::gaussian<double>(n, 9, 1, 3), y = check::gaussian<double>(n, 5, 2);
    Moments state(9, 5, Precision::f64);
    state.update(x.all(), y.all(), 1, nullptr);
    const MomentSums sums = Moments::finish(state, true, 1, nullptr);
    const GramSums grams = gram_sums(x.all(), y.all(), true, Precision::f64, 1, nullptr);
    const auto by_moments = moments_row_terms(x.all(), y.all(), sums, Precision::f64, 1, nullptr);
    const auto by_grams = gram_row_terms(x.all(), y.all(), true, Precision::f64, 1, nullptr);
    CHECK(by_moments.size() == std::size_t(n * kRowTerms) && by_grams.size() == by_moments.size());
    const int ex = grams.exponent[0] - sums.side[0].exponent, ey = grams.exponent[1] - sums.side[1].exponent;
    // How often each term holds an entry of K and of L.
    const int of_x[] = {1, 0, 1, 0, 1, 2, 0, 1, 2, 1, 0}, of_y[] = {0, 1, 0, 1, 1, 0, 2, 1, 0, 1, 2};
    for (std::size_t term = 0; term < std::size_t(kRowTerms); ++term) {
        double size = 0, worst = 0;
        for (std::size_t i = term; i < by_grams.size(); i += std::size_t(kRowTerms)) {
            const double value = std::ldexp(by_grams[i], 2 * (of_x[term] * ex + of_y[term] * ey));
            size = std::fmax(size, std::fabs(by_moments[i]));
            worst = std::fmax(worst, std::fabs(value - by_moments[i]));
        }
        CHECK(worst <= 1e-9 * size + 1e-9);
    }
}

TEST(the_monitor_stops_it) {
    const auto x = check::gaussian<float>(600, 8, 1);
    StopNow monitor;
    CHECK_THROWS(gram_sums(x.all(), x.all(), true, Precision::f32, 2, &monitor), Stopped, "stopped");
    CHECK_THROWS(gram_row_terms(x.all(), x.all(), true, Precision::f32, 2, &monitor), Stopped, "stopped");
}
