// Contract of rescoring: the best of given candidates for given rows, by the float64 similarities of neighbors.hpp.
//
// For row queries[i] the candidates i of a q x c array; entries that are negative or the row itself are skipped, and
// repeated entries count once. The k best by (similarity descending, index ascending) are returned; where fewer are
// left the list ends in index -1 and similarity -infinity. tie says that the k-th value equals that of the best
// candidate not returned. Similarities are the same bits as those of nearest_neighbors. O(q c d) time, no copy of x.
#pragma once

#include <cstdint>

#include "neighbors.hpp"

namespace kernalign {

class ExactRows;  // a device's rows, read and checked once for any number of calls

// queries: q indices; candidates: q x c, or with `shared` c for all. With `from`, queries are rows of that array and no
// candidate is left out for being the query. Throws std::invalid_argument for an index of n or more, or a negative
// query.
Neighbors best_candidates(const ExactRows& rows, const std::int32_t* queries, std::int64_t q,
                          const std::int32_t* candidates, std::int64_t c, std::int64_t k, int threads, Monitor* monitor,
                          const ExactRows* from = nullptr, bool shared = false);

// The k nearest of q rows among all rows: those of nearest_neighbors, bit for bit. 1 <= k <= n - 1; with `from`, whose
// rows the queries are then, k <= n and a row that equals its query counts. O(q n d) time.
Neighbors nearest_of_rows(const ExactRows& rows, const std::int32_t* queries, std::int64_t q, std::int64_t k,
                          int threads, Monitor* monitor, const ExactRows* from = nullptr);

}  // namespace kernalign
