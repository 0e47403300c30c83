// Finds the nearest neighbours of a few rows, of which a lower bound of the k-th similarity is known.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/neighbors/threshold_search.hpp"

namespace kernalign {

struct Scored {
    double similarity;
    std::int32_t index;
};
inline bool before(const Scored& a, const Scored& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.index < b.index;
}

// Writes the k best of scored (sorted) as row `at`, and whether the k-th is tied with the next.
void write_row(const std::vector<Scored>& scored, std::int64_t at, Neighbors& out);

// Writes the neighbours of query q, a row of `from` if that is given, as row places[q]; at least k rows must reach what
// it asks for. Returns what threshold_search does.
std::int64_t search_queries(const ExactRows& rows, const Frame& frame, const RowGroups& groups,
                            const std::vector<Query>& queries, const std::vector<std::int64_t>& places, int threads,
                            Monitor* monitor, Neighbors& out, const ExactRows* from = nullptr, bool single = false);

}  // namespace kernalign
