// The second search of neighbors.hpp: every row at least as similar as a given value, for a few chosen rows.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cpu/neighbors/bound_panels.hpp"

namespace kernalign {

// Rows that are the same float64 values, as numbers: group[i] == group[j].
struct RowGroups {
    std::vector<std::int32_t> group;
    std::int32_t count = 0;

    RowGroups(const ExactRows& rows, int threads, Monitor* monitor);
};

struct Query {
    std::int32_t row;
    double least;
};

// Calls found(q, others, similarities, count) for every query q, with the rows j != row whose similarity is at least
// `least`, in increasing order of j over all calls of one query. Calls for different queries may be concurrent. Queries
// are rows of `from` if it is given, with groups of their own: then no row is left out for being the query itself.
// Panels in float32 are multiplied sooner and leave more rows to be scored: how many were is returned.
using Found =
    std::function<void(std::int64_t query, const std::int32_t* others, const double* similarities, std::int64_t count)>;
std::int64_t threshold_search(const ExactRows& rows, const Frame& frame, const RowGroups& groups,
                              const std::vector<Query>& queries, int threads, Monitor* monitor, const Found& found,
                              const ExactRows* from = nullptr, bool single = false);

}  // namespace kernalign
