// The first search of neighbors.hpp: upper-triangular float32 tiles that feed the queues of rows and columns.
#pragma once

#include "cpu/bound_panels.hpp"
#include "cpu/candidates.hpp"

namespace kernalign {

// Offers every pair i != j to both rows' queues.
void symmetric_search(const BoundPanels<float>& panels, std::int64_t rows, Candidates& candidates, int threads,
                      Monitor* monitor);

}  // namespace kernalign
