// Gram sums by the definition, from whole matrices in float64: the oracle of the Moments and Grams tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "data.hpp"
#include "kernel.hpp"
#include "statistics.hpp"

namespace check {

template <class T>
std::vector<double> gram(const Matrix<T>& x, bool centred) {
    std::vector<double> mean(std::size_t(x.cols), 0.0);
    for (std::int64_t i = 0; centred && i < x.rows; ++i)
        for (std::int64_t f = 0; f < x.cols; ++f) mean[std::size_t(f)] += double(x(i, f)) / double(x.rows);
    std::vector<double> k(std::size_t(x.rows * x.rows));
    for (std::int64_t i = 0; i < x.rows; ++i)
        for (std::int64_t j = 0; j < x.rows; ++j) {
            double sum = 0;
            for (std::int64_t f = 0; f < x.cols; ++f)
                sum += (double(x(i, f)) - mean[std::size_t(f)]) * (double(x(j, f)) - mean[std::size_t(f)]);
            k[std::size_t(i * x.rows + j)] = sum;
        }
    return k;
}

// Any kernel but precomputed, by differences of rows; `less_one` subtracts 1 from exponentials, without cancellation.
template <class T>
std::vector<double> gram(const Matrix<T>& x, const kernalign::Kernel& kernel, bool centred, bool less_one = false) {
    using kernalign::KernelForm;
    const KernelForm form = kernel.form;
    std::vector<double> k = gram(x, centred && form == KernelForm::linear);
    for (std::int64_t i = 0; i < x.rows; ++i)
        for (std::int64_t j = 0; j < x.rows; ++j) {
            double& value = k[std::size_t(i * x.rows + j)];
            if (form == KernelForm::linear) continue;
            if (form == KernelForm::polynomial) {
                value = std::pow(value + kernel.offset, kernel.degree);
                continue;
            }
            double d2 = 0;
            for (std::int64_t f = 0; f < x.cols; ++f)
                d2 += (double(x(i, f)) - double(x(j, f))) * (double(x(i, f)) - double(x(j, f)));
            value = form == KernelForm::sqeuclidean ? d2 : std::sqrt(d2);
            if (form == KernelForm::rbf) value = -d2 / (2 * kernel.width * kernel.width);
            if (form == KernelForm::laplacian) value /= -kernel.width;
            if (form == KernelForm::rbf || form == KernelForm::laplacian)
                value = less_one ? std::expm1(value) : std::exp(value);
        }
    return k;
}

inline kernalign::PairSums pair_sums(std::int64_t rows, const std::vector<double>& k, const std::vector<double>& l) {
    kernalign::PairSums s;
    const auto n = std::size_t(rows);
    for (std::size_t i = 0; i < n; ++i) {
        double r = 0, t = 0;
        for (std::size_t j = 0; j < n; ++j) {
            r += k[i * n + j];
            t += l[i * n + j];
            s.full += k[i * n + j] * l[i * n + j];
        }
        s.diagonal += k[i * n + i] * l[i * n + i];
        s.rows += r * t;
        s.rows_diagonal += r * l[i * n + i];
        s.diagonal_rows += k[i * n + i] * t;
        s.trace_x += k[i * n + i];
        s.trace_y += l[i * n + i];
        s.total_x += r;
        s.total_y += t;
    }
    return s;
}

// The three numbers that estimators are made of, for inputs that were divided by 2^exponent before.
inline std::vector<double> products(std::int64_t n, const kernalign::PairSums& s, int exponent_x = 0,
                                    int exponent_y = 0) {
    const double scale = std::ldexp(1.0, 2 * (exponent_x + exponent_y));
    return {scale * kernalign::centred_product(n, s), scale * kernalign::u_centred_product(n, s),
            scale * kernalign::off_diagonal_product(s)};
}

// Largest relative difference.
inline double gap(const std::vector<double>& a, const std::vector<double>& b) {
    double worst = a.size() == b.size() ? 0 : HUGE_VAL;
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) worst = std::fmax(worst, std::fabs(a[i] / b[i] - 1));
    return worst;
}

}  // namespace check
