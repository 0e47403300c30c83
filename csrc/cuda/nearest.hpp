// Contract of the Neighbors engine on a device: the lists of neighbors.hpp, bit for bit.
//
// Truth      As in neighbors.hpp. Every score is summed in float64 in feature order, without contraction, so that
// index,
//            similarity and tie are those of the CPU.
// Memory     Rows are read where they are, but for what PreparedRows writes out. Lists: 12nk bytes, downloaded; besides
//            64 MB of queues, or those of 8 rows.
#pragma once

#include <cstdint>

#include "cuda/prepared_rows.hpp"
#include "neighbors.hpp"

namespace kernalign::cuda {

// 1 <= k <= n - 1; rows.view.data is in the queue's device memory.
Neighbors nearest_neighbors(Queue& queue, const Rows& rows, std::int64_t k, Similarity similarity, Monitor* monitor);

}  // namespace kernalign::cuda
