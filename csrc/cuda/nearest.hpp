// Contract of the Neighbors engine on a device: the lists of neighbors.hpp, bit for bit.
//
// Truth      As in neighbors.hpp. Every score is summed in float64 in feature order, without contraction, so that
// index,
//            similarity and tie are those of the CPU.
// Search     Narrow of neighbors.hpp with p_i = half(C_i) and float16 products, whose u is that of the matrix unit
//            (accumulation_unit). All kept candidates are scored; rows that are not proven are searched by scoring all
//            pairs, as all rows are where a sample says that candidates do not pay, or without cuBLAS.
// Memory     Rows are read where they are, but for what PreparedRows writes out. Lists: 12nk bytes, downloaded; besides
//            64 MB of queues, or those of 8 rows. For candidates 4nd bytes of panels, up to 64n keep of queues and 4
//            tile^2.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cuda/prepared_rows.hpp"
#include "neighbors.hpp"

namespace kernalign::cuda {

// How to search; lists do not depend on it.
struct Way {
    double worthwhile = 0x1p32;  // with fewer multiply-adds than these all pairs are scored
    std::int64_t tile = 8192;    // rows and columns of products that are made at once; a multiple of 4
    // Told, before it begins, of rows that are compared with all others in float64, and of about how many seconds.
    std::function<void(std::int64_t rows, double seconds)> say = nullptr;
};

// 1 <= k <= n - 1; rows.view.data is in the queue's device memory.
Neighbors nearest_neighbors(Queue& queue, const Rows& rows, std::int64_t k, Similarity similarity, const Way& way,
                            Monitor* monitor);

// Of some rows only, by scoring them against all: the same lists, one for each query.
Neighbors nearest_of_rows(Queue& queue, const Rows& rows, const std::vector<std::int32_t>& queries, std::int64_t k,
                          Similarity similarity, Monitor* monitor);

}  // namespace kernalign::cuda
