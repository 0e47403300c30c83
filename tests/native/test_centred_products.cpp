// Protects products about known means: right sums, the same bits on any threads, folds, and no digits lost to offsets.
// nothing.
#include <cmath>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "data.hpp"
#include "moments.hpp"

using namespace kernalign;

namespace {

template <class T>
CentredProducts products(const check::Matrix<T>& x, const check::Matrix<T>& y, std::array<bool, 3> wanted,
                         Omitted omitted, Precision precision, int threads) {
    const std::array<Centre, 2> centres{find_centre(x.all("x"), true, omitted, threads, nullptr),
                                        find_centre(y.all("y"), true, omitted, threads, nullptr)};
    return centred_products(x.all("x"), y.all("y"), centres, wanted, omitted, precision, threads, nullptr);
}

// Entry (i, j) of x^T y about the exact means, in long double.
template <class T>
double by_hand(const check::Matrix<T>& x, std::int64_t i, const check::Matrix<T>& y, std::int64_t j, Omitted omitted) {
    long double sums[2] = {}, total = 0, count = 0;
    for (std::int64_t k = 0; k < x.rows; ++k) {
        if (omitted.holds(k)) continue;
        sums[0] += static_cast<long double>(x(k, i));
        sums[1] += static_cast<long double>(y(k, j));
        count += 1;
    }
    for (std::int64_t k = 0; k < x.rows; ++k)
        if (!omitted.holds(k)) total += (x(k, i) - sums[0] / count) * (y(k, j) - sums[1] / count);
    return double(total);
}

}  // namespace

TEST(products_equal_those_by_hand_also_with_a_fold_left_out) {
    const auto x = check::gaussian<double>(2500, 7, 1, 0.5), y = check::gaussian<double>(2500, 5, 2);
    std::vector<std::int64_t> first, some;
    for (std::int64_t i = 0; i < 2500; ++i) {
        if (i < 3) first.push_back(i);
        if (i * i % 7 == 2) some.push_back(i);
    }
    const std::int64_t all = std::int64_t(some.size());
    for (const Omitted omitted : {Omitted{}, Omitted{first.data(), 3}, Omitted{some.data(), all}}) {
        const CentredProducts found = products(x, y, {true, true, true}, omitted, Precision::f64, 1);
        for (std::int64_t i = 0; i < 7; ++i) {
            for (std::int64_t j = 0; j < 7; ++j)
                CHECK_NEAR(found.products[0][std::size_t(i * 7 + j)], by_hand(x, i, x, j, omitted), 1e-9);
            for (std::int64_t j = 0; j < 5; ++j)
                CHECK_NEAR(found.products[1][std::size_t(i * 5 + j)], by_hand(x, i, y, j, omitted), 1e-9);
            CHECK_NEAR(found.squares[0][std::size_t(i)], by_hand(x, i, x, i, omitted), 1e-9);
        }
        for (std::int64_t j = 0; j < 5; ++j)
            CHECK_NEAR(found.products[2][std::size_t(j * 6)], by_hand(y, j, y, j, omitted), 1e-9);
    }
}

TEST(threads_do_not_change_a_bit_and_what_is_not_wanted_is_empty) {
    const auto x = check::gaussian<float>(5000, 600, 3), y = check::gaussian<float>(5000, 40, 4);
    for (const Precision precision : {Precision::f32, Precision::f64}) {
        const auto one = products(x, y, {true, true, false}, {}, precision, 1);
        const auto three = products(x, y, {true, true, false}, {}, precision, 3);
        CHECK(one.products[2].empty());
        for (std::size_t k = 0; k < 2; ++k)
            CHECK(std::memcmp(one.products[k].data(), three.products[k].data(), one.products[k].size() * 8) == 0);
        CHECK(one.squares == three.squares);
    }
}

TEST(a_large_offset_costs_no_digits_of_a_small_spread) {
    const auto x = check::gaussian<double>(1500, 3, 5, 1e14, 1e-8);  // 1e6 + 1e-8 z
    const auto found = products(x, x, {true, false, false}, {}, Precision::f64, 2);
    for (std::int64_t i = 0; i < 3; ++i) {
        const double expected = by_hand(x, i, x, i, {});
        CHECK(std::fabs(found.products[0][std::size_t(i * 4)] / expected - 1) < 1e-6);  // long double's own digits
    }
}

TEST(constant_columns_are_exactly_zero) {
    check::Matrix<double> x{3000, 2, std::vector<double>(6000, 0.1)};
    const auto found = products(x, x, {true, false, false}, {}, Precision::f64, 1);
    for (double value : found.products[0]) CHECK(value == 0);
    CHECK(find_centre(x.all(), true, {}, 1, nullptr).largest == 0);
}

TEST(a_product_of_rows_as_they_are) {
    const auto x = check::gaussian<double>(300, 4, 6);
    const auto found = self_product(x.values.data(), 300, 4, 2, nullptr);
    for (std::int64_t i = 0; i < 4; ++i)
        for (std::int64_t j = 0; j < 4; ++j) {
            double sum = 0;
            for (std::int64_t k = 0; k < 300; ++k) sum += x(k, i) * x(k, j);
            CHECK_NEAR(found[std::size_t(i * 4 + j)], sum, 1e-10);
        }
}
