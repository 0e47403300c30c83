// The kernels that keep the best candidates of every row in a queue (Search in neighbors.hpp).
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/rows.hpp"

namespace kernalign::cuda {

// A candidate is one number, larger is better: by bound descending, then by index ascending.
KERNALIGN_KERNEL std::uint32_t ordered(float value) {  // orders like the numbers
    const std::uint32_t bits = bits_of(value);
    return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
}
KERNALIGN_KERNEL float unordered(std::uint32_t bits) {
    return float_of(bits ^ (bits >> 31 ? 0x80000000u : 0xffffffffu));
}
KERNALIGN_KERNEL std::uint64_t key_of(float bound, std::int32_t index) {
    return std::uint64_t(ordered(bound)) << 32 | (0xffffffffu - std::uint32_t(index));
}
KERNALIGN_KERNEL float bound_of(std::uint64_t key) { return unordered(std::uint32_t(key >> 32)); }
KERNALIGN_KERNEL std::int32_t index_of(std::uint64_t key) { return std::int32_t(0xffffffffu - std::uint32_t(key)); }
constexpr std::uint64_t kNoCut = std::uint64_t(0x007fffff) << 32;  // below every key; its bound is -infinity

// Entries of a tile of products above the cut of their row, or of their column, go to the queues. All rows of a tile on
// the diagonal are rows of it too, so it feeds rows only.
struct Select {
    static constexpr int kThreads = 256, kRows = 64, kCols = 128, kStep = 4, kEach = kRows / (kThreads / 32);
    struct Shared {
        float offset[kRows], cut[kRows];
    };
    const float* tile;  // aligned to 16 bytes, as every row of it is
    std::int64_t ld;
    int rows, cols, row0, col0, capacity;
    const float* offsets;       // h', of all rows
    const std::uint64_t* cuts;  // keys up to this are not wanted
    const unsigned char* only;  // or null: rows whose queue did not hold all of this tile
    Written<std::uint64_t> queue;
    Written<int> count;  // also of what found no room

    static std::int64_t across(int cols) { return (cols + kCols - 1) / kCols; }
    static std::int64_t blocks(int rows, int cols) { return across(cols) * ((rows + kRows - 1) / kRows); }

    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const int wide = (cols + kCols - 1) / kCols;
        const int r0 = int(block.index() / wide) * kRows, c0 = int(block.index() % wide) * kCols;
        block.each([&](Thread t, Shared& s) {
            if (t >= kRows) return;
            const bool inside = r0 + t < rows;
            s.offset[t] = inside ? offsets[row0 + r0 + t] : 0.0f;
            s.cut[t] = inside ? bound_of(cuts[row0 + r0 + t]) : INFINITY;
        });
        block.each([&](Thread t, Shared& s) {
            const int c = c0 + t % 32 * 4;
            if (c >= cols) return;
            float h[4], cut[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const bool inside = c + j < cols;
                h[j] = inside ? offsets[col0 + c + j] : -INFINITY;
                cut[j] = inside && row0 != col0 ? bound_of(cuts[col0 + c + j]) : INFINITY;
            }
            const int end = (t / 32 + 1) * kEach < rows - r0 ? (t / 32 + 1) * kEach : rows - r0;
            for (int r = t / 32 * kEach; r < end; r += kStep) {
                float v[kStep][4];
#pragma unroll
                for (int i = 0; i < kStep; ++i) load_four(tile + (r0 + (r + i < end ? r + i : r)) * ld + c, v[i]);
                bool any = false;
#pragma unroll
                for (int i = 0; i < kStep; ++i)
#pragma unroll
                    for (int j = 0; j < 4; ++j) {
                        v[i][j] = (v[i][j] + s.offset[r + i]) + h[j];
                        any |= v[i][j] >= fminf(s.cut[r + i], cut[j]);
                    }
                if (any) offer(t, r0 + r, c, r0 + end, v, cut);
            }
        });
    }

  private:
    KERNALIGN_KERNEL static void load_four(const float* at, float* v) {
#ifdef __CUDACC__
        const float4 four = *reinterpret_cast<const float4*>(at);
        v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
#else
        for (int j = 0; j < 4; ++j) v[j] = at[j];
#endif
    }
    KERNALIGN_KERNEL void offer(Thread t, int r, int c, int end, const float (&v)[kStep][4],
                                const float (&cut)[4]) const {
#pragma unroll
        for (int i = 0; i < kStep; ++i) {
            if (r + i >= end) break;
            const int row = row0 + r + i;
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int column = col0 + c + j;
                if (row == column || c + j >= cols) continue;
                push(t, row, key_of(v[i][j], column));
                if (v[i][j] >= cut[j]) push(t, column, key_of(v[i][j], row));
            }
        }
    }
    KERNALIGN_KERNEL void push(Thread t, int row, std::uint64_t key) const {
        if (key <= cuts[row] || (only && !only[row])) return;
        const int at = fetch_add(count.of(t) + row, 1);
        if (at < capacity) queue.of(t)[std::int64_t(row) * capacity + at] = key;
    }
};

// Sorts out the queues of some rows that hold more than `trigger`: the `keep` best stay, in order, and the cut rises. A
// queue that had no room for all of a tile learns a cut from what it has, and forgets what came from that tile.
struct Shrink {
    static constexpr int kThreads = 128, kMost = 1024;
    struct Shared {
        std::uint64_t key[kMost], best[kMost];
        int size, old;
    };
    int first, keep, capacity, trigger;
    Written<std::uint64_t> queue, cuts;
    Written<int> count, before;  // before: the size of the queue without the tile
    Written<unsigned char> overflowed;
    Written<int> overflows;  // their number

    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t row = first + block.index();
        block.each([&](Thread t, Shared& s) {
            if (t != 0) return;
            s.size = count.of(t)[row];
            s.old = before.of(t)[row];
        });
        const int held = block.read([](const Shared& s) { return s.size; });
        const int old = block.read([](const Shared& s) { return s.old; });
        const bool over = held > capacity;
        const int size = over ? capacity : held, kept = size < keep ? size : keep;
        if (!over && held <= trigger) {
            block.each([&](Thread t, Shared&) {
                if (t != 0) return;
                before.of(t)[row] = held;
                overflowed.of(t)[row] = 0;
            });
            return;
        }
        block.each([&](Thread t, Shared& s) {
            for (int e = t; e < size; e += kThreads) s.key[e] = queue.of(t)[row * capacity + e];
            if (t == 0) s.size = 0;
        });
        block.each([&](Thread t, Shared& s) {
            for (int e = t; e < size; e += kThreads) {
                const std::uint64_t key = s.key[e];
                int rank = 0;
                for (int o = 0; o < size; ++o) rank += s.key[o] > key;
                if (rank < keep) s.best[rank] = key;
            }
        });
        block.each([&](Thread t, Shared& s) {
            std::uint64_t* to = queue.of(t) + row * capacity;
            if (t == 0) {
                if (size >= keep) cuts.of(t)[row] = s.best[keep - 1] - (over ? 1 : 0);
                overflowed.of(t)[row] = over;
                if (over) fetch_add(overflows.of(t), 1);
            }
            if (!over) {
                for (int e = t; e < kept; e += kThreads) to[e] = s.best[e];
                return;
            }
            for (int e = t; e < old; e += kThreads)
                if (s.key[e] >= s.best[keep - 1]) to[fetch_add(&s.size, 1)] = s.key[e];
        });
        block.each([&](Thread t, Shared& s) {
            if (t == 0) count.of(t)[row] = before.of(t)[row] = over ? s.size : kept;
        });
    }
};

// Marks the rows whose queue, even on trying again, did not hold what it should.
struct Forget {
    static constexpr int kThreads = 256;
    struct Shared {};
    std::int64_t first, rows;
    const unsigned char* overflowed;
    Written<unsigned char> lost;

    static std::int64_t blocks(std::int64_t rows) { return (rows + kThreads - 1) / kThreads; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        block.each([&](Thread t, Shared&) {
            const std::int64_t at = block.index() * kThreads + t;
            if (at < rows && overflowed[first + at]) lost.of(t)[first + at] = 1;
        });
    }
};

}  // namespace kernalign::cuda
