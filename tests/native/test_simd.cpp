// Protects the promise of simd.hpp: every instruction set gives the same bits, at every length.
#include "cpu/simd/simd.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "tables.hpp"

using namespace kernalign;
using check::kLongest;
using check::tables;
using check::values;

namespace {

template <class T>
std::vector<double> run(const Simd& table, std::int64_t n) {
    std::vector<double> out;
    const auto keep = [&](const auto& written) {
        for (const auto v : written) out.push_back(double(v));
    };
    const std::vector<T> a = values<T>(n, 1), b = values<T>(n, 2);
    const std::vector<double> u = values<double>(n, 3), v = values<double>(n, 4);

    out.push_back(table.all_finite(a.data(), n));
    std::vector<double> sum = u;
    table.add_difference(a.data(), b.data(), sum.data(), n);
    keep(sum);
    out.push_back(table.add_differences(a.data(), n / 2, 2, b.data(), sum.data(), n / 2));
    keep(sum);
    std::vector<T> copy(a.size());
    out.push_back(table.copy_centred(a.data(), u.data(), v.data(), 0.25, copy.data(), n));
    keep(copy);
    out.push_back(table.squared_norm(a.data(), u.data(), 0.25, n));
    std::vector<double> most = u, squares = v, wide(a.size());
    table.add_shares(a.data(), n / 2, 2, u.data(), 0.125, sum.data(), most.data(), n / 2);
    table.centre_rows(a.data(), n / 2, 2, u.data(), v.data(), 0.5, copy.data(), squares.data(), n / 2);
    table.centre_rows(a.data(), n / 2, 2, u.data(), v.data(), 0.5, wide.data(), squares.data(), n / 2);
    keep(sum);
    keep(most);
    keep(copy);
    keep(wide);
    keep(squares);

    std::vector<T> row = a;
    std::vector<double> own = v, other = u;
    table.accumulate_row(row.data(), row.data(), u.data(), b.data(), 0.5, 1.7, -2.3, sum.data(), own.data(),
                         other.data(), n);
    keep(row);
    keep(sum);
    keep(own);
    keep(other);

    table.add_rank_two(sum.data(), a.data(), 1.1, u.data(), -0.7, v.data(), n);
    keep(sum);
    std::vector<double> products = {1, 2, 3};
    table.pair_products(a.data(), b.data(), products.data(), n);
    keep(products);
    out.push_back(table.dot(a.data(), u.data(), n));
    return out;
}

template <class T>
void one_bad_value_is_found_anywhere() {
    for (const Simd* table : tables())
        for (std::int64_t n = 1; n <= kLongest; ++n)
            for (std::int64_t at = 0; at < n; ++at) {
                std::vector<T> data = values<T>(n, 5);
                data[std::size_t(at)] =
                    at % 2 ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::quiet_NaN();
                CHECK(!table->all_finite(data.data(), n));
                data[std::size_t(at)] = at % 2 ? std::numeric_limits<T>::max() : std::numeric_limits<T>::denorm_min();
                CHECK(table->all_finite(data.data(), n));
            }
}

}  // namespace

TEST(all_tables_agree_on_float) { check::all_tables_agree(run<float>); }
TEST(all_tables_agree_on_double) { check::all_tables_agree(run<double>); }
TEST(one_bad_float_is_found_anywhere) { one_bad_value_is_found_anywhere<float>(); }
TEST(one_bad_double_is_found_anywhere) { one_bad_value_is_found_anywhere<double>(); }

TEST(the_loops_compute_what_they_say) {
    for (std::int64_t n = 0; n <= kLongest; ++n) {
        const std::vector<float> a = values<float>(n, 1), b = values<float>(n, 2);
        const std::vector<double> u = values<double>(n, 3), v = values<double>(n, 4);
        double norm = 0, dot = 0, aa = 0, ab = 0, size = 1;
        std::vector<double> sum(std::size_t(n + 1), 0.5), total(std::size_t(n + 1), 0.5);
        for (std::size_t j = 0; j < std::size_t(n); ++j) {
            norm += (a[j] - u[j]) * (a[j] - u[j]) * 0.0625;
            dot += a[j] * u[j];
            aa += double(a[j]) * a[j];
            ab += double(a[j]) * b[j];
            size += std::fabs(double(a[j])) * (std::fabs(double(a[j])) + std::fabs(double(b[j])) + std::fabs(u[j]));
        }
        const Simd& table = simd();
        CHECK(std::fabs(table.squared_norm(a.data(), u.data(), 0.25, n) - norm) <= 1e-13 * (norm + 1));
        CHECK(std::fabs(table.dot(a.data(), u.data(), n) - dot) <= 1e-13 * size);
        std::vector<double> products = {0, 0, 0};
        table.pair_products(a.data(), b.data(), products.data(), n);
        CHECK(std::fabs(products[0] - ab) <= 1e-13 * size && std::fabs(products[1] - aa) <= 1e-13 * size);
        table.add_difference(a.data(), b.data(), sum.data(), n);
        table.add_rank_two(total.data(), a.data(), 2, u.data(), -1, v.data(), n);
        for (std::size_t j = 0; j < std::size_t(n); ++j) {
            CHECK_NEAR(sum[j], 0.5 + (double(a[j]) - double(b[j])), 1e-14);
            CHECK_NEAR(total[j], 0.5 + (double(a[j]) + (u[j] * 2 + v[j] * -1)), 1e-14);
        }
        std::vector<double> shares(std::size_t(n + 1), 0.5), most(std::size_t(n + 1), 0.5), squares = shares;
        std::vector<float> centred(std::size_t(n + 1), 0.5f);
        table.add_shares(a.data(), n, 1, u.data(), 0.25, shares.data(), most.data(), n);
        table.centre_rows(a.data(), n, 1, u.data(), v.data(), 2, centred.data(), squares.data(), n);
        for (std::size_t j = 0; j < std::size_t(n); ++j) {
            const double difference = double(a[j]) - u[j], value = (difference - v[j]) * 2;
            CHECK(shares[j] == 0.5 + difference * 0.25 && most[j] == std::fmax(0.5, std::fabs(difference)));
            CHECK(centred[j] == float(value) && squares[j] == 0.5 + value * value);
        }
        for (const std::vector<double>* one : {&sum, &total, &shares, &most, &squares})
            CHECK((*one)[std::size_t(n)] == 0.5);  // nothing beyond n is touched
        CHECK(centred[std::size_t(n)] == 0.5f);
    }
}
