// Contract of float32 products: of which rows they keep too few digits, on every device.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gram_function.hpp"

namespace kernalign {

// True if the longest row is over 10 times as long as the median row, so that the rounding of its float32 products
// (6e-8 of the larger row's square) is no longer small against the products of the others. Squared lengths.
inline bool has_outlier(const std::vector<double>& lengths) {
    const double most = *std::max_element(lengths.begin(), lengths.end());
    const auto short_rows = std::count_if(lengths.begin(), lengths.end(), [&](double v) { return 100 * v < most; });
    return short_rows > std::int64_t(lengths.size() / 2);
}

constexpr double kNarrowestWidth = 64;     // squared norm over squared width that float32 can stand
constexpr double kWidestWidth = 1e-30;     // and the least that it can hold
constexpr double kLargestMeanShare = 0.5;  // share of squared lengths, of rows that cannot be centred

constexpr double kDuplicates = 1e-2;  // squared medians below this share of the squared norms are found in float64

// True if float32 products of rows would not do for this kernel (grams.hpp, Precision). Rows were divided by
// 2^exponent; of these the squared lengths, and that of their mean.
inline bool needs_double(const Kernel& kernel, std::vector<double> squares, double mean_square, int exponent) {
    if (has_outlier(squares)) return true;
    if (kernel.form != KernelForm::rbf && kernel.form != KernelForm::polynomial) return false;
    const double median = median_of(squares);
    if (kernel.form == KernelForm::polynomial) return mean_square > kLargestMeanShare * median;
    const double width = std::ldexp(kernel.width, -exponent);
    return median > kNarrowestWidth * width * width || median < kWidestWidth * width * width;
}

}  // namespace kernalign
