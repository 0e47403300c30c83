// Contract of the Neighbors engine: the k most similar rows of every row, certified to be what float64 arithmetic
// yields.
//
// Truth      X_i is row i after preprocessing, in float64; for cosine X_i = x_i * (1 / |x_i|), the product rounded
//            once, after an exact division (direction.hpp): rows that are exactly parallel have the same X_i.
//            cosine, dot:  s_ij = sum_f X_if X_jf        euclidean:  s_ij = -sum_f (X_if - X_jf)^2
//            each summed in float64 in feature order without contraction, so s_ij and s_ji are the same bits.
// Result     For row i the k rows j != i that come first by (s_ij descending, j ascending), whatever the thread count,
//            tile size or instruction set. A row has a boundary tie when its k-th and (k+1)-th values are equal.
// Search     Upper-triangular tiles of a matrix product in float32; each tile feeds the queues of its rows and of its
//            columns. A queue keeps the K' = k + margin best entries by (U_ij descending, j ascending). Its cut starts
//            as a number that k bounds of the tile on the diagonal reach, so that it is not flooded.
// Bound      With any fixed centre m, a power of two e, M = e m and C_i = e (X_i - m):
//                cosine, dot:  e^2 s_ij - |M|^2 = C_i.C_j + M.C_i + M.C_j       (h_i = M.C_i)
//                euclidean:    e^2 s_ij / 2     = C_i.C_j - |C_i|^2/2 - |C_j|^2/2   (h_i = -|C_i|^2/2)
//            so only differences between rows are ever rounded to float32. U_ij = fl(fl(fl(p_i.p_j + g_i g_j) + h'_i) +
//            h'_j) is at least the right-hand side of the *computed* s_ij, because with u = 2^-24, v = 2^-53,
//            p_i = fl(C_i), u1 = u + 2v and gamma = (d+1)u / (1 - (d+1)u) (any order of summation, with or without
//            fused operations), what rounding can take away is at most
//                inputs    (2 u1 + u1^2) |C_i||C_j|
//                product   gamma ((1 + u1)^2 |C_i||C_j| + g_i g_j) + 2^-100          (2^-100: underflow, also flushed)
//                offsets   3u (1 + gamma) ((1 + u1)^2 |C_i||C_j| + g_i g_j) + 3u (|h'_i| + |h'_j|)
//                truth     gamma64_d e^2 |X_i||X_j|   (euclidean: gamma64_{d+2} (|C_i|^2 + |C_j|^2))
//                h         gamma64_{d+4} |M||C_i|     (euclidean: gamma64_{d+4} |C_i|^2)
//            The products of norms are paid by the appended coordinate
//                g_i^2 >= [ (2 u1 + u1^2 + (gamma + 3u (1 + gamma)) (1 + u1)^2) |C_i|^2 + gamma64_d (|C_i| + |M|)^2 +
//                           2^-100 ] / (1 - gamma - 3u (1 + gamma)),
//            since sqrt(a+b) sqrt(a'+b') >= sqrt(aa') + sqrt(bb'); the sums are paid by raising h_i to h'_i.
// Certificate  The k best by U are scored in float64; L is the least of those scores, so the k-th true value is at
//            least L. Every kept entry with U >= L is scored too. Whatever was discarded has U, hence s, at most the
//            smallest kept U, or below the first cut: if that is below L, the set, its order and its boundary tie are
//            proven. A queue that discarded nothing needs no proof.
// Narrow     Where the CPU multiplies bfloat16 many times faster (bfloat_product.hpp), the search is first done so. The
//            rounding of the inputs is then so coarse that its worst case would bound nothing: it is measured. With
//            p_i = bf(C_i), E_i >= |C_i - p_i| and N_i >= |C_i|, |p_i|,
//                C_i.C_j - p_i.p_j = (C_i - p_i).C_j + p_i.(C_j - p_j) <= E_i N_j + N_i E_j,
//            which two appended coordinates add: (a_i, b_i) on the left and (b_j, a_j) on the right, b_i >= N_i and
//            a_i >= E_i / (1 - lost), lost = gamma + 3u (1 + gamma), gamma for the d + 3 and padded coordinates and
//            u = 2^-24 (sums are float32 as above). A third, g_i, pays the rest as above:
//                g_i^2 >= [ lost N_i^2 + gamma64_d (|C_i| + |M|)^2 + 2^-100 ] / (1 - lost);
//            all three are rounded up to bfloat16. h' is unchanged. The 2^-100 also covers inputs and sums below
//            2^-126, which the unit may take for zero. Of the kept entries with U >= L rough scores, each within a
//            proven error of s, say which few can be among the k best; those are scored exactly (with Detail::sets
//            only when they are more than k). A sample of rows decides how many candidates are kept, and whether the
//            narrow search is worth doing; if more than n / 16 rows are not proven by it, the float32 search is done
//            after all.
// Projected  Without such a unit, if a sample of rows says that it pays, products of r < d coordinates come first. With
//            any d x r matrix Q, G = Q^T Q, delta >= |G - I|, P_i = fl(Q^T p_i), eta = gamma sqrt(r (1 + delta)),
//            N_i >= |p_i| and e_i = p_i - Q P_i,
//                |Q^T p_i - P_i| <= eta N_i,    |Q^T e_i| <= eta N_i + delta |P_i|,
//                |e_i|^2 <= N_i^2 - (1 - delta) |P_i|^2 + 2 eta N_i |P_i| <= rho_i^2,
//                p_i.p_j = P_i.P_j + P_i.(G - I) P_j + (Q^T e_i).P_j + P_i.(Q^T e_j) + e_i.e_j
//                       <= P_i.P_j + rho_i rho_j + x N_i N_j,    x = (3 delta + 2 eta) (1 + delta + eta)^2.
//            So (P_i, rho_i, g'_i) bounds as (p_i, g_i) does, with g'_i^2 >= g_i^2 + 2^-90 + (x + lost/20) N_i^2 / (1 -
//            lost): for delta < 1e-3 and eta < 1e-2, |P_i|^2 + rho_i^2 <= 1.03 N_i^2, hence rounding takes at most
//            lost (1.03 N_i N_j + g'_i g'_j) of its r + 2 <= d + 1 terms. A pair that reaches the cut of its row or its
//            column gets its U_ij from p_i and p_j; where many do, the tile is multiplied whole. Queues and certificate
//            are those of the float32 search; cuts are raised to what k bounds, less all they pay, reach.
// Otherwise  the row is done again: tiles in float64 under the same bound (u = 2^-53), every j with U_ij >= L scored.
//            Rows that are bit-for-bit equal are searched, and scored, once.
// Memory     Inputs are not copied beyond 48 MB of panels, plus about 8 (3k + 32) bytes per row and 8 MB, and 8 MB of
//            rows with a common divisor (if they have more, all rows are widened as they are read, which is slower);
//            8 n^2 bytes of rows of 65,536 values or more that are at most a 16th as many.
#pragma once

#include <cstdint>
#include <vector>

#include "monitor.hpp"
#include "view.hpp"

namespace kernalign {

enum class Similarity : std::uint8_t { cosine, dot, euclidean };

struct Neighbors {
    std::int64_t n = 0;
    std::int64_t k = 0;
    std::vector<std::int32_t> index;  // n x k, best first
    std::vector<double> similarity;   // n x k
    std::vector<std::uint8_t> tie;    // n: the k-th value equals the (k+1)-th
    std::int64_t repeated = 0;        // rows whose first search was not a proof
};

// What is wanted of each row. With sets, the similarities of rows whose set the bounds alone prove stay NaN, and their
// indices are in no particular order (such rows have no boundary tie); the sets are the same.
enum class Detail : std::uint8_t { lists, sets };

// 1 <= k <= n - 1; at most 2^21 columns. threads: 0 for all.
Neighbors nearest_neighbors(const Rows& x, std::int64_t k, Similarity similarity, Detail detail, int threads,
                            Monitor* monitor);

// How two neighbour graphs overlap, and what the null distribution of the overlap needs of each.
// w_ij is the weight of j among the neighbours of i: 1 above the k-th value, and (k - number above) / (number tied) at
// it, which is the expectation over random orders of the tied rows.
struct GraphSums {
    double square = 0;         // sum of w_ij^2
    double reciprocal = 0;     // sum of w_ij w_ji
    double degree_square = 0;  // sum over j of (sum over i of w_ij)^2
};
struct Overlap {
    std::vector<double> item;  // sum over j of w_ij w'_ij
    GraphSums x, y;
};

// Fractional overlap of the neighbours of x and of y. Rows with a boundary tie are finished by tiled passes over that
// side; nothing of size n^2 is kept. a and b must come from nearest_neighbors (of any detail) on the same rows.
Overlap fractional_overlap(const Rows& x, Neighbors a, const Rows& y, Neighbors b, Similarity similarity, int threads,
                           Monitor* monitor);

}  // namespace kernalign
