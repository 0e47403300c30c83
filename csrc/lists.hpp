// Contract of the list kernels: what two sets of neighbour lists share, item by item, in O(nk) memory.
//
// A list is a row of k distinct indices in [0, n), best first; both sides have the same n and k. Everything is counted
// in integers, so results do not depend on the order of evaluation.
#pragma once

#include <cstdint>
#include <vector>

#include "neighbors.hpp"

namespace kernalign {

struct Lists {
    const std::int32_t* index = nullptr;
    std::int64_t n = 0;
    std::int64_t k = 0;
    const std::int32_t* row(std::int64_t i) const { return index + i * k; }
};

// Throws std::invalid_argument unless every index is in [0, n), no list holds its own row, and none repeats an index.
void check_lists(const Lists& lists, const char* name);

// |A_i and B_i|.  O(nk).
std::vector<std::int32_t> shared_counts(const Lists& a, const Lists& b);

// Length of the longest common subsequence of A_i and B_i: the longest increasing subsequence of the positions in B_i
// of the shared indices, in the order of A_i.  O(nk log k).
std::vector<std::int32_t> common_subsequences(const Lists& a, const Lists& b);

// Levenshtein distance of A_i and B_i (unit insertion, deletion, substitution).  Bit-parallel (Myers 1999, in blocks of
// 64): O(n k ceil(k / 64)).
std::vector<std::int32_t> edit_distances(const Lists& a, const Lists& b);

// 1 where some j in B_i has i in A_j, else 0.  O(nk) reads of A_j in any order: O(nk log k).
std::vector<std::uint8_t> cycles(const Lists& a, const Lists& b);

// How many lists hold each index.
std::vector<std::int32_t> in_degrees(const Lists& lists);

// The sums of neighbors.hpp with weights 0 and 1.
GraphSums graph_sums(const Lists& lists);

// The first k of every list; for each k of ks (ascending, at most lists' k), sum over i of |A_i and B_i| / k.  One
// pass: O(nk).
std::vector<double> overlap_curve(const Lists& a, const Lists& b, const std::vector<std::int64_t>& ks);

// Inner products along the edges of a neighbour graph, of rows centred in float64: what CKNNA needs of a linear kernel.
struct EdgeProducts {
    std::vector<double> edge;        // n x k: (X_i - m).(X_j - m) for the j of list i, m the mean row
    std::vector<double> square;      // n: |X_i - m|^2
    std::vector<double> projection;  // n: m.(X_i - m)
    double mean_square = 0;          // |m|^2
};
EdgeProducts edge_products(const Rows& x, const Lists& lists, int threads, Monitor* monitor);

}  // namespace kernalign
