// The few BLAS calls the engines make: single-threaded, row-major, on the caller's thread.
#include "cpu/runtime/blas.hpp"

#include <cblas.h>

namespace kernalign::blas {
namespace {

// The library is ours alone (nobody else loads this copy), so its thread count is nobody else's business.
const bool single_threaded = [] {
    scipy_openblas_set_num_threads(1);
    return true;
}();

blasint i(std::int64_t value) { return static_cast<blasint>(value); }

}  // namespace

#define KERNALIGN_GEMM(NAME, T, PREFIX, TRANS_A, TRANS_B)                                                         \
    void NAME(std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, const T* b,           \
              std::int64_t ldb, T* c, std::int64_t ldc) {                                                         \
        scipy_cblas_##PREFIX##gemm(CblasRowMajor, TRANS_A, TRANS_B, i(m), i(n), i(k), T(1), a, i(lda), b, i(ldb), \
                                   T(0), c, i(ldc));                                                              \
    }
#define KERNALIGN_SYRK(NAME, T, PREFIX, TRANS)                                                                      \
    void NAME(std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, T* c, std::int64_t ldc) {               \
        scipy_cblas_##PREFIX##syrk(CblasRowMajor, CblasUpper, TRANS, i(n), i(k), T(1), a, i(lda), T(0), c, i(ldc)); \
    }

KERNALIGN_GEMM(gemm_nt, float, s, CblasNoTrans, CblasTrans)
KERNALIGN_GEMM(gemm_nt, double, d, CblasNoTrans, CblasTrans)
KERNALIGN_GEMM(gemm_tn, float, s, CblasTrans, CblasNoTrans)
KERNALIGN_GEMM(gemm_tn, double, d, CblasTrans, CblasNoTrans)
KERNALIGN_GEMM(gemm_nn, float, s, CblasNoTrans, CblasNoTrans)
KERNALIGN_GEMM(gemm_nn, double, d, CblasNoTrans, CblasNoTrans)
KERNALIGN_SYRK(syrk_nt, float, s, CblasNoTrans)
KERNALIGN_SYRK(syrk_nt, double, d, CblasNoTrans)
KERNALIGN_SYRK(syrk_tn, float, s, CblasTrans)
KERNALIGN_SYRK(syrk_tn, double, d, CblasTrans)

std::string description() {
    (void)single_threaded;
    return scipy_openblas_get_config();
}

}  // namespace kernalign::blas
