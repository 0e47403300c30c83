// Rows of one representation, shifted, scaled by a power of two and converted, as products are made of them.
#include "cpu/grams/scaled_rows.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

#include "cpu/runtime/load.hpp"
#include "cpu/simd/simd.hpp"
#include "error.hpp"
#include "gram_function.hpp"

namespace kernalign {

constexpr std::int64_t kBandElements = 1 << 19;  // of rows that one task prepares
constexpr std::int64_t kMostBand = 512;
constexpr double kFar = 1e3;  // times the median distance from a row: the mean would cost the others digits

template <class T>
ScaledRows<T>::ScaledRows(const std::vector<Rows>& parts, bool centred, std::int64_t kept_bytes, int threads,
                          Progress& progress)
    : parts_(parts), cols_(parts.front().cols()) {
    for (const Rows& part : parts) {
        n_ += part.rows();
        exact_ = exact_ && (sizeof(T) == 8 || part.plain());
    }
    band_ = std::clamp<std::int64_t>(kBandElements / cols_, 1, kMostBand);
    none_.assign(std::size_t(cols_), 0.0);
    if (parts.size() == 1 && dense_as<T>(parts.front())) {
        dense_ = static_cast<const T*>(parts.front().view.data);
        stride_ = parts.front().view.row_stride / std::ptrdiff_t(sizeof(T));
    }
    if (exact_) {
        find_shift_and_scale<T>(centred, threads, progress);
    } else {
        find_shift_and_scale<double>(centred, threads, progress);
    }
    const bool keeps = n_ * cols_ * std::int64_t(sizeof(T)) <= kept_bytes;
    if (keeps) kept_.resize(std::size_t(n_ * cols_));
    const std::vector<T> zero(std::size_t(cols_), T(0));
    squared_norms.resize(std::size_t(n_));
    total = sum_bands(threads, progress, [&](std::int64_t begin, std::int64_t end, double* sum) {
        LargeVector<T> scratch;
        if (!keeps) scratch.resize(std::size_t((end - begin) * cols_));
        T* panel = keeps ? kept_.data() + begin * cols_ : scratch.data();
        convert(begin, end, panel, squared_norms.data() + begin);
        for (std::int64_t i = begin; i < end; ++i, panel += cols_)
            simd().add_difference(panel, zero.data(), sum, cols_);
    });
}

template <class T>
const T* ScaledRows<T>::get(std::int64_t begin, std::int64_t end, LargeVector<T>& scratch) const {
    if (!kept_.empty()) return kept_.data() + begin * cols_;
    scratch.resize(std::max(scratch.size(), std::size_t((end - begin) * cols_)));
    convert(begin, end, scratch.data());
    return scratch.data();
}

template <class T>
void ScaledRows<T>::convert(std::int64_t begin, std::int64_t end, T* out, double* squares) const {
    const double factor = std::ldexp(1.0, -exponent_);
    if (exact_ && !dense_) load(begin, end, out);
    std::vector<double> row(exact_ ? 0 : std::size_t(cols_));
    for (std::int64_t i = begin; i < end; ++i, out += cols_) {
        double square = 0;
        if (exact_) {
            const T* from = dense_ ? dense_ + i * stride_ : out;
            square = simd().copy_centred(from, shift_.data(), none_.data(), factor, out, cols_);
            if (dense_ && !std::isfinite(square)) {
                load(i, i + 1, out);  // which says where and what is not finite
                require_unchanged(false, parts_.front().name);
            }
        } else {
            load(i, i + 1, row.data());
            simd().centre_row(row.data(), shift_.data(), factor, cols_);
            for (std::int64_t j = 0; j < cols_; ++j) out[j] = T(row[std::size_t(j)]);
            if (squares) square = simd().squared_norm(out, none_.data(), 1.0, cols_);
        }
        if (squares) *squares++ = square;
    }
}

template <class T>
std::vector<double> ScaledRows<T>::row_sums(int threads, Progress& progress) const {
    std::vector<double> sums(static_cast<std::size_t>(n_));
    each_band(threads, progress, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
        LargeVector<T> scratch;
        const T* panel = get(begin, end, scratch);
        for (std::int64_t i = begin; i < end; ++i, panel += cols_)
            sums[std::size_t(i)] = simd().dot(panel, total.data(), cols_);
    });
    return sums;
}

template <class T>
template <class F>
void ScaledRows<T>::each_band(int threads, Progress& progress, F&& f) const {
    const std::int64_t bands = (n_ + band_ - 1) / band_;
    parallel_for(bands, n_ * cols_ < kBandElements ? 1 : threads, progress,
                 [&](std::int64_t band, int) { f(band, band * band_, std::min(n_, (band + 1) * band_)); });
}

template <class T>
template <class F>
std::vector<double> ScaledRows<T>::sum_bands(int threads, Progress& progress, F&& f) const {
    const std::int64_t bands = (n_ + band_ - 1) / band_;
    const std::int64_t groups = std::min<std::int64_t>(bands, 16), share = (bands + groups - 1) / groups;
    std::vector<double> result(std::size_t(cols_), 0.0);
    std::vector<std::vector<double>> partial(static_cast<std::size_t>(groups));
    for (auto& sum : partial) sum.assign(result.size(), 0.0);
    for (std::int64_t step = 0; step < share; ++step)
        parallel_for(groups, n_ * cols_ < kBandElements ? 1 : threads, progress, [&](std::int64_t group, int) {
            const std::int64_t begin = (group * share + step) * band_;
            if (begin < n_) f(begin, std::min(n_, begin + band_), partial[std::size_t(group)].data());
        });
    for (const auto& sum : partial)
        for (std::size_t j = 0; j < result.size(); ++j) result[j] += sum[j];
    return result;
}

template <class T>
template <class Out>
void ScaledRows<T>::load(std::int64_t begin, std::int64_t end, Out* out) const {
    std::int64_t first = 0;
    for (const Rows& part : parts_) {
        const std::int64_t from = std::max(begin, first), to = std::min(end, first + part.rows());
        if (from < to) load_rows(part, from - first, to - first, out + (from - begin) * cols_, cols_);
        first += part.rows();
    }
}

template <class T>
bool ScaledRows<T>::is_far_off(std::vector<double>& row) const {
    std::array<std::vector<double>, 2> others;
    for (std::size_t at = 0; at < 2; ++at) {
        others[at].resize(row.size());
        const std::int64_t i = (std::int64_t(at) + 1) * (n_ - 1) / 2;
        load(i, i + 1, others[at].data());
    }
    const auto apart = [](const std::vector<double>& a, const std::vector<double>& b) {
        double most = 0;
        for (std::size_t j = 0; j < a.size(); ++j) most = std::max(most, std::fabs(a[j] - b[j]));
        return most;
    };
    const double between = apart(others[0], others[1]);
    if (!(between > 0 && apart(row, others[0]) > kFar * between)) return false;
    row = others[0];
    return true;
}

template <class T>
template <class S>
void ScaledRows<T>::find_shift_and_scale(bool centred, int threads, Progress& progress) {
    std::vector<double> first(std::size_t(cols_), 0.0);
    if (centred) load(0, 1, first.data());  // differences from it: exactly 0 in constant columns
    std::vector<double> largest(std::size_t(n_), 0.0);
    std::vector<double> sum = differences<S>(first, largest, threads, progress);
    if (centred && is_far_off(first)) sum = differences<S>(first, largest, threads, progress);
    const double most = *std::max_element(largest.begin(), largest.end());
    shift_ = first;
    const double median = median_of(largest);  // 0: over half of the rows are equal
    if (centred && !(median > 0 && most > kFar * median))
        for (std::size_t j = 0; j < first.size(); ++j) shift_[j] += sum[j] / double(n_);
    require(std::isfinite(most), parts_.front().name + " must have differences that float64 can hold");
    if (most > 0) exponent_ = std::clamp(std::ilogb(most), -1000, 1000);
}

template <class T>
template <class S>
std::vector<double> ScaledRows<T>::differences(const std::vector<double>& first, std::vector<double>& largest,
                                               int threads, Progress& progress) {
    const std::vector<S> narrow(first.begin(), first.end());
    return sum_bands(threads, progress, [&](std::int64_t begin, std::int64_t end, double* partial) {
        std::vector<S> row(first.size());
        for (std::int64_t i = begin; i < end; ++i) {
            const S* from = row.data();
            if constexpr (std::is_same_v<S, T>) {
                if (dense_) from = dense_ + i * stride_;
            }
            if (from == row.data()) load(i, i + 1, row.data());
            // The length will do for a scale, unless its square leaves the range of float64.
            double most = std::sqrt(simd().add_differences(from, cols_, 1, narrow.data(), partial, cols_));
            if (!(most > 1e-140 && most < 1e140)) {
                load(i, i + 1, row.data());  // which refuses what is not finite
                most = 0;
                for (std::size_t j = 0; j < row.size(); ++j)
                    most = std::max(most, std::fabs(double(row[j]) - first[j]));
            }
            largest[std::size_t(i)] = most;
        }
    });
}

template class ScaledRows<float>;
template class ScaledRows<double>;

}  // namespace kernalign
