// The functions of cuBLAS that csrc/cuda looks up by name, on the CPU, by their definitions: columns first.
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "library_types.h"

namespace {

struct Context {
    void* stream = nullptr;
    int mode = 0;
    bool failed = false;
};
std::mutex mutex;
int left = -1, calls = 0, handles = 0, reused_after_failure = 0;

int status(Context* one) {
    const std::lock_guard<std::mutex> lock(mutex);
    reused_after_failure += one && one->failed;
    const bool fails = calls++ == left;
    if (one && fails) one->failed = true;
    return fails ? 13 : 0;
}

double value(std::uint16_t half) {  // of normal numbers and zero
    if ((half & 0x7fffu) == 0) return 0;
    double v = double(1024 + (half & 0x3ffu)) / 1024;
    for (int e = half >> 10 & 31; e < 15; ++e) v /= 2;
    for (int e = half >> 10 & 31; e > 15; --e) v *= 2;
    return half >> 15 ? -v : v;
}
float value(float v) { return v; }
double value(double v) { return v; }

// C = alpha op(A) op(B) + beta C, all by columns.
template <class T, class S>
void multiply(int trans_a, int trans_b, int m, int n, int k, S alpha, const T* a, int lda, const T* b, int ldb, S beta,
              S* c, int ldc) {
    for (int j = 0; j < n; ++j)
        for (int i = 0; i < m; ++i) {
            double sum = 0;
            for (int f = 0; f < k; ++f)
                sum += double(value(trans_a ? a[std::int64_t(i) * lda + f] : a[std::int64_t(f) * lda + i])) *
                       double(value(trans_b ? b[std::int64_t(f) * ldb + j] : b[std::int64_t(j) * ldb + f]));
            S& out = c[std::int64_t(j) * ldc + i];
            out = S(double(alpha) * sum) + (beta == 0 ? S(0) : beta * out);
        }
}

// The given triangle of C = alpha op(A) op(A)^T + beta C; `lower` is 0 as in cuBLAS.
template <class T>
void square(int uplo, int trans, int n, int k, T alpha, const T* a, int lda, T beta, T* c, int ldc) {
    for (int j = 0; j < n; ++j)
        for (int i = uplo == 0 ? j : 0; i < (uplo == 0 ? n : j + 1); ++i) {
            double sum = 0;
            for (int f = 0; f < k; ++f)
                sum += trans ? double(a[std::int64_t(i) * lda + f]) * double(a[std::int64_t(j) * lda + f])
                             : double(a[std::int64_t(f) * lda + i]) * double(a[std::int64_t(f) * lda + j]);
            T& out = c[std::int64_t(j) * ldc + i];
            out = T(double(alpha) * sum) + (beta == 0 ? T(0) : beta * out);
        }
}

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED int cublasCreate_v2(void** handle) {
    if (status(nullptr) != 0) return 13;
    *handle = new Context;
    const std::lock_guard<std::mutex> lock(mutex);
    ++handles;
    return 0;
}
EXPORTED int cublasDestroy_v2(void* handle) {
    delete static_cast<Context*>(handle);
    const std::lock_guard<std::mutex> lock(mutex);
    --handles;
    return 0;
}
EXPORTED int cublasSetStream_v2(void* handle, void* stream) {
    static_cast<Context*>(handle)->stream = stream;
    return status(static_cast<Context*>(handle));
}
EXPORTED int cublasSetMathMode(void* handle, int mode) {
    static_cast<Context*>(handle)->mode = mode;
    return status(static_cast<Context*>(handle));
}
EXPORTED int cublasSetWorkspace_v2(void* handle, void*, std::size_t) { return status(static_cast<Context*>(handle)); }

EXPORTED int cublasGemmEx(void* handle, int trans_a, int trans_b, int m, int n, int k, const void* alpha, const void* a,
                          int type_a, int lda, const void* b, int type_b, int ldb, const void* beta, void* c,
                          int type_c, int ldc, int compute, int) {
    if (type_a != CUDA_R_16F || type_b != CUDA_R_16F || type_c != CUDA_R_32F || compute != 68) return 7;
    multiply(trans_a, trans_b, m, n, k, *static_cast<const float*>(alpha), static_cast<const std::uint16_t*>(a), lda,
             static_cast<const std::uint16_t*>(b), ldb, *static_cast<const float*>(beta), static_cast<float*>(c), ldc);
    return status(static_cast<Context*>(handle));
}
EXPORTED int cublasSgemm_v2(void* handle, int trans_a, int trans_b, int m, int n, int k, const float* alpha,
                            const float* a, int lda, const float* b, int ldb, const float* beta, float* c, int ldc) {
    if (static_cast<Context*>(handle)->mode != 2) return 7;  // else it may multiply with fewer digits
    multiply(trans_a, trans_b, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc);
    return status(static_cast<Context*>(handle));
}
EXPORTED int cublasDgemm_v2(void* handle, int trans_a, int trans_b, int m, int n, int k, const double* alpha,
                            const double* a, int lda, const double* b, int ldb, const double* beta, double* c,
                            int ldc) {
    multiply(trans_a, trans_b, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc);
    return status(static_cast<Context*>(handle));
}
EXPORTED int cublasSsyrk_v2(void* handle, int uplo, int trans, int n, int k, const float* alpha, const float* a,
                            int lda, const float* beta, float* c, int ldc) {
    if (static_cast<Context*>(handle)->mode != 2) return 7;
    square(uplo, trans, n, k, *alpha, a, lda, *beta, c, ldc);
    return status(static_cast<Context*>(handle));
}
EXPORTED int cublasDsyrk_v2(void* handle, int uplo, int trans, int n, int k, const double* alpha, const double* a,
                            int lda, const double* beta, double* c, int ldc) {
    square(uplo, trans, n, k, *alpha, a, lda, *beta, c, ldc);
    return status(static_cast<Context*>(handle));
}

EXPORTED void fake_fail_at(int call) {
    const std::lock_guard<std::mutex> lock(mutex);
    left = call;
    calls = 0;
}
EXPORTED int fake_calls() { return calls; }
EXPORTED int fake_handles() { return handles; }
EXPORTED int fake_reused_after_failure() { return reused_after_failure; }
