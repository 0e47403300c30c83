// The few LAPACK calls that the decompositions make: column-major, single-threaded; each returns LAPACK's info.
#pragma once

#include <cstdint>

namespace kernalign::lapack {

// Singular values and, as `job` says ('N', 'S', 'A'), vectors of the m x n matrix; u has m rows, vt n columns.
int gesdd(char job, std::int64_t m, std::int64_t n, double* a, double* s, double* u, double* vt);
int gesvd(char job, std::int64_t m, std::int64_t n, double* a, double* s, double* u, double* vt);

// Eigenvalues and, if `job` is 'V', vectors, in place of the matrix whose upper triangle is given.
int syevd(char job, std::int64_t n, double* a, double* values);
int syev(char job, std::int64_t n, double* a, double* values);
// The same of the `count` largest; `values` has room for n.
int syevr(char job, std::int64_t n, std::int64_t count, double* a, double* values, double* vectors);

// The upper Cholesky factor in place of the upper triangle.
int potrf(std::int64_t n, double* a);

// An estimate of 1 / (|A| |A^-1|) in the 1-norm, from the upper Cholesky factor of A and |A|.
int pocon(std::int64_t n, const double* factor, double norm, double* reciprocal);

// R in place of the upper triangle of the m x n matrix.
int geqrf(std::int64_t m, std::int64_t n, double* a);

// R of [T; A] in place of the upper triangle T, n x n; A is m x n.
int tpqrt(std::int64_t m, std::int64_t n, double* t, double* a);

}  // namespace kernalign::lapack
