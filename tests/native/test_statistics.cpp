// Protects the closed forms: estimators against matrices centred by hand, null moments against all permutations.
#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include "check.hpp"

using namespace kernalign;

namespace {

using Square = std::vector<std::vector<double>>;

Square symmetric(int n, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<double> normal;
    const auto size = std::size_t(n);
    Square k(size, std::vector<double>(size));
    for (std::size_t i = 0; i < k.size(); ++i)
        for (std::size_t j = 0; j <= i; ++j) k[i][j] = k[j][i] = normal(generator) + 0.3;
    return k;
}

double row_sum(const Square& k, std::size_t i) { return std::accumulate(k[i].begin(), k[i].end(), 0.0); }

double sum_all(const Square& k) {
    double sum = 0;
    for (std::size_t i = 0; i < k.size(); ++i) sum += row_sum(k, i);
    return sum;
}

double inner(const Square& k, const Square& l) {
    double sum = 0;
    for (std::size_t i = 0; i < k.size(); ++i) sum += std::inner_product(k[i].begin(), k[i].end(), l[i].begin(), 0.0);
    return sum;
}

Square centre(const Square& k) {
    const double n = double(k.size());
    Square c = k;
    for (std::size_t i = 0; i < k.size(); ++i)
        for (std::size_t j = 0; j < k.size(); ++j)
            c[i][j] = k[i][j] - row_sum(k, i) / n - row_sum(k, j) / n + sum_all(k) / (n * n);
    return c;
}

// U-centring of Szekely & Rizzo: diagonal dropped before, zero after.
Square u_centre(Square k) {
    const double n = double(k.size());
    for (std::size_t i = 0; i < k.size(); ++i) k[i][i] = 0;
    Square u = k;
    for (std::size_t i = 0; i < k.size(); ++i)
        for (std::size_t j = 0; j < k.size(); ++j)
            u[i][j] =
                i == j ? 0
                       : k[i][j] - row_sum(k, i) / (n - 2) - row_sum(k, j) / (n - 2) + sum_all(k) / ((n - 1) * (n - 2));
    return u;
}

PairSums sums_of(const Square& k, const Square& l) {
    PairSums s;
    s.full = inner(k, l);
    for (std::size_t i = 0; i < k.size(); ++i) {
        const double r = row_sum(k, i), t = row_sum(l, i);
        s.diagonal += k[i][i] * l[i][i];
        s.rows += r * t;
        s.rows_diagonal += r * l[i][i];
        s.diagonal_rows += k[i][i] * t;
        s.trace_x += k[i][i];
        s.trace_y += l[i][i];
        s.total_x += r;
        s.total_y += t;
    }
    return s;
}

// Mean of f(<K, P L P'>) over all n! relabellings P.
double over_permutations(const Square& k, const Square& l, const std::function<double(double)>& f) {
    std::vector<std::size_t> p(k.size());
    std::iota(p.begin(), p.end(), std::size_t(0));
    double sum = 0, count = 0;
    do {
        double value = 0;
        for (std::size_t i = 0; i < k.size(); ++i)
            for (std::size_t j = 0; j < k.size(); ++j) value += k[i][j] * l[p[i]][p[j]];
        sum += f(value);
        ++count;
    } while (std::next_permutation(p.begin(), p.end()));
    return sum / count;
}

double power_sum(const Square& k, int power) {
    double sum = 0;
    for (const auto& row : k)
        for (const double v : row) sum += std::pow(v, power);
    return sum;
}

double cube_trace(const Square& k) {
    double sum = 0;
    for (std::size_t a = 0; a < k.size(); ++a)
        for (std::size_t b = 0; b < k.size(); ++b)
            for (std::size_t c = 0; c < k.size(); ++c) sum += k[a][b] * k[b][c] * k[c][a];
    return sum;
}

struct DiagonalSums {
    double trace = 0, square = 0;
    explicit DiagonalSums(const Square& k) {
        for (std::size_t i = 0; i < k.size(); ++i) {
            trace += k[i][i];
            square += k[i][i] * k[i][i];
        }
    }
};

}  // namespace

TEST(estimators_equal_products_of_centred_matrices) {
    for (const int n : {4, 5, 9, 30}) {
        const Square k = symmetric(n, 1), l = symmetric(n, 2);
        const PairSums sums = sums_of(k, l);
        CHECK_NEAR(centred_product(n, sums), inner(centre(k), centre(l)), 1e-12);
        CHECK_NEAR(u_centred_product(n, sums), inner(u_centre(k), u_centre(l)), 1e-12);
        double off = inner(k, l);
        for (std::size_t i = 0; i < k.size(); ++i) off -= k[i][i] * l[i][i];
        CHECK_NEAR(off_diagonal_product(sums), off, 1e-12);
    }
}

TEST(third_moment_equals_the_mean_over_all_permutations) {
    for (const int n : {6, 7}) {
        const Square k = u_centre(symmetric(n, 3)), l = u_centre(symmetric(n, 4));
        const double exact = over_permutations(k, l, [](double v) { return v * v * v; });
        const double closed = u_centred_third_moment(n, power_sum(k, 3), cube_trace(k), power_sum(l, 3), cube_trace(l));
        CHECK_NEAR(closed / exact, 1, 1e-9);
    }
}

TEST(centred_variance_equals_the_variance_over_all_permutations) {
    for (const int n : {4, 5, 7}) {
        const Square k = centre(symmetric(n, 5)), l = centre(symmetric(n, 6));
        const DiagonalSums x(k), y(l);
        const double mean = over_permutations(k, l, [](double v) { return v; });
        const double exact = over_permutations(k, l, [mean](double v) { return (v - mean) * (v - mean); });
        CHECK_NEAR(mean, x.trace * y.trace / (n - 1), 1e-10);
        CHECK_NEAR(centred_variance(n, x.trace, power_sum(k, 2), x.square, y.trace, power_sum(l, 2), y.square) / exact,
                   1, 1e-9);
    }
}
