// One representation as the tiles of its Gram matrix see it.
#include "cpu/grams/gram_side.hpp"

#include <algorithm>
#include <cmath>

#include "cpu/runtime/blas.hpp"
#include "cpu/simd/simd.hpp"
#include "error.hpp"

namespace kernalign {

constexpr std::int64_t kBand = 256;

template <class T>
GramSide<T>::GramSide(const GramSource& source, bool centred, std::int64_t kept_bytes, int threads, Progress& progress)
    : kernel_(source.kernel), n_(source.rows()) {
    function_.form = kernel_.form;
    function_.degree = kernel_.degree;
    if (kernel_.form == KernelForm::precomputed) {
        require(source.parts.size() == 1, "a precomputed matrix must be one part");
        matrix_ = std::make_unique<GivenMatrix<T>>(source.parts.front());
        diagonal = matrix_->diagonal;
        exponent_ = matrix_->exponent();
    } else {
        const bool shifted = source.by_distance() || (centred && linear());
        rows_ =
            std::make_unique<ScaledRows<T>>(source.parts, shifted, std::min(kept_bytes, kKeptBytes), threads, progress);
        set_function(source.by_distance());
    }
    if (linear()) sums = rows_->row_sums(threads, progress);
    if (kernel_.form == KernelForm::polynomial) {
        set_base(centred);
    } else {
        if (centred && !linear()) function_.pilot = mean_of_sample();
        for (double& value : diagonal) value -= function_.pilot;
        plain = (source.exponential() ? 1.0 : 0.0) - function_.pilot;
        if (centred && kernel_.levelled && kernel_.form == KernelForm::euclidean) set_levels(threads, progress);
    }
}

template <class T>
std::int64_t GramSide<T>::packed_size(std::int64_t tile) const {
    const bool gains = linear() && n_ > tile && rows_->kept() && kernalign::Panels<T>::serve(tile, rows_->cols());
    return gains ? kernalign::Panels<T>::size(n_, rows_->cols()) : 0;
}

template <class T>
void GramSide<T>::pack(T* memory) {
    panels_ = {Factor<T>{rows_->kept(), rows_->cols(), n_}, rows_->cols(), memory};
    rows_->drop();
}

template <class T>
void GramSide<T>::tile(std::int64_t i0, std::int64_t m, std::int64_t j0, std::int64_t k, Panels& panels, T* out) const {
    const T *left = nullptr, *right = nullptr;
    if (matrix_) {
        matrix_->tile(i0, m, j0, k, out);
    } else if (panels_) {
        panels_.multiply(i0, m, j0, k, out, k);
    } else {
        const std::int64_t cols = rows_->cols();
        left = right = rows_->get(i0, i0 + m, panels.left);
        if (i0 == j0 && m == k) {
            square(Factor<T>{left, cols, m}, cols, out, k, panels.scratch);
        } else {
            right = rows_->get(j0, j0 + k, panels.right);
            multiply(Factor<T>{left, cols, m}, Factor<T>{right, cols, k}, cols, out, k, panels.scratch);
        }
    }
    if (linear()) return;
    for (std::int64_t i = 0; i < m; ++i) {
        const std::int64_t from = i0 == j0 ? std::min(k, i + 1) : 0;
        T* values = out + i * k + from;
        const bool close = distances(i0 + i, j0 + from, k - from, values) > 0;
        if (sizeof(T) == 8 && close)
            refine(left + i * rows_->cols(), norms_[std::size_t(i0 + i)], right + from * rows_->cols(),
                   norms_.data() + j0 + from, k - from, values);
        simd().grams.apply(function_, values, k - from);
        if (levels_.empty()) continue;
        const double level = levels_[std::size_t(i0 + i)];
        const double* others = levels_.data() + j0 + from;
        for (std::int64_t j = 0; j < k - from; ++j) values[j] = T((double(values[j]) - level) - others[j]);
    }
}

template <class T>
std::int64_t GramSide<T>::distances(std::int64_t i, std::int64_t j, std::int64_t count, T* values) const {
    if (norms_.empty()) return 0;
    return simd().grams.distances(values, norms_[std::size_t(i)], norms_.data() + j, count);
}

template <class T>
void GramSide<T>::set_function(bool by_distance) {
    const std::vector<double>& squares = rows_->squared_norms;
    const ScaledKernel scaled = scaled_kernel(kernel_, rows_->exponent(), sizeof(T) == 4 ? -1e30 : -1e300);
    function_ = scaled.function;
    exponent_ = scaled.exponent;
    if (by_distance) norms_.assign(squares.begin(), squares.end());
    if (linear()) {
        diagonal = squares;
    } else {
        const bool exponential = kernel_.form == KernelForm::rbf || kernel_.form == KernelForm::laplacian;
        diagonal.assign(squares.size(), exponential ? 1.0 : 0.0);
    }
}

template <class T>
void GramSide<T>::set_base(bool centred) {
    if (centred) {
        GramFunction product;
        std::swap(product, function_);
        const double base = mean_of_sample();
        ScaledKernel scaled{product, exponent_};
        take_base(scaled, rows_->exponent(), base);
        function_ = scaled.function;
        exponent_ = scaled.exponent;
    }
    diagonal = rows_->squared_norms;
    simd().grams.apply(function_, diagonal.data(), std::int64_t(diagonal.size()));
    simd().grams.apply(function_, &plain, 1);
}

template <class T>
void GramSide<T>::refine(const T* row, T norm, const T* others, const T* norms, std::int64_t count, T* values) const {
    const std::int64_t cols = rows_->cols();
    const std::vector<double> wide(row, row + cols);
    for (std::int64_t j = 0; j < count; ++j)
        if (values[j] < T(kClose) * (norm + norms[j]))
            values[j] = T(simd().squared_norm(others + j * cols, wide.data(), 1.0, cols));
}

template <class T>
void GramSide<T>::set_levels(int threads, Progress& progress) {
    const std::int64_t count = std::min(n_, kLevelRows), cols = rows_->cols(), bands = (n_ + kBand - 1) / kBand;
    std::vector<T> chosen(std::size_t(count * cols));
    const auto row = [&](std::int64_t i) { return sampled_row(i, count, n_); };
    for (std::int64_t i = 0; i < count; ++i) rows_->convert(row(i), row(i) + 1, chosen.data() + i * cols);
    std::vector<double> medians(std::size_t(n_), 0.0);
    parallel_for(bands, threads, progress, [&](std::int64_t band, int) {
        const std::int64_t end = std::min(n_, (band + 1) * kBand);
        std::vector<T> own(static_cast<std::size_t>(cols));
        std::vector<double> away;
        for (std::int64_t i = band * kBand; i < end; ++i) {
            rows_->convert(i, i + 1, own.data());
            const std::vector<double> wide(own.begin(), own.end());
            away.clear();
            for (std::int64_t j = 0; j < count; ++j)
                if (row(j) != i)
                    away.push_back(std::sqrt(simd().squared_norm(chosen.data() + j * cols, wide.data(), 1.0, cols)));
            medians[std::size_t(i)] = median_of(away);
        }
    });
    std::optional<Levels> found = levels_of(std::move(medians));
    if (!found) return;
    taken_ = found->taken;
    plain = -taken_;
    function_.pilot = 0;
    levels_ = std::move(found->of_rows);
    for (std::size_t i = 0; i < diagonal.size(); ++i) diagonal[i] = -2 * levels_[i];
}

template <class T>
double GramSide<T>::mean_of_sample() const {
    const std::int64_t count = std::min(n_, kPilotRows);
    if (count < 2) return 0;
    const auto row = [&](std::int64_t i) { return sampled_row(i, count, n_); };
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
            distances(row(i), row(j), 1, product);
            simd().grams.apply(function_, product, 1);
            sum += double(*product);
        }
    const auto mean = float(2 * sum / double(count * (count - 1)));
    return std::isfinite(mean) ? double(mean) : 0.0;
}

template class GramSide<float>;
template class GramSide<double>;

}  // namespace kernalign
