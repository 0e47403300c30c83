// Protects the kernels behind sums of products, run as plain C++: their numbers by definition, in every order of
// threads.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "cuda/launch.hpp"
#include "cuda/moment_kernels.hpp"
#include "cuda/row_kernels.hpp"
#include "data.hpp"
#include "device_orders.hpp"

using namespace kernalign;
using namespace kernalign::cuda;

using check::in_every_order;
using check::same;

namespace {

DeviceRows<float> on_device(const Buffer<float>& values, const check::Matrix<float>& x) {
    return {values.get(), x.rows, x.cols, x.cols, nullptr};
}

bool near(double found, double expected, double size) { return std::fabs(found - expected) <= 1e-13 * size; }

}  // namespace

TEST(columns_are_summed_a_thousand_rows_at_a_time) {
    const check::Matrix<float> x = check::gaussian<float>(1024 + 131, 37, 2);
    std::vector<double> base(std::size_t(x.cols), 0.25);
    for (const bool given : {false, true})
        in_every_order([&] {
            Queue queue(0);
            const Buffer<float> values(queue, x.values);
            const Buffer<double> from(queue, base), sums(queue, 2 * x.cols), largest(queue, 2 * x.cols),
                first(queue, x.cols);
            Columns<float> kernel;
            kernel.x = on_device(values, x);
            kernel.base = given ? from.get() : nullptr;
            kernel.sums = Written<double>(sums.get());
            kernel.largest = Written<double>(largest.get());
            kernel.first = Written<double>(first.get());
            launch(queue, kernel.blocks(x.rows, x.cols), kernel);
            const std::vector<double> found = sums.values(), most = largest.values(), row = first.values();
            for (std::int64_t chunk = 0; chunk < 2; ++chunk)
                for (std::int64_t f = 0; f < x.cols; ++f) {
                    const double start = given ? 0.25 : double(x(0, f));
                    double sum = 0, peak = 0;
                    for (std::int64_t i = chunk * 1024; i < std::min<std::int64_t>(x.rows, chunk * 1024 + 1024); ++i) {
                        sum += double(x(i, f)) - start;
                        peak = std::max(peak, std::fabs(double(x(i, f)) - start));
                    }
                    CHECK(near(found[std::size_t(chunk * x.cols + f)], sum, 1024));
                    CHECK(same(most[std::size_t(chunk * x.cols + f)], peak));
                    if (!given) CHECK(same(row[std::size_t(f)], start));
                }
        });
}

TEST(centred_rows_know_their_lengths) {
    const check::Matrix<float> x = check::gaussian<float>(35, 41, 4);
    const std::int64_t width = 48;
    std::vector<double> mean(std::size_t(x.cols), 0.0);
    for (std::size_t f = 0; f < mean.size(); ++f) mean[f] = 1 + double(f) / 8;
    in_every_order([&] {
        Queue queue(0);
        const Buffer<float> values(queue, x.values);
        const Buffer<double> shift(queue, mean), out(queue, x.rows * width);
        Centred<float> kernel;
        kernel.x = on_device(values, x);
        kernel.shift = shift.get();
        kernel.factor = 0.25;
        kernel.out = Written<double>(out.get());
        kernel.norms = Written<double>(out.get() + x.cols + 1);
        kernel.width = kernel.apart = width;
        kernel.one = x.cols;
        launch(queue, kernel.blocks(x.rows), kernel);
        const std::vector<double> found = out.values();
        for (std::int64_t i = 0; i < x.rows; ++i) {
            double norm = 0;
            for (std::int64_t f = 0; f < x.cols; ++f) {
                const double value = (double(x(i, f)) - mean[std::size_t(f)]) * 0.25;
                CHECK(same(found[std::size_t(i * width + f)], value));
                norm += value * value;
            }
            CHECK(same(found[std::size_t(i * width + x.cols)], 1));
            CHECK(near(found[std::size_t(i * width + x.cols + 1)], norm, norm));
        }
    });
}

TEST(blocks_less_their_means_are_added_to_sums) {
    const std::int64_t count = 77, last = 45, width = 48;
    check::Matrix<double> v = check::gaussian<double>(count, width, 7, 3);
    for (std::int64_t r = 0; r < count; ++r) v.values[std::size_t(r * width + last)] = 1;
    std::vector<double> sums(std::size_t(width * width), 0.5);
    std::vector<float> squares;
    for (std::int64_t e = 0; e < width * width; ++e) squares.push_back(float(e % 13));
    in_every_order([&] {
        Queue queue(0);
        const Buffer<double> rows(queue, v.values), all(queue, sums), means(queue, last);
        const Buffer<float> narrow(queue, count * width), products(queue, squares);
        const Borders borders{rows.get(), count, width, last, Written<double>(all.get()), Written<double>(means.get())};
        launch(queue, Borders::blocks(last), borders);
        const Narrowed narrowed{rows.get(), means.get(), count, width, last, Written<float>(narrow.get())};
        launch(queue, count, narrowed);
        const AddNarrow add{products.get(), means.get(), count, width, last, Written<double>(all.get())};
        launch(queue, last, add);
        const std::vector<double> found = all.values(), mean = means.values();
        const std::vector<float> rounded = narrow.values();
        for (std::int64_t i = 0; i < width; ++i) {
            double sum = 0;
            for (std::int64_t r = 0; r < count; ++r) sum += v(r, i);
            if (i < last) CHECK(near(mean[std::size_t(i)], sum / double(count), 10));
            for (std::int64_t r = 0; r < count; ++r) {
                const double expected = i < last ? v(r, i) - mean[std::size_t(i)] : 0;
                CHECK(same(double(rounded[std::size_t(r * width + i)]), double(float(expected))));
            }
            for (std::int64_t j = 0; j < width; ++j) {
                double expected = 0.5;
                for (std::int64_t r = 0; i <= j && j >= last && r < count; ++r) expected += v(r, i) * v(r, j);
                if (i <= j && j < last)
                    expected += double(squares[std::size_t(i * width + j)]) +
                                double(count) * mean[std::size_t(i)] * mean[std::size_t(j)];
                CHECK(near(found[std::size_t(i * width + j)], expected, 1e4));
            }
        }
    });
}

TEST(rows_are_widened_and_gathered_as_they_are) {
    const check::Matrix<float> x = check::gaussian<float>(9, 150, 5);
    const std::vector<std::int64_t> wanted{8, 0, 3, 3};
    in_every_order([&] {
        Queue queue(1);
        const Buffer<float> values(queue, x.values), some(queue, 4 * x.cols);
        const Buffer<std::int64_t> listed(queue, wanted);
        const Buffer<double> wide(queue, x.rows * x.cols);
        Widen<float> widen;
        widen.x = on_device(values, x);
        widen.out = Written<double>(wide.get());
        launch(queue, x.rows, widen);
        Gather<float> gather;
        gather.x = widen.x;
        gather.listed = listed.get();
        gather.out = Written<float>(some.get());
        launch(queue, 4, gather);
        const std::vector<double> all = wide.values();
        const std::vector<float> found = some.values();
        for (std::int64_t i = 0; i < x.rows; ++i)
            for (std::int64_t f = 0; f < x.cols; ++f) CHECK(same(all[std::size_t(i * x.cols + f)], double(x(i, f))));
        for (std::size_t i = 0; i < wanted.size(); ++i)
            for (std::int64_t f = 0; f < x.cols; ++f)
                CHECK(found[i * std::size_t(x.cols) + std::size_t(f)] == x(wanted[i], f));
    });
}
