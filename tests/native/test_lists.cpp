// The Neighbors engine without Python: searches and overlaps against brute force, for the sanitizers.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "lists.hpp"
#include "neighbors.hpp"
#include "permuted.hpp"

using namespace kernalign;

namespace {

int failures = 0;

void expect(bool ok, const char* what, std::int64_t n, int metric) {
    if (ok) return;
    ++failures;
    std::printf("FAILED %s (n=%lld, metric %d)\n", what, static_cast<long long>(n), metric);
}

Rows rows_of(const std::vector<float>& x, std::int64_t n) {
    const std::int64_t d = std::int64_t(x.size()) / n;
    Rows rows;
    rows.view = {x.data(), n, d, std::ptrdiff_t(d) * 4, 4, DType::f32};
    return rows;
}

// The definition, in feature order.
std::vector<double> similarities(const std::vector<float>& x, std::int64_t n, Similarity metric) {
    const std::int64_t d = std::int64_t(x.size()) / n;
    std::vector<double> wide(x.begin(), x.end()), s(std::size_t(n * n), 0.0);
    for (std::int64_t i = 0; i < n && metric == Similarity::cosine; ++i) {
        double square = 0;
        for (std::int64_t f = 0; f < d; ++f) square += wide[std::size_t(i * d + f)] * wide[std::size_t(i * d + f)];
        for (std::int64_t f = 0; f < d; ++f) wide[std::size_t(i * d + f)] *= 1 / std::sqrt(square);
    }
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j)
            for (std::int64_t f = 0; f < d; ++f) {
                const double a = wide[std::size_t(i * d + f)], b = wide[std::size_t(j * d + f)];
                s[std::size_t(i * n + j)] += metric == Similarity::euclidean ? -(a - b) * (a - b) : a * b;
            }
    return s;
}

void check_search(const std::vector<float>& x, std::int64_t n, std::int64_t k, Similarity metric) {
    const std::vector<double> s = similarities(x, n, metric);
    const Neighbors found = nearest_neighbors(rows_of(x, n), k, metric, Detail::lists, 2, nullptr);
    const Neighbors sets = nearest_neighbors(rows_of(x, n), k, metric, Detail::sets, 2, nullptr);
    bool values = true, same = true;
    for (std::int64_t i = 0; i < n; ++i) {
        std::vector<double> others;
        for (std::int64_t j = 0; j < n; ++j)
            if (j != i) others.push_back(s[std::size_t(i * n + j)]);
        std::sort(others.begin(), others.end(), std::greater<>());
        std::vector<std::int32_t> a(found.index.begin() + i * k, found.index.begin() + (i + 1) * k);
        std::vector<std::int32_t> b(sets.index.begin() + i * k, sets.index.begin() + (i + 1) * k);
        for (std::int64_t t = 0; t < k; ++t) {
            const double got = s[std::size_t(i * n + a[std::size_t(t)])];
            values = values && std::fabs(got - others[std::size_t(t)]) <= 1e-12 * std::fabs(others[0]) + 1e-12;
        }
        std::sort(a.begin(), a.end());
        std::sort(b.begin(), b.end());
        same = same && a == b;
    }
    expect(values, "nearest rows", n, int(metric));
    expect(same, "sets are the lists without order", n, int(metric));
    expect(found.tie == sets.tie, "ties", n, int(metric));
    const Overlap overlap = fractional_overlap(rows_of(x, n), sets, rows_of(x, n), found, metric, 2, nullptr);
    double total = std::accumulate(overlap.item.begin(), overlap.item.end(), 0.0);
    expect(std::fabs(total - overlap.x.square) < 1e-9 * total, "overlap with itself is the sum of squared weights", n,
           int(metric));
    const Lists lists{found.index.data(), n, k};
    check_lists(lists, "x", nullptr);
    const auto distances = edit_distances(lists, lists, 2, nullptr),
               lengths = common_subsequences(lists, lists, 2, nullptr);
    expect(std::all_of(distances.begin(), distances.end(), [](int v) { return v == 0; }), "edit", n, int(metric));
    expect(std::all_of(lengths.begin(), lengths.end(), [&](int v) { return v == k; }), "lcs", n, int(metric));
    for (const std::int64_t count : {1, 63, 64, 65, 130}) {  // subsets, of which a word of bits holds 64
        const std::vector<std::uint8_t> whole(std::size_t(count * n), 1);
        const auto numbers = subset_overlaps(lists, lists, k, whole.data(), count, 2, nullptr);
        std::vector<std::int64_t> expected;
        for (std::int64_t h = 0; h < count; ++h) {
            expected.resize(std::size_t((h + 1) * (k + 1)), 0);
            expected.back() = n;
        }
        expect(numbers == expected, "subsets of all items", n, int(metric));
    }
}

// Sums over edges of lists, each counted once more from the matrix of their weights.
void check_graphs(std::int64_t n, std::int64_t k, std::mt19937& generator) {
    std::vector<std::int32_t> index;
    std::vector<std::int64_t> begin{0};
    std::vector<double> w(std::size_t(n * n), 0.0);
    for (std::int64_t i = 0; i < n; ++i) {
        std::vector<std::int32_t> others;
        for (std::int64_t j = 0; j < n; ++j)
            if (j != i) others.push_back(std::int32_t(j));
        std::shuffle(others.begin(), others.end(), generator);
        index.insert(index.end(), others.begin(), others.begin() + k);
        begin.push_back(std::int64_t(index.size()));
        for (std::int64_t t = 0; t < k; ++t) w[std::size_t(i * n + others[std::size_t(t)])] = 1;
    }
    const Graph graph{index.data(), begin.data(), nullptr, n};
    check_graph(graph);
    const auto sums = edge_sums(graph, 3, nullptr);
    const auto at = [&](std::int64_t i, std::int64_t j) { return w[std::size_t(i * n + j)]; };
    double mutual = 0, transitive = 0, cyclic = 0;
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
            mutual += at(i, j) * at(j, i);
            for (std::int64_t l = 0; l < n; ++l) {
                transitive += at(i, j) * at(j, l) * at(i, l);
                cyclic += at(i, j) * at(j, l) * at(l, i);
            }
        }
    expect(sums[0] == double(n * k) && sums[2] == mutual, "edges", n, 0);
    expect(sums[22] == transitive && sums[23] == cyclic, "triangles", n, 0);
    const GraphProducts products = graph_products({graph, graph}, 2, nullptr);
    expect(products.same[1] == sums[0] && products.reverse[2] == mutual, "products of graphs", n, 0);
    expect(products.degrees[3] == sums[5], "products of degrees", n, 0);
    std::vector<std::int32_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), generator);
    const Orders orders{order.data(), 1, n};
    const std::vector<std::int32_t> renamed = renamed_lists({index.data(), n, k}, orders);
    check_lists({renamed.data(), n, k}, "renamed", nullptr);
    const auto shared = shared_counts({index.data(), n, k}, {renamed.data(), n, k}, 2, nullptr);
    const auto weights = permuted_overlaps(graph, graph, orders, 2, nullptr);
    expect(std::equal(shared.begin(), shared.end(), weights.begin()), "renamed lists", n, 0);
}

}  // namespace

int main() {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    for (const Similarity metric : {Similarity::cosine, Similarity::dot, Similarity::euclidean})
        for (const std::int64_t n : {2, 17, 64, 300}) {
            std::vector<float> x(std::size_t(n * 9));
            for (float& v : x) v = normal(generator);
            check_search(x, n, std::min<std::int64_t>(5, n - 1), metric);
            check_search(x, n, n - 1, metric);
            for (float& v : x) v = std::round(2 * std::fabs(v)) + 1;
            check_search(x, n, std::min<std::int64_t>(7, n - 1), metric);
            for (float& v : x) v = 0.3f;
            check_search(x, n, 1, metric);
        }
    check_graphs(2, 1, generator);
    check_graphs(50, 7, generator);
    if (failures == 0) std::printf("neighbors: all passed\n");
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
