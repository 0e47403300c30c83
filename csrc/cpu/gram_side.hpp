// One representation as the tiles of its Gram matrix see it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "cpu/load.hpp"
#include "cpu/parallel.hpp"
#include "cpu/simd.hpp"
#include "error.hpp"
#include "view.hpp"

namespace kernalign {

constexpr std::int64_t kGramTile = 512;
constexpr std::int64_t kKeptBytes = 32 << 20;    // converted rows of one side are all kept if they fit
constexpr std::int64_t kBandElements = 1 << 19;  // of rows that one task prepares

// Rows shifted, scaled by a power of two and converted to T, with the sums per row that cost only O(np). Bands of rows
// are prepared in parallel and combined in order, so the bits do not depend on the threads.
template <class T>
class GramSide {
  public:
    GramSide(const Rows& rows, bool centred, int threads, Progress& progress) : rows_(rows), cols_(rows.cols()) {
        const std::int64_t n = rows.rows();
        band_ = std::clamp<std::int64_t>(kBandElements / cols_, 1, kGramTile);
        find_shift_and_scale(centred, threads, progress);
        if (n * cols_ * std::int64_t(sizeof(T)) <= kKeptBytes) {
            kept_.resize(std::size_t(n * cols_));
            each_band(threads, progress, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
                convert(begin, end, kept_.data() + begin * cols_);
            });
        }
        diagonal.resize(std::size_t(n));
        sums.resize(std::size_t(n));
        const std::vector<T> zero(std::size_t(cols_), T(0));
        const std::vector<double> no_shift(std::size_t(cols_), 0.0);
        total = sum_bands(threads, progress, [&](std::int64_t begin, std::int64_t end, double* sum) {
            std::vector<T> scratch;
            const T* panel = get(begin, end, scratch);
            for (std::int64_t i = begin; i < end; ++i, panel += cols_) {
                simd().add_difference(panel, zero.data(), sum, cols_);
                diagonal[std::size_t(i)] = simd().squared_norm(panel, no_shift.data(), 1.0, cols_);
            }
        });
        each_band(threads, progress, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            std::vector<T> scratch;
            const T* panel = get(begin, end, scratch);
            for (std::int64_t i = begin; i < end; ++i, panel += cols_)
                sums[std::size_t(i)] = simd().dot(panel, total.data(), cols_);
        });
    }

    std::int64_t cols() const { return cols_; }
    int exponent() const { return exponent_; }
    bool kept() const { return !kept_.empty(); }

    // Rows [begin, end) as a dense panel: kept ones, or converted into scratch.
    const T* get(std::int64_t begin, std::int64_t end, std::vector<T>& scratch) const {
        if (!kept_.empty()) return kept_.data() + begin * cols_;
        scratch.resize(std::max(scratch.size(), std::size_t((end - begin) * cols_)));
        convert(begin, end, scratch.data());
        return scratch.data();
    }

    std::vector<double> total;           // sum of the rows
    std::vector<double> diagonal, sums;  // K_ii and (K1)_i

  private:
    template <class F>
    void each_band(int threads, Progress& progress, F&& f) const {
        const std::int64_t n = rows_.rows(), bands = (n + band_ - 1) / band_;
        parallel_for(bands, n * cols_ < kBandElements ? 1 : threads, progress,
                     [&](std::int64_t band, int) { f(band, band * band_, std::min(n, (band + 1) * band_)); });
    }

    // Sum over rows of vectors of `cols` numbers; groups of bands share a partial sum, so that few of them are held.
    template <class F>
    std::vector<double> sum_bands(int threads, Progress& progress, F&& f) const {
        const std::int64_t n = rows_.rows(), bands = (n + band_ - 1) / band_;
        const std::int64_t groups = std::min<std::int64_t>(bands, 16), share = (bands + groups - 1) / groups;
        std::vector<double> result(std::size_t(cols_), 0.0);
        std::vector<std::vector<double>> partial(static_cast<std::size_t>(groups));
        for (auto& sum : partial) sum.assign(result.size(), 0.0);
        for (std::int64_t step = 0; step < share; ++step)
            parallel_for(groups, n * cols_ < kBandElements ? 1 : threads, progress, [&](std::int64_t group, int) {
                const std::int64_t begin = (group * share + step) * band_;
                if (begin < n) f(begin, std::min(n, begin + band_), partial[std::size_t(group)].data());
            });
        for (const auto& sum : partial)
            for (std::size_t j = 0; j < result.size(); ++j) result[j] += sum[j];
        return result;
    }

    void find_shift_and_scale(bool centred, int threads, Progress& progress) {
        std::vector<double> first(std::size_t(cols_), 0.0);
        if (centred) load_rows(rows_, 0, 1, first.data(), cols_);  // differences from it: exactly 0 in constant columns
        const std::vector<T> narrow(first.begin(), first.end());   // T holds the input exactly
        std::vector<double> largest(std::size_t(rows_.rows()), 0.0);
        const std::vector<double> sum =
            sum_bands(threads, progress, [&](std::int64_t begin, std::int64_t end, double* partial) {
                std::vector<T> row(first.size());
                for (std::int64_t i = begin; i < end; ++i) {
                    load_rows(rows_, i, i + 1, row.data(), cols_);
                    simd().add_difference(row.data(), narrow.data(), partial, cols_);
                    // The length will do for a scale, unless its square leaves the range of float64.
                    double most = std::sqrt(simd().squared_norm(row.data(), first.data(), 1.0, cols_));
                    if (!(most > 1e-140 && most < 1e140)) {
                        most = 0;
                        for (std::size_t j = 0; j < row.size(); ++j)
                            most = std::max(most, std::fabs(double(row[j]) - first[j]));
                    }
                    largest[std::size_t(i)] = most;
                }
            });
        shift_.assign(first.size(), 0.0);
        if (centred)
            for (std::size_t j = 0; j < first.size(); ++j) shift_[j] = first[j] + sum[j] / double(rows_.rows());
        const double most = *std::max_element(largest.begin(), largest.end());
        require(std::isfinite(most), rows_.name + " must have differences that float64 can hold");
        if (most > 0) exponent_ = std::clamp(std::ilogb(most), -1000, 1000);
    }

    void convert(std::int64_t begin, std::int64_t end, T* out) const {
        const double factor = std::ldexp(1.0, -exponent_);
        load_rows(rows_, begin, end, out, cols_);
        for (std::int64_t i = begin; i < end; ++i, out += cols_) simd().centre_row(out, shift_.data(), factor, cols_);
    }

    const Rows& rows_;
    std::int64_t cols_;
    std::int64_t band_ = 1;
    int exponent_ = 0;
    std::vector<double> shift_;
    std::vector<T> kept_;
};

}  // namespace kernalign
