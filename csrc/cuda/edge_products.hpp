// Contract of products along the edges of neighbour graphs on a device: those of lists.hpp, to 1e-12 of the CPU's.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/device.hpp"
#include "lists.hpp"
#include "view.hpp"

namespace kernalign::cuda {

// index: n x k, the neighbours of each row. 8nd bytes of rows in float64, and 12nk.
EdgeProducts edge_products(Queue& queue, const Rows& rows, const std::vector<std::int32_t>& index, Monitor* monitor);

}  // namespace kernalign::cuda
