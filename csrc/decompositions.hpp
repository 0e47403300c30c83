// Contract of decompositions of dense matrices in memory, by LAPACK in float64 on one thread.
//
// Matrices are row-major. Inputs are taken by value, since LAPACK overwrites them, and must be finite: others are
// refused with std::invalid_argument. Long work runs on a thread of its own while the caller polls the monitor. LAPACK
// cannot be stopped: where the monitor throws, the call ends at once, and that thread goes on by itself until it is
// done, with the memory it needs.
#pragma once

#include <cstdint>
#include <optional>

#include "memory.hpp"
#include "monitor.hpp"

namespace kernalign {

using Dense = LargeVector<double>;

enum class Vectors { none, thin, full };

struct Singular {
    Dense u, values, vt;  // rows x k, k descending, k x columns
};
// A = U S V'. Divide and conquer, or where `careful` the QR iteration that takes longer; nothing if it does not
// converge.
std::optional<Singular> singular(Dense a, std::int64_t rows, std::int64_t columns, Vectors vectors, bool careful,
                                 Monitor* monitor);

struct Eigen {
    Dense values, vectors;  // count ascending; count x n, an eigenvector a row
};
// Of the symmetric matrix whose lower triangle is given: the `count` largest. Nothing if it does not converge.
std::optional<Eigen> symmetric_eigen(Dense a, std::int64_t n, std::int64_t count, bool vectors, bool careful,
                                     Monitor* monitor);

// The lower L with L L' = A, the rest zero; nothing unless A is numerically positive definite.
std::optional<Dense> cholesky(Dense a, std::int64_t n, Monitor* monitor);

// An estimate of 1 / (|A| |A^-1|) in the 1-norm, of a matrix A with that norm and the Cholesky factor L.
double reciprocal_condition(const double* lower, std::int64_t n, double norm);

// X with L X = B, or L' X = B, for a lower triangle L; B is n x columns.
Dense solve_lower(Dense lower, std::int64_t n, Dense b, std::int64_t columns, bool transposed, Monitor* monitor);

// The upper triangle R, min(rows, columns) x columns, of A = Q R. Here and below matrices are column-major.
Dense qr_triangle(Dense a, std::int64_t rows, std::int64_t columns, Monitor* monitor);

// The upper triangle R of [T; A] for an upper triangle T of as many columns.
Dense qr_append(Dense t, Dense a, std::int64_t rows, std::int64_t columns, Monitor* monitor);

}  // namespace kernalign
