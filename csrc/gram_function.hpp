// Contract of kernels of scaled rows: what a Gram matrix's values are divided by, and what is subtracted from them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "kernel.hpp"

namespace kernalign {

// A kernel as a function of inner products or squared distances of scaled rows; `pilot` is subtracted from its values.
struct GramFunction {
    KernelForm form = KernelForm::linear;
    double factor =
        0;  // of the squared distance (rbf) or the distance (laplacian) in the exponent, of v in a polynomial
    double offset = 0;
    double pilot = 0;
    int degree = 1;
    // Polynomials: the pilot is the value at v = base, subtracted without cancellation, and the result is smaller by
    // factor: (v - base) sum_k b^k b0^(degree - 1 - k) with b = factor v + offset and b0 that of base.
    bool based = false;
    double base = 0;
};

// Of the squared norms, below which distances are taken from differences; the same of float32 products, on devices.
constexpr double kClose = 1e-6, kCloseNarrow = 1e-3;

// Of rows that were divided by 2^e; values are divided by 2^exponent.
struct ScaledKernel {
    GramFunction function;
    int exponent = 0;
};

// least: of `factor` in exponents, so that no infinity is multiplied by 0 where rows are equal.
inline ScaledKernel scaled_kernel(const Kernel& kernel, int e, double least) {
    ScaledKernel scaled;
    GramFunction& function = scaled.function;
    function.form = kernel.form;
    function.degree = kernel.degree;
    const double unit = std::ldexp(1.0, e);
    switch (kernel.form) {
        case KernelForm::linear:
        case KernelForm::sqeuclidean:
            scaled.exponent = 2 * e;
            break;
        case KernelForm::polynomial: {
            // Products and offset are divided by the larger of their powers of two.
            const int f = kernel.offset == 0 ? 2 * e : std::max(2 * e, std::ilogb(kernel.offset));
            function.offset = std::ldexp(kernel.offset, -f);
            function.factor = std::ldexp(1.0, std::max(-1000, 2 * e - f));
            scaled.exponent = f * kernel.degree;
            break;
        }
        case KernelForm::rbf:
        case KernelForm::laplacian: {
            const double ratio = unit / kernel.width;
            function.factor = std::max(least, kernel.form == KernelForm::rbf ? -0.5 * ratio * ratio : -ratio);
            break;
        }
        case KernelForm::euclidean:
            scaled.exponent = e;
            break;
        case KernelForm::precomputed:
            break;
    }
    return scaled;
}

// Subtracts the value of a polynomial at `base`.
inline void take_base(ScaledKernel& scaled, int e, double base) {
    GramFunction& function = scaled.function;
    scaled.exponent = scaled.exponent / function.degree * (function.degree - 1) + 2 * e;
    function.based = true;
    function.base = base;
    function.pilot = std::pow(base * function.factor + function.offset, function.degree) / function.factor;
}

constexpr std::int64_t kPilotRows = 128, kLevelRows = 15;  // sampled for the pilot, and for the level of each row
constexpr double kHighLevel = 100;  // of the usual: what else is left of 16 digits has lost 2 of them, and squares 4

// The i-th of `count` evenly spaced ones of n rows.
inline std::int64_t sampled_row(std::int64_t i, std::int64_t count, std::int64_t n) {
    return count > 1 ? i * (n - 1) / (count - 1) : 0;
}

// The upper one of two in the middle, NaN being the largest; reorders the values.
inline double median_of(std::vector<double>& values) {
    if (values.empty()) return 0;
    std::nth_element(values.begin(), values.begin() + std::ptrdiff_t(values.size() / 2), values.end(),
                     [](double a, double b) { return a < b || (a == a && b != b); });
    return values[values.size() / 2];
}

// What is subtracted from the distances of a row and of a column, and how large that is.
struct Levels {
    std::vector<double> of_rows;
    double taken = 0;
};

// From about the median distance of each row to kLevelRows others; nothing where none is far above the usual one.
inline std::optional<Levels> levels_of(std::vector<double> medians) {
    std::vector<double> sorted = medians;
    const double usual = median_of(sorted), highest = *std::max_element(medians.begin(), medians.end());
    if (!(highest > kHighLevel * usual)) return std::nullopt;
    double sum = 0, squares = 0;
    for (double& level : medians) {
        level -= usual / 2;
        sum += level;
        squares += level * level;
    }
    const double n = double(medians.size());
    return Levels{std::move(medians), std::sqrt(2 * squares / n + 2 * (sum / n) * (sum / n))};
}

}  // namespace kernalign
