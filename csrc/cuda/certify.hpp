// The kernel that scores candidates in float64 and says which rows they prove (Certificate in neighbors.hpp).
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/candidates.hpp"
#include "cuda/panels.hpp"

namespace kernalign::cuda {

// A block has one row: scores of all its candidates in feature order, its k best, whether the k-th is tied, and whether
// no other row can be among them.
template <class E>
struct Certify {
    static constexpr int kThreads = 64, kMost = 512, kFeatures = 32;
    struct Shared {
        double own[kFeatures], other[kThreads][kFeatures + 1], score[kMost], least;
        std::int32_t index[kMost];
        int better, equal;
    };

    DeviceRows<E> x;
    PanelFrame frame;
    std::int64_t first, k;
    int capacity;
    const std::uint64_t *queue, *cuts;
    const int* counts;
    const unsigned char* lost;  // rows whose queue forgot what it could not hold
    Written<std::int32_t> index;
    Written<double> similarity;
    Written<unsigned char> tie, proven;

    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t row = first + block.index();
        const int size = counts[row];
        for (int begin = 0; begin < size; begin += kThreads) score(block, row, begin, size);
        block.each([&](Thread t, Shared& s) {
            if (t == 0) s.better = s.equal = 0;
            for (int c = t; c < size; c += kThreads) {
                int rank = 0;
                for (int o = 0; o < size; ++o)
                    rank += s.score[o] > s.score[c] || (s.score[o] == s.score[c] && s.index[o] < s.index[c]);
                if (rank < k) {
                    index.of(t)[row * k + rank] = s.index[c];
                    similarity.of(t)[row * k + rank] = s.score[c];
                }
                if (rank == k - 1) s.least = s.score[c];
            }
        });
        if (size < k) {
            block.each([&](Thread t, Shared&) {
                if (t == 0) proven.of(t)[row] = 0;
            });
            return;
        }
        block.each([&](Thread t, Shared& s) {
            int above = 0, same = 0;
            for (int c = t; c < size; c += kThreads) {
                above += s.score[c] > s.least;
                same += s.score[c] == s.least;
            }
            if (above) fetch_add(&s.better, above);
            if (same) fetch_add(&s.equal, same);
        });
        block.each([&](Thread t, Shared& s) {
            if (t != 0) return;
            tie.of(t)[row] = s.better + s.equal > k;
            proven.of(t)[row] = !lost[row] && double(bound_of(cuts[row])) < frame.threshold(s.least);
        });
    }

  private:
    KERNALIGN_KERNEL void score(const Block<Shared>& block, std::int64_t row, int begin, int size) const {
        const std::uint64_t* keys = queue + row * capacity;
        const int held = size - begin < kThreads ? size - begin : kThreads;
        Own<double, kThreads> sum;
        block.each([&](Thread t, Shared& s) {
            sum[t] = 0;
            if (t < held) s.index[begin + t] = index_of(keys[begin + t]);
        });
        for (std::int64_t f0 = 0; f0 < x.cols; f0 += kFeatures) {
            const int count = int(x.cols - f0 < kFeatures ? x.cols - f0 : kFeatures);
            block.each([&](Thread t, Shared& s) {
                for (int f = t; f < count; f += kThreads) s.own[f] = x(row, f0 + f);
                for (int e = t; e < held * kFeatures; e += kThreads) {
                    const int c = e / kFeatures, f = e % kFeatures;
                    if (f < count) s.other[c][f] = x(s.index[begin + c], f0 + f);
                }
            });
            block.each([&](Thread t, Shared& s) {
                if (t >= held) return;
                double total = sum[t];
                for (int f = 0; f < count; ++f) {
                    const double value = s.other[t][f], apart = s.own[f] - value;
                    total += frame.distance ? apart * apart : value * s.own[f];
                }
                sum[t] = total;
            });
        }
        block.each([&](Thread t, Shared& s) {
            if (t < held) s.score[begin + t] = frame.distance ? 0.0 - sum[t] : sum[t];  // never -0
        });
    }
};

// How many entries of a sampled row can be above its k-th best: those whose bound reaches the place-th largest of the
// values that rows surely have.
struct Need {
    static constexpr int kThreads = 256, kBits = 32;
    static constexpr float kCautious = 1.06f;  // what the bound pays beyond the rounding of its inputs, and noise
    struct Shared {
        int count;
    };
    const float* products;  // of the sampled rows, a line each
    std::int64_t ld;
    int cols, place;
    const std::int32_t* rows;  // those sampled
    const float *offsets, *lost, *size;
    Written<int> need;

    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const int row = rows[block.index()];
        std::uint32_t cut = 0;  // the largest that `place` values reach, bit by bit
        for (int bit = kBits - 1; bit >= 0; --bit) {
            const std::uint32_t tried = cut | std::uint32_t(1) << bit;
            if (how_many(block, row, tried, true) >= place) cut = tried;
        }
        const int many = how_many(block, row, cut, false);
        block.each([&](Thread t, Shared&) {
            if (t == 0) need.of(t)[block.index()] = many;
        });
    }

  private:
    KERNALIGN_KERNEL int how_many(const Block<Shared>& block, int row, std::uint32_t cut, bool sure) const {
        block.each([&](Thread t, Shared& s) {
            if (t == 0) s.count = 0;
        });
        block.each([&](Thread t, Shared& s) {
            int found = 0;
            for (int j = t; j < cols; j += kThreads) {
                if (j == row) continue;
                const float bound = products[block.index() * ld + j] + offsets[j];
                const float paid = sure ? kCautious * (lost[row] * size[j] + size[row] * lost[j]) : 0.0f;
                found += ordered(bound - paid) >= cut;
            }
            if (found) fetch_add(&s.count, found);
        });
        return block.read([](const Shared& s) { return s.count; });
    }
};

}  // namespace kernalign::cuda
