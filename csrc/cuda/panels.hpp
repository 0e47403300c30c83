// The kernels that write rows as float16 panels whose products bound similarities (Narrow in neighbors.hpp).
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/rows.hpp"

namespace kernalign::cuda {

// What all panels of one search share.
struct PanelFrame {
    std::int64_t depth = 0;        // coordinates, the three appended and padding included
    double scale = 1;              // e
    double centre_norm = 0;        // |M|, rounded up; 0 for euclidean
    double gamma64 = 0, lost = 0;  // of the truth, of the products
    bool distance = false;
    // threshold(s): the least U that a row of similarity s or more can have.
    double square = 1, base = 0;  // e^2 and |M|^2

    // unit: of the products' sums.
    void set_rounding(std::int64_t cols, double unit) {
        depth = (cols + 3 + 15) / 16 * 16;
        gamma64 = gamma(double(cols) + 8, 0x1p-53);
        const double product = gamma(double(depth) + 4, unit);
        lost = product + 3 * 0x1p-24 * (1 + product);
    }
    static double gamma(double terms, double unit_of_sums) { return terms * unit_of_sums / (1 - terms * unit_of_sums); }

    KERNALIGN_KERNEL double threshold(double s) const {
        if (distance) return square * s / 2;
        const double scaled = square * s, size = scaled < 0 ? -scaled : scaled;
        return scaled - base - 4 * (gamma64 * base + 0x1p-53 * size);
    }
};

// The centre m: the mean of some rows.
template <class E>
struct Centre {
    static constexpr int kThreads = 64;
    struct Shared {};
    DeviceRows<E> x;
    std::int64_t sampled;
    Written<double> centre;

    static std::int64_t blocks(std::int64_t cols) { return (cols + kThreads - 1) / kThreads; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        block.each([&](Thread t, Shared&) {
            const std::int64_t f = block.index() * kThreads + t;
            if (f >= x.cols) return;
            double sum = 0;
            for (std::int64_t s = 0; s < sampled; ++s) sum += x(s * x.count / sampled, f) / double(sampled);
            centre.of(t)[f] = sum;
        });
    }
};

// Left (p, a, b, g) and right (p, b, a, g) factors, h', and what a and b became.
template <class E>
struct Panels {
    static constexpr int kLanes = 32, kRows = 8, kThreads = kRows * kLanes, kSums = 4;
    struct Shared {
        double part[kSums][kRows][kLanes + 1];
    };
    static constexpr double kSafe = 1 + 0x1p-20;  // covers the rounding of the bound's own arithmetic

    DeviceRows<E> x;
    const double* centre;
    PanelFrame frame;
    Written<std::uint16_t> left, right;
    Written<float> offsets, lost, size;

    static std::int64_t blocks(std::int64_t rows) { return (rows + kRows - 1) / kRows; }
    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t first = block.index() * kRows;
        block.each([&](Thread t, Shared& s) {
            const int r = t / kLanes, lane = t % kLanes;
            double square = 0, along = 0, wrong = 0, rounded = 0;
            for (std::int64_t f = lane; first + r < x.count && f < x.cols; f += kLanes) {
                const double c = (x(first + r, f) - centre[f]) * frame.scale;
                const Half half = half_of(float(c));
                const double p = double(half), gap = c - p;
                square += c * c;
                along += centre[f] * c;
                wrong += gap * gap;
                rounded += p * p;
                left.of(t)[(first + r) * frame.depth + f] = half.bits;
                right.of(t)[(first + r) * frame.depth + f] = half.bits;
            }
            s.part[0][r][lane] = square;
            s.part[1][r][lane] = along;
            s.part[2][r][lane] = wrong;
            s.part[3][r][lane] = rounded;
        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kRows || first + t >= x.count) return;
            double sums[kSums];
            for (int of = 0; of < kSums; ++of) {
                sums[of] = 0;
                for (int lane = 0; lane < kLanes; ++lane) sums[of] += s.part[of][t][lane];
            }
            append(t, first + t, sums);
        });
    }

  private:
    KERNALIGN_KERNEL void append(Thread t, std::int64_t row, const double* sums) const {
        const double square = sums[0] * kSafe, norm = sqrt(square);
        const double large = sqrt(sums[0] > sums[3] ? sums[0] : sums[3]) * kSafe;   // N
        const double wrong = (sqrt(sums[2]) + 0x1p-50 * large + 0x1p-110) * kSafe;  // E
        const double h = frame.distance ? -sums[0] / 2 : sums[1] * frame.scale, gamma = frame.gamma64;
        const double error = frame.distance ? 4 * gamma * square : 2 * gamma * frame.centre_norm * norm;
        const double whole = norm + frame.centre_norm, truth = frame.distance ? 0.0 : gamma * whole * whole;
        const double g = (frame.lost * large * large + 0x1p-100 + truth) / (1 - frame.lost);
        const Half a = half_up(wrong / (1 - frame.lost) * kSafe), b = half_up(large),
                   c = half_up(sqrt(g * kSafe) * kSafe);
        std::uint16_t *l = left.of(t) + row * frame.depth + x.cols, *r = right.of(t) + row * frame.depth + x.cols;
        l[0] = r[1] = a.bits;
        l[1] = r[0] = b.bits;
        l[2] = r[2] = c.bits;
        for (std::int64_t f = x.cols + 3; f < frame.depth; ++f) l[f - x.cols] = r[f - x.cols] = 0;
        offsets.of(t)[row] = float_up(h + (4 * 0x1p-24 * fabs(h) + error + 0x1p-200) * kSafe);
        lost.of(t)[row] = float(double(a));
        size.of(t)[row] = float(double(b));
    }
};

}  // namespace kernalign::cuda
