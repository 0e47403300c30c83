// The first search of neighbors.hpp in bfloat16.
#pragma once

#include <memory>

#include "cpu/neighbors/candidates.hpp"
#include "cpu/neighbors/narrow_panels.hpp"

namespace kernalign {

// Offers every pair i != j to both rows' queues; a sample of rows says how many must be kept. Null when they are too
// many.
std::unique_ptr<Candidates> narrow_search(const NarrowPanels& panels, std::int64_t rows, std::int64_t k, int threads,
                                          Monitor* monitor);

}  // namespace kernalign
