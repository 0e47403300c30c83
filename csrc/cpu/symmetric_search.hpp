// The first search of neighbors.hpp: upper-triangular float32 tiles that feed the queues of rows and columns.
#pragma once

#include <memory>

#include "cpu/bound_panels.hpp"
#include "cpu/candidates.hpp"
#include "cpu/narrow_panels.hpp"

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

// Offers every pair i != j to both rows' queues, which keep the `keep` best; *slack becomes that of all rows.
std::unique_ptr<Candidates> symmetric_search(const BoundPanels<float>& panels, std::int64_t rows, std::int64_t keep,
                                             int threads, Monitor* monitor, Slack* slack);

// The same under the narrow bound, where a sample says how many must be kept; null when they are too many.
std::unique_ptr<Candidates> narrow_search(const NarrowPanels& panels, std::int64_t rows, std::int64_t k, int threads,
                                          Monitor* monitor);

}  // namespace kernalign
