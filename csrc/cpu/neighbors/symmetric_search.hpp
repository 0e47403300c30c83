// The first search of neighbors.hpp in float32.
#pragma once

#include <memory>

#include "cpu/neighbors/bound_panels.hpp"
#include "cpu/neighbors/candidates.hpp"

namespace kernalign {

// How far a bound can be above the (scaled) similarity that it bounds: at most 2 (g_i g_j + raised_i + raised_j).
struct Slack {
    std::vector<float> product;  // g_i
    std::vector<float> raised;   // h'_i - h_i
    double at(std::int64_t i, std::int64_t j) const {
        const auto a = std::size_t(i), b = std::size_t(j);
        return 2.001 * (double(product[a]) * product[b] + raised[a] + raised[b]);
    }
};

// Offers every pair i != j to both rows' queues, which keep the k + margin best that reach what k rows of the first
// tile do; *slack becomes that of all rows.
std::unique_ptr<Candidates> symmetric_search(const BoundPanels<float>& panels, std::int64_t rows, std::int64_t k,
                                             int threads, Monitor* monitor, Slack* slack);

}  // namespace kernalign
