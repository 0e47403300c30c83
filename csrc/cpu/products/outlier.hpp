// Says when rows differ so much in length that float32 products of them would not do.
#pragma once

#include <algorithm>
#include <vector>

#include "cpu/runtime/ordering.hpp"

namespace kernalign {

// True if the longest row is over 10 times as long as the median row, so that the rounding of its float32 products
// (6e-8 of the larger row's square) is no longer small against the products of the others.
inline bool has_outlier(const std::vector<double>& lengths) {
    const auto [least, most] = std::minmax_element(lengths.begin(), lengths.end());
    if (*most <= 100 * *least) return false;
    std::vector<double> squared_lengths = lengths;
    const auto middle = squared_lengths.begin() + std::ptrdiff_t(squared_lengths.size() / 2);
    std::nth_element(squared_lengths.begin(), middle, squared_lengths.end(), Ascending());
    return *most > 100 * *middle;
}

}  // namespace kernalign
