// Rows as panels whose products bound similarities from above (the bound of neighbors.hpp).
#include "cpu/neighbors/bound_panels.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "cpu/products/rounding.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kSample = 256;  // rows that the centre is the mean of
constexpr double kUnderflow = 0x1p-100;

using rounding::gamma;
using rounding::kSafe;

double largest_square(const ExactRows& rows, const std::vector<double>& centre, int threads, Monitor* monitor) {
    constexpr std::int64_t kBlock = 64;
    const std::int64_t n = rows.count(), d = rows.cols(), tasks = (n + kBlock - 1) / kBlock;
    std::vector<double> largest(std::size_t(tasks), 0.0);
    Progress progress(monitor, tasks);
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int) {
        std::vector<double> row(static_cast<std::size_t>(d));
        for (std::int64_t i = task * kBlock; i < std::min(n, (task + 1) * kBlock); ++i) {
            rows.read(i, row.data());
            const double square = simd().squared_norm(row.data(), centre.data(), 1.0, d);
            largest[std::size_t(task)] = std::max(largest[std::size_t(task)], square);
        }
    });
    return *std::max_element(largest.begin(), largest.end());
}

}  // namespace

Frame::Frame(const ExactRows& rows, int threads, Monitor* monitor, const ExactRows* others)
    : centre(std::size_t(rows.cols()), 0.0),
      gamma64(gamma(double(rows.cols()) + 8, 0x1p-53)),
      similarity(rows.similarity()) {
    const std::int64_t n = rows.count(), d = rows.cols(), sampled = std::min(n, kSample);
    std::vector<double> values(static_cast<std::size_t>(d));
    for (std::int64_t s = 0; s < sampled; ++s) {
        rows.read(s * n / sampled, values.data());
        for (std::int64_t f = 0; f < d; ++f) centre[std::size_t(f)] += values[std::size_t(f)] / double(sampled);
    }
    if (rows.similarity() != Similarity::cosine) {
        double square = largest_square(rows, centre, threads, monitor);
        if (others != nullptr) square = std::max(square, largest_square(*others, centre, threads, monitor));
        if (square > 0) scale = std::scalbn(1.0, std::clamp(-std::ilogb(std::sqrt(square)), -450, 450));
    }
    if (rows.similarity() != Similarity::euclidean) base = simd().dot(centre.data(), centre.data(), d) * scale * scale;
    centre_norm = std::sqrt(base) * kSafe;
}

Frame::Terms Frame::terms(const double* sums, double unit) const {
    const double square = sums[0] * kSafe, norm = std::sqrt(square);
    const bool distance = similarity == Similarity::euclidean;
    const double h = distance ? -sums[0] / 2 : sums[1] * scale;
    const double error = distance ? 4 * gamma64 * square : 2 * gamma64 * centre_norm * norm;
    return {h, h + (4 * unit * std::fabs(h) + error + 0x1p-200) * kSafe,
            distance ? 0.0 : gamma64 * (norm + centre_norm) * (norm + centre_norm)};
}

template <class T>
BoundPanels<T>::BoundPanels(const ExactRows& rows, const Frame& frame) : rows_(rows), frame_(frame) {
    constexpr double v = 0x1p-53;
    unit_ = std::is_same_v<T, float> ? 0x1p-24 : v;
    const double d = double(rows.cols()), u = unit_, u1 = u + 2 * v;
    const double product = gamma(d + 1, u);
    const double lost = product + 3 * u * (1 + product);
    by_norm_ = (2 * u1 + u1 * u1 + lost * (1 + u1) * (1 + u1)) / (1 - lost) * kSafe;
    by_truth_ = kSafe / (1 - lost);
}

template <class T>
void BoundPanels<T>::fill(std::int64_t row, T* out, T* offset, float* raised, double* scratch) const {
    const std::int64_t d = rows_.cols();
    double sums[2] = {0, 0};  // |C|^2 and m.C
    const ExactRows::Raw raw = rows_.raw(row, scratch);
    if (raw.f32)
        simd().neighbors.centre_row(raw.f32, frame_.centre.data(), rows_.factor(row), frame_.scale, out, sums, d);
    else
        simd().neighbors.centre_row(raw.f64, frame_.centre.data(), rows_.factor(row), frame_.scale, out, sums, d);
    const Frame::Terms terms = frame_.terms(sums, unit_);
    const double g = by_norm_ * sums[0] * kSafe + kUnderflow + by_truth_ * terms.truth;
    out[d] = rounding::up<T>(std::sqrt(g) * kSafe);
    std::fill(out + d + 1, out + stride(), T(0));
    *offset = rounding::up<T>(terms.raised);
    *raised = rounding::up<float>((double(*offset) - terms.h) * kSafe);
}

template <class T>
double BoundPanels<T>::threshold(double s) const {
    const double square = frame_.scale * frame_.scale;
    if (rows_.similarity() == Similarity::euclidean) return square * s / 2;
    return square * s - frame_.base - 4 * (frame_.gamma64 * frame_.base + 0x1p-53 * std::fabs(square * s));
}

template class BoundPanels<float>;
template class BoundPanels<double>;

}  // namespace kernalign
