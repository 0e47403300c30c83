// One representation as the tiles of its Gram matrix see it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "cpu/load.hpp"
#include "cpu/simd.hpp"
#include "view.hpp"

namespace kernalign {

constexpr std::int64_t kGramTile = 256;
constexpr std::int64_t kKeptBytes = 32 << 20;  // converted rows of one side are all kept if they fit

// Rows shifted, scaled by a power of two and converted to T.
template <class T>
class GramSide {
  public:
    explicit GramSide(const Rows& rows, bool centred) : rows_(rows), cols_(rows.cols()) {
        find_shift_and_scale(centred);
        const std::int64_t n = rows.rows();
        if (n * cols_ * std::int64_t(sizeof(T)) <= kKeptBytes) {
            kept_.resize(std::size_t(n * cols_));
            convert(0, n, kept_.data());
        }
        std::vector<T> scratch(std::size_t(kGramTile * cols_));
        const std::vector<T> zero(std::size_t(cols_), T(0));
        const std::vector<double> no_shift(std::size_t(cols_), 0.0);
        total.assign(std::size_t(cols_), 0.0);
        for (std::int64_t begin = 0; begin < n; begin += kGramTile) {
            const T* panel = get(begin, std::min(n, begin + kGramTile), scratch);
            for (std::int64_t i = 0; i < std::min(kGramTile, n - begin); ++i) {
                simd().add_difference(panel + i * cols_, zero.data(), total.data(), cols_);
                diagonal.push_back(simd().squared_norm(panel + i * cols_, no_shift.data(), 1.0, cols_));
            }
        }
        for (std::int64_t begin = 0; begin < n; begin += kGramTile) {
            const T* panel = get(begin, std::min(n, begin + kGramTile), scratch);
            for (std::int64_t i = 0; i < std::min(kGramTile, n - begin); ++i)
                sums.push_back(simd().dot(panel + i * cols_, total.data(), cols_));
        }
    }

    std::int64_t cols() const { return cols_; }
    int exponent() const { return exponent_; }

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
    void find_shift_and_scale(bool centred) {
        std::vector<double> first(std::size_t(cols_), 0.0), row(first), sum(first);
        if (centred) load_rows(rows_, 0, 1, first.data(), cols_);  // differences from it: exactly 0 in constant columns
        double largest = 0;
        for (std::int64_t i = 0; i < rows_.rows(); ++i) {
            load_rows(rows_, i, i + 1, row.data(), cols_);
            if (centred) simd().add_difference(row.data(), first.data(), sum.data(), cols_);
            for (std::size_t j = 0; j < row.size(); ++j) largest = std::max(largest, std::fabs(row[j] - first[j]));
        }
        shift_.resize(row.size());
        for (std::size_t j = 0; j < row.size(); ++j) shift_[j] = first[j] + sum[j] / double(rows_.rows());
        if (largest > 0) exponent_ = std::clamp(std::ilogb(largest), -1000, 1000);
    }

    void convert(std::int64_t begin, std::int64_t end, T* out) const {
        const double factor = std::ldexp(1.0, -exponent_);
        std::vector<double> wide(shift_.size());
        for (std::int64_t i = begin; i < end; ++i) {
            load_rows(rows_, i, i + 1, wide.data(), cols_);
            T* row = out + (i - begin) * cols_;
            for (std::size_t j = 0; j < wide.size(); ++j) row[j] = T((wide[j] - shift_[j]) * factor);
        }
    }

    const Rows& rows_;
    std::int64_t cols_;
    int exponent_ = 0;
    std::vector<double> shift_;
    std::vector<T> kept_;
};

}  // namespace kernalign
