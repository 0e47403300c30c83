// The kernels that make kernel values of tiles of products, and sum them.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/simt.hpp"
#include "gram_function.hpp"

namespace kernalign::cuda {

KERNALIGN_KERNEL double root_of(double v) { return sqrt(v); }
KERNALIGN_KERNEL float root_of(float v) { return sqrtf(v); }
KERNALIGN_KERNEL double exp_of(double v) { return exp(v); }
KERNALIGN_KERNEL float exp_of(float v) { return expf(v); }
KERNALIGN_KERNEL double expm1_of(double v) { return expm1(v); }
KERNALIGN_KERNEL float expm1_of(float v) { return expm1f(v); }

// The kernel's value, less the pilot, of an inner product or a squared distance, in the arithmetic of these.
template <class T>
KERNALIGN_KERNEL T kernel_value(const GramFunction& f, T v) {
    const T factor = T(f.factor), pilot = T(f.pilot);
    switch (f.form) {
        case KernelForm::polynomial: {
            const T offset = T(f.offset), base = T(f.base);
            const T b = v * factor + offset, own = f.based ? base * factor + offset : T(0);
            T sum = 1, power = 1;
            for (int d = 1; d < f.degree; ++d) {
                power *= own;
                sum = sum * b + power;
            }
            return (f.based ? v - base : b) * sum;
        }
        case KernelForm::rbf:
        case KernelForm::laplacian: {
            const T x = factor * (f.form == KernelForm::rbf ? v : root_of(v));
            return x > T(-0.35) ? expm1_of(x) + T(1 - f.pilot) : exp_of(x) - pilot;  // nothing cancels near 1
        }
        case KernelForm::euclidean:
            return root_of(v) - pilot;
        default:
            return v - pilot;
    }
}

// Of the squared lengths, below which distances are taken from differences.
template <class T>
constexpr double kCloseOf = sizeof(T) == 4 ? kCloseNarrow : kClose;

// Inner products of rows [row0, row0 + rows) with rows [col0, col0 + cols) become kernel values, 0 on and below the
// diagonal of the whole matrix; their sums by row, for each block of columns, and by column, for each block of rows.
template <class T>
struct TileValues {
    static constexpr int kRows = 32, kCols = 128, kGroups = 2, kThreads = kGroups * kCols, kLanes = 8;
    struct Shared {
        double value[kRows][kCols + 1], column[kGroups][kCols], row[kRows][kLanes + 1];
    };
    GramFunction function;
    bool distance;
    std::int64_t row0, col0, rows, cols, ld;
    const T* products;             // rows x cols, ld apart; those of float64 may be where the values go
    const T* points;               // rows of all, dense
    const double *norms, *levels;  // of all, their squared lengths; levels may be null
    std::int64_t width;
    Written<double> tile;               // rows x cols, ld apart
    Written<double> by_row, by_column;  // one line for each block of columns, and of rows
    std::int64_t line;

    static std::int64_t across(std::int64_t cols) { return (cols + kCols - 1) / kCols; }
    static std::int64_t down(std::int64_t rows) { return (rows + kRows - 1) / kRows; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t wide = (cols + kCols - 1) / kCols;
        const std::int64_t rblock = block.index() / wide, cblock = block.index() % wide;
        const std::int64_t r0 = rblock * kRows, c0 = cblock * kCols;
        block.each([&](Thread t, Shared& s) {
            const int c = t % kCols;
            double sum = 0;
            for (int r = t / kCols; r < kRows; r += kGroups) {
                double value = 0;
                if (r0 + r < rows && c0 + c < cols) {
                    const std::int64_t at = (r0 + r) * ld + c0 + c, i = row0 + r0 + r, j = col0 + c0 + c;
                    if (j > i) value = entry(products[at], i, j);
                    tile.of(t)[at] = value;
                }
                s.value[r][c] = value;
                sum += value;
            }
            s.column[t / kCols][c] = sum;
        });
        block.each([&](Thread t, Shared& s) {
            if (t < kCols && c0 + t < cols) {
                double total = 0;
                for (int group = 0; group < kGroups; ++group) total += s.column[group][t];
                by_column.of(t)[rblock * line + c0 + t] = total;
            }
            const int row = t / kLanes;
            double total = 0;
            for (int f = t % kLanes; f < kCols; f += kLanes) total += s.value[row][f];
            s.row[row][t % kLanes] = total;
        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kRows || r0 + t >= rows) return;
            double sum = 0;
            for (int lane = 0; lane < kLanes; ++lane) sum += s.row[t][lane];
            by_row.of(t)[cblock * line + r0 + t] = sum;
        });
    }

  private:
    KERNALIGN_KERNEL double entry(T product, std::int64_t i, std::int64_t j) const {
        if (!distance) return double(kernel_value(function, product));
        const double lengths = norms[i] + norms[j], both = double(product);
        double apart = lengths - (both + both);
        if (apart < kCloseOf<T> * lengths) {  // cancellation has spoiled it
            apart = 0;
            for (std::int64_t f = 0; f < width; ++f) {
                const double gap = double(points[i * width + f]) - double(points[j * width + f]);
                apart += gap * gap;
            }
        }
        const double value = double(kernel_value(function, T(apart)));
        return levels ? (value - levels[i]) - levels[j] : value;
    }
};

// Sums over entries of the products of pairs of tiles: of sides [8 a, 8 a + 8) with sides [8 b, 8 b + 8), a <= b.
struct TileProducts {
    static constexpr int kSides = 8, kLanes = 4, kThreads = kSides * kSides * kLanes, kStep = 128;
    struct Shared {
        double left[kSides][kStep + 1], right[kSides][kStep + 1], sum[kThreads];
    };
    const double* tiles;  // sides x entries
    std::int64_t entries, sides, share;
    Written<double> partial;  // shares x sides x sides

    static std::int64_t pairs(std::int64_t sides) {
        const std::int64_t groups = (sides + kSides - 1) / kSides;
        return groups * groups;  // those below the diagonal do nothing
    }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t groups = (sides + kSides - 1) / kSides, pair = block.index() % (groups * groups);
        const std::int64_t part = block.index() / (groups * groups);
        const std::int64_t a0 = pair / groups * kSides, b0 = pair % groups * kSides;
        if (a0 > b0) return;
        const std::int64_t begin = part * share, end = begin + share < entries ? begin + share : entries;
        Own<double, kThreads> sum;
        block.each([&](Thread t, Shared&) { sum[t] = 0; });
        for (std::int64_t at = begin; at < end; at += kStep) {
            block.each([&](Thread t, Shared& s) {
                for (int e = t; e < kSides * kStep; e += kThreads) {
                    const int side = e / kStep, entry = e % kStep;
                    const bool inside = at + entry < end;
                    s.left[side][entry] = inside && a0 + side < sides ? tiles[(a0 + side) * entries + at + entry] : 0;
                    s.right[side][entry] = inside && b0 + side < sides ? tiles[(b0 + side) * entries + at + entry] : 0;
                }
            });
            block.each([&](Thread t, Shared& s) {
                const int lane = t % kLanes, a = t / kLanes / kSides, b = t / kLanes % kSides;
                double total = sum[t];
                for (int entry = lane; entry < kStep; entry += kLanes) total += s.left[a][entry] * s.right[b][entry];
                sum[t] = total;
            });
        }
        block.each([&](Thread t, Shared& s) { s.sum[t] = sum[t]; });
        block.each([&](Thread t, Shared& s) {
            if (t >= kSides * kSides) return;
            const std::int64_t a = a0 + t / kSides, b = b0 + t % kSides;
            if (a >= sides || b >= sides) return;
            double total = 0;
            for (int lane = 0; lane < kLanes; ++lane) total += s.sum[t * kLanes + lane];
            partial.of(t)[(part * sides + a) * sides + b] = total;
        });
    }
};

// totals += parts: eight runs of them, each one after the other.
struct AddUp {
    static constexpr int kCols = 32, kRuns = 8, kThreads = kCols * kRuns;
    struct Shared {
        double sum[kRuns][kCols + 1];
    };
    const double* parts;  // count x size, `apart` apart
    std::int64_t count, size, apart;
    Written<double> totals;

    static std::int64_t blocks(std::int64_t size) { return (size + kCols - 1) / kCols; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t first = block.index() * kCols, each = (count + kRuns - 1) / kRuns;
        block.each([&](Thread t, Shared& s) {
            const std::int64_t e = first + t % kCols, begin = t / kCols * each;
            const std::int64_t end = begin + each < count ? begin + each : count;
            double sum = 0;
            if (e < size)
                for (std::int64_t part = begin; part < end; ++part) sum += parts[part * apart + e];
            s.sum[t / kCols][t % kCols] = sum;
        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kCols || first + t >= size) return;
            double total = totals.of(t)[first + t];
            for (int run = 0; run < kRuns; ++run) total += s.sum[run][t];
            totals.of(t)[first + t] = total;
        });
    }
};

// Squared distances of rows, each with the next `partners` ones in a given order, which begins anew at its end.
template <class T>
struct SampledPairs {
    static constexpr int kLanes = 16, kPairs = 16, kThreads = kPairs * kLanes;
    struct Shared {
        double sum[kPairs][kLanes + 1];
    };
    const T* points;  // rows, dense
    const std::int32_t* order;
    std::int64_t count, width, partners;
    Written<double> out;  // count x partners

    static std::int64_t blocks(std::int64_t pairs) { return (pairs + kPairs - 1) / kPairs; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t first = block.index() * kPairs, all = count * partners;
        block.each([&](Thread t, Shared& s) {
            const std::int64_t pair = first + t / kLanes;
            double sum = 0;
            if (pair < all) {
                const std::int64_t at = pair / partners, next = (at + pair % partners + 1) % count;
                const T *one = points + order[at] * width, *other = points + order[next] * width;
                for (std::int64_t f = t % kLanes; f < width; f += kLanes) {
                    const double gap = double(one[f]) - double(other[f]);
                    sum += gap * gap;
                }
            }
            s.sum[t / kLanes][t % kLanes] = sum;
        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kPairs || first + t >= all) return;
            double total = 0;
            for (int lane = 0; lane < kLanes; ++lane) total += s.sum[t][lane];
            out.of(t)[first + t] = total;
        });
    }
};

// Entries above the diagonal: how many are below `least`, and those that are not above `most`, as far as they fit.
struct CountCollect {
    static constexpr int kThreads = 256, kEach = 16;
    struct Shared {
        int below;
    };
    const double* tile;
    std::int64_t row0, col0, rows, cols, ld;
    double least, most;
    int capacity;
    Written<int> counts;  // below; inside; also of what found no room
    Written<double> found;

    static std::int64_t blocks(std::int64_t rows, std::int64_t cols) {
        return (rows * cols + kThreads * kEach - 1) / (kThreads * kEach);
    }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        block.each([&](Thread t, Shared& s) {
            if (t == 0) s.below = 0;
        });
        block.each([&](Thread t, Shared& s) {
            int below = 0;
            for (int e = 0; e < kEach; ++e) {
                const std::int64_t at = (block.index() * kEach + e) * kThreads + t, r = at / cols, c = at % cols;
                if (r >= rows || col0 + c <= row0 + r) continue;
                const double value = tile[r * ld + c];
                if (value < least) {
                    ++below;
                } else if (value <= most) {
                    const int place = fetch_add(counts.of(t) + 1, 1);
                    if (place < capacity) found.of(t)[place] = value;
                }
            }
            fetch_add(&s.below, below);
        });
        block.each([&](Thread t, Shared& s) {
            if (t == 0) fetch_add(counts.of(t), s.below);
        });
    }
};

}  // namespace kernalign::cuda
