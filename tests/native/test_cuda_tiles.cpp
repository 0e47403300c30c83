// Protects the kernels of Gram tiles, run as plain C++: their numbers by definition, in every order of threads.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "cuda/edge_kernels.hpp"
#include "cuda/launch.hpp"
#include "cuda/tile_kernels.hpp"
#include "data.hpp"
#include "device_orders.hpp"

using namespace kernalign;
using namespace kernalign::cuda;

using check::in_every_order;
using check::same;

namespace {

bool near(double found, double expected, double size) { return std::fabs(found - expected) <= 1e-13 * size; }

// Rows of which some are nearly equal, so that distances cancel.
check::Matrix<double> close_rows(std::int64_t n, std::int64_t d) {
    check::Matrix<double> x = check::gaussian<double>(n, d, 6);
    for (std::int64_t i = 1; i < n; i += 2)
        for (std::int64_t f = 0; f < d; ++f)
            x.values[std::size_t(i * d + f)] = x(i - 1, f) + 1e-7 * double(i % 5) * double(f + 1);
    return x;
}

double product(const check::Matrix<double>& x, std::int64_t i, std::int64_t j) {
    double sum = 0;
    for (std::int64_t f = 0; f < x.cols; ++f) sum += x(i, f) * x(j, f);
    return sum;
}

double squared(const check::Matrix<double>& x, std::int64_t i, std::int64_t j) {
    double sum = 0;
    for (std::int64_t f = 0; f < x.cols; ++f) sum += (x(i, f) - x(j, f)) * (x(i, f) - x(j, f));
    return sum;
}

}  // namespace

TEST(tiles_become_values_and_their_sums) {
    const std::int64_t n = 190, rows = 150, cols = 140;
    const check::Matrix<double> x = close_rows(n, 5);
    std::vector<double> norms, levels(std::size_t(n), 0.0);
    for (std::int64_t i = 0; i < n; ++i) norms.push_back(product(x, i, i));
    for (std::int64_t i = 0; i < n; ++i) levels[std::size_t(i)] = double(i % 3);
    GramFunction rbf, power;
    rbf.form = KernelForm::rbf;
    rbf.factor = -0.5;
    rbf.pilot = 0.25;
    power.form = KernelForm::polynomial;
    power.degree = 3;
    power.factor = 0.5;
    power.offset = 1;
    for (const bool distance : {true, false})
        for (const std::int64_t col0 : {std::int64_t(0), n - cols})
            in_every_order([&] {
                Queue queue(0);
                const GramFunction& function = distance ? rbf : power;
                std::vector<double> products;
                for (std::int64_t i = 0; i < rows; ++i)
                    for (std::int64_t j = 0; j < cols; ++j) products.push_back(product(x, i, col0 + j));
                const std::int64_t line = 160;
                const Buffer<double> tile(queue, products), points(queue, x.values), lengths(queue, norms),
                    high(queue, levels), by_row(queue, TileValues<double>::across(cols) * line),
                    by_column(queue, TileValues<double>::down(rows) * line), row_sums(queue, rows),
                    column_sums(queue, cols);
                queue.clear(row_sums.get(), std::size_t(rows) * sizeof(double));
                queue.clear(column_sums.get(), std::size_t(cols) * sizeof(double));
                TileValues<double> kernel;
                kernel.function = function;
                kernel.distance = distance;
                kernel.row0 = 0;
                kernel.col0 = col0;
                kernel.rows = rows;
                kernel.cols = kernel.ld = cols;
                kernel.products = tile.get();
                kernel.points = points.get();
                kernel.norms = lengths.get();
                kernel.levels = distance ? high.get() : nullptr;
                kernel.width = x.cols;
                kernel.tile = Written<double>(tile.get());
                kernel.by_row = Written<double>(by_row.get());
                kernel.by_column = Written<double>(by_column.get());
                kernel.line = line;
                launch(queue, TileValues<double>::across(cols) * TileValues<double>::down(rows), kernel);
                const AddUp right{by_row.get(), TileValues<double>::across(cols), rows, line,
                                  Written<double>(row_sums.get())};
                launch(queue, AddUp::blocks(rows), right);
                const AddUp down{by_column.get(), TileValues<double>::down(rows), cols, line,
                                 Written<double>(column_sums.get())};
                launch(queue, AddUp::blocks(cols), down);
                const std::vector<double> found = tile.values(), of_rows = row_sums.values(),
                                          of_columns = column_sums.values();
                std::vector<double> row(std::size_t(rows), 0.0), column(std::size_t(cols), 0.0);
                int wrong = 0;
                for (std::int64_t i = 0; i < rows; ++i)
                    for (std::int64_t j = 0; j < cols; ++j) {
                        double value = 0;
                        if (col0 + j > i) {
                            const double given = distance ? squared(x, i, col0 + j) : product(x, i, col0 + j);
                            value = distance ? std::exp(-0.5 * given) - 0.25 - levels[std::size_t(i)] -
                                                   levels[std::size_t(col0 + j)]
                                             : std::pow(0.5 * given + 1, 3);
                        }
                        wrong += !near(found[std::size_t(i * cols + j)], value, 1 + std::fabs(value));
                        row[std::size_t(i)] += value;
                        column[std::size_t(j)] += value;
                    }
                for (std::size_t i = 0; i < row.size(); ++i) wrong += !near(of_rows[i], row[i], 1e3);
                for (std::size_t j = 0; j < column.size(); ++j) wrong += !near(of_columns[j], column[j], 1e3);
                CHECK(wrong == 0);
            });
}

TEST(close_rows_keep_the_digits_of_their_distances) {
    const check::Matrix<double> x = close_rows(2, 40);
    GramFunction function;
    function.form = KernelForm::euclidean;
    Queue queue(0);
    const std::vector<double> norms{product(x, 0, 0), product(x, 1, 1)};
    const Buffer<double> tile(queue, std::vector<double>{0, product(x, 0, 1), 0, 0}), points(queue, x.values),
        lengths(queue, norms), sums(queue, 64 * 2);
    TileValues<double> kernel{function,
                              true,
                              0,
                              0,
                              2,
                              2,
                              2,
                              tile.get(),
                              points.get(),
                              lengths.get(),
                              nullptr,
                              40,
                              Written<double>(tile.get()),
                              Written<double>(sums.get()),
                              Written<double>(sums.get() + 64),
                              2};
    launch(queue, 1, kernel);
    const double expected = std::sqrt(squared(x, 0, 1));
    CHECK(near(tile.values()[1], expected, expected));
}

TEST(narrow_tiles_become_values_in_float32) {
    const std::int64_t n = 35, width = 9;
    check::Matrix<float> x = check::gaussian<float>(n, width, 11);
    for (std::int64_t f = 0; f < width; ++f) {  // equal rows, and close ones
        x.values[std::size_t(width + f)] = x(0, f);
        x.values[std::size_t(2 * width + f)] = x(0, f) + 1e-3F * float(f);
    }
    std::vector<float> products;
    std::vector<double> norms;
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
            double sum = 0;
            for (std::int64_t f = 0; f < width; ++f) sum += double(x(i, f)) * double(x(j, f));
            products.push_back(float(sum * (1 + 1e-7)));  // not those of float64
            if (i == j) norms.push_back(sum);
        }
    GramFunction rbf, power;
    rbf.form = KernelForm::rbf;
    rbf.factor = -0.25;
    rbf.pilot = 1 - 0x1p-14;
    power.form = KernelForm::polynomial;
    power.degree = 2;
    power.factor = power.offset = 1;
    for (const bool distance : {true, false})
        in_every_order([&] {
            Queue queue(0);
            const Buffer<float> points(queue, x.values), made(queue, products);
            const Buffer<double> tile(queue, n * n), lengths(queue, norms), sums(queue, 2 * 2 * n);
            TileValues<float> kernel{distance ? rbf : power,
                                     distance,
                                     0,
                                     0,
                                     n,
                                     n,
                                     n,
                                     made.get(),
                                     points.get(),
                                     lengths.get(),
                                     nullptr,
                                     width,
                                     Written<double>(tile.get()),
                                     Written<double>(sums.get()),
                                     Written<double>(sums.get() + 2 * n),
                                     n};
            launch(queue, TileValues<float>::across(n) * TileValues<float>::down(n), kernel);
            const std::vector<double> found = tile.values();
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t j = i + 1; j < n; ++j) {
                    double apart = 0, product = 0;
                    for (std::int64_t f = 0; f < width; ++f) {
                        const double gap = double(x(i, f)) - double(x(j, f));
                        apart += gap * gap;
                        product += double(x(i, f)) * double(x(j, f));
                    }
                    const double expected =
                        distance ? std::expm1(-0.25 * apart) + 0x1p-14 : (product + 1) * (product + 1);
                    const double size = distance && apart < 1e-3 ? 0x1p-13 : 10 + 10 * std::fabs(expected);
                    const auto at = std::size_t(i * n + j);
                    CHECK(std::fabs(found[at] - expected) <= 1e-6 * size);
                    if (distance && apart == 0) CHECK(same(found[at], 0x1p-14));
                }
        });
}

TEST(values_near_one_keep_their_digits) {
    GramFunction f;
    f.form = KernelForm::rbf;
    f.factor = -1;
    f.pilot = double(float(1 - 3e-9));
    for (const double v : {1e-9, 3e-9, 0.3, 0.34, 0.36, 2.0, 700.0}) {
        const double expected = double(expm1l(-(long double)(v)) + (1 - (long double)(f.pilot)));
        CHECK(near(kernel_value(f, v), expected, 10 * std::fabs(expected)));
    }
}

TEST(products_of_tiles_are_summed_for_all_pairs) {
    const std::int64_t sides = 11, entries = 1000, share = 320;
    const check::Matrix<double> x = check::gaussian<double>(sides, entries, 8);
    in_every_order([&] {
        Queue queue(0);
        const Buffer<double> tiles(queue, x.values), partial(queue, 4 * sides * sides), totals(queue, sides * sides);
        queue.clear(partial.get(), std::size_t(partial.size()) * sizeof(double));
        queue.clear(totals.get(), std::size_t(totals.size()) * sizeof(double));
        const TileProducts kernel{tiles.get(), entries, sides, share, Written<double>(partial.get())};
        launch(queue, 4 * TileProducts::pairs(sides), kernel);
        const AddUp sum{partial.get(), 4, sides * sides, sides * sides, Written<double>(totals.get())};
        launch(queue, AddUp::blocks(sides * sides), sum);
        const std::vector<double> found = totals.values();
        for (std::int64_t a = 0; a < sides; ++a)
            for (std::int64_t b = a; b < sides; ++b) {
                double expected = 0;
                for (std::int64_t e = 0; e < entries; ++e) expected += x(a, e) * x(b, e);
                CHECK(near(found[std::size_t(a * sides + b)], expected, 1000));
            }
    });
}

TEST(rows_are_multiplied_along_edges) {
    for (const std::int64_t k : {3, 8, 11}) {
        const check::Matrix<double> x = check::gaussian<double>(20, 37, 10);
        std::vector<std::int32_t> index;
        for (std::int64_t i = 0; i < x.rows; ++i)
            for (std::int64_t e = 0; e < k; ++e) index.push_back(std::int32_t((i + 1 + 2 * e) % x.rows));
        std::vector<double> middle(std::size_t(x.cols), 0.5);
        in_every_order([&] {
            Queue queue(0);
            const Buffer<double> points(queue, x.values), mean(queue, middle), edge(queue, x.rows * k),
                projection(queue, x.rows);
            const Buffer<std::int32_t> lists(queue, index);
            const Edges kernel{points.get(),
                               mean.get(),
                               lists.get(),
                               k,
                               x.cols,
                               Written<double>(edge.get()),
                               Written<double>(projection.get())};
            launch(queue, x.rows, kernel);
            const std::vector<double> found = edge.values(), own = projection.values();
            int wrong = 0;
            for (std::int64_t i = 0; i < x.rows; ++i) {
                for (std::int64_t e = 0; e < k; ++e)
                    wrong += !near(found[std::size_t(i * k + e)], product(x, i, index[std::size_t(i * k + e)]), 40);
                double sum = 0;
                for (std::int64_t f = 0; f < x.cols; ++f) sum += x(i, f) / 2;
                wrong += !near(own[std::size_t(i)], sum, 40);
            }
            CHECK(wrong == 0);
        });
    }
}

TEST(brackets_hold_what_is_above_the_diagonal) {
    const std::int64_t rows = 70, cols = 90;
    const check::Matrix<double> x = check::gaussian<double>(rows, cols, 9);
    for (const int capacity : {10000, 100})
        for (const std::int64_t col0 : {0, 30})
            in_every_order([&] {
                Queue queue(0);
                const Buffer<double> tile(queue, x.values), held(queue, capacity);
                const Buffer<int> counts(queue, std::vector<int>{0, 0});
                CountCollect kernel;
                kernel.tile = tile.get();
                kernel.row0 = 0;
                kernel.col0 = col0;
                kernel.rows = rows;
                kernel.cols = kernel.ld = cols;
                kernel.least = -0.25;
                kernel.most = 0.5;
                kernel.capacity = capacity;
                kernel.counts = Written<int>(counts.get());
                kernel.found = Written<double>(held.get());
                launch(queue, CountCollect::blocks(rows, cols), kernel);
                std::vector<double> inside;
                int below = 0;
                for (std::int64_t i = 0; i < rows; ++i)
                    for (std::int64_t j = 0; j < cols; ++j) {
                        if (col0 + j <= i) continue;
                        below += x(i, j) < -0.25;
                        if (x(i, j) >= -0.25 && x(i, j) <= 0.5) inside.push_back(x(i, j));
                    }
                const std::vector<int> count = counts.values();
                CHECK(count[0] == below);
                CHECK(count[1] == int(inside.size()));
                if (capacity < count[1]) return;
                std::vector<double> found = held.values();
                found.resize(inside.size());
                std::sort(found.begin(), found.end());
                std::sort(inside.begin(), inside.end());
                CHECK(found == inside);
            });
}

TEST(pairs_are_those_of_the_next_rows_in_an_order) {
    const std::int64_t n = 23, partners = 5;
    const check::Matrix<double> x = check::gaussian<double>(n, 37, 3);
    std::vector<std::int32_t> order;
    for (std::int32_t at = 0; at < n; ++at) order.push_back(std::int32_t(at * 7 % n));
    in_every_order([&] {
        Queue queue(0);
        const Buffer<double> points(queue, x.values), found(queue, n * partners);
        const Buffer<std::int32_t> there(queue, order);
        SampledPairs<double> kernel;
        kernel.points = points.get();
        kernel.order = there.get();
        kernel.count = n;
        kernel.width = x.cols;
        kernel.partners = partners;
        kernel.out = Written<double>(found.get());
        launch(queue, SampledPairs<double>::blocks(n * partners), kernel);
        const std::vector<double> values = found.values();
        for (std::int64_t at = 0; at < n; ++at)
            for (std::int64_t next = 0; next < partners; ++next) {
                const double expected = squared(x, order[std::size_t(at)], order[std::size_t((at + next + 1) % n)]);
                CHECK(near(values[std::size_t(at * partners + next)], expected, expected));
            }
    });
}
