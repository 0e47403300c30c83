// Closed forms in float64 over small sums: estimators and exact permutation-null moments; no loop over rows.
#pragma once

#include <cstdint>

namespace kernalign {

// What every linear or kernel HSIC estimator needs of a pair of n x n Gram matrices K and L.
// With K_ii the diagonals and r_i = sum_j K_ij, t_i = sum_j L_ij the row sums, diagonal included:
struct PairSums {
    double full = 0;           // sum_ij K_ij L_ij
    double diagonal = 0;       // sum_i K_ii L_ii
    double rows = 0;           // sum_i r_i t_i
    double rows_diagonal = 0;  // sum_i r_i L_ii
    double diagonal_rows = 0;  // sum_i K_ii t_i
    double trace_x = 0;        // sum_i K_ii
    double trace_y = 0;        // sum_i L_ii
    double total_x = 0;        // sum_ij K_ij
    double total_y = 0;        // sum_ij L_ij
};

// <HKH, HLH>: n^2 times the biased HSIC.
double centred_product(std::int64_t n, const PairSums& sums);

// <K^U, L^U> of the U-centred matrices: n(n-3) times the unbiased HSIC (Song et al. 2012; Szekely & Rizzo). n >= 4.
double u_centred_product(std::int64_t n, const PairSums& sums);

// <K, L> without the diagonals.
double off_diagonal_product(const PairSums& sums);

// Third moment E[Z^3] of Z = <K^U, P L^U P'> over uniform permutations P (mathematics 3.3). For each side, `cubes` is
// the sum of the cubed entries and `trace` the trace of the matrix cube. n >= 6.
double u_centred_third_moment(std::int64_t n, double cubes_x, double trace_x, double cubes_y, double trace_y);

// Variance of <K, P L P'> over uniform permutations for centred K, L (Kazi-Aoual et al. 1995). Per side: the trace, the
// squared Frobenius norm, and the sum of squared diagonal entries. n >= 4.
double centred_variance(std::int64_t n, double trace_x, double square_x, double diagonal_x, double trace_y,
                        double square_y, double diagonal_y);

// What the null variance of a neighbour overlap needs of a graph with weights w_ij >= 0 whose rows sum to k and whose
// diagonal is zero: sum w_ij^2, sum w_ij w_ji, and the sum of squared column sums.
struct NeighborGraph {
    double k = 0;
    double square = 0;
    double reciprocal = 0;
    double degree_square = 0;
};

// Variance of T = sum_ij w_ij w'_{pi(i) pi(j)} over uniform permutations pi (mathematics 3.2); E[T] = n k k' / (n - 1).
double knn_overlap_variance(std::int64_t n, const NeighborGraph& x, const NeighborGraph& y);

}  // namespace kernalign
