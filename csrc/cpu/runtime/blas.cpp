// The few BLAS calls the engines make: single-threaded, row-major, on the caller's thread.
#include "cpu/runtime/blas.hpp"

#include <cblas.h>
#include <sys/mman.h>

#include <atomic>
#include <new>

namespace kernalign::blas {
namespace {

// The library is ours alone (nobody else loads this copy), so its thread count is nobody else's business.
const bool single_threaded = [] {
    scipy_openblas_set_num_threads(1);
    return true;
}();

blasint i(std::int64_t value) { return static_cast<blasint>(value); }

constexpr std::size_t kBufferBytes = (std::size_t(32) << 20) + (std::size_t(1) << 20);  // 32 MiB, and some to align it

std::atomic<int> under_way{0}, mapped{0};

// Has the library map a buffer more than there were ever in use at once.
void map_another(int needed) {
    void* place = mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) throw std::bad_alloc();
    munmap(place, kBufferBytes);
    for (int known = mapped; known < needed && !mapped.compare_exchange_weak(known, needed);) {
    }
}

}  // namespace

Buffer::Buffer() {
    const int needed = ++under_way;
    if (needed <= mapped.load(std::memory_order_relaxed)) return;
    try {
        map_another(needed);
    } catch (...) {
        --under_way;
        throw;
    }
}

Buffer::~Buffer() { --under_way; }

#define KERNALIGN_GEMM(NAME, T, PREFIX, TRANS_A, TRANS_B)                                                         \
    void NAME(std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, const T* b,           \
              std::int64_t ldb, T* c, std::int64_t ldc) {                                                         \
        const Buffer buffer;                                                                                      \
        scipy_cblas_##PREFIX##gemm(CblasRowMajor, TRANS_A, TRANS_B, i(m), i(n), i(k), T(1), a, i(lda), b, i(ldb), \
                                   T(0), c, i(ldc));                                                              \
    }
#define KERNALIGN_SYRK(NAME, T, PREFIX, TRANS)                                                                      \
    void NAME(std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, T* c, std::int64_t ldc) {               \
        const Buffer buffer;                                                                                        \
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

void trsm_lower(std::int64_t n, std::int64_t columns, bool transposed, const double* lower, double* b) {
    const Buffer buffer;
    scipy_cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, transposed ? CblasTrans : CblasNoTrans, CblasNonUnit, i(n),
                      i(columns), 1.0, lower, i(n), b, i(columns));
}

std::string description() {
    (void)single_threaded;
    return scipy_openblas_get_config();
}

}  // namespace kernalign::blas
