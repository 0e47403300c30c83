// Protects the exact medians and the third-order sums of the Grams engine: plain sorting and whole matrices say the
// same.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "check.hpp"
#include "cpu/runtime/blas.hpp"
#include "data.hpp"
#include "gram_samples.hpp"
#include "grams.hpp"
#include "grams_by_hand.hpp"

using namespace kernalign;
using check::source;

namespace {

// The mean of the two middle entries, or the middle one twice.
double median_of(std::vector<double> values) {
    const auto upper = values.begin() + std::ptrdiff_t(values.size() / 2);
    std::nth_element(values.begin(), upper, values.end());
    return values.size() % 2 ? *upper : (*upper + *std::max_element(values.begin(), upper)) / 2;
}

template <class T>
void agrees(const check::Matrix<T>& x, double tolerance, const char* what) {
    if (check::kRacesOnly && x.rows > 600) return;
    const std::vector<double> all = check::gram(x, {KernelForm::euclidean, 1, 0, 1}, false);
    std::vector<double> upper;
    for (std::size_t i = 0; i < std::size_t(x.rows); ++i)
        upper.insert(upper.end(), all.begin() + std::ptrdiff_t(i * std::size_t(x.rows) + i + 1),
                     all.begin() + std::ptrdiff_t((i + 1) * std::size_t(x.rows)));
    for (const bool off_diagonal : {false, true}) {
        const double expected = median_of(off_diagonal ? upper : all);
        const double got = median_distance(source(x), off_diagonal, 1, nullptr);
        if (!(std::fabs(got - expected) <= tolerance * expected))
            check::fail(what, int(x.rows), std::to_string(got) + ", expected " + std::to_string(expected));
        for (const int threads : {2, 5}) CHECK(median_distance(source(x), off_diagonal, threads, nullptr) == got);
    }
}

}  // namespace

TEST(medians_are_those_of_sorting) {
    for (const std::int64_t n : {2, 3, 4, 5, 64, 300, 1025})
        for (const std::int64_t p : {1, 3, 40}) {
            if (n > 1000 && p == 40) continue;
            agrees(check::gaussian<double>(n, p, 1, 5), 1e-12, "double");
            agrees(check::gaussian<float>(n, p, 1, 5), 3e-6, "float");
        }
}

TEST(medians_of_ties) {
    for (const std::int64_t n : {2, 3, 40, 300, 1100}) {
        for (const int levels : {1, 2, 3}) {  // rows of few values: most distances occur often
            auto x = check::gaussian<double>(n, 2, 3);
            for (double& v : x.values) v = std::floor(std::fmod(std::fabs(v) * 1e6, double(levels)));
            agrees(x, 1e-12, "ties");
        }
        auto groups = check::gaussian<double>(n, 30, 4);  // 3 of 4 rows are equal: the median is exactly 0
        for (std::int64_t i = 0; i < n; ++i)
            if (i % 4)
                for (std::int64_t j = 0; j < 30; ++j) groups.values[std::size_t(i * 30 + j)] = groups(1 % n, j);
        agrees(groups, 1e-12, "duplicates");
        check::Matrix<float> narrow{n, 30, std::vector<float>(groups.values.begin(), groups.values.end())};
        agrees(narrow, 1e-6, "float duplicates");
    }
    const auto constant = check::gaussian<float>(1500, 7, 1, 3, 0);
    CHECK(median_distance(source(constant), true, 2, nullptr) == 0);
}

TEST(medians_where_the_sample_misleads) {
    // Rows are evenly sampled, and every second one lies in a cluster that the others are far from.
    auto x = check::gaussian<double>(2047, 5, 1);  // of 2047 rows, 1024 evenly spaced ones are the even ones
    for (std::int64_t i = 0; i < x.rows; i += 2)
        for (std::int64_t j = 0; j < 5; ++j) x.values[std::size_t(i * 5 + j)] *= 1e-3;
    agrees(x, 1e-9, "even rows close together");
    for (std::int64_t i = 0; i < x.rows; i += 2)
        for (std::int64_t j = 0; j < 5; ++j) x.values[std::size_t(i * 5 + j)] *= 1e5;
    agrees(x, 1e-9, "even rows far apart");
    for (std::int64_t i = 0; i < x.rows; ++i)
        for (std::int64_t j = 0; j < 5; ++j)
            if (i % 2 == 0) x.values[std::size_t(i * 5 + j)] = double(j);
    agrees(x, 1e-9, "even rows equal");
}

TEST(medians_at_any_scale) {
    for (const double size : {1e-300, 1e-160, 1e-30, 1e30, 1e160, 1e300}) {
        auto x = check::gaussian<double>(200, 4, 1);
        const double plain = median_distance(source(x), false, 1, nullptr);
        for (double& v : x.values) v *= size;
        CHECK(std::fabs(median_distance(source(x), false, 1, nullptr) / size / plain - 1) < 1e-13);
    }
}

TEST(cubes_are_those_of_the_whole_matrix) {
    const auto linear = [](const Kernel& kernel) { return kernel.form == KernelForm::linear; };
    struct Case {
        std::int64_t n, p;
        double longest = 1;  // row: what the trace takes out of its square is not to be felt
    };
    for (const auto& [n, p, longest] :
         {Case{6, 5}, {7, 5}, {257, 5}, {257, 200}, {700, 500}, {1024, 5}, {1025, 5}, {257, 5, 1e7}, {257, 200, 1e7}})
        for (const Kernel& kernel : check::kernels()) {
            if (longest > 1 && !linear(kernel)) continue;
            if (check::kRacesOnly && n > 300) continue;
            if (p > 5 ? !linear(kernel) : n > 300 && (kernel.form != KernelForm::rbf || kernel.width > 100)) continue;
            auto x = check::gaussian<double>(n, p, 1);
            for (std::int64_t j = 0; j < p; ++j) x.values[std::size_t(3 * p + j)] *= longest;
            std::vector<double> u = check::gram(x, kernel, true);
            const auto size = std::size_t(n);
            std::vector<double> rows(size, 0.0);
            double total = 0, squares = 0, cubes = 0, trace = 0, rows_squared = 0;
            for (std::size_t i = 0; i < size; ++i) {
                u[i * size + i] = 0;
                for (std::size_t j = 0; j < size; ++j) rows[i] += u[i * size + j];
                total += rows[i];
            }
            for (std::size_t i = 0; i < size; ++i) {
                double row = 0;
                for (std::size_t j = 0; j < size; ++j) {
                    double& v = u[i * size + j];
                    v = i == j ? 0 : v - (rows[i] + rows[j]) / double(n - 2) + total / double((n - 1) * (n - 2));
                    squares += v * v;
                    cubes += v * v * v;
                    row += v * v;
                }
                rows_squared += row * row;
            }
            std::vector<double> square(u.size());
            blas::gemm_nt(n, n, n, u.data(), n, u.data(), n, square.data(), n);
            for (std::size_t i = 0; i < u.size(); ++i) trace += square[i] * u[i];
            int exponent = 0;
            {
                const GramSums sums = gram_sums({source(x, kernel)}, true, 1, nullptr);
                exponent = sums.sides[0].exponent;
            }
            const double size3 = std::pow(squares, 1.5);
            for (const Precision precision : {Precision::f64, Precision::f32}) {
                GramSource wanted = source(x, kernel);
                wanted.precision = precision;
                const CubeSums one = u_centred_cubes(wanted, 1, nullptr), two = u_centred_cubes(wanted, 2, nullptr);
                const double least = precision == Precision::f64 ? 1e-9 : 1e-5;
                CHECK(one.squares == two.squares && one.cubes == two.cubes && one.trace == two.trace);
                CHECK(one.rows == two.rows);
                CHECK(std::fabs(std::ldexp(one.squares, 2 * exponent) / squares - 1) < least);
                CHECK(std::fabs(std::ldexp(one.cubes, 3 * exponent) - cubes) < least * size3);
                CHECK(std::fabs(std::ldexp(one.trace, 3 * exponent) - trace) < least * size3);
                CHECK(std::fabs(std::ldexp(one.rows, 4 * exponent) / rows_squared - 1) < least);
            }
        }
}
