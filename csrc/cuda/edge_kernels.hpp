// The kernel that multiplies rows along the edges of a neighbour graph.
#pragma once

#include <cstdint>

#include "cuda/simt.hpp"

namespace kernalign::cuda {

// Products of each centred row with its k neighbours, and with the mean.
struct Edges {
    static constexpr int kLanes = 16, kEdges = 8, kThreads = kEdges * kLanes;
    struct Shared {
        double sum[kEdges][kLanes + 1];
    };
    const double *points, *mean;  // rows, dense
    const std::int32_t* index;    // of the neighbours
    std::int64_t k, cols;
    Written<double> edge, projection;

    KERNALIGN_KERNEL void operator()(const Block<Shared>& block) const {
        const std::int64_t row = block.index();
        for (std::int64_t first = 0; first <= k; first += kEdges) {
            block.each([&](Thread t, Shared& s) {
                const std::int64_t at = first + t / kLanes;
                double sum = 0;
                if (at <= k) {
                    const double* other = at < k ? points + std::int64_t(index[row * k + at]) * cols : mean;
                    for (std::int64_t f = t % kLanes; f < cols; f += kLanes) sum += points[row * cols + f] * other[f];
                }
                s.sum[t / kLanes][t % kLanes] = sum;
            });
            block.each([&](Thread t, Shared& s) {
                if (t >= kEdges || first + t > k) return;
                for (int half = kLanes / 2; half > 0; half /= 2)  // as the CPU's loops add their lanes
                    for (int lane = 0; lane < half; ++lane) s.sum[t][lane] += s.sum[t][lane + half];
                (first + t < k ? edge.of(t)[row * k + first + t] : projection.of(t)[row]) = s.sum[t][0];
            });
        }
    }
};

}  // namespace kernalign::cuda
