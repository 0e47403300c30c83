// The float64 rows that similarities are defined on, and their scores in feature order.
#include "cpu/neighbors/exact_rows.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "cpu/runtime/load.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"
#include "direction.hpp"
#include "error.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kBlock = 64;       // rows per task of the first reading
constexpr std::int64_t kScores = 16;      // rows scored side by side
constexpr std::int64_t kAside = 1 << 20;  // values of divided rows that are held

void bring_to_unit_size(double* values, std::int64_t cols) {
    double largest = 0;
    for (std::int64_t f = 0; f < cols; ++f) largest = std::fmax(largest, std::fabs(values[f]));
    if (largest == 0) return;
    const int exponent = std::ilogb(largest);
    for (std::int64_t f = 0; f < cols; ++f) values[f] = std::scalbn(values[f], -exponent);
}

}  // namespace

ExactRows::ExactRows(const Rows& rows, Similarity similarity, int threads, Monitor* monitor)
    : rows_(rows), similarity_(similarity) {
    if (similarity == Similarity::cosine) {
        rows_.unit_norm = false;
        factor_.assign(std::size_t(rows.rows()), 1.0);
    }
    dense32_ = dense_as<float>(rows_);
    dense64_ = dense_as<double>(rows_);
    examine_all(threads, monitor);
    if (rescale_) {
        if (similarity != Similarity::cosine)
            throw std::invalid_argument(rows.name + " is too large: its squares overflow float64; scale it down");
        dense32_ = dense64_ = false;
        examine_all(threads, monitor);
    }
}

void ExactRows::examine_all(int threads, Monitor* monitor) {
    const std::int64_t tasks = (count() + kBlock - 1) / kBlock;
    aside_.clear();
    divisor_.assign(similarity_ == Similarity::cosine ? std::size_t(count()) : 0, 1.0);
    Progress progress(monitor, tasks);
    std::vector<std::uint8_t> extreme(std::size_t(tasks), 0), divided(std::size_t(tasks), 0);
    std::vector<double> largest(std::size_t(tasks), 0.0), smallest(std::size_t(tasks), 1.0);
    const std::vector<double> zero(std::size_t(cols()), 0.0);
    const auto body = [&](std::int64_t task, int) {
        std::vector<double> scratch(static_cast<std::size_t>(cols()));
        const std::int64_t end = std::min(count(), (task + 1) * kBlock);
        for (std::int64_t i = task * kBlock; i < end; ++i) {
            if (similarity_ == Similarity::cosine) divisor_[std::size_t(i)] = 1;
            Raw row = raw(i, scratch.data());
            if (similarity_ == Similarity::cosine) {
                const auto value = [&](std::int64_t f) { return row.f32 ? double(row.f32[f]) : row.f64[f]; };
                const double common = divisor_[std::size_t(i)] = common_divisor(value, cols());
                if (common != 1) {
                    for (std::int64_t f = 0; f < cols(); ++f) scratch[std::size_t(f)] = value(f) / common;
                    row = {nullptr, scratch.data()};
                    divided[std::size_t(task)] = 1;
                }
            }
            const double square = row.f32 ? simd().squared_norm(row.f32, zero.data(), 1.0, cols())
                                          : simd().squared_norm(row.f64, zero.data(), 1.0, cols());
            if (!std::isfinite(square)) load_rows(rows_, i, i + 1, scratch.data(), cols());  // says where, if so
            largest[std::size_t(task)] = std::max(largest[std::size_t(task)], square);
            smallest[std::size_t(task)] = std::min(smallest[std::size_t(task)], square);
            if (similarity_ != Similarity::cosine) {
                extreme[std::size_t(task)] |= !(square < 0x1p1000);
                continue;
            }
            if (square > 0x1p-900 && square < 0x1p900) {
                factor_[std::size_t(i)] = 1 / std::sqrt(square);
                continue;
            }
            Rows unit = rows_;  // if the row is zero, the loader has the words for it
            unit.unit_norm = true;
            load_rows(unit, i, i + 1, scratch.data(), cols());
            extreme[std::size_t(task)] = 1;
        }
    };
    try {
        parallel_for(tasks, resolve_threads(threads), progress, body);
    } catch (const std::invalid_argument&) {  // name the first bad row, not the first one found
        for (std::int64_t task = 0; task < tasks; ++task) body(task, 0);
        throw;
    }
    const auto any = [](const std::vector<std::uint8_t>& of) { return std::find(of.begin(), of.end(), 1) != of.end(); };
    if (any(divided))
        set_aside();
    else
        divisor_.clear();
    const double most = *std::max_element(largest.begin(), largest.end());
    single_ = dense32_ && similarity_ == Similarity::cosine && most < 0x1p80 &&
              *std::min_element(smallest.begin(), smallest.end()) > 0x1p-80;
    // Both sums round each of their d terms at most d + 2 times, the inputs a few times more; the constants are for
    // underflow. Distances are scored in order, so they are never rough.
    const double unit = single_ ? 0x1p-24 : 0x1p-53, d = double(cols()),
                 rounding = (d + 8) * unit / (1 - (d + 8) * unit);
    if (similarity_ == Similarity::cosine)
        rough_error_ = 2.01 * rounding + d * (single_ ? 0x1p-80 : 0x1p-500);
    else if (similarity_ == Similarity::dot)
        rough_error_ = 2.01 * rounding * most + d * 0x1p-1060;
    rescale_ = rescale_ || any(extreme);
}

void ExactRows::set_aside() {
    if (!dense()) return;
    for (std::int64_t i = 0; i < count(); ++i)
        if (divisor_[std::size_t(i)] != 1) aside_.push_back(i);
    const auto held = std::int64_t(aside_.size());
    if (held > kAside / cols()) {
        aside_.clear();
        dense32_ = dense64_ = false;
        return;
    }
    const auto fill = [&](auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        values.resize(std::size_t(held * cols()));
        T* out = values.data();
        for (const std::int64_t row : aside_) {
            const auto* from = reinterpret_cast<const T*>(source(row));
            for (std::int64_t f = 0; f < cols(); ++f) *out++ = T(double(from[f]) / divisor_[std::size_t(row)]);
        }
    };
    if (dense32_)
        fill(aside32_);
    else
        fill(aside64_);
}

ExactRows::Raw ExactRows::raw(std::int64_t row, double* scratch) const {
    if (!aside_.empty() && divisor_[std::size_t(row)] != 1) {
        const auto at = (std::lower_bound(aside_.begin(), aside_.end(), row) - aside_.begin()) * cols();
        if (dense32_) return {aside32_.data() + at, nullptr};
        return {nullptr, aside64_.data() + at};
    }
    if (dense32_) return {reinterpret_cast<const float*>(source(row)), nullptr};
    if (dense64_) return {nullptr, reinterpret_cast<const double*>(source(row))};
    load_rows(rows_, row, row + 1, scratch, cols());
    if (rescale_) bring_to_unit_size(scratch, cols());
    if (const double by = divisor_.empty() ? 1.0 : divisor_[std::size_t(row)]; by != 1)
        for (std::int64_t f = 0; f < cols(); ++f) scratch[f] /= by;
    return {nullptr, scratch};
}

void ExactRows::read(std::int64_t row, double* out) const {
    const Raw found = raw(row, out);
    const double by = factor(row);
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): one of the two is set
    for (std::int64_t f = 0; f < cols(); ++f) out[f] = (found.f32 ? double(found.f32[f]) : found.f64[f]) * by;
}

void ExactRows::rough_score(const double* x, const std::int32_t* others, std::int64_t count, double* out,
                            std::vector<double>& scratch, std::vector<float>& rounded) const {
    if (similarity_ == Similarity::euclidean) return score(x, others, count, out, scratch);
    constexpr std::int64_t kFour = 4;
    if (single_) rounded.assign(x, x + cols());
    if (!dense32_ && !dense64_) scratch.resize(std::size_t(kFour * cols()));
    for (std::int64_t begin = 0; begin < count; begin += kFour) {
        const float* narrow[kFour];
        const double* wide[kFour];
        double products[kFour];
        const std::int64_t lanes = std::min(kFour, count - begin);
        for (std::int64_t c = 0; c < kFour; ++c) {
            const bool idle = c >= lanes;  // repeats the first row
            const Raw one = idle ? Raw{narrow[0], wide[0]}
                                 : raw(others[begin + c], dense32_ || dense64_ ? nullptr : scratch.data() + c * cols());
            narrow[c] = one.f32;
            wide[c] = one.f64;
        }
        if (single_)
            simd().neighbors.four_dots(rounded.data(), narrow, products, cols());
        else if (dense32_)
            simd().neighbors.four_dots(x, narrow, products, cols());
        else
            simd().neighbors.four_dots(x, wide, products, cols());
        for (std::int64_t c = 0; c < lanes; ++c) {
            out[begin + c] = products[c] * factor(others[begin + c]);
            require_unchanged(!std::isnan(out[begin + c]), name());
        }
    }
}

void ExactRows::score(const double* x, const std::int32_t* others, std::int64_t count, double* out,
                      std::vector<double>& scratch) const {
    const bool distance = similarity_ == Similarity::euclidean;
    double factors[kScores], scores[kScores];
    const float* narrow[kScores];
    const double* wide[kScores];
    scratch.resize(dense32_ || dense64_ ? 0 : std::size_t(kScores * cols()));
    for (std::int64_t begin = 0; begin < count; begin += kScores) {
        const std::int64_t lanes = std::min(kScores, count - begin);
        for (std::int64_t c = 0; c < kScores; ++c) {
            if (c >= lanes) {  // idle lanes repeat the first row
                factors[c] = factors[0], narrow[c] = narrow[0], wide[c] = wide[0];
                continue;
            }
            const std::int64_t row = others[begin + c];
            const Raw one = raw(row, scratch.data() + (scratch.empty() ? 0 : c * cols()));
            factors[c] = factor(row);
            narrow[c] = one.f32;
            wide[c] = one.f64;
        }
        if (dense32_)
            simd().neighbors.score_in_order(x, narrow, factors, distance, scores, lanes, cols());
        else
            simd().neighbors.score_in_order(x, wide, factors, distance, scores, lanes, cols());
        for (std::int64_t c = 0; c < lanes; ++c) {
            require_unchanged(!std::isnan(scores[c]), name());
            out[begin + c] = scores[c];
        }
    }
}

}  // namespace kernalign
