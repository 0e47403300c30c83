// The kernels that centre rows in float64: what sums of their products are made of.
#pragma once

#include <cstdint>

#include "cuda/rows.hpp"

namespace kernalign::cuda {

// Sums over 1024 rows at a time of x - base, by column, and the largest |x - base|: chunks x cols. Without a base it is
// the first of all rows, and `first` receives it.
template <class E>
struct Columns {
    static constexpr int kCols = 32, kParts = 8, kThreads = kCols * kParts, kRows = 1024;
    struct Shared {
        double sum[kParts][kCols + 1], largest[kParts][kCols + 1];
    };
    DeviceRows<E> x;
    const double* base = nullptr;
    Written<double> sums, largest, first;

    static std::int64_t chunks(std::int64_t rows) { return (rows + kRows - 1) / kRows; }
    static std::int64_t blocks(std::int64_t rows, std::int64_t cols) {
        return chunks(rows) * ((cols + kCols - 1) / kCols);
    }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t across = (x.cols + kCols - 1) / kCols, chunk = block.index() / across;
        const std::int64_t column = block.index() % across * kCols;
        block.each([&](Thread t, Shared& s) {
            const std::int64_t f = column + t % kCols;
            double sum = 0, most = 0;
            if (f < x.cols) {
                const double from = base ? base[f] : x.raw(0, f);
                const std::int64_t begin = chunk * kRows + t / kCols * (kRows / kParts);
                const std::int64_t end = begin + kRows / kParts < x.count ? begin + kRows / kParts : x.count;
                for (std::int64_t row = begin; row < end; ++row) {
                    const double apart = x.raw(row, f) - from, size = apart < 0 ? -apart : apart;
                    sum += apart;
                    if (size > most) most = size;
                }
                if (!base && chunk == 0 && t < kCols) first.of(t)[f] = from;
            }
            s.sum[t / kCols][t % kCols] = sum;
            s.largest[t / kCols][t % kCols] = most;
        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kCols || column + t >= x.cols) return;
            double total = 0, peak = 0;
            for (int part = 0; part < kParts; ++part) {
                total += s.sum[part][t];
                if (s.largest[part][t] > peak) peak = s.largest[part][t];
            }
            sums.of(t)[chunk * x.cols + column + t] = total;
            largest.of(t)[chunk * x.cols + column + t] = peak;
        });
    }
};

// Rows as (x - shift) * factor, rounded to T, and the squared lengths of what they have become.
template <class E, class T = double>
struct Centred {
    static constexpr int kLanes = 32, kRows = 8, kThreads = kRows * kLanes;
    struct Shared {
        double square[kRows][kLanes + 1];
    };
    DeviceRows<E> x;
    const double* shift;
    double factor;
    Written<T> out;
    Written<double> norms;
    std::int64_t width, apart;  // from row to row of out, from norm to norm
    std::int64_t one = -1;      // the column of out that becomes 1, if any

    static std::int64_t blocks(std::int64_t rows) { return (rows + kRows - 1) / kRows; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t first = block.index() * kRows;
        block.each([&](Thread t, Shared& s) {
            const std::int64_t row = first + t / kLanes;
            double sum = 0;
            if (row < x.count)
                for (std::int64_t f = t % kLanes; f < x.cols; f += kLanes) {
                    const T value = T((x.raw(row, f) - shift[f]) * factor);
                    out.of(t)[row * width + f] = value;
                    sum += double(value) * double(value);
                }
            s.square[t / kLanes][t % kLanes] = sum;
        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kRows || first + t >= x.count) return;
            double total = 0;
            for (int lane = 0; lane < kLanes; ++lane) total += s.square[t][lane];
            norms.of(t)[(first + t) * apart] = total;
            if (one >= 0) out.of(t)[(first + t) * width + one] = 1;
        });
    }
};

// Of some rows of V = [x' | y' | 1 | |x'|^2 | |y'|^2]: their products with the last three columns are added to V^T V,
// and the means of the first `last` columns are found.
struct Borders {
    static constexpr int kCols = 32, kParts = 8, kThreads = kCols * kParts, kLast = 3;
    struct Shared {
        double sum[kLast][kParts][kCols + 1];
    };
    const double* rows;  // dense
    std::int64_t count, width, last;
    Written<double> sums, means;  // width x width; last

    static std::int64_t blocks(std::int64_t last) { return (last + kLast + kCols - 1) / kCols; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t first = block.index() * kCols, each = (count + kParts - 1) / kParts;
        block.each([&](Thread t, Shared& s) {
            const std::int64_t column = first + t % kCols, begin = t / kCols * each;
            const std::int64_t end = begin + each < count ? begin + each : count;
            double sum[kLast] = {0, 0, 0};
            if (column < last + kLast)
                for (std::int64_t row = begin; row < end; ++row) {
                    const double *from = rows + row * width, value = from[column];
#pragma unroll
                    for (int with = 0; with < kLast; ++with) sum[with] += value * from[last + with];
                }
#pragma unroll
            for (int with = 0; with < kLast; ++with) s.sum[with][t / kCols][t % kCols] = sum[with];
        });
        block.each([&](Thread t, Shared& s) {
            const std::int64_t at = first + t;
            if (t >= kCols || at >= last + kLast) return;
            for (int with = 0; with < kLast; ++with) {
                double total = 0;
                for (int part = 0; part < kParts; ++part) total += s.sum[with][part][t];
                if (at <= last + with) sums.of(t)[at * width + last + with] += total;
                if (with == 0 && at < last) means.of(t)[at] = total / double(count);
            }
        });
    }
};

// Rows less the means, in float32; columns from `last` on become 0.
struct Narrowed {
    static constexpr int kThreads = 256;
    struct Shared {};
    const double *rows, *means;
    std::int64_t count, width, last;
    Written<float> out;

    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        block.each([&](Thread t, Shared&) {
            const std::int64_t row = block.index();
            for (std::int64_t f = t; f < width; f += kThreads)
                out.of(t)[row * width + f] = f < last ? float(rows[row * width + f] - means[f]) : 0.0f;
        });
    }
};

// The upper triangle of sums grows by float32 products of rows less their means, and by what the means add to them.
struct AddNarrow {
    static constexpr int kThreads = 256;
    struct Shared {};
    const float* products;  // width x width
    const double* means;
    std::int64_t count, width, last;
    Written<double> sums;

    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        block.each([&](Thread t, Shared&) {
            const std::int64_t row = block.index();
            const double together = double(count) * means[row];
            for (std::int64_t f = row + t; f < last; f += kThreads)
                sums.of(t)[row * width + f] += double(products[row * width + f]) + together * means[f];
        });
    }
};

// Rows widened to float64, densely.
template <class E>
struct Widen {
    static constexpr int kThreads = 128;
    struct Shared {};
    DeviceRows<E> x;
    Written<double> out;

    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        block.each([&](Thread t, Shared&) {
            const std::int64_t row = block.index();
            for (std::int64_t f = t; f < x.cols; f += kThreads) out.of(t)[row * x.cols + f] = x.raw(row, f);
        });
    }
};

}  // namespace kernalign::cuda
