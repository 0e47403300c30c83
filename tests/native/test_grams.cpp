// Protects the Grams engine: tiles give the sums of whole matrices, and the same bits on any number of threads.
#include "grams.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "cpu/moments/accumulator.hpp"
#include "data.hpp"
#include "gram_samples.hpp"
#include "grams_by_hand.hpp"

using namespace kernalign;
using check::kernels;
using check::source;

namespace {

std::vector<double> flat(const PairSums& s) {
    return {s.full, s.diagonal, s.rows, s.rows_diagonal, s.diagonal_rows, s.trace_x, s.trace_y, s.total_x, s.total_y};
}

std::vector<double> flat(const GramSums& sums) {
    std::vector<double> out;
    for (std::size_t a = 0; a < sums.sides.size(); ++a)
        for (std::size_t b = 0; b < sums.sides.size(); ++b)
            for (const bool hollow : {false, true})
                for (const double v : flat(sums.pair(a, b, hollow))) out.push_back(v);
    for (const GramSums::Side& side : sums.sides) {
        out.insert(out.end(), side.sums.begin(), side.sums.end());
        out.insert(out.end(), {double(side.exponent), side.pilot, side.plain, side.total});
    }
    return out;
}

// The largest error of centred and U-centred products of all pairs, relative to the norms of the centred matrices.
double worst_product(const GramSums& sums, const std::vector<std::vector<double>>& grams) {
    double worst = 0;
    const std::int64_t n = sums.n;
    const auto by_hand = [&](std::size_t a, std::size_t b) {
        return check::products(n, check::pair_sums(n, grams[a], grams[b]));
    };
    for (std::size_t a = 0; a < grams.size(); ++a)
        for (std::size_t b = 0; b < grams.size(); ++b) {
            const double scale = std::ldexp(1.0, sums.sides[a].exponent + sums.sides[b].exponent);
            const double size = std::sqrt(by_hand(a, a)[0]) * std::sqrt(by_hand(b, b)[0]);
            const auto expected = by_hand(a, b);
            const double got[] = {centred_product(n, sums.pair(a, b, false)) * scale,
                                  n < 4 ? expected[1] : u_centred_product(n, sums.pair(a, b, true)) * scale};
            for (std::size_t j = 0; j < 2; ++j) worst = std::fmax(worst, std::fabs(got[j] - expected[j]) / size);
        }
    return worst;
}

template <class T>
void all_kernels_at_once(std::int64_t n, std::int64_t cols, double tolerance) {
    if (check::kRacesOnly && n > 300) return;
    const auto x = check::gaussian<T>(n, cols, 1, 0.5);
    std::vector<GramSource> sources;
    std::vector<std::vector<double>> grams;
    for (const Kernel& kernel : kernels()) {
        sources.push_back(source(x, kernel));
        grams.push_back(check::gram(x, kernel, false, true));
    }
    const double worst = worst_product(gram_sums(sources, true, 2, nullptr), grams);
    if (!(worst < tolerance))
        check::fail(__FILE__, __LINE__, "n = " + std::to_string(n) + ": " + std::to_string(worst));
}

template <class T>
void uncentred_sums(std::int64_t n, double tolerance) {
    const auto x = check::gaussian<T>(n, 7, 1, 0.5), y = check::gaussian<T>(n, 40, 2, -1);
    for (const Kernel& kernel : kernels()) {
        const GramSums sums = gram_sums({source(x, kernel), source(y, {KernelForm::rbf, 9, 0, 1})}, false, 2, nullptr);
        CHECK(sums.sides[0].pilot == 0 && sums.sides[1].pilot == 0);
        const auto k = check::gram(x, kernel, false), l = check::gram(y, {KernelForm::rbf, 9, 0, 1}, false);
        const double a = std::ldexp(1.0, sums.sides[0].exponent), b = std::ldexp(1.0, sums.sides[1].exponent);
        const double units[] = {a * b, a * b, a * b, a * b, a * b, a, b, a, b};
        const auto got = flat(sums.pair(0, 1, false)), expected = flat(check::pair_sums(n, k, l));
        for (std::size_t j = 0; j < got.size(); ++j) {
            const double size = std::fmax(std::fabs(expected[j]), a * b * double(n));
            CHECK(std::fabs(got[j] * units[j] - expected[j]) <= tolerance * size);
        }
    }
}

}  // namespace

TEST(tiles_give_the_products_of_whole_matrices) {
    for (const std::int64_t n : {2, 3, 4, 5, 100, 128, 129, 300, 600}) {
        all_kernels_at_once<double>(n, 20, 1e-11);
        all_kernels_at_once<float>(n, 20, 3e-6);
    }
}

TEST(wide_sources_are_held_and_give_the_same) {
    for (const std::int64_t n : {2, 5, 128, 257}) {
        all_kernels_at_once<double>(n, 270, 1e-10);
        all_kernels_at_once<float>(n, 270, 3e-6);
    }
}

TEST(uncentred_sums_are_those_of_whole_matrices) {
    for (const std::int64_t n : {2, 5, 130, 300}) {
        uncentred_sums<double>(n, 1e-11);
        uncentred_sums<float>(n, 1e-5);
    }
}

TEST(linear_rows_are_centred) {
    const auto x = check::gaussian<double>(150, 7, 1, 1e6), y = check::gaussian<double>(150, 300, 2, -1e6);
    const GramSums sums = gram_sums({source(x), source(y)}, true, 2, nullptr);
    CHECK(worst_product(sums, {check::gram(x, true), check::gram(y, true)}) < 1e-9);
    CHECK(std::fabs(sums.sides[0].total) < 1e-6);
}

// Narrow rows go tile by tile; wide ones are held when there are three or more sources, but not in pairs.
void alone_and_in_company(std::int64_t p, std::int64_t q, std::int64_t r) {
    const auto x = check::gaussian<float>(700, p, 1), y = check::gaussian<float>(700, q, 2);
    const auto z = check::gaussian<double>(700, r, 3);
    const std::vector<GramSource> all = {source(x, {KernelForm::rbf, 8, 0, 1}), source(y),
                                         source(z, {KernelForm::laplacian, 20, 0, 1}), source(x)};
    const GramSums together = gram_sums(all, true, 2, nullptr);
    for (std::size_t a = 0; a < all.size(); ++a)
        for (std::size_t b = 0; b < all.size(); ++b) {
            const GramSums pair = gram_sums({all[a], all[b]}, true, 1, nullptr);
            const double u = u_centred_product(700, together.pair(a, b, true));
            const double self_a = u_centred_product(700, together.pair(a, a, true));
            const double self_b = u_centred_product(700, together.pair(b, b, true));
            CHECK(std::fabs(u_centred_product(700, pair.pair(0, 1, true)) - u) < 1e-12 * std::sqrt(self_a * self_b));
        }
}
TEST(a_source_alone_and_in_company_has_the_same_sums) {
    alone_and_in_company(30, 11, 300);
    alone_and_in_company(700, 901, 720);
}

void any_threads(std::int64_t n, std::int64_t p, std::int64_t q) {
    const auto x = check::gaussian<float>(n, p, 1);
    const auto y = check::gaussian<double>(n, q, 2);
    for (const Kernel& kernel : kernels()) {
        const std::vector<GramSource> sources = {source(x, kernel), source(y, kernel), source(x)};
        const std::array<GramSource, 2> pair = {sources[0], sources[1]};
        const GramSums sums = gram_sums(sources, true, 1, nullptr),
                       two = gram_sums({pair[0], pair[1]}, true, 1, nullptr);
        const auto terms = gram_row_terms(pair, two, true, false, 1, nullptr);
        const auto condensed = condensed_gram(pair[0], true, 1, nullptr);
        for (const int threads : {2, 3, 5}) {
            CHECK(flat(gram_sums(sources, true, threads, nullptr)) == flat(sums));
            CHECK(gram_row_terms(pair, two, true, false, threads, nullptr) == terms);
            CHECK(condensed_gram(pair[0], true, threads, nullptr) == condensed);
        }
    }
}
TEST(threads_do_not_change_a_bit) {
    any_threads(check::kRacesOnly ? 400 : 700, 30, 11);
    any_threads(260, 300, 270);
}

TEST(rows_in_several_parts_are_one_representation) {
    const auto x = check::gaussian<float>(300, 9, 1, 2);
    for (const Kernel& kernel : kernels()) {
        const GramSource whole = source(x, kernel);
        GramSource parts = whole;
        parts.parts = {x.slice(0, 1), x.slice(1, 140), x.slice(140, 300)};
        CHECK(flat(gram_sums({whole, parts}, true, 1, nullptr)) == flat(gram_sums({parts, whole}, true, 1, nullptr)));
        CHECK(condensed_gram(parts, false, 1, nullptr) == condensed_gram(whole, false, 1, nullptr));
        CHECK(median_distance(parts, false, 1, nullptr) == median_distance(whole, false, 1, nullptr));
    }
}

TEST(condensed_values_are_those_of_the_matrix) {
    for (const std::int64_t n : {2, 3, 200, 600}) {
        const auto x = check::gaussian<double>(n, 5, 1, 1);
        for (const Kernel& kernel : kernels()) {
            const auto values = condensed_gram(source(x, kernel), false, 2, nullptr), k = check::gram(x, kernel, false);
            CHECK(values.size() == std::size_t(n * (n - 1) / 2));
            std::size_t at = 0;
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t j = i + 1; j < n; ++j) CHECK_NEAR(values[at++], k[std::size_t(i * n + j)], 1e-11);
        }
    }
}

TEST(equal_rows_are_at_distance_zero) {
    auto x = check::gaussian<double>(40, 37, 1, 3);
    for (std::size_t j = 0; j < 37; ++j) x.values[9 * 37 + j] = x.values[2 * 37 + j];
    x.values[5 * 37] = x.values[4 * 37] + 1e-9;
    for (std::size_t j = 1; j < 37; ++j) x.values[5 * 37 + j] = x.values[4 * 37 + j];
    const auto d = condensed_gram(source(x, {KernelForm::euclidean, 1, 0, 1}), false, 1, nullptr);
    const auto at = [](std::size_t i, std::size_t j) { return i * 40 - i * (i + 1) / 2 - i - 1 + j; };
    CHECK(d[at(2, 9)] == 0);
    CHECK(std::fabs(d[at(4, 5)] / 1e-9 - 1) < 1e-6);
}

TEST(float32_gives_way_where_it_would_not_do) {
    const auto x = check::gaussian<float>(100, 30, 1);
    const auto widened = [](const GramSource& one) { return gram_sums({one}, true, 1, nullptr).sides[0].widened; };
    for (const Kernel& kernel : kernels()) {
        const bool root = kernel.form == KernelForm::laplacian || kernel.form == KernelForm::euclidean;
        CHECK(widened(source(x, kernel)) == root);
        auto odd = x;
        for (std::size_t j = 0; j < 30; ++j) odd.values[j] *= 100;
        CHECK(widened(source(odd, kernel)));
    }
    CHECK(widened(source(x, {KernelForm::rbf, 0.1, 0, 1})));
    CHECK(widened(source(x, {KernelForm::rbf, 1e40, 0, 1})));
    const auto far = check::gaussian<float>(100, 30, 1, 10);
    CHECK(!widened(source(far)) && !widened(source(far, {KernelForm::rbf, 8, 0, 1})));
    CHECK(widened(source(far, {KernelForm::polynomial, 1, 1, 2})));
}

TEST(no_kernel_gives_nan_at_extreme_widths) {
    check::Matrix<float> x = check::gaussian<float>(50, 20, 1);
    for (std::size_t j = 0; j < 20; ++j) x.values[20 + j] = x.values[j];  // two equal rows: a distance of 0
    const auto constant = check::gaussian<float>(50, 20, 1, 3, 0);
    for (const KernelForm form : {KernelForm::rbf, KernelForm::laplacian})
        for (const double width : {1e-300, 1e-30, 1e-5, 1e5, 1e30, 1e300})
            for (const check::Matrix<float>* rows : {static_cast<const check::Matrix<float>*>(&x), &constant}) {
                const GramSums sums = gram_sums({source(*rows, {form, width, 0, 1})}, true, 1, nullptr);
                for (const double v : flat(sums)) CHECK(std::isfinite(v));
            }
}

TEST(row_terms_are_those_of_whole_matrices) {
    const std::int64_t n = 300;
    const auto x = check::gaussian<double>(n, 9, 1, 0.5), y = check::gaussian<double>(n, 5, 2);
    for (const Kernel& kernel : kernels())
        for (const bool with_diagonal : {false, true}) {
            const std::array<GramSource, 2> pair = {source(x, kernel), source(y, {KernelForm::rbf, 3, 0, 1})};
            const GramSums sums = gram_sums({pair[0], pair[1]}, true, 2, nullptr);
            const auto terms = gram_row_terms(pair, sums, true, with_diagonal, 2, nullptr);
            std::array<std::vector<double>, 2> grams = {check::gram(x, kernel, true),
                                                        check::gram(y, {KernelForm::rbf, 3, 0, 1}, true)};
            std::array<std::vector<double>, 2> weights;
            for (std::size_t s = 0; s < 2; ++s)
                for (std::size_t i = 0; i < std::size_t(n); ++i) {
                    double sum = 0;
                    for (std::size_t j = 0; j < std::size_t(n); ++j) {
                        double& value = grams[s][i * std::size_t(n) + j];
                        value = std::ldexp(value, -sums.sides[s].exponent) - sums.sides[s].pilot;
                        if (i != j || with_diagonal) sum += value;
                    }
                    weights[s].push_back(sum);
                }
            for (std::size_t i = 0; i < std::size_t(n); ++i) {
                const double *k = grams[0].data() + i * std::size_t(n), *l = grams[1].data() + i * std::size_t(n);
                double expected[11] = {k[i], l[i]}, size[11] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
                for (std::size_t j = 0; j < std::size_t(n); ++j) {
                    const double u = weights[0][j], v = weights[1][j];
                    const double entries[] = {k[j],     l[j],     k[j] * l[j], k[j] * k[j], l[j] * l[j],
                                              k[j] * v, k[j] * u, l[j] * u,    l[j] * v};
                    for (std::size_t t = 0; t < 9; ++t) {
                        expected[t + 2] += entries[t];
                        size[t + 2] += std::fabs(entries[t]);
                    }
                }
                for (std::size_t t = 0; t < 11; ++t)
                    CHECK(std::fabs(terms[i * 11 + t] - expected[t]) <= 1e-10 * size[t]);
            }
        }
}

TEST(row_terms_agree_with_the_moments_route) {
    const std::int64_t n = 400;
    const auto x = check::gaussian<double>(n, 9, 1, 3), y = check::gaussian<double>(n, 5, 2);
    Moments state(9, 5, Precision::f64);
    state.update(x.all(), y.all(), 1, nullptr);
    const MomentSums sums = state.finish(true, 1, nullptr);
    const GramSums grams = gram_sums({source(x), source(y)}, true, 1, nullptr);
    const auto by_moments = moments_row_terms(x.all(), y.all(), sums, Precision::f64, 1, nullptr);
    const auto by_grams = gram_row_terms({source(x), source(y)}, grams, true, false, 1, nullptr);
    CHECK(by_moments.size() == std::size_t(n * kRowTerms) && by_grams.size() == by_moments.size());
    const int ex = grams.sides[0].exponent - 2 * sums.side[0].exponent;
    const int ey = grams.sides[1].exponent - 2 * sums.side[1].exponent;
    // How often each term holds an entry of K and of L.
    const int of_x[] = {1, 0, 1, 0, 1, 2, 0, 1, 2, 1, 0}, of_y[] = {0, 1, 0, 1, 1, 0, 2, 1, 0, 1, 2};
    for (std::size_t term = 0; term < std::size_t(kRowTerms); ++term) {
        double size = 0, worst = 0;
        for (std::size_t i = term; i < by_grams.size(); i += std::size_t(kRowTerms)) {
            const double value = std::ldexp(by_grams[i], of_x[term] * ex + of_y[term] * ey);
            size = std::fmax(size, std::fabs(by_moments[i]));
            worst = std::fmax(worst, std::fabs(value - by_moments[i]));
        }
        CHECK(worst <= 1e-9 * size + 1e-9);
    }
}

TEST(the_monitor_stops_every_entry_point) {
    const auto x = check::gaussian<float>(600, 8, 1), broad = check::gaussian<float>(60, 80, 1);
    const GramSource wide = source(broad);
    const GramSource one = source(x, {KernelForm::rbf, 3, 0, 1});
    const GramSums sums = gram_sums({one, one}, true, 2, nullptr);
    check::StopNow monitor;
    for (const GramSource& any : {one, source(x)}) {
        CHECK_THROWS(gram_sums({any, any}, true, 2, &monitor), Stopped, "stopped");
        CHECK_THROWS(gram_sums({wide, wide, wide}, true, 2, &monitor), Stopped, "stopped");
        CHECK_THROWS(gram_row_terms({any, any}, sums, true, true, 2, &monitor), Stopped, "stopped");
        CHECK_THROWS(u_centred_cubes(any, 2, &monitor), Stopped, "stopped");
        CHECK_THROWS(median_distance(any, true, 2, &monitor), Stopped, "stopped");
        CHECK_THROWS(condensed_gram(any, true, 2, &monitor), Stopped, "stopped");
    }
}

TEST(sources_must_have_the_same_rows) {
    const auto x = check::gaussian<float>(60, 8, 1), y = check::gaussian<float>(61, 8, 1);
    CHECK_THROWS(gram_sums({source(x), source(y)}, true, 1, nullptr), std::invalid_argument, "60 and 61");
    CHECK_THROWS(gram_sums({}, true, 1, nullptr), std::invalid_argument, "at least one");
}
