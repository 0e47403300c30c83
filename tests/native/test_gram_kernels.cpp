// Protects the inner loops of the Grams engine: every instruction set gives the same bits, and they are accurate.
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "check.hpp"
#include "cpu/simd/simd.hpp"
#include "tables.hpp"

using namespace kernalign;
using check::tables;
using check::values;

namespace {

std::vector<GramFunction> functions() {
    GramFunction rbf, laplacian, polynomial, based, euclidean, distance;
    rbf.form = KernelForm::rbf;
    rbf.factor = -0.3;
    rbf.pilot = 0.75;
    laplacian.form = KernelForm::laplacian;
    laplacian.factor = -0.7;
    polynomial.form = KernelForm::polynomial;
    polynomial.degree = 5;
    polynomial.factor = 0.5;
    polynomial.offset = 0.25;
    based = polynomial;
    based.based = true;
    based.base = 1.5;
    euclidean.form = KernelForm::euclidean;
    euclidean.pilot = 2;
    distance.form = KernelForm::sqeuclidean;
    return {rbf, laplacian, polynomial, based, euclidean, distance};
}

template <class T>
std::vector<double> run(const Simd& table, std::int64_t n) {
    std::vector<double> out;
    const auto keep = [&](const auto& written) {
        for (const auto v : written) out.push_back(double(v));
    };
    std::vector<T> norms = values<T>(n, 2);
    for (T& v : norms) v = std::fabs(v);
    for (const GramFunction& f : functions()) {
        std::vector<T> row = values<T>(n, 1);
        out.push_back(double(table.grams.distances(row.data(), T(3), norms.data(), n)));
        keep(row);
        table.grams.apply(f, row.data(), n);
        keep(row);
    }
    const std::vector<T> row = values<T>(n, 5);
    std::vector<double> columns = values<double>(n, 6), wide = values<double>(n, 7), others = values<double>(n, 8);
    out.push_back(table.grams.sums(row.data(), columns.data(), n));
    keep(columns);
    table.grams.widen(row.data(), wide.data(), n);
    keep(wide);
    double sums[2] = {1, 2};
    std::vector<T> centred = row;
    table.grams.cubes(centred.data(), 0.5, others.data(), sums, n);
    keep(centred);
    out.insert(out.end(), sums, sums + 2);
    return out;
}

// exp(-d) of squared distances d, against long double: the largest relative error.
template <class T>
double worst_exponential(double largest) {
    GramFunction f;
    f.form = KernelForm::rbf;
    f.factor = -1;
    std::vector<T> d;
    for (int j = 0; j < 200000; ++j) d.push_back(T(largest * j / 200000));
    for (double tiny = 1; tiny > 1e-30; tiny *= 0.7) d.push_back(T(tiny));
    std::vector<T> got = d;
    simd().grams.apply(f, got.data(), std::int64_t(got.size()));
    double worst = 0;
    for (std::size_t j = 0; j < d.size(); ++j) {
        const long double expected = std::exp(-static_cast<long double>(d[j]));
        worst = std::fmax(worst, double(std::fabs(static_cast<long double>(got[j]) / expected - 1)));
    }
    return worst;
}

// exp(-d) - 1 where d is small, relative to itself.
template <class T>
double worst_near_one() {
    GramFunction f;
    f.form = KernelForm::rbf;
    f.factor = -1;
    f.pilot = 1;
    double worst = 0;
    for (double d = 0.3; d > 1e-25; d *= 0.83) {
        T value = T(d);
        const double expected = std::expm1(-double(value));
        simd().grams.apply(f, &value, 1);
        worst = std::fmax(worst, std::fabs(double(value) / expected - 1));
    }
    return worst;
}

}  // namespace

TEST(all_tables_agree_on_float) { check::all_tables_agree(run<float>); }
TEST(all_tables_agree_on_double) { check::all_tables_agree(run<double>); }

TEST(exponentials_are_accurate_over_the_whole_range) {
    CHECK(worst_exponential<float>(86.9) < 3e-7);
    CHECK(worst_exponential<double>(707.9) < 6e-16);
    CHECK(worst_near_one<float>() < 3e-7);
    CHECK(worst_near_one<double>() < 6e-16);
}

TEST(exponentials_below_underflow_are_tiny) {
    for (const GramFunction& f : {functions()[1]}) {
        float narrow[] = {0, 1e6F, 1e30F, 3e38F};
        double wide[] = {0, 1e12, 1e200, 1e307};
        simd().grams.apply(f, narrow, 4);
        simd().grams.apply(f, wide, 4);
        CHECK(narrow[0] == 1 && wide[0] == 1);
        for (int j = 1; j < 4; ++j) CHECK(narrow[j] >= 0 && narrow[j] < 1e-37F && wide[j] >= 0 && wide[j] < 1e-300);
    }
}

TEST(distances_are_never_negative_and_close_ones_are_counted) {
    const double norms[] = {1, 1, 4, 0};
    double products[] = {1 + 1e-15, 1 - 1e-8, 2, 0};
    CHECK(simd().grams.distances(products, 1.0, norms, 4) == 2);
    CHECK(products[0] == 0 && products[1] > 0 && products[2] == 1 && products[3] == 1);
}

TEST(polynomials_keep_small_products) {
    GramFunction f;
    f.form = KernelForm::polynomial;
    f.degree = 16;
    f.factor = 1e-20;
    f.offset = 1;
    double plain[] = {3, 1}, based[] = {3, 1};
    simd().grams.apply(f, plain, 2);
    CHECK(plain[0] == 1 && plain[1] == 1);
    f.based = true;
    f.base = 1;
    simd().grams.apply(f, based, 2);  // (1 + 3e-20)^16 - (1 + 1e-20)^16, over 1e-20
    CHECK_NEAR(based[0], 32, 1e-13);
    CHECK(based[1] == 0);
}
