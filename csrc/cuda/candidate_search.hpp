// Finds and certifies neighbours through float16 products, where that is sooner than scoring all pairs.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cuda/nearest.hpp"
#include "cuda/prepared_rows.hpp"

namespace kernalign::cuda {

// The lists of all rows, in device memory.
struct Lists {
    Buffer<std::int32_t> index;
    Buffer<double> similarity;
    Buffer<unsigned char> tie;

    Lists(Queue& queue, std::int64_t n, std::int64_t k)
        : index(queue, n * k), similarity(queue, n * k), tie(queue, n) {}
};

// Writes the lists that are proven and returns the rows whose lists are not; nothing if a sample of rows says that
// candidates do not pay, or the device has no matrix products.
std::optional<std::vector<std::int32_t>> search_candidates(Queue& queue, const PreparedRows& rows, std::int64_t k,
                                                           const Way& way, Lists& lists, Monitor* monitor);

}  // namespace kernalign::cuda
