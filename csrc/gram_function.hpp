// Contract of kernels of scaled rows: what a Gram matrix's values are divided by, and what is subtracted from them.
#pragma once

#include <algorithm>
#include <cmath>

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

constexpr double kClose = 1e-6;  // of the squared norms, below which distances are taken from differences

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

}  // namespace kernalign
