// Contract of the list kernels: what two sets of neighbour lists share, item by item, in O(nk) memory.
//
// A list is a row of k distinct indices in [0, n), best first; both sides have the same n and k. Everything is counted
// in integers, so results do not depend on the order of evaluation.
#pragma once

#include <array>
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
void check_lists(const Lists& lists, const char* name, Monitor* monitor);

// Throws std::invalid_argument unless both have the same n and k.
void require_same_shape(const Lists& a, const Lists& b);

// |A_i and B_i|.  O(nk).
std::vector<std::int32_t> shared_counts(const Lists& a, const Lists& b, int threads, Monitor* monitor);

// Length of the longest common subsequence of A_i and B_i: the longest increasing subsequence of the positions in B_i
// of the shared indices, in the order of A_i.  O(nk log k).
std::vector<std::int32_t> common_subsequences(const Lists& a, const Lists& b, int threads, Monitor* monitor);

// (1 / H_m) sum over the m shared indices of 2 / ((1 + |r - s|) (r + s)), where r and s are their places, from 1, in
// A_i and in B_i and H_m = 1 + 1/2 + ... + 1/m; 0 without any (Wang et al. 2020, as ReSi has it). Float64, summed in
// the order of A_i.  O(nk).
std::vector<double> rank_similarities(const Lists& a, const Lists& b, int threads, Monitor* monitor);

// Levenshtein distance of A_i and B_i (unit insertion, deletion, substitution).  Bit-parallel (Myers 1999, in blocks of
// 64): O(n k ceil(k / 64)).
std::vector<std::int32_t> edit_distances(const Lists& a, const Lists& b, int threads, Monitor* monitor);

// 1 where some j in B_i has i in A_j, else 0.  O(nk) reads of A_j in any order: O(nk log k).
std::vector<std::uint8_t> cycles(const Lists& a, const Lists& b, int threads, Monitor* monitor);

// How many lists hold each index.
std::vector<std::int32_t> in_degrees(const Lists& lists);

// The sums of neighbors.hpp with weights 0 and 1.
GraphSums graph_sums(const Lists& lists, Monitor* monitor);

// A neighbour graph: i points to index[begin[i]] ... index[begin[i + 1] - 1], with these weights w_ij (null: all 1).
// All other w_ij are 0; nothing points to itself, or twice to the same.
struct Graph {
    const std::int32_t* index = nullptr;
    const std::int64_t* begin = nullptr;  // n + 1, from 0
    const double* weight = nullptr;
    std::int64_t n = 0;
};

// Throws std::invalid_argument unless it is one.
void check_graph(const Graph& graph);

// Sums of products of one, two or three weights over all ways in which edges can be connected; every letter runs over
// all items. With r_i = sum_j w_ij, d_i = sum_j w_ji, s_i = sum_j w_ij^2, t_i = sum_j w_ji^2, m_i = sum_j w_ij w_ji:
//     sum of    w_ij
//     two       w_ij^2,  w_ij w_ji,  r_i^2,  r_i d_i,  d_i^2
//     three     w_ij^3,  w_ij^2 w_ji,  r_i^3,  r_i^2 d_i,  r_i d_i^2,  d_i^3,
//               s_i r_i,  s_i d_i,  t_i r_i,  t_i d_i,  m_i r_i,  m_i d_i,
//               w_ij r_i r_j,  w_ij r_i d_j,  w_ij d_i r_j,  w_ij d_i d_j,  w_ij w_jl w_il,  w_ij w_jl w_li
// in float64: exact of weights 0 and 1 up to 2^53, otherwise added by blocks of rows, whatever the threads. Reads the
// lists of all neighbours once: O(n k^2), and 16 n bytes a thread.
constexpr std::size_t kEdgeSums = 24;
std::array<double, kEdgeSums> edge_sums(const Graph& graph, int threads, Monitor* monitor);

// Of all pairs of L graphs of the same items, L x L and symmetric: sum w_ij w'_ij, sum w_ij w'_ji, sum d_i d'_i.
// O(L^2 n k); exact and independent of threads as above.
struct GraphProducts {
    std::vector<double> same, reverse, degrees;
};
GraphProducts graph_products(const std::vector<Graph>& graphs, int threads, Monitor* monitor);

// The first k of every list; for each k of ks (ascending, at most lists' k), sum over i of |A_i and B_i| / k.  One
// pass: O(nk).
std::vector<double> overlap_curve(const Lists& a, const Lists& b, const std::vector<std::int64_t>& ks);

// Among the items of a subset only, the k nearest of a list are its first k members. For each of `count` subsets (0 or
// 1 for every item, one row after another) the number of its items whose k nearest on both sides share 0, 1, ... k:
// count x (k + 1). Items of which a list holds fewer than k members are left out. O(n (lists' k) count / 64) words.
std::vector<std::int64_t> subset_overlaps(const Lists& a, const Lists& b, std::int64_t k, const std::uint8_t* subsets,
                                          std::int64_t count, int threads, Monitor* monitor);

// For every item the sum of |A_j and B_j| over the others j when it is deleted: a list that held it among its k nearest
// holds the next one instead, which is the last of lists of k + 1.  O(nk).
std::vector<std::int64_t> overlaps_without_one(const Lists& a, const Lists& b, Monitor* monitor);

// Inner products along the edges of a neighbour graph, of rows centred in float64: what CKNNA needs of a linear kernel.
struct EdgeProducts {
    std::vector<double> edge;        // n x k: (X_i - m).(X_j - m) for the j of list i, m the mean row
    std::vector<double> square;      // n: |X_i - m|^2
    std::vector<double> projection;  // n: m.(X_i - m)
    double mean_square = 0;          // |m|^2
};
EdgeProducts edge_products(const Rows& x, const Lists& lists, int threads, Monitor* monitor);

}  // namespace kernalign
