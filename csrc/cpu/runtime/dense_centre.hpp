// The mean and the scale of dense rows, found before anything is multiplied.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"

namespace kernalign {

struct DenseCentre {
    std::vector<double> mean, rest;  // rest: what rounding took from the mean
    int exponent = 0;                // of the root mean square of the rows' distances from the first

    // (row - mean - rest) 2^-exponent is exactly 0 in constant columns. False if rows are equal or span too much. The
    // same for any number of threads, and of rows times a power of two.
    template <class T>
    bool find(const T* rows, std::ptrdiff_t stride, std::int64_t n, std::int64_t cols, int threads,
              Progress& progress) {
        constexpr std::int64_t kSlice = 4096,
                               kTogether = 1 << 11;  // rows of a task, numbers that are read side by side
        const std::int64_t slices = (n + kSlice - 1) / kSlice, step = std::clamp<std::int64_t>(kTogether / cols, 4, 32);
        std::vector<std::vector<double>> sums(static_cast<std::size_t>(slices));
        std::vector<double> squares(static_cast<std::size_t>(slices), 0.0);
        parallel_for(slices, threads, progress, [&](std::int64_t slice, int) {
            std::vector<double>& sum = sums[std::size_t(slice)];
            sum.assign(std::size_t(cols), 0.0);
            const std::int64_t end = std::min(n, (slice + 1) * kSlice);
            for (std::int64_t i = slice * kSlice; i < end; i += step)
                squares[std::size_t(slice)] +=
                    simd().add_differences(rows + i * stride, stride, std::min(step, end - i), rows, sum.data(), cols);
        });
        if (!scale(std::accumulate(squares.begin(), squares.end(), 0.0), rows, stride, n, cols)) return false;
        mean.resize(std::size_t(cols));
        rest.resize(std::size_t(cols));
        for (std::size_t j = 0; j < mean.size(); ++j) {
            double total = 0;
            for (const std::vector<double>& sum : sums) total += sum[j];
            total /= double(n);
            const double first = double(rows[j]), moved = (mean[j] = first + total) - first;  // Knuth's sum
            rest[j] = (first - (mean[j] - moved)) + (total - moved);
            if (!std::isfinite(mean[j])) return false;
        }
        return true;
    }

  private:
    template <class T>
    bool scale(double square, const T* rows, std::ptrdiff_t stride, std::int64_t n, std::int64_t cols) {
        constexpr int kLimit = 1000;  // keeps 2^-exponent a normal number
        int unit = 0;
        if (!(square > 1e-280 && square < 1e280)) {
            const auto each = [&](auto&& use) {
                for (std::int64_t i = 0; i < n; ++i)
                    for (std::int64_t j = 0; j < cols; ++j) use(double(rows[i * stride + j]) - double(rows[j]));
            };
            double most = 0;
            each([&](double difference) { most = std::max(most, std::fabs(difference)); });
            if (!(most > 0 && std::isfinite(most))) return false;
            unit = std::ilogb(most);
            square = 0;
            each([&](double difference) { square += std::ldexp(difference, -unit) * std::ldexp(difference, -unit); });
            if (!(square > 0)) return false;
        }
        exponent = unit + std::ilogb(std::sqrt(square / double(n)));
        return std::abs(exponent) <= kLimit;
    }
};

}  // namespace kernalign
