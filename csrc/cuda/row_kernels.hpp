// The kernels that examine and preprocess rows (view.hpp), to the bits of the CPU's loader.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/rows.hpp"
#include "direction.hpp"

namespace kernalign::cuda {

// |x_i|^2, summed in the 16 lanes of the CPU's loops and then by halves, and the largest magnitude; of X_i - centre if
// there is one.
template <class E>
struct Squares {
    static constexpr int kLanes = 16, kRows = 16, kThreads = kRows * kLanes;
    struct Shared {
        double square[kRows][kLanes + 1], largest[kRows][kLanes + 1];
    };
    DeviceRows<E> x;
    Written<double> squares, largest;
    const double* centre = nullptr;

    static std::int64_t blocks(std::int64_t rows) { return (rows + kRows - 1) / kRows; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t first = block.index() * kRows;
        block.each([&](Thread t, Shared& s) {
            const std::int64_t row = first + t / kLanes;
            double sum = 0, most = 0;
            if (row < x.count)
                for (std::int64_t f = t % kLanes; f < x.cols; f += kLanes) {
                    const double value = centre ? x(row, f) - centre[f] : x.raw(row, f);
                    const double size = value < 0 ? -value : value;
                    sum += value * value;
                    if (size > most) most = size;
                }
            s.square[t / kLanes][t % kLanes] = sum;
            s.largest[t / kLanes][t % kLanes] = most;
        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kRows || first + t >= x.count) return;
            double peak = 0;
            for (int lane = 0; lane < kLanes; ++lane)
                if (s.largest[t][lane] > peak) peak = s.largest[t][lane];
            for (int half = kLanes / 2; half > 0; half /= 2)
                for (int lane = 0; lane < half; ++lane) s.square[t][lane] += s.square[t][lane + half];
            squares.of(t)[first + t] = s.square[t][0];
            largest.of(t)[first + t] = peak;
        });
    }
};

// What cosine divides each row by (direction.hpp).
template <class E>
struct Divisors {
    static constexpr int kThreads = 64;
    struct Shared {};
    DeviceRows<E> x;
    Written<double> divisors;

    static std::int64_t blocks(std::int64_t rows) { return (rows + kThreads - 1) / kThreads; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        block.each([&](Thread t, Shared&) {
            const std::int64_t row = block.index() * kThreads + t;
            if (row < x.count) divisors.of(t)[row] = common_divisor(Entry{x, row}, x.cols);
        });
    }

  private:
    struct Entry {
        DeviceRows<E> x;
        std::int64_t row;
        KERNALIGN_KERNEL double operator()(std::int64_t f) const { return x.raw(row, f); }
    };
};

// Rows as float64 after what view.hpp says is done to each, in that order, by one thread a row: sums over a row are in
// feature order. Rows of norm zero are left as they are.
template <class E>
struct Preprocess {
    static constexpr int kThreads = 64;
    struct Shared {};
    DeviceRows<E> x;
    double clip;
    const double *shift, *scale;  // or null
    bool zero_mean, unit_norm;
    bool unit_size, direction;  // at last, by a power of two, and by what direction.hpp says
    Written<double> out;        // dense

    static std::int64_t blocks(std::int64_t rows) { return (rows + kThreads - 1) / kThreads; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        block.each([&](Thread t, Shared&) {
            const std::int64_t row = block.index() * kThreads + t;
            if (row < x.count) one(row, out.of(t) + row * x.cols);
        });
    }

  private:
    KERNALIGN_KERNEL void one(std::int64_t row, double* values) const {
        const std::int64_t d = x.cols;
        for (std::int64_t f = 0; f < d; ++f) {
            double value = fmin(fmax(x.raw(row, f), -clip), clip);
            if (shift) value -= shift[f];
            if (scale) value *= scale[f];
            values[f] = value;
        }
        if (zero_mean) {
            const double first = values[0];
            double sum = 0;
            for (std::int64_t f = 0; f < d; ++f) sum += values[f] - first;
            const double mean = first + sum / double(d);
            for (std::int64_t f = 0; f < d; ++f) values[f] -= mean;
        }
        if (unit_norm) {
            divide_by_common(values);
            const double norm = norm_of(values);
            if (norm > 0)
                for (std::int64_t f = 0; f < d; ++f) values[f] /= norm;
        }
        if (unit_size) {
            const double most = largest_of(values);
            if (most > 0) {
                const int exponent = ilogb(most);
                for (std::int64_t f = 0; f < d; ++f) values[f] = scalbn(values[f], -exponent);
            }
        }
        if (direction) divide_by_common(values);
    }
    struct Listed {
        const double* values;
        KERNALIGN_KERNEL double operator()(std::int64_t f) const { return values[f]; }
    };
    KERNALIGN_KERNEL void divide_by_common(double* values) const {
        const double common = common_divisor(Listed{values}, x.cols);
        if (common != 1)
            for (std::int64_t f = 0; f < x.cols; ++f) values[f] /= common;
    }
    KERNALIGN_KERNEL double largest_of(const double* values) const {
        double most = 0;
        for (std::int64_t f = 0; f < x.cols; ++f) most = fmax(most, fabs(values[f]));
        return most;
    }
    KERNALIGN_KERNEL double norm_of(const double* values) const {
        double sum = 0;
        for (std::int64_t f = 0; f < x.cols; ++f) sum += values[f] * values[f];
        if (sum > 1e-280 && sum < 1e280) return sqrt(sum);
        const double most = largest_of(values);
        if (most == 0) return 0;
        const int exponent = ilogb(most);
        sum = 0;
        for (std::int64_t f = 0; f < x.cols; ++f) {
            const double value = scalbn(values[f], -exponent);
            sum += value * value;
        }
        return scalbn(sqrt(sum), exponent);
    }
};

// Some rows, as they are.
template <class E>
struct Gather {
    static constexpr int kThreads = 128;
    struct Shared {};
    DeviceRows<E> x;
    const std::int64_t* listed;
    Written<E> out;

    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        block.each([&](Thread t, Shared&) {
            const std::int64_t at = block.index();
            for (std::int64_t f = t; f < x.cols; f += kThreads)
                out.of(t)[at * x.cols + f] = x.data[listed[at] * x.stride + f];
        });
    }
};

}  // namespace kernalign::cuda
