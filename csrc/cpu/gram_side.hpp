// One representation as the tiles of its Gram matrix see it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "cpu/blas.hpp"
#include "cpu/given_matrix.hpp"
#include "cpu/parallel.hpp"
#include "cpu/scaled_rows.hpp"
#include "cpu/simd.hpp"
#include "kernel.hpp"

namespace kernalign {

constexpr std::int64_t kKeptBytes = 32 << 20;  // converted rows of one side are all kept if they fit
constexpr std::int64_t kPilotRows = 128;

template <class T>
class GramSide {
  public:
    // One thread's converted rows.
    struct Panels {
        std::vector<T> left, right;
    };

    GramSide(const GramSource& source, bool centred, std::int64_t kept_bytes, int threads, Progress& progress)
        : kernel_(source.kernel), n_(source.rows()) {
        function_.form = kernel_.form;
        function_.degree = kernel_.degree;
        if (kernel_.form == KernelForm::precomputed) {
            matrix_.emplace(source.parts.front());
            diagonal = matrix_->diagonal;
            exponent_ = matrix_->exponent();
        } else {
            const bool shifted = source.by_distance() || (centred && linear());
            rows_.emplace(source.parts, shifted, std::min(kept_bytes, kKeptBytes), threads, progress);
            set_function(source.by_distance());
        }
        if (linear()) sums = rows_->row_sums(threads, progress);
        if (centred && !linear()) function_.pilot = find_pilot();
        for (double& value : diagonal) value -= function_.pilot;
    }

    std::int64_t size() const { return n_; }
    int exponent() const { return exponent_; }  // kernel values were divided by 2^exponent
    double pilot() const { return function_.pilot; }
    bool linear() const { return kernel_.form == KernelForm::linear; }
    const ScaledRows<T>& rows() const { return *rows_; }  // not of a given matrix

    // K of rows [i0, i0 + m) and [j0, j0 + k), scaled and without the pilot; where i0 == j0 only above the diagonal.
    void tile(std::int64_t i0, std::int64_t m, std::int64_t j0, std::int64_t k, Panels& panels, T* out) const {
        if (matrix_) {
            matrix_->tile(i0, m, j0, k, out);
        } else {
            const std::int64_t cols = rows_->cols();
            const T* left = rows_->get(i0, i0 + m, panels.left);
            if (i0 == j0 && m == k) {
                blas::syrk_nt(m, cols, left, cols, out, k);
            } else {
                blas::gemm_nt(m, k, cols, left, cols, rows_->get(j0, j0 + k, panels.right), cols, out, k);
            }
        }
        if (linear()) return;
        for (std::int64_t i = 0; i < m; ++i) {
            const std::int64_t from = i0 == j0 ? std::min(k, i + 1) : 0;
            apply(i0 + i, j0 + from, k - from, out + i * k + from);
        }
    }

    // Inner products of row i with rows [j, j + count) become values of the kernel.
    void apply(std::int64_t i, std::int64_t j, std::int64_t count, T* values) const {
        const bool distances = !norms_.empty();
        simd().grams.apply(function_, values, distances ? double(norms_[std::size_t(i)]) : 0.0,
                           distances ? norms_.data() + j : nullptr, count);
    }

    std::vector<double> diagonal;  // K_ii, scaled and without the pilot
    std::vector<double> sums;      // (K1)_i; only of linear kernels

  private:
    // The kernel in terms of scaled rows, and its diagonal.
    void set_function(bool by_distance) {
        const int e = rows_->exponent();
        const double unit = std::ldexp(1.0, e);
        const std::vector<double>& squares = rows_->squared_norms;
        diagonal.assign(squares.size(), 0.0);
        if (by_distance) norms_.assign(squares.begin(), squares.end());
        switch (kernel_.form) {
            case KernelForm::linear:
                exponent_ = 2 * e;
                diagonal = squares;
                break;
            case KernelForm::polynomial:
                exponent_ = 2 * e * kernel_.degree;
                function_.offset = kernel_.offset / unit / unit;
                for (std::size_t i = 0; i < squares.size(); ++i)
                    diagonal[i] = std::pow(squares[i] + function_.offset, kernel_.degree);
                break;
            case KernelForm::rbf:
                function_.factor = -0.5 * (unit / kernel_.width) * (unit / kernel_.width);
                std::fill(diagonal.begin(), diagonal.end(), 1.0);
                break;
            case KernelForm::laplacian:
                function_.factor = -unit / kernel_.width;
                std::fill(diagonal.begin(), diagonal.end(), 1.0);
                break;
            case KernelForm::sqeuclidean:
                exponent_ = 2 * e;
                break;
            case KernelForm::euclidean:
                exponent_ = e;
                break;
            case KernelForm::precomputed:
                break;
        }
    }

    // About the mean of K off the diagonal, as a float32 number, from evenly spaced rows.
    double find_pilot() const {
        const std::int64_t count = std::min(n_, kPilotRows);
        if (count < 2) return 0;
        const auto row = [&](std::int64_t i) { return i * (n_ - 1) / (count - 1); };
        Panels panels;
        double sum = 0;
        std::vector<T> value(1);
        std::vector<T> chosen, products(std::size_t(count * count));
        if (rows_) {
            const std::int64_t cols = rows_->cols();
            chosen.resize(std::size_t(count * cols));
            for (std::int64_t i = 0; i < count; ++i) rows_->convert(row(i), row(i) + 1, chosen.data() + i * cols);
            blas::gemm_nt(count, count, cols, chosen.data(), cols, chosen.data(), cols, products.data(), count);
        }
        for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t j = 0; j < i; ++j) {
                T* product = products.data() + i * count + j;
                if (matrix_) matrix_->tile(row(i), 1, row(j), 1, product);
                apply(row(i), row(j), 1, product);
                sum += double(*product);
            }
        const auto mean = float(2 * sum / double(count * (count - 1)));
        return std::isfinite(mean) ? double(mean) : 0.0;
    }

    Kernel kernel_;
    std::int64_t n_;
    int exponent_ = 0;
    GramFunction function_;
    std::optional<ScaledRows<T>> rows_;
    std::optional<GivenMatrix<T>> matrix_;
    std::vector<T> norms_;  // squared, where the kernel is one of distances
};

}  // namespace kernalign
