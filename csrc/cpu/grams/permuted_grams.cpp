// Products of Gram matrices when the items of one side change places (permuted.hpp).
#include <algorithm>

#include "cpu/runtime/blas.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"
#include "permuted.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kStrip = 8;         // rows that are spread out together: a cache line of a triangle's columns
constexpr std::int64_t kRows = 256;        // rows of one task, which Ctrl-C waits for
constexpr std::int64_t kFewLayers = 2;     // of the first side, for which a call of BLAS costs more than it saves
constexpr std::int64_t kColumns = 32;      // of the second side, all orders of a task together
constexpr std::int64_t kWhole = 1 << 20;   // entries of whole matrices that are spread out once for all orders
constexpr std::int64_t kShared = 1 << 22;  // the same where several layers of the first side share their gathered rows

struct Scratch {
    std::vector<double> strip;     // layers x kStrip x n: whole rows of the second side
    std::vector<double> gathered;  // orders x layers x n: one of them, its entries where an order wants them
    std::vector<double> products;
    std::vector<std::int32_t> inverse;
};

// Rows [begin, end) of a symmetric matrix without its diagonal, from its upper triangle.
void spread(const Triangles& from, std::int64_t layer, std::int64_t begin, std::int64_t end, double* rows) {
    const double* values = from.values + layer * from.size();
    const std::int64_t n = from.n;
    for (std::int64_t above = 0; above < end; ++above) {
        const double* entries = values + from.row(above);
        for (std::int64_t i = std::max(begin, above + 1); i < end; ++i) rows[(i - begin) * n + above] = entries[i];
    }
    for (std::int64_t i = begin; i < end; ++i) {
        const double* entries = values + from.row(i) + i + 1;
        std::copy(entries, entries + (n - 1 - i), rows + (i - begin) * n + i + 1);
    }
}

// The sum of own[j] row[places[j]]; gathers of AVX2 and AVX-512 were measured to take longer than loads one by one.
double gathered_dot(const double* own, const double* row, const std::int32_t* places, std::int64_t count) {
    constexpr std::int64_t kSums = 4;
    double sums[kSums] = {};
    std::int64_t j = 0;
    for (; j + kSums <= count; j += kSums)
        for (std::int64_t lane = 0; lane < kSums; ++lane) sums[lane] += own[j + lane] * row[places[j + lane]];
    for (; j < count; ++j) sums[0] += own[j] * row[places[j]];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Adds the terms of rows [begin, end), of ``count`` orders: of the first side where all rows of the second were spread
// out before, as ``whole``, else of the second, under one order. Sums of an order are ``stride`` after those of the
// last one.
void add_rows(const Triangles& a, const Triangles& b, const double* whole, const std::int32_t* orders,
              std::int64_t count, std::int64_t begin, std::int64_t end, Scratch& s, double* sums, std::int64_t stride) {
    const std::int64_t n = a.n, pairs = a.layers * b.layers, height = whole == nullptr ? kStrip : n;
    const double* rows = whole == nullptr ? s.strip.data() : whole;
    for (std::int64_t layer = 0; layer < b.layers && whole == nullptr; ++layer)
        spread(b, layer, begin, end, s.strip.data() + layer * kStrip * n);
    for (std::int64_t at = begin; at < end; ++at) {
        const std::int64_t i = whole == nullptr ? s.inverse[std::size_t(at)] : at, width = n - 1 - i;
        if (width == 0) continue;
        const double* own = a.values + a.row(i) + i + 1;
        const auto of_layer = [&](const std::int32_t* order, std::int64_t layer) {
            return rows + (layer * height + (whole == nullptr ? at - begin : order[i])) * n;
        };
        if (a.layers < kFewLayers) {
            for (std::int64_t o = 0; o < count; ++o)
                for (std::int64_t p = 0; p < pairs; ++p)
                    sums[o * stride + p] +=
                        gathered_dot(own + p / b.layers * a.size(), of_layer(orders + o * n, p % b.layers),
                                     orders + o * n + i + 1, width);
            continue;
        }
        for (std::int64_t o = 0; o < count; ++o)
            for (std::int64_t layer = 0; layer < b.layers; ++layer) {
                const std::int32_t* others = orders + o * n + i + 1;
                const double* from = of_layer(orders + o * n, layer);
                double* into = s.gathered.data() + (o * b.layers + layer) * n;
                for (std::int64_t j = 0; j < width; ++j) into[j] = from[others[j]];
            }
        const std::int64_t columns = count * b.layers;
        blas::gemm_nt(a.layers, columns, width, own, a.size(), s.gathered.data(), n, s.products.data(), columns);
        for (std::int64_t o = 0; o < count; ++o)
            for (std::int64_t p = 0; p < pairs; ++p)
                sums[o * stride + p] += s.products[std::size_t(p / b.layers * columns + o * b.layers + p % b.layers)];
    }
}

}  // namespace

std::vector<double> permuted_triangles(const Triangles& a, const Triangles& b, const Orders& orders, int threads,
                                       Monitor* monitor) {
    const std::int64_t n = a.n, pairs = a.layers * b.layers, parts = (n + kRows - 1) / kRows;
    threads = resolve_threads(threads);
    std::vector<Scratch> scratches(static_cast<std::size_t>(threads));
    std::vector<double> partial(std::size_t(orders.count * parts * pairs), 0.0), whole;
    if (b.layers * n * n <= (a.layers < kFewLayers ? kWhole : kShared)) {
        whole.resize(std::size_t(b.layers * n * n));
        for (std::int64_t layer = 0; layer < b.layers; ++layer) spread(b, layer, 0, n, whole.data() + layer * n * n);
    }
    const double* spread_out = whole.empty() ? nullptr : whole.data();
    const bool alone = spread_out == nullptr || a.layers < kFewLayers;
    const std::int64_t together = alone ? 1 : std::max<std::int64_t>(1, kColumns / std::max<std::int64_t>(1, b.layers));
    Progress progress(monitor, 0);  // the caller knows how many orders there are in all
    parallel_for((orders.count + together - 1) / together * parts, threads, progress,
                 [&](std::int64_t task, int worker) {
                     Scratch& s = scratches[std::size_t(worker)];
                     s.gathered.resize(std::size_t(together * b.layers * n));
                     s.products.resize(std::size_t(together * pairs));
                     const std::int64_t at = task / parts * together, part = task % parts;
                     const std::int64_t count = std::min(together, orders.count - at);
                     if (spread_out == nullptr) {
                         s.strip.resize(std::size_t(b.layers * kStrip * n));
                         s.inverse.resize(std::size_t(n));
                         for (std::int64_t i = 0; i < n; ++i)
                             s.inverse[std::size_t(orders.row(at)[i])] = std::int32_t(i);
                     }
                     const std::int64_t first = part * kRows, last = std::min(n, first + kRows);
                     double* own = partial.data() + (at * parts + part) * pairs;
                     for (std::int64_t begin = first; begin < last; begin += kStrip)
                         add_rows(a, b, spread_out, orders.row(at), count, begin, std::min(last, begin + kStrip), s,
                                  own, parts * pairs);
                 });
    std::vector<double> sums(std::size_t(orders.count * pairs), 0.0);
    for (std::int64_t task = 0; task < orders.count * parts; ++task)
        for (std::int64_t p = 0; p < pairs; ++p)
            sums[std::size_t(task / parts * pairs + p)] += partial[std::size_t(task * pairs + p)];
    return sums;
}

std::vector<double> permuted_features(const std::vector<Features>& a, const std::vector<Features>& b,
                                      const Orders& orders, int threads, Monitor* monitor) {
    const std::int64_t n = orders.n, layers = std::int64_t(b.size()), pairs = std::int64_t(a.size()) * layers;
    threads = resolve_threads(threads);
    std::vector<Scratch> scratches(static_cast<std::size_t>(threads));
    std::vector<double> sums(std::size_t(orders.count * pairs));
    Progress progress(monitor, 0);
    parallel_for(orders.count * pairs, threads, progress, [&](std::int64_t task, int worker) {
        Scratch& s = scratches[std::size_t(worker)];
        const Features &x = a[std::size_t(task % pairs / layers)], &y = b[std::size_t(task % layers)];
        const std::int32_t* order = orders.row(task / pairs);
        s.gathered.resize(std::size_t(n * y.cols));
        s.products.resize(std::size_t(x.cols * y.cols));
        for (std::int64_t i = 0; i < n; ++i)
            std::copy_n(y.values + order[i] * y.cols, y.cols, s.gathered.begin() + i * y.cols);
        blas::gemm_tn(x.cols, y.cols, n, x.values, x.cols, s.gathered.data(), y.cols, s.products.data(), y.cols);
        const std::int64_t size = x.cols * y.cols;
        sums[std::size_t(task)] = simd().dot(s.products.data(), s.products.data(), size);
    });
    return sums;
}

}  // namespace kernalign
