// The mean and the scale of rows, found before anything is multiplied.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "cpu/runtime/load.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"

namespace kernalign {

// Rows of T: where they are if they lie there dense, else through a copy of those that are asked for.
template <class T>
struct DenseRows {
    struct Block {
        const T* rows = nullptr;
        std::ptrdiff_t stride = 0;
        std::vector<T> copy;
    };

    const T* dense = nullptr;
    std::ptrdiff_t stride = 0;
    const Rows* given = nullptr;  // if they are not dense

    explicit DenseRows(const Rows& rows) : given(&rows) {
        if (!dense_as<T>(rows)) return;
        dense = static_cast<const T*>(rows.view.data);
        stride = rows.view.row_stride / std::ptrdiff_t(sizeof(T));
    }
    DenseRows(const T* rows, std::ptrdiff_t row_stride) : dense(rows), stride(row_stride) {}

    void read(std::int64_t begin, std::int64_t end, Block& block) const {
        if (dense) {
            block.stride = stride;
            block.rows = dense + begin * stride;
            return;
        }
        block.stride = given->cols();
        block.copy.resize(std::size_t((end - begin) * block.stride));
        load_rows(*given, begin, end, block.copy.data(), block.stride);
        block.rows = block.copy.data();
    }
};

struct DenseCentre {
    std::vector<double> mean, rest;  // rest: what rounding took from the mean
    int exponent = 0;                // of the root mean square of the rows' distances from the first

    // (row - mean - rest) 2^-exponent is exactly 0 in constant columns. False if rows are equal or span too much. The
    // same for any number of threads, for any layout, and of rows times a power of two. `rows` is a DenseRows.
    template <class Source>
    bool find(const Source& rows, std::int64_t n, std::int64_t cols, int threads, Progress& progress) {
        constexpr std::int64_t kSlice = 4096,
                               kTogether = 1 << 11;  // rows of a task, numbers that are read side by side
        const std::int64_t slices = (n + kSlice - 1) / kSlice, step = std::clamp<std::int64_t>(kTogether / cols, 4, 32);
        std::vector<std::vector<double>> sums(static_cast<std::size_t>(slices));
        std::vector<double> squares(static_cast<std::size_t>(slices), 0.0);
        typename Source::Block first;
        rows.read(0, 1, first);
        parallel_for(slices, threads, progress, [&](std::int64_t slice, int) {
            typename Source::Block block;
            std::vector<double>& sum = sums[std::size_t(slice)];
            sum.assign(std::size_t(cols), 0.0);
            const std::int64_t end = std::min(n, (slice + 1) * kSlice);
            for (std::int64_t i = slice * kSlice; i < end; i += step) {
                const std::int64_t count = std::min(step, end - i);
                rows.read(i, i + count, block);
                squares[std::size_t(slice)] +=
                    simd().add_differences(block.rows, block.stride, count, first.rows, sum.data(), cols);
            }
        });
        if (!scale(std::accumulate(squares.begin(), squares.end(), 0.0), rows, first.rows, n, cols)) return false;
        mean.resize(std::size_t(cols));
        rest.resize(std::size_t(cols));
        for (std::size_t j = 0; j < mean.size(); ++j) {
            double total = 0;
            for (const std::vector<double>& sum : sums) total += sum[j];
            total /= double(n);
            const double from = double(first.rows[j]), moved = (mean[j] = from + total) - from;  // Knuth's sum
            rest[j] = (from - (mean[j] - moved)) + (total - moved);
            if (!std::isfinite(mean[j])) return false;
        }
        return true;
    }

  private:
    template <class Source, class T>
    bool scale(double square, const Source& rows, const T* first, std::int64_t n, std::int64_t cols) {
        constexpr int kLimit = 1000;  // keeps 2^-exponent a normal number
        int unit = 0;
        if (!(square > 1e-280 && square < 1e280)) {
            typename Source::Block block;
            const auto each = [&](auto&& use) {
                for (std::int64_t i = 0; i < n; ++i) {
                    rows.read(i, i + 1, block);
                    for (std::int64_t j = 0; j < cols; ++j) use(double(block.rows[j]) - double(first[j]));
                }
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
