// Rows as bfloat16 panels whose products bound similarities from above (the narrow bound of neighbors.hpp).
#include "cpu/neighbors/narrow_panels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "cpu/products/rounding.hpp"
#include "cpu/simd/simd.hpp"

namespace kernalign {
namespace {

using rounding::kSafe;

constexpr double kUnit = 0x1p-24;  // of the products' sums

// The least bfloat16 that is not below a value in [0, 2^100); never one that counts as zero unless the value is zero.
std::uint16_t round_up(double value) {
    if (value == 0) return 0;
    auto near = float(std::max(value, 0x1p-120) * (1 + 0x1p-23));
    std::uint32_t bits;
    std::memcpy(&bits, &near, sizeof bits);
    return std::uint16_t((bits + 0xffffu) >> 16);
}
float widen(std::uint16_t half) {
    const std::uint32_t bits = std::uint32_t(half) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace

NarrowPanels::NarrowPanels(const ExactRows& rows, const Frame& frame) : rows_(rows), frame_(frame) {
    const double product = rounding::gamma(double(depth()) + 4, kUnit);
    lost_ = product + 3 * kUnit * (1 + product);
}

void NarrowPanels::fill(std::int64_t row, std::int64_t count, std::uint16_t* left, std::uint16_t* right, float* offsets,
                        float* lost, float* size, double* scratch) const {
    constexpr std::int64_t kBlock = bfloat::kBlock, kDepth = bfloat::kDepth, kArea = kBlock * kDepth;
    const std::int64_t d = rows_.cols(), deep = depth(), at = pair();
    std::vector<std::uint16_t> flat(static_cast<std::size_t>(deep));
    for (std::int64_t r = 0; r < kRows; ++r) {
        std::uint16_t* block = left + r / kBlock * kBlock * deep + r % kBlock * kDepth;
        if (r >= count) {
            for (std::int64_t f = 0; f < deep; f += kDepth) std::fill_n(block + f * kBlock, kDepth, std::uint16_t(0));
            continue;
        }
        double sums[4] = {0, 0, 0, 0};  // |C|^2, m.C, |C - p|^2, |p|^2
        const std::int64_t i = row + r;
        const ExactRows::Raw raw = rows_.raw(i, scratch);
        if (raw.f32)
            simd().neighbors.narrow_row(raw.f32, frame_.centre.data(), rows_.factor(i), frame_.scale, flat.data(), sums,
                                        d);
        else
            simd().neighbors.narrow_row(raw.f64, frame_.centre.data(), rows_.factor(i), frame_.scale, flat.data(), sums,
                                        d);
        const double large = std::sqrt(std::max(sums[0], sums[3])) * kSafe;              // N
        const double wrong = (std::sqrt(sums[2]) + 0x1p-51 * large + 0x1p-110) * kSafe;  // E
        const Frame::Terms terms = frame_.terms(sums, kUnit);
        const double g = (lost_ * large * large + 0x1p-100 + terms.truth) / (1 - lost_);
        offsets[r] = rounding::up<float>(terms.raised);
        std::fill(flat.begin() + d, flat.end(), std::uint16_t(0));
        flat[std::size_t(at)] = round_up(wrong / (1 - lost_) * kSafe);
        flat[std::size_t(at + 1)] = round_up(large);
        flat[std::size_t(at + 2)] = round_up(std::sqrt(g * kSafe) * kSafe);
        lost[r] = widen(flat[std::size_t(at)]);
        size[r] = widen(flat[std::size_t(at + 1)]);
        for (std::int64_t f = 0; f < deep; f += kDepth)
            std::memcpy(block + f * kBlock, flat.data() + f, kDepth * sizeof(std::uint16_t));
    }
    for (std::int64_t half = 0; half < kRows; half += kBlock)
        for (std::int64_t f = 0; f < deep; f += kDepth) {
            const std::uint16_t* from = left + half * deep + f * kBlock;
            std::uint32_t turned[kArea / 2];
            simd().neighbors.turn_pairs(from, turned);
            if (f <= at && at < f + kDepth)  // the right factor has b where the left has a
                for (std::int64_t r = 0; r < kBlock; ++r) {
                    std::uint32_t& two = turned[(at - f) / 2 * kBlock + r];
                    two = two << 16 | two >> 16;
                }
            std::memcpy(right + half * deep + f * kBlock, turned, sizeof turned);
        }
}

}  // namespace kernalign
