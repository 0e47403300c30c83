// Protects every engine against an allocation that fails, whichever it is: std::bad_alloc, no leak, the next call
// right.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"
#include "cpu/moments/accumulator.hpp"
#include "cpu/neighbors/exact_rows.hpp"
#include "data.hpp"
#include "decompositions.hpp"
#include "grams.hpp"
#include "lists.hpp"
#include "moments.hpp"
#include "neighbors.hpp"
#include "permuted.hpp"
#include "rescoring.hpp"

namespace {

constexpr long kNever = 1L << 60;
std::atomic<long> until_failure{kNever}, alive{0};

void* allocate(std::size_t bytes, std::size_t alignment) {
    if (--until_failure == 0) throw std::bad_alloc();
    void* memory = std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
    if (!memory) throw std::bad_alloc();
    ++alive;
    return memory;
}

void release(void* memory) {
    if (memory) --alive;
    std::free(memory);
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return allocate(bytes, std::size_t(alignment)); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    try {
        return operator new(bytes);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { release(memory); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

using namespace kernalign;

namespace {

long failures_met = 0;

struct Patient : Monitor {
    void poll(std::int64_t, std::int64_t) override {}
} patient;

// The call with its n-th allocation failing, for every n until it succeeds, by one thread and by three.
template <class Call>
void fail_each_allocation(const Call& call) {
    const auto expected = call(1);
    for (const int threads : {1, 3}) {
        for (long n = 1;; ++n) {
            const long before = alive;
            bool succeeded = false;
            until_failure = n;
            try {
                const auto found = call(threads);
                succeeded = until_failure > 0;
                until_failure = kNever;
                CHECK(!succeeded || found == expected);
            } catch (const std::bad_alloc&) {
                until_failure = kNever;
                ++failures_met;
            }
            for (int wait = 0; alive > before && wait < 10000; ++wait)  // what ran apart lets go of its memory last
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            CHECK(alive <= before);
            if (n % 16 == 1) CHECK(call(threads) == expected);
            if (succeeded) break;
        }
    }
}

std::vector<std::int32_t> some_lists(std::int64_t n, std::int64_t k, std::int64_t step) {
    std::vector<std::int32_t> index;
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 1; j <= k; ++j) index.push_back(std::int32_t((i + j * step) % n));
    return index;
}

const auto wide = check::gaussian<float>(60, 7, 1);
const auto narrow = check::gaussian<double>(60, 5, 2);

GramSource source_of(const Rows& rows, Precision precision) {
    GramSource source;
    source.parts = {rows};
    source.precision = precision;
    return source;
}

}  // namespace

TEST(moments) {
    fail_each_allocation([](int threads) {
        Moments state(7, 5, Precision::f64), other(7, 5, Precision::f64);
        state.update(wide.all(), narrow.all(), threads, &patient);
        other.update(wide.all(), narrow.all(), threads, &patient);
        state.merge(other);
        const MomentSums sums = Moments::unpack(7, 5, Precision::f64, state.pack()).finish(true, threads, &patient);
        return std::vector<double>{sums.pair(0, 1).full, sums.norm_product};
    });
    fail_each_allocation([](int threads) {
        const MomentSums sums = moment_sums(wide.all(), narrow.all(), Precision::f64, true, threads, &patient);
        return moments_row_terms(wide.all(), narrow.all(), sums, Precision::f64, threads, &patient);
    });
    fail_each_allocation([](int threads) {
        const std::array<Centre, 2> centres{find_centre(wide.all(), true, {}, threads, &patient),
                                            find_centre(narrow.all(), true, {}, threads, &patient)};
        return centred_products(wide.all(), narrow.all(), centres, {true, true, true}, {}, Precision::f64, threads,
                                &patient)
            .products[1];
    });
    fail_each_allocation([](int threads) { return self_product(narrow.values.data(), 60, 5, threads, &patient); });
}

TEST(grams) {
    for (const Precision precision : {Precision::f32, Precision::f64}) {
        const GramSource x = source_of(wide.all(), precision), y = source_of(narrow.all(), precision);
        fail_each_allocation([&](int threads) {
            const GramSums sums = gram_sums({x, y}, true, threads, &patient);
            std::vector<double> all = gram_row_terms({x, y}, sums, true, true, threads, &patient);
            const std::vector<double> packed = GramSums::unpack(sums.pack()).pack();
            all.insert(all.end(), packed.begin(), packed.end());
            return all;
        });
        fail_each_allocation([&](int threads) { return u_centred_cubes(x, threads, &patient).cubes; });
        fail_each_allocation([&](int threads) { return median_distance(x, true, threads, &patient); });
        fail_each_allocation([&](int threads) { return condensed_gram(x, true, threads, &patient); });
    }
}

TEST(neighbors) {
    for (const Similarity similarity : {Similarity::cosine, Similarity::euclidean})
        for (const Detail detail : {Detail::lists, Detail::sets}) {
            fail_each_allocation([&](int threads) {
                return nearest_neighbors(wide.all(), 6, similarity, detail, threads, &patient).index;
            });
            fail_each_allocation([&](int threads) {
                Neighbors a = nearest_neighbors(wide.all(), 6, similarity, detail, threads, &patient);
                Neighbors b = nearest_neighbors(narrow.all(), 6, similarity, detail, threads, &patient);
                return fractional_overlap(wide.all(), std::move(a), narrow.all(), std::move(b), similarity, threads,
                                          &patient)
                    .item;
            });
        }
    const std::vector<std::int32_t> queries{3, 1, 40}, candidates = some_lists(3, 12, 1);
    fail_each_allocation([&](int threads) {
        const ExactRows rows(wide.all(), Similarity::dot, threads, &patient);
        auto index = nearest_of_rows(rows, queries.data(), 3, 4, threads, &patient).index;
        const auto best = best_candidates(rows, queries.data(), 3, candidates.data(), 12, 2, threads, &patient).index;
        index.insert(index.end(), best.begin(), best.end());
        return index;
    });
}

TEST(lists) {
    const auto a = some_lists(60, 6, 1), b = some_lists(60, 6, 2);
    const Lists x{a.data(), 60, 6}, y{b.data(), 60, 6};
    fail_each_allocation([&](int threads) { return shared_counts(x, y, threads, &patient); });
    fail_each_allocation([&](int threads) { return common_subsequences(x, y, threads, &patient); });
    fail_each_allocation([&](int threads) { return rank_similarities(x, y, threads, &patient); });
    fail_each_allocation([&](int threads) { return edit_distances(x, y, threads, &patient); });
    fail_each_allocation([&](int threads) { return cycles(x, y, threads, &patient); });
    fail_each_allocation([&](int) { return graph_sums(x, &patient).reciprocal; });
    fail_each_allocation([&](int) { return overlap_curve(x, y, {1, 3, 6}); });
    fail_each_allocation([&](int) { return overlaps_without_one(x, y, &patient); });
    fail_each_allocation([&](int threads) { return edge_products(wide.all(), x, threads, &patient).edge; });
    std::vector<std::uint8_t> half(60);
    for (std::size_t i = 0; i < 60; i += 2) half[i] = 1;
    fail_each_allocation([&](int threads) { return subset_overlaps(x, y, 2, half.data(), 1, threads, &patient); });
}

TEST(permutations) {
    const auto a = some_lists(60, 6, 1), b = some_lists(60, 6, 2);
    std::vector<std::int64_t> begin(61);
    for (std::size_t i = 0; i < 61; ++i) begin[i] = std::int64_t(6 * i);
    auto sorted = [](std::vector<std::int32_t> index) {
        for (auto at = index.begin(); at != index.end(); at += 6) std::sort(at, at + 6);
        return index;
    };
    const auto in_order_a = sorted(a), in_order_b = sorted(b);
    const Graph x{in_order_a.data(), begin.data(), nullptr, 60}, y{in_order_b.data(), begin.data(), nullptr, 60};
    std::vector<std::int32_t> order(180);
    for (std::size_t i = 0; i < 180; ++i) order[i] = std::int32_t((7 * i) % 60);
    const Orders orders{order.data(), 3, 60};
    fail_each_allocation([&](int threads) { return edge_sums(x, threads, &patient); });
    fail_each_allocation([&](int threads) { return graph_products({x, y}, threads, &patient).same; });
    fail_each_allocation([&](int threads) { return permuted_overlaps(x, y, orders, threads, &patient); });
    fail_each_allocation([&](int) { return renamed_lists({a.data(), 60, 6}, {order.data(), 1, 60}); });
    const std::vector<double> triangle(60 * 59 / 2, 0.5);
    const Triangles t{triangle.data(), 1, 60};
    fail_each_allocation([&](int threads) { return permuted_triangles(t, t, orders, threads, &patient); });
    const std::vector<Features> f{{narrow.values.data(), 5}};
    fail_each_allocation([&](int threads) { return permuted_features(f, f, orders, threads, &patient); });
}

TEST(decompositions) {
    const Dense a(narrow.values.begin(), narrow.values.end());
    fail_each_allocation([&](int) { return singular(a, 60, 5, Vectors::thin, false, &patient)->values; });
    fail_each_allocation([&](int) { return singular(a, 60, 5, Vectors::full, true, &patient)->values; });
    Dense gram(self_product(narrow.values.data(), 60, 5, 1, nullptr));
    fail_each_allocation([&](int) { return symmetric_eigen(gram, 5, 5, true, false, &patient)->values; });
    fail_each_allocation([&](int) { return symmetric_eigen(gram, 5, 2, true, false, &patient)->values; });
    fail_each_allocation([&](int) { return *cholesky(gram, 5, &patient); });
    fail_each_allocation([&](int) { return qr_append(qr_triangle(a, 60, 5, &patient), a, 60, 5, &patient); });
    Dense large(500 * 500);
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = double((i * i) % 101);
    fail_each_allocation([&](int) { return singular(large, 500, 500, Vectors::none, false, &patient)->values; });
}

TEST(every_kind_of_failure_was_met) {
    std::printf("     %ld allocations failed\n", failures_met);
    CHECK(failures_met > 1000);
}
