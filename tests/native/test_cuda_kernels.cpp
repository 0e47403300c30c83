// Protects the kernels for devices, run as plain C++: their numbers by definition, in every order of threads.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "cuda/exact.hpp"
#include "cuda/launch.hpp"
#include "cuda/row_kernels.hpp"
#include "data.hpp"
#include "device_orders.hpp"

using namespace kernalign;
using namespace kernalign::cuda;

using check::in_every_order;
using check::same;

namespace {

struct Best {
    double similarity;
    std::int32_t index;
};

double score(const check::Matrix<float>& x, const std::vector<double>& factor, std::int64_t i, std::int64_t j,
             bool distance) {
    double sum = 0;
    for (std::int64_t f = 0; f < x.cols; ++f) {
        const double a = double(x(i, f)) * factor[std::size_t(i)], b = double(x(j, f)) * factor[std::size_t(j)];
        sum += distance ? (a - b) * (a - b) : b * a;
    }
    return distance ? 0 - sum : sum;
}

// All other rows, best first.
std::vector<Best> ranked(const check::Matrix<float>& x, const std::vector<double>& factor, std::int64_t i,
                         bool distance) {
    std::vector<Best> all;
    for (std::int64_t j = 0; j < x.rows; ++j)
        if (j != i) all.push_back({score(x, factor, i, j, distance), std::int32_t(j)});
    std::sort(all.begin(), all.end(), [](const Best& a, const Best& b) {
        return a.similarity != b.similarity ? a.similarity > b.similarity : a.index < b.index;
    });
    return all;
}

DeviceRows<float> on_device(const Buffer<float>& values, const check::Matrix<float>& x, const double* factor) {
    return {values.get(), x.rows, x.cols, x.cols, factor};
}

// Rows of which some are equal, so that there are ties.
check::Matrix<float> tied_rows(std::int64_t n, std::int64_t d) {
    check::Matrix<float> x = check::gaussian<float>(n, d, 3);
    for (std::int64_t i = 0; i < n / 3; ++i)
        std::copy_n(x.values.begin() + i % 5 * d, d, x.values.begin() + (n - 1 - i) * d);
    return x;
}

}  // namespace

TEST(squares_are_those_of_sixteen_lanes) {
    const check::Matrix<float> x = check::gaussian<float>(37, 21, 1);
    in_every_order([&] {
        Queue queue(0);
        const Buffer<float> values(queue, x.values);
        const Buffer<double> squares(queue, x.rows), largest(queue, x.rows);
        Squares<float> kernel;
        kernel.x = on_device(values, x, nullptr);
        kernel.squares = Written<double>(squares.get());
        kernel.largest = Written<double>(largest.get());
        launch(queue, kernel.blocks(x.rows), kernel);
        const std::vector<double> found = squares.values(), most = largest.values();
        for (std::int64_t i = 0; i < x.rows; ++i) {
            double lanes[16] = {}, size = 0;
            for (std::int64_t f = 0; f < x.cols; ++f) {
                lanes[f % 16] += double(x(i, f)) * double(x(i, f));
                size = std::max(size, std::fabs(double(x(i, f))));
            }
            for (int half = 8; half > 0; half /= 2)
                for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
            CHECK(same(found[std::size_t(i)], lanes[0]));
            CHECK(same(most[std::size_t(i)], size));
        }
    });
}

TEST(exact_lists_are_those_of_all_scores) {
    struct Case {
        std::int64_t n, d, k, queries;
    };
    for (const Case c : {Case{150, 17, 4, 150}, Case{131, 3, 130, 9}, Case{9, 33, 8, 9}}) {
        const check::Matrix<float> x = tied_rows(c.n, c.d);
        std::vector<double> factor(std::size_t(c.n), 0.0);
        for (std::int64_t i = 0; i < c.n; ++i) factor[std::size_t(i)] = 1 + double(i % 7) / 3;
        std::vector<std::int32_t> rows(static_cast<std::size_t>(c.queries));
        for (std::size_t q = 0; q < rows.size(); ++q) rows[q] = std::int32_t(c.n - 1 - std::int64_t(q));
        const std::vector<std::int64_t> at_once{c.n}, in_parts{c.n / 2, c.n / 2 + 1, c.n};
        for (const bool distance : {false, true})
            in_every_order([&] {
                const std::vector<std::int64_t>& ends = distance ? in_parts : at_once;
                using Kernel = Exact<float>;
                Queue queue(1);
                const Buffer<float> values(queue, x.values);
                const Buffer<double> factors(queue, factor), similarity(queue, c.n * c.k);
                const Buffer<std::int32_t> queried(queue, rows), index(queue, c.n * c.k);
                const Buffer<Kernel::Scored> waiting(queue, c.queries * Kernel::capacity(c.k)),
                    sorted(queue, c.queries * (c.k + 1));
                const Buffer<unsigned char> tie(queue, c.n);
                const Buffer<int> held(queue, c.queries);
                Kernel kernel;
                kernel.x = on_device(values, x, factors.get());
                kernel.k = c.k;
                kernel.distance = distance;
                kernel.rows = queried.get();
                kernel.queries = c.queries;
                kernel.begin = 0;
                kernel.queue = Written<Kernel::Scored>(waiting.get());
                kernel.sorted = Written<Kernel::Scored>(sorted.get());
                kernel.held = Written<int>(held.get());
                kernel.index = Written<std::int32_t>(index.get());
                kernel.similarity = Written<double>(similarity.get());
                kernel.tie = Written<unsigned char>(tie.get());
                for (const std::int64_t end : ends) {
                    kernel.end = end;
                    launch(queue, Kernel::blocks(c.queries), kernel);
                    kernel.begin = end;
                }
                const std::vector<std::int32_t> found = index.values();
                const std::vector<double> scores = similarity.values();
                const std::vector<unsigned char> ties = tie.values();
                int wrong = 0;
                for (const std::int32_t row : rows) {
                    const std::vector<Best> best = ranked(x, factor, row, distance);
                    for (std::int64_t c2 = 0; c2 < c.k; ++c2) {
                        const auto at = std::size_t(row * c.k + c2);
                        wrong += found[at] != best[std::size_t(c2)].index;
                        wrong += !same(scores[at], best[std::size_t(c2)].similarity);
                    }
                    const auto k = std::size_t(c.k);
                    const bool tied = k < best.size() && best[k].similarity == best[k - 1].similarity;
                    wrong += bool(ties[std::size_t(row)]) != tied;
                }
                CHECK(wrong == 0);
            });
    }
}
