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

// Rows as (x - shift) * factor, and their squared lengths.
template <class E>
struct Centred {
    static constexpr int kLanes = 32, kRows = 8, kThreads = kRows * kLanes;
    struct Shared {
        double square[kRows][kLanes + 1];
    };
    DeviceRows<E> x;
    const double* shift;
    double factor;
    Written<double> out, norms;
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
                    const double value = (x.raw(row, f) - shift[f]) * factor;
                    out.of(t)[row * width + f] = value;
                    sum += value * value;
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
