// Contract of the Grams engine: n x n Gram matrices of linear kernels in tiles, reduced on the fly, never stored.
//
// Rows are shifted by the exact column mean (centred) or not at all, and scaled by a power of two so that the largest
// deviation is in [1, 2). Tiles are multiplied in float32 (16- and 32-bit float input whose longest row is
// under 10 times the median row) or float64 and reduced in float64, in an order that depends on neither the threads nor
// the machine: each tile's sums are kept and added up in tile order. Cost    gram_sums: n^2 (p + q) multiply-adds
// (upper triangle). gram_row_terms: twice that. Good when n < p + q. Memory  a few tiles and panels of rows per thread,
// and O(n).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cpu/parallel.hpp"
#include "statistics.hpp"
#include "view.hpp"

namespace kernalign {

struct GramSums {
    std::int64_t n = 0;
    std::array<int, 2> exponent{};  // the rows were divided by 2^exponent
    std::array<PairSums, 3> pairs;  // xx, xy, yy
    bool widened = false;           // multiplied in float64 because of an outlier
};

GramSums gram_sums(const Rows& x, const Rows& y, bool centred, Precision precision, int threads, Monitor* monitor);

// The per-row sums of moments_row_terms (moments.hpp), from tiles, of the rows scaled as in gram_sums.
std::vector<double> gram_row_terms(const Rows& x, const Rows& y, bool centred, Precision precision, int threads,
                                   Monitor* monitor);

// For X = K^U, the U-centred Gram matrix of the rows, in float64: sum of X_ij^2, sum of X_ij^3 and tr X^3, of the rows
// scaled as above. O(n^2 p), and O(n p^2) for the trace when p < n; otherwise X itself is held, which is no larger than
// the input.
struct CubeSums {
    double squares = 0, cubes = 0, trace = 0;
};
CubeSums u_centred_cubes(const Rows& rows, int threads, Monitor* monitor);

}  // namespace kernalign
