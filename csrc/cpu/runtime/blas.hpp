// The few BLAS calls the engines make: single-threaded, row-major, on the caller's thread.
#pragma once

#include <cstdint>
#include <string>

namespace kernalign::blas {

// C = A B^T: A is m x k, B is n x k, C is m x n.
void gemm_nt(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
             std::int64_t ldb, float* c, std::int64_t ldc);
void gemm_nt(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, const double* b,
             std::int64_t ldb, double* c, std::int64_t ldc);

// C = A^T B: A is k x m, B is k x n, C is m x n.
void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
             std::int64_t ldb, float* c, std::int64_t ldc);
void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, const double* b,
             std::int64_t ldb, double* c, std::int64_t ldc);

// C = A B: A is m x k, B is k x n, C is m x n.
void gemm_nn(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
             std::int64_t ldb, float* c, std::int64_t ldc);
void gemm_nn(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, const double* b,
             std::int64_t ldb, double* c, std::int64_t ldc);

// The upper triangle of C = A A^T (A is n x k); the strict lower triangle is left alone.
void syrk_nt(std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, float* c, std::int64_t ldc);
void syrk_nt(std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, double* c, std::int64_t ldc);

// The upper triangle of C = A^T A (A is k x n); the strict lower triangle is left alone.
void syrk_tn(std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, float* c, std::int64_t ldc);
void syrk_tn(std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, double* c, std::int64_t ldc);

// X with L X = B, or L' X = B if `transposed`, in place of B (n x columns), for a lower triangle L.
void trsm_lower(std::int64_t n, std::int64_t columns, bool transposed, const double* lower, double* b);

// Held during a call of BLAS or LAPACK. Each call under way needs one of the library's buffers, which it maps when they
// are first needed and keeps; where it cannot, it ends the process. So whoever would need one more asks the system for
// as much before: std::bad_alloc if it is not to be had.
class Buffer {
  public:
    Buffer();
    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
};

// What the library says of itself: version, kernel family.
std::string description();

}  // namespace kernalign::blas
