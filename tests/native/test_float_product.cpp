// Protects products: as accurate as the header says on every CPU, and on a matrix unit the same bits whatever is
// multiplied beside.
#include "cpu/products/float_product.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "check.hpp"
#include "cpu/products/bfloat_product.hpp"
#include "data.hpp"

using namespace kernalign;

namespace {

constexpr float kUntouched = -77;

// A product with `gap` columns of C beyond those that are asked for.
struct Product {
    std::int64_t rows, cols, ld;
    std::vector<float> values;

    Product(const Factor<float>& a, const Factor<float>& b, std::int64_t k, std::int64_t gap = 3)
        : rows(a.count), cols(b.count), ld(b.count + gap), values(std::size_t(rows * ld), kUntouched) {
        ProductScratch scratch;
        multiply(a, b, k, values.data(), ld, scratch);
    }
    explicit Product(const Factor<float>& a, std::int64_t k)
        : rows(a.count), cols(a.count), ld(a.count), values(std::size_t(rows * ld), kUntouched) {
        ProductScratch scratch;
        square(a, k, values.data(), ld, scratch);
    }
    float operator()(std::int64_t i, std::int64_t j) const { return values[std::size_t(i * ld + j)]; }
};

// The vectors as rows, or the same as columns of the transposed matrix.
Factor<float> rows_of(const check::Matrix<float>& x) { return {x.values.data(), x.cols, x.rows, false}; }
Factor<float> columns_of(const check::Matrix<float>& x) { return {x.values.data(), x.cols, x.cols, true}; }
check::Matrix<float> transposed(const check::Matrix<float>& x) {
    check::Matrix<float> out{x.cols, x.rows, std::vector<float>(x.values.size())};
    for (std::int64_t i = 0; i < x.rows; ++i)
        for (std::int64_t j = 0; j < x.cols; ++j) out.values[std::size_t(j * x.rows + i)] = x(i, j);
    return out;
}

// Largest |C_ij - x_i . y_j| over |x_i| |y_j|, and the root mean square of it.
std::pair<double, double> errors(const Product& c, const check::Matrix<float>& x, const check::Matrix<float>& y) {
    double most = 0, squares = 0;
    for (std::int64_t i = 0; i < x.rows; ++i)
        for (std::int64_t j = 0; j < y.rows; ++j) {
            double sum = 0, xx = 0, yy = 0;
            for (std::int64_t f = 0; f < x.cols; ++f) {
                sum += double(x(i, f)) * double(y(j, f));
                xx += double(x(i, f)) * double(x(i, f));
                yy += double(y(j, f)) * double(y(j, f));
            }
            const double error = std::fabs(double(c(i, j)) - sum) / std::sqrt(xx * yy);
            most = std::max(most, error);
            squares += error * error;
        }
    return {most, std::sqrt(squares / double(x.rows * y.rows))};
}

}  // namespace

TEST(products_of_any_shape_are_right) {
    for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{1, 1, 1},
                                  {3, 5, 2},
                                  {16, 16, 31},
                                  {16, 32, 32},
                                  {33, 31, 33},
                                  {1, 65, 128},
                                  {47, 70, 129},
                                  {64, 530, 64},
                                  {100, 100, 300},
                                  {5, 1100, 257}}) {
        const auto x = check::gaussian<float>(m, k, 1), y = check::gaussian<float>(n, k, 2);
        const Product by_rows(rows_of(x), rows_of(y), k);
        CHECK(errors(by_rows, x, y).first < 1e-6);
        const auto xt = transposed(x), yt = transposed(y);
        const Product by_columns(columns_of(xt), columns_of(yt), k);
        CHECK(errors(by_columns, x, y).first < 1e-6);
        for (const Product* c : {&by_rows, &by_columns})
            for (std::int64_t i = 0; i < m; ++i)
                for (std::int64_t j = n; j < c->ld; ++j) CHECK((*c)(i, j) == kUntouched);
    }
}

TEST(squares_are_the_upper_triangles_of_products) {
    for (const auto& [n, k] : {std::pair<std::int64_t, std::int64_t>{1, 40}, {31, 64}, {77, 130}, {600, 96}}) {
        const auto x = check::gaussian<float>(n, k, 3);
        const auto xt = transposed(x);
        for (const Factor<float>& factor : {rows_of(x), columns_of(xt)}) {
            const Product whole(factor, factor, k), half(factor, k);
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t j = i; j < n; ++j) CHECK_NEAR(double(half(i, j)), double(whole(i, j)), 1e-5);
        }
    }
}

// Sums of whole numbers below 2^24 have no rounding in any order, and numbers of 24 digits need all three parts.
TEST(whole_numbers_are_multiplied_exactly) {
    check::Matrix<float> x = check::gaussian<float>(40, 200, 4), y = check::gaussian<float>(50, 200, 5);
    for (float& v : x.values) v = std::round(v * 30);
    for (float& v : y.values) v = std::round(v * 30);
    CHECK(errors(Product(rows_of(x), rows_of(y), 200), x, y).first == 0);
    check::Matrix<float> unit{40, 40, std::vector<float>(1600, 0.0f)};
    for (std::int64_t i = 0; i < 40; ++i) unit.values[std::size_t(i * 41)] = 1;
    const auto any = check::gaussian<float>(64, 40, 6);
    const Product same(rows_of(any), rows_of(unit), 40), other(rows_of(unit), rows_of(any), 40);
    for (std::int64_t i = 0; i < 64; ++i)
        for (std::int64_t j = 0; j < 40; ++j) CHECK(same(i, j) == any(i, j) && other(j, i) == any(i, j));
}

TEST(errors_are_no_larger_than_those_of_float32) {
    for (const double mean : {0.0, 3.0}) {
        const auto x = check::gaussian<float>(60, 3000, 7, mean), y = check::gaussian<float>(70, 3000, 8, mean);
        const auto [most, typical] = errors(Product(rows_of(x), rows_of(y), 3000), x, y);
        CHECK(most < 2e-6);
        if (bfloat::available()) CHECK(typical < (mean == 0 ? 1e-8 : 1e-7));
    }
}

// Numbers of very different sizes: each product is right in terms of its own vectors' lengths.
TEST(sizes_may_differ) {
    check::Matrix<float> x = check::gaussian<float>(33, 90, 9), y = check::gaussian<float>(35, 90, 10);
    for (std::int64_t i = 0; i < 33; ++i)
        for (std::int64_t f = 0; f < 90; ++f)
            x.values[std::size_t(i * 90 + f)] *= float(std::ldexp(1.0, int((i * 7 + f * 3) % 20 - 10) - int(i)));
    CHECK(errors(Product(rows_of(x), rows_of(y), 90), x, y).first < 1e-6);
}

TEST(bits_do_not_depend_on_what_is_beside) {
    if (!bfloat::available()) {  // the BLAS makes no such promise
        std::printf("  SKIP: no matrix unit\n");
        return;
    }
    const auto x = check::gaussian<float>(90, 300, 11), y = check::gaussian<float>(1030, 300, 12);
    const Product all(rows_of(x), rows_of(y), 300);
    for (const auto& [row, col] : {std::pair<std::int64_t, std::int64_t>{0, 0}, {17, 5}, {89, 1029}, {40, 700}}) {
        const std::int64_t rows = std::min<std::int64_t>(13, 90 - row), cols = std::min<std::int64_t>(37, 1030 - col);
        const Product part({x.values.data() + row * 300, 300, rows}, {y.values.data() + col * 300, 300, cols}, 300);
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t j = 0; j < cols; ++j) CHECK(part(i, j) == all(row + i, col + j));
    }
}

TEST(float64_products_of_any_shape_are_right) {
    for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{1, 1, 1},
                                  {3, 5, 2},
                                  {8, 16, 8},
                                  {17, 33, 40},
                                  {31, 15, 513},
                                  {20, 20, 1100},
                                  {9, 700, 130}}) {
        const auto x = check::gaussian<double>(m, k, 13), y = check::gaussian<double>(n, k, 14);
        const std::int64_t ld = n + 3;
        std::vector<double> all(std::size_t(m * ld), kUntouched), half(std::size_t(m * m));
        ProductScratch scratch;
        multiply(Factor<double>{x.values.data(), k, m}, Factor<double>{y.values.data(), k, n}, k, all.data(), ld,
                 scratch);
        square(Factor<double>{x.values.data(), k, m}, k, half.data(), m, scratch);
        CHECK(scratch.left.empty() && scratch.right.empty());
        const auto dot = [&](const check::Matrix<double>& other, std::int64_t i, std::int64_t j) {
            double sum = 0;
            for (std::int64_t f = 0; f < k; ++f) sum += x(i, f) * other(j, f);
            return sum;
        };
        for (std::int64_t i = 0; i < m; ++i) {
            for (std::int64_t j = 0; j < n; ++j) CHECK_NEAR(all[std::size_t(i * ld + j)], dot(y, i, j), 1e-12);
            for (std::int64_t j = n; j < ld; ++j) CHECK(all[std::size_t(i * ld + j)] == kUntouched);
            for (std::int64_t j = i; j < m; ++j) CHECK_NEAR(half[std::size_t(i * m + j)], dot(x, i, j), 1e-12);
        }
    }
}

// To the bit: which blocks of rows are multiplied together must not show in a score.
TEST(panels_give_the_bits_of_the_products_that_they_stand_for) {
    const std::int64_t n = 140;
    for (const std::int64_t k : {1, 33, 384, 500}) {
        if (!Panels<float>::serve(64, k)) {
            std::printf("  SKIP: no loops of our own\n");
            return;
        }
        const auto x = check::gaussian<float>(n, k, 15);
        LargeVector<float> memory(std::size_t(Panels<float>::size(n, k)));
        const Panels<float> panels(rows_of(x), k, memory.data());
        for (std::int64_t i = 0; i < n; i += 64)
            for (std::int64_t j = i; j < n; j += 64) {
                const std::int64_t rows = std::min<std::int64_t>(64, n - i), cols = std::min<std::int64_t>(64, n - j);
                std::vector<float> c(std::size_t(rows * cols), kUntouched);
                panels.multiply(i, rows, j, cols, c.data(), cols);
                const Factor<float> left{x.values.data() + i * k, k, rows}, right{x.values.data() + j * k, k, cols};
                const Product wanted(left, right, k);
                for (std::int64_t r = 0; r < rows; ++r)
                    for (std::int64_t s = i == j ? r : 0; s < cols; ++s)
                        CHECK(c[std::size_t(r * cols + s)] == wanted(r, s));
            }
    }
}

TEST(squares_added_in_float64_err_by_sums_of_eight) {
    for (const auto& [n, k] : {std::pair<std::int64_t, std::int64_t>{1, 5}, {9, 384}, {40, 1000}, {144, 4000}}) {
        const std::int64_t columns = wide_columns(n);
        if (columns == 0) {
            std::printf("  SKIP: no loops of our own\n");
            return;
        }
        const auto x = check::gaussian<float>(n, k, 16);
        LargeVector<double> c(std::size_t(columns * columns), 1.0);
        ProductScratch scratch;
        add_wide_square(rows_of(x), k, c.data(), scratch);
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t j = i; j < n; ++j) {
                double sum = 1, size = 0;
                for (std::int64_t f = 0; f < k; ++f) {
                    sum += double(x(i, f)) * double(x(j, f));
                    size += std::fabs(double(x(i, f)) * double(x(j, f)));
                }
                const double error = std::fabs(c[std::size_t(i * columns + j)] - sum);
                CHECK(error <= 5e-7 * size && (k < 1000 || error < 2e-8 * size));
            }
    }
}
