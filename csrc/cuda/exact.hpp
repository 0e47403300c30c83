// The kernel that finds the nearest neighbours of some rows from all scores in float64, each summed in feature order.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/rows.hpp"

namespace kernalign::cuda {

// A block has kRows queried rows. Every thread scores one other row at a time against them; scores that reach the cut
// of a row go to its queue, which is sorted out when it could overflow: the keep best stay, and the last is the cut.
// Others [begin, end) are scored by one launch, which goes on with the queues that the launch before it left.
template <class E>
struct Exact {
    static constexpr int kThreads = 128, kRows = 8, kFeatures = 16;
    struct Shared {
        double queried[kRows][kFeatures], other[kThreads][kFeatures + 1];
        double cut[kRows];
        std::int32_t cut_index[kRows];
        int count[kRows];
    };
    struct Scored {
        double similarity;
        std::int32_t index;
    };

    DeviceRows<E> x;
    std::int64_t k;
    bool distance;
    const std::int32_t* rows;  // those queried
    std::int64_t queries, begin, end;
    Written<Scored> queue, sorted;  // capacity(k) and k + 1 of each queried row
    Written<int> held;              // in their queues between launches
    bool every = true;              // lists have the place of their row, else that of their query
    Written<std::int32_t> index;    // k of each list, as is the rest
    Written<double> similarity;
    Written<unsigned char> tie;

    static std::int64_t blocks(std::int64_t queries) { return (queries + kRows - 1) / kRows; }
    static KERNALIGN_KERNEL std::int64_t capacity(std::int64_t k) { return 2 * (k + 1) + kThreads; }

    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t first = block.index() * kRows;
        block.each([&](Thread t, Shared& s) {
            if (t >= kRows) return;
            const bool goes_on = begin > 0 && first + t < queries;
            s.count[t] = goes_on ? held.of(t)[first + t] : 0;
            const bool full = s.count[t] == k + 1;
            const Scored cut = full ? sorted.of(t)[(first + t) * (k + 1) + k] : Scored{-INFINITY, 0x7fffffff};
            s.cut[t] = cut.similarity;
            s.cut_index[t] = cut.index;
        });
        for (std::int64_t some = begin; some < end; some += kThreads) {
            Own<Sums, kThreads> sums;
            score(block, first, some, sums);
            offer(block, first, some, sums);
            const bool last = some + kThreads >= end;
            for (int q = 0; q < kRows && first + q < queries; ++q) {
                const int size = block.read([&](const Shared& s) { return s.count[q]; });
                if (last || size + kThreads > capacity(k)) sort_out(block, first + q, q, size);
            }
        }
        block.each([&](Thread t, Shared& s) {
            if (t < kRows && first + t < queries) held.of(t)[first + t] = s.count[t];
            for (int q = 0; q < kRows && first + q < queries && end == x.count; ++q) write(t, first + q);
        });
    }

  private:
    struct Sums {
        double of[kRows];
    };
    static KERNALIGN_KERNEL bool before(const Scored& a, const Scored& b) {
        return a.similarity > b.similarity || (a.similarity == b.similarity && a.index < b.index);
    }

    KERNALIGN_KERNEL void score(const Block<Shared>& block, std::int64_t first, std::int64_t some,
                                Own<Sums, kThreads>& sums) const {
        block.each([&](Thread t, Shared&) {
#pragma unroll
            for (int q = 0; q < kRows; ++q) sums[t].of[q] = 0;
        });
        for (std::int64_t f0 = 0; f0 < x.cols; f0 += kFeatures) {
            const int count = int(x.cols - f0 < kFeatures ? x.cols - f0 : kFeatures);
            block.each([&](Thread t, Shared& s) {
                for (int e = t; e < kRows * kFeatures; e += kThreads) {
                    const int q = e / kFeatures, f = e % kFeatures;
                    if (first + q < queries && f < count) s.queried[q][f] = x(rows[first + q], f0 + f);
                }
                for (int e = t; e < kThreads * kFeatures; e += kThreads) {
                    const int j = e / kFeatures, f = e % kFeatures;
                    if (some + j < end && f < count) s.other[j][f] = x(some + j, f0 + f);
                }
            });
            block.each([&](Thread t, Shared& s) {
                if (some + t >= end) return;
                Sums sum = sums[t];
                for (int f = 0; f < count; ++f) {
                    const double value = s.other[t][f];
#pragma unroll
                    for (int q = 0; q < kRows; ++q) {
                        const double with = s.queried[q][f], apart = with - value;
                        sum.of[q] += distance ? apart * apart : value * with;
                    }
                }
                sums[t] = sum;
            });
        }
    }

    KERNALIGN_KERNEL void offer(const Block<Shared>& block, std::int64_t first, std::int64_t some,
                                Own<Sums, kThreads>& sums) const {
        block.each([&](Thread t, Shared& s) {
            if (some + t >= end) return;
            const auto j = std::int32_t(some + t);
#pragma unroll
            for (int q = 0; q < kRows; ++q) {
                if (first + q >= queries || j == rows[first + q]) continue;
                const Scored one{distance ? 0.0 - sums[t].of[q] : sums[t].of[q], j};  // never -0
                if (!before(one, {s.cut[q], s.cut_index[q]})) continue;
                const int at = fetch_add(&s.count[q], 1);
                queue.of(t)[(first + q) * capacity(k) + at] = one;
            }
        });
    }

    KERNALIGN_KERNEL void sort_out(const Block<Shared>& block, std::int64_t query, int q, int size) const {
        const int keep = int(k + 1), kept = size < keep ? size : keep;
        block.each([&](Thread t, Shared&) {
            const Scored* from = queue.of(t) + query * capacity(k);
            for (int c = t; c < size; c += kThreads) {
                const Scored one = from[c];
                int rank = 0;
                for (int o = 0; o < size; ++o) rank += before(from[o], one);
                if (rank < keep) sorted.of(t)[query * keep + rank] = one;
            }
        });
        block.each([&](Thread t, Shared& s) {
            const Scored* from = sorted.of(t) + query * keep;
            Scored* to = queue.of(t) + query * capacity(k);
            for (int c = t; c < kept; c += kThreads) to[c] = from[c];
            if (t != 0) return;
            s.count[q] = kept;
            if (kept == keep) {
                s.cut[q] = from[keep - 1].similarity;
                s.cut_index[q] = from[keep - 1].index;
            }
        });
    }

    KERNALIGN_KERNEL void write(Thread t, std::int64_t query) const {
        const std::int64_t row = every ? rows[query] : query;
        const Scored* best = sorted.of(t) + query * (k + 1);
        for (std::int64_t c = t; c < k; c += kThreads) {
            index.of(t)[row * k + c] = best[c].index;
            similarity.of(t)[row * k + c] = best[c].similarity;
        }
        if (t == 0) tie.of(t)[row] = k + 1 < x.count && best[k].similarity == best[k - 1].similarity;
    }
};

}  // namespace kernalign::cuda
