// Protects the kernels behind candidates, run as plain C++: bounds hold, queues keep the best, proofs are proofs.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "cuda/candidates.hpp"
#include "cuda/certify.hpp"
#include "cuda/launch.hpp"
#include "cuda/panels.hpp"
#include "cuda/products.hpp"
#include "data.hpp"
#include "device_orders.hpp"

using namespace kernalign;
using namespace kernalign::cuda;
using check::in_every_order;
using check::same;

namespace {

// The panels of rows, and what they were made from.
struct Made {
    PanelFrame frame;
    std::vector<double> centre;
    std::vector<std::uint16_t> left, right;
    std::vector<float> offsets, lost, size, products;
};

Made panels_of(const check::Matrix<float>& x, bool distance, double scale) {
    Made made;
    Queue queue(0);
    const Buffer<float> values(queue, x.values), offsets(queue, x.rows), lost(queue, x.rows), size(queue, x.rows);
    const Buffer<double> centre(queue, x.cols);
    Centre<float> mean;
    mean.x = {values.get(), x.rows, x.cols, x.cols, nullptr};
    mean.sampled = std::min<std::int64_t>(x.rows, 16);
    mean.centre = Written<double>(centre.get());
    launch(queue, mean.blocks(x.cols), mean);
    made.centre = centre.values();
    PanelFrame& frame = made.frame;
    frame.set_rounding(x.cols, 0x1p-24);
    frame.scale = scale;
    frame.square = scale * scale;
    frame.distance = distance;
    for (const double m : made.centre) frame.base += distance ? 0.0 : m * m * scale * scale;
    frame.centre_norm = std::sqrt(frame.base) * (1 + 0x1p-20);
    const Buffer<std::uint16_t> left(queue, x.rows * frame.depth), right(queue, x.rows * frame.depth);
    Panels<float> kernel;
    kernel.x = mean.x;
    kernel.centre = centre.get();
    kernel.frame = frame;
    kernel.left = Written<std::uint16_t>(left.get());
    kernel.right = Written<std::uint16_t>(right.get());
    kernel.offsets = Written<float>(offsets.get());
    kernel.lost = Written<float>(lost.get());
    kernel.size = Written<float>(size.get());
    launch(queue, kernel.blocks(x.rows), kernel);
    const std::int64_t wide = (x.rows + 3) / 4 * 4;
    const Buffer<float> products(queue, x.rows * wide);
    Products(queue).multiply(x.rows, x.rows, frame.depth, left.get(), right.get(), products.get(), wide);
    made.left = left.values(), made.right = right.values(), made.offsets = offsets.values();
    made.lost = lost.values(), made.size = size.values(), made.products = products.values();
    return made;
}

long double sum_of_products(const check::Matrix<float>& x, std::int64_t i, std::int64_t j, bool distance) {
    double sum = 0;
    for (std::int64_t f = 0; f < x.cols; ++f) {
        const double a = double(x(i, f)), b = double(x(j, f));
        sum += distance ? (a - b) * (a - b) : b * a;
    }
    return distance ? 0 - sum : sum;
}

// What the appended coordinates and the offsets owe, by the formulas of neighbors.hpp.
int unpaid(const check::Matrix<float>& x, const Made& made) {
    const PanelFrame& frame = made.frame;
    const long double d = x.cols, depth = (x.cols + 3 + 15) / 16 * 16, u = 0x1p-24L;
    const long double product = (depth + 4) * u / (1 - (depth + 4) * u), owed = product + 3 * u * (1 + product);
    const long double gamma64 = (d + 8) * 0x1p-53L / (1 - (d + 8) * 0x1p-53L);
    int wrong = frame.lost < double(owed) * (1 - 1e-12) || frame.gamma64 < double(gamma64) * (1 - 1e-12);
    for (std::int64_t i = 0; i < x.rows; ++i) {
        long double square = 0, along = 0, apart = 0, rounded = 0;
        const auto at = std::size_t(i * frame.depth);
        for (std::int64_t f = 0; f < x.cols; ++f) {
            const long double c = ((long double)(x(i, f)) - made.centre[std::size_t(f)]) * frame.scale;
            const long double p = double(Half{made.left[at + std::size_t(f)]});
            wrong += made.left[at + std::size_t(f)] != made.right[at + std::size_t(f)] || std::fabs(c - p) > 0x1p-10L;
            square += c * c, along += made.centre[std::size_t(f)] * c, apart += (c - p) * (c - p), rounded += p * p;
        }
        const auto end = at + std::size_t(x.cols);
        const long double a = double(Half{made.left[end]}), b = double(Half{made.left[end + 1]}),
                          g = double(Half{made.left[end + 2]});
        wrong += made.right[end] != made.left[end + 1] || made.right[end + 1] != made.left[end] ||
                 made.right[end + 2] != made.left[end + 2];
        for (std::int64_t f = x.cols + 3; f < frame.depth; ++f)
            wrong += made.left[at + std::size_t(f)] != 0 || made.right[at + std::size_t(f)] != 0;
        const long double large = std::max(square, rounded), norm = std::sqrt(square) + frame.centre_norm;
        wrong += a * (1 - owed) < std::sqrt(apart) || b * b < large;
        const long double truth = frame.distance ? 0 : gamma64 * norm * norm;
        wrong += g * g * (1 - owed) < owed * large + truth + 0x1p-100L;
        const long double h = frame.distance ? -square / 2 : along * frame.scale;
        const long double error =
            frame.distance ? 4 * gamma64 * square : 2 * gamma64 * frame.centre_norm * std::sqrt(square);
        wrong += (long double)(made.offsets[std::size_t(i)]) < h + 4 * u * std::fabs(h) + error;
        wrong += made.lost[std::size_t(i)] != float(a) || made.size[std::size_t(i)] != float(b);
    }
    return wrong;
}

// Products of a tile with few different values, so that many bounds are equal.
float product(std::int64_t i, std::int64_t j) { return float((std::min(i, j) * 7 + std::max(i, j) * 13) % 29) / 4; }

using Bound = std::pair<float, std::int32_t>;

// A row's best, when tiles on the diagonal have the row's own order of additions.
std::vector<Bound> best_bounds(std::int64_t n, std::int64_t tile, const std::vector<float>& offsets, std::int64_t i) {
    std::vector<Bound> all;
    for (std::int64_t j = 0; j < n; ++j) {
        if (i == j) continue;
        const bool turned = j / tile < i / tile;
        const float first = offsets[std::size_t(turned ? j : i)], second = offsets[std::size_t(turned ? i : j)];
        all.push_back({(product(i, j) + first) + second, std::int32_t(j)});
    }
    std::sort(all.begin(), all.end(), [](const Bound& a, const Bound& b) {
        return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    return all;
}

}  // namespace

TEST(halves_are_rounded_to_the_nearest_and_up) {
    int wrong = 0;
    for (std::uint32_t bits = 0; bits < 0x7c00u; ++bits) {
        const Half half{std::uint16_t(bits)};
        const double value = double(half), next = bits == 0x7bffu ? value : double(Half{std::uint16_t(bits + 1)});
        wrong += half_of(float(value)).bits != bits || half_of(-float(value)).bits != (bits | 0x8000u);
        wrong += half_up(value).bits != bits;
        if (next == value) continue;
        const double between = (value + next) / 2, even = bits % 2 == 0 ? value : next;
        wrong += double(half_of(float(between))) != even;
        wrong += double(half_up(value + (next - value) / 64)) != next || double(half_up(between)) != next;
    }
    CHECK(wrong == 0);
    for (const double value : {1.0, 1 + 0x1p-30, -1 - 0x1p-30, 0x1p-160, -0x1p-160, 0.0, 3.7})
        CHECK(double(float_up(value)) >= value &&
              double(float_up(value)) - value <= std::fabs(value) * 0x1p-23 + 0x1p-149);
}

TEST(panels_pay_what_rounding_takes_and_bound_every_pair) {
    for (const std::int64_t cols : {1, 13, 45})
        for (const bool distance : {false, true}) {
            check::Matrix<float> x = check::gaussian<float>(27, cols, 5, 1.5);
            for (std::int64_t f = 0; f < cols; ++f) x.values[std::size_t(f)] *= 1e-3F;
            in_every_order([&] {
                const Made made = panels_of(x, distance, 0x1p-4);
                CHECK(unpaid(x, made) == 0);
                int wrong = 0;
                for (std::int64_t i = 0; i < x.rows; ++i)
                    for (std::int64_t j = 0; j < x.rows; ++j) {
                        const float bound = (made.products[std::size_t(i * 28 + j)] + made.offsets[std::size_t(i)]) +
                                            made.offsets[std::size_t(j)];
                        wrong += double(bound) < made.frame.threshold(double(sum_of_products(x, i, j, distance)));
                    }
                CHECK(wrong == 0);
            });
        }
}

TEST(queues_hold_the_best_whatever_overflows) {
    const std::int64_t n = 90, tile = 36;
    std::vector<float> offsets(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] = float(i % 3) / 8;
    for (const int keep : {5, 11})
        in_every_order([&] {
            Queue queue(0);
            const int capacity = 2 * keep;
            const Buffer<float> offset(queue, offsets);
            const Buffer<std::uint64_t> keys(queue, n * capacity), cuts(queue, std::vector<std::uint64_t>(n, kNoCut));
            Buffer<int> counts(queue, n), before(queue, n), overflows(queue, 1);
            Buffer<unsigned char> overflowed(queue, n);
            counts.clear(), before.clear(), overflowed.clear();
            const auto shrink = [&](std::int64_t first, std::int64_t rows, int trigger) {
                Shrink kernel;
                kernel.first = int(first), kernel.keep = keep, kernel.capacity = capacity, kernel.trigger = trigger;
                kernel.queue = Written<std::uint64_t>(keys.get());
                kernel.cuts = Written<std::uint64_t>(cuts.get());
                kernel.count = Written<int>(counts.get());
                kernel.before = Written<int>(before.get());
                kernel.overflowed = Written<unsigned char>(overflowed.get());
                kernel.overflows = Written<int>(overflows.get());
                launch(queue, rows, kernel);
            };
            int most = 0;
            for (std::int64_t apart = 0; apart < n; apart += tile)
                for (std::int64_t row0 = 0; row0 + apart < n; row0 += tile) {
                    const std::int64_t col0 = row0 + apart;
                    const std::int64_t rows = std::min(tile, n - row0), cols = std::min(tile, n - col0);
                    std::vector<float> values(std::size_t(tile * tile), 1e9F);  // beyond the columns: nobody's
                    for (std::int64_t i = 0; i < rows; ++i)
                        for (std::int64_t j = 0; j < cols; ++j)
                            values[std::size_t(i * tile + j)] = product(row0 + i, col0 + j);
                    const Buffer<float> products(queue, values);
                    int attempts = 0, left = 1;
                    for (; left > 0 && attempts < 20; ++attempts) {
                        Select select;
                        select.tile = products.get(), select.ld = tile;
                        select.rows = int(rows), select.cols = int(cols), select.row0 = int(row0);
                        select.col0 = int(col0), select.capacity = capacity;
                        select.offsets = offset.get(), select.cuts = cuts.get();
                        select.only = attempts == 0 ? nullptr : overflowed.get();
                        select.queue = Written<std::uint64_t>(keys.get());
                        select.count = Written<int>(counts.get());
                        launch(queue, Select::blocks(int(rows), int(cols)), select);
                        overflows.clear();
                        shrink(row0, rows, keep);
                        if (row0 != col0) shrink(col0, cols, keep);
                        left = overflows.values()[0];
                    }
                    most = std::max(most, attempts);
                }
            CHECK(most > 1 && most < 20);
            shrink(0, n, 0);
            const std::vector<std::uint64_t> found = keys.values(), cut = cuts.values();
            const std::vector<int> count = counts.values();
            int wrong = 0;
            for (std::int64_t i = 0; i < n; ++i) {
                const std::vector<Bound> best = best_bounds(n, tile, offsets, i);
                wrong += count[std::size_t(i)] != keep;
                for (int c = 0; c < keep; ++c) {
                    const std::uint64_t key = found[std::size_t(i * capacity + c)];
                    wrong +=
                        bound_of(key) != best[std::size_t(c)].first || index_of(key) != best[std::size_t(c)].second;
                }
                const std::uint64_t last = found[std::size_t(i * capacity + keep - 1)];
                wrong += cut[std::size_t(i)] != last && cut[std::size_t(i)] != last - 1;
            }
            CHECK(wrong == 0);
        });
}

TEST(queues_of_far_rows_are_where_they_belong) {
    in_every_order([] {
        Queue queue(0);
        constexpr std::int64_t kRow = 20'000'000, kCapacity = 128;  // their product is beyond 32 bits
        const Buffer<float> tile(queue, std::vector<float>{1, 2, 3, 4}), offset(queue, std::vector<float>(8, 0.5F));
        const Buffer<std::uint64_t> keys(queue, 4 * kCapacity), cuts(queue, std::vector<std::uint64_t>(4, kNoCut));
        Buffer<int> counts(queue, 4);
        counts.clear();
        Select select;
        select.tile = tile.get(), select.ld = 4, select.rows = 1, select.cols = 4;
        select.row0 = select.col0 = int(kRow), select.capacity = int(kCapacity);
        select.offsets = offset.get() - kRow, select.cuts = cuts.get() - kRow, select.only = nullptr;
        select.queue = Written<std::uint64_t>(keys.get() - kRow * kCapacity);
        select.count = Written<int>(counts.get() - kRow);
        launch(queue, 1, select);
        std::vector<std::uint64_t> found = keys.values();
        std::sort(found.begin(), found.begin() + 3, std::greater<>());
        CHECK(counts.values()[0] == 3 && counts.values()[1] == 0);
        for (std::int32_t j = 1; j < 4; ++j)
            CHECK(found[std::size_t(3 - j)] == key_of(float(j + 1) + 1, int(kRow) + j));
    });
}

TEST(rows_are_proven_only_by_bounds_below_all_others) {
    const std::int64_t n = 80, d = 35, k = 3;
    const int capacity = 79, size = 70;
    check::Matrix<float> x = check::gaussian<float>(n, d, 9);
    for (float& value : x.values) value = std::round(2 * value);  // scores and half of them are exact
    in_every_order([&] {
        Queue queue(0);
        std::vector<std::uint64_t> keys, cuts;
        std::vector<double> least;
        for (std::int32_t i = 0; i < n; ++i) {
            std::vector<double> scores;
            for (std::int32_t j = 0, at = 0; at < capacity; ++j) {
                if (j == i) continue;
                keys.push_back(key_of(1, j));
                if (at++ < size) scores.push_back(double(sum_of_products(x, i, j, true)));
            }
            std::sort(scores.begin(), scores.end(), std::greater<>());
            least.push_back(scores[k - 1]);
            const auto bound = float(scores[k - 1] / 2);
            cuts.push_back(key_of(i % 2 == 0 ? bound : std::nextafter(bound, -1e30F), 0));
        }
        std::vector<unsigned char> forgot(std::size_t(n), 0);
        forgot[5] = 1;
        const Buffer<float> values(queue, x.values);
        const Buffer<std::uint64_t> candidates(queue, keys), cut(queue, cuts);
        const Buffer<int> counts(queue, std::vector<int>(std::size_t(n), size));
        const Buffer<std::int32_t> index(queue, n * k);
        const Buffer<double> similarity(queue, n * k);
        const Buffer<unsigned char> lost(queue, forgot), tie(queue, n), proven(queue, n);
        Certify<float> kernel;
        kernel.x = {values.get(), n, d, d, nullptr};
        kernel.frame.distance = true;
        kernel.k = k, kernel.capacity = capacity;
        kernel.queue = candidates.get(), kernel.cuts = cut.get(), kernel.counts = counts.get(),
        kernel.lost = lost.get();
        kernel.index = Written<std::int32_t>(index.get());
        kernel.similarity = Written<double>(similarity.get());
        kernel.tie = Written<unsigned char>(tie.get());
        kernel.proven = Written<unsigned char>(proven.get());
        for (kernel.first = 0; kernel.first < n; kernel.first += 5)
            launch(queue, std::min<std::int64_t>(5, n - kernel.first), kernel);
        const std::vector<unsigned char> sure = proven.values(), tied = tie.values();
        const std::vector<double> found = similarity.values();
        const std::vector<std::int32_t> where = index.values();
        int wrong = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            std::vector<std::pair<double, std::int32_t>> ranked;
            for (int c = 0; c < size; ++c) {
                const std::int32_t j = index_of(keys[std::size_t(i * capacity + c)]);
                ranked.push_back({-double(sum_of_products(x, i, j, true)), j});
            }
            std::sort(ranked.begin(), ranked.end());
            for (std::int64_t c = 0; c < k; ++c) {
                wrong += where[std::size_t(i * k + c)] != ranked[std::size_t(c)].second;
                wrong += !same(found[std::size_t(i * k + c)], 0 - ranked[std::size_t(c)].first);
            }
            wrong += bool(tied[std::size_t(i)]) != (ranked[k].first == ranked[k - 1].first);
            wrong += bool(sure[std::size_t(i)]) != (i % 2 == 1 && i != 5);
        }
        CHECK(wrong == 0);
    });
}

TEST(a_sample_counts_what_may_be_above_the_kth) {
    const std::int64_t n = 150, sampled = 5;
    const check::Matrix<float> x = check::gaussian<float>(sampled, n, 2);
    std::vector<float> lost(std::size_t(n), 0.1F), size(std::size_t(n), 1.0F), offsets(std::size_t(n), 0.25F);
    for (std::size_t j = 0; j < lost.size(); ++j) lost[j] = 0.05F + 0.001F * float(j % 40);
    const std::vector<std::int32_t> rows{3, 4, 5, 70, 71};
    in_every_order([&] {
        Queue queue(0);
        const Buffer<float> products(queue, x.values), offset(queue, offsets), paid(queue, lost), large(queue, size);
        const Buffer<std::int32_t> chosen(queue, rows);
        const Buffer<int> need(queue, sampled);
        Need kernel;
        kernel.products = products.get(), kernel.ld = n, kernel.cols = int(n), kernel.place = 7;
        kernel.rows = chosen.get(), kernel.offsets = offset.get(), kernel.lost = paid.get(), kernel.size = large.get();
        kernel.need = Written<int>(need.get());
        launch(queue, sampled, kernel);
        const std::vector<int> found = need.values();
        for (std::int64_t s = 0; s < sampled; ++s) {
            std::vector<float> sure, bounds;
            const auto row = std::size_t(rows[std::size_t(s)]);
            for (std::size_t j = 0; j < std::size_t(n); ++j) {
                if (j == row) continue;
                bounds.push_back(x(s, std::int64_t(j)) + offsets[j]);
                sure.push_back(bounds.back() - Need::kCautious * (lost[row] * size[j] + size[row] * lost[j]));
            }
            std::sort(sure.begin(), sure.end(), std::greater<>());
            CHECK(found[std::size_t(s)] ==
                  std::count_if(bounds.begin(), bounds.end(), [&](float b) { return b >= sure[6]; }));
        }
    });
}
