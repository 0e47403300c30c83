// Contract of the Grams engine: n x n Gram matrices of any kernel in tiles, reduced on the fly, never stored.
//
// Sources    Any number of representations of the same n items, each with its own kernel (kernel.hpp). Every tile of a
//            source is computed once (upper triangle only) and used for every pair that the source is in.
// Rows       are shifted by the exact column mean where the kernel (distances) or the caller (centred) allows it, and
//            scaled by a power of two so that the longest is in [1, 2). On a CPU by an ordinary row instead, where
//            rows are over 1000 times as far off it as the median one: what the mean has of them would cost the others
//            their digits.
// Pilot      Of a centred source whose kernel is not linear, K - c is summed instead of K: c is about the mean of K
//            off the diagonal, from 128 rows, and a float32 number; exp(-t) - c is formed without cancellation for
//            K near 1. Centred and U-centred products do not depend on c. For the others c = 0.
//            Of levelled Euclidean distances with rows much further off than others, K_ij - a_i - a_j is summed, a_i
//            about the median of row i, for the like reason: a row at 1e8 times the distance of the others would leave
//            them no digits. The diagonal is -2 a_i; `pilot` and `plain` are then as large as what was taken out.
//            Polynomials: c is the value of a product that is about the mean, subtracted as a product of differences.
// Precision  Inner products in float32 (cpu/products/float_product.hpp) or float64 as the source says; float64 anyway
//            where rows differ in length by 10 times their median, where a square root is taken of differences, where
//            an RBF is so narrow that the rounding of squared norms (6e-8 of them) would be seen, and where a mean
//            dominates a polynomial. All sums are float64, of the tile's own values: relative error about 1e-7 from
//            float32 products, 1e-13 otherwise. But products of pairs of three or more linear sources in float32 of at
//            least 256 rows are, where there are loops for it (AVX-512), sums of 8 entries' products in float32, added
//            in float64: unbiased CKA of 400 x 96 then errs by 9e-10 (root mean square), for 8e-10 without, and by
//            7e-10 for 2e-10 where all representations are nearly the same. float64 squared distances below 1e-6 of the
//            squared norms are taken from differences: 0 of equal rows.
// Order      Tiles belong to 32 groups by n alone; a group adds its tiles in order and the groups are added in order.
//            So the sums do not depend on the threads, and on the other sources only in the last bits
//            (of pairs of float32 sources, as said above, in their rounding).
// Cost       n^2 p multiply-adds / 2 per source, n^2 / 2 per pair.
// Memory     256 n bytes per source with a kernel that is not linear, the converted rows if all sources' fit in 256 MB
//            (32 MB each), else panels of 512 rows per thread; a tile of at most 512 x 512 per source and thread.
//            Of three or more sources with n <= p, the upper triangles of K instead of all rows, if in float64 they
//            fit in 256 MB: the sources are then made one after the other, each from converted rows as above.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernel.hpp"
#include "monitor.hpp"
#include "statistics.hpp"
#include "view.hpp"

namespace kernalign {

struct GramSums {
    struct Side {
        int exponent = 0;              // kernel values were divided by 2^exponent
        double pilot = 0;              // then c was subtracted from all of them, the diagonal included
        double plain = 0;              // K - c of two equal rows (RBF, Laplacian) or of rows of zeros (others)
        bool widened = false;          // multiplied in float64 although float32 was asked for
        std::vector<double> diagonal;  // K_ii
        std::vector<double> sums;      // (K 1)_i
        std::vector<double> hollow;    // the same without K_ii, which may be much larger than the rest
        double total = 0;              // 1'K 1
    };
    std::int64_t n = 0;
    std::vector<Side> sides;
    std::vector<double> off_diagonal;  // sides x sides: sum over i != j of K_ij L_ij

    // Of the matrices as they are, or hollow: with zeros for diagonals, which is all that U-statistics see.
    PairSums pair(std::size_t a, std::size_t b, bool hollow) const;
    // Of all pairs, u_centred_product of the hollow sums: sides x sides.
    std::vector<double> u_centred() const;

    // All that a saved state must hold, as float64, and back; unpack throws std::invalid_argument on a wrong length.
    std::vector<double> pack() const;
    static GramSums unpack(const std::vector<double>& packed);
};

GramSums gram_sums(const std::vector<GramSource>& sources, bool centred, int threads, Monitor* monitor);

// The same of two linear kernels and centred rows, of few rows, whose Gram matrices are held: 512 rows at most and 2^18
// numbers. Rows are x - mean, in float64, rounded to the products' type; row sums are taken for zeros, and norms are
// those of what is multiplied. nullopt where this is not for them: more of them, all equal, or in float32 ones that it
// would not do for or that go to the matrix unit. No threads.
struct SmallGrams {
    std::array<PairSums, 3> pairs, hollow;  // xx, xy, yy
    std::array<int, 2> exponents{};         // kernel values were divided by 2^exponent
};
std::optional<SmallGrams> small_gram_sums(const Rows& x, const Rows& y, Precision precision);

// Per-row sums of two sources that the delete-one jackknife needs, of the same K and L (scaled, pilot subtracted) as in
// `sums`, which gram_sums made of them. n x 11, row-major, the columns of moments_row_terms (moments.hpp):
//   K_ii, L_ii, (K1)_i, (L1)_i, (K.L 1)_i, (K.K 1)_i, (L.L 1)_i, (Kl)_i, (Kk)_i, (Lk)_i, (Ll)_i
// where k and l are the row sums of K and L, without their diagonals unless `with_diagonal`; of levelled sides, K_ii
// and L_ii are then 0. n^2 (p + q) multiply-adds.
std::vector<double> gram_row_terms(const std::array<GramSource, 2>& sources, const GramSums& sums, bool centred,
                                   bool with_diagonal, int threads, Monitor* monitor);

// For X = K^U, the U-centred Gram matrix of the rows: sum of X_ij^2, sum of X_ij^3, tr X^3, and the sum over i of
// (sum over j of X_ij^2)^2, of K scaled as above.
// Linear kernels: O(n^2 p), with products as the source says, whose sums are float64. When 2 p < n, O(n p^2) for the
// trace and the sums of rows, in float64 and with a float64 copy of the rows; otherwise X itself is held, at most 2 n p
// numbers, in the products' precision. Rows that are not kept converted: two panels per thread of 256 rows, and of held
// X 512, of very wide ones 128. Other kernels, and where a few rows of many are so long that the trace would lose
// digits to their lengths: O(n^3) in float64, and two bands of 1024 rows of X.
struct CubeSums {
    double squares = 0, cubes = 0, trace = 0, rows = 0;
};
CubeSums u_centred_cubes(const GramSource& source, int threads, Monitor* monitor);

// Exact median of the Euclidean distances between rows: of all n^2 (zeros of the diagonal included) or of those off
// the diagonal, the mean of the two middle ones where their number is even. Distances are those of the tiles: relative
// error 1e-7 in float32. One pass over the tiles, two in float64, more only if a sample misleads; at most 64 MB beside
// them.
double median_distance(const GramSource& source, bool off_diagonal, int threads, Monitor* monitor);

// The strict upper triangle of K, row by row, scaled back unless not `restored`: n (n - 1) / 2 numbers, in float64. If
// centred, of shifted rows and without the pilot, as above.
std::vector<double> condensed_gram(const GramSource& source, bool centred, int threads, Monitor* monitor,
                                   bool restored = true);

}  // namespace kernalign
