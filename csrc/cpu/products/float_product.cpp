// Cuts products into panels for the matrix unit or our own loops, or hands them to the BLAS.
#include "cpu/products/float_product.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "cpu/products/bfloat_product.hpp"
#include "cpu/products/split_product.hpp"
#include "cpu/products/strip_product.hpp"
#include "cpu/runtime/blas.hpp"
#include "cpu/simd/simd.hpp"
#include "error.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kLeastDepth = 32;  // less would be filled up with zeros
constexpr std::int64_t kCols = 512;       // of C at once: their panel fits the second cache

template <class T>
void blas_multiply(const Factor<T>& a, const Factor<T>& b, std::int64_t k, T* c, std::int64_t ldc) {
    require(a.by_columns == b.by_columns, "factors must both be of rows or both of columns");
    const auto gemm = [&](auto f) { f(a.count, b.count, k, a.data, a.ld, b.data, b.ld, c, ldc); };
    if (a.by_columns)
        gemm([](auto... all) { blas::gemm_tn(all...); });
    else
        gemm([](auto... all) { blas::gemm_nt(all...); });
}
template <class T>
void blas_square(const Factor<T>& a, std::int64_t k, T* c, std::int64_t ldc) {
    if (a.by_columns)
        blas::syrk_tn(a.count, k, a.data, a.ld, c, ldc);
    else
        blas::syrk_nt(a.count, k, a.data, a.ld, c, ldc);
}

#ifdef KERNALIGN_X86_KERNELS
// Whether a factor's rows are few or short enough for our own loops, `times` as much as the second cache holds of each.
template <class T>
bool by_strips(const Factor<T>& a, std::int64_t k, std::int64_t times) {
    static const bool available = std::strcmp(simd().name, "avx512") == 0;
    const std::int64_t bytes = a.count * std::min(k, strips::kDepth) * std::int64_t(sizeof(T));
    return available && !a.by_columns && bytes <= times * strips::kFactor;
}

// Bytes of the panels of so many vectors, in units of scratch.
template <class T>
std::int64_t strips_size(std::int64_t count, std::int64_t k) {
    return strips::panel_size<T>(count, std::min(k, strips::kDepth)) * std::int64_t(sizeof(T)) / 8 + 1;
}

template <class T>
void multiply_strips(const Factor<T>& a, const Factor<T>& b, std::int64_t k, T* c, std::int64_t ldc, bool upper,
                     ProductScratch& scratch) {
    scratch.strips.resize(std::max(scratch.strips.size(), std::size_t(strips_size<T>(b.count, k))));
    T* panel = reinterpret_cast<T*>(scratch.strips.data());
    for (std::int64_t at = 0; at < k; at += strips::kDepth) {
        const std::int64_t depth = std::min(strips::kDepth, k - at);
        strips::fill(b.data + at, b.ld, b.count, depth, panel);
        strips::product(a.data + at, a.ld, a.count, panel, b.count, depth, c, ldc, at > 0, upper);
    }
}
#else
template <class T>
bool by_strips(const Factor<T>&, std::int64_t, std::int64_t) {
    return false;
}
template <class T>
void multiply_strips(const Factor<T>&, const Factor<T>&, std::int64_t, T*, std::int64_t, bool, ProductScratch&) {}
#endif

template <class T>
std::int64_t padded(std::int64_t rows) {  // to whole strips
    return (rows + strips::kStrip<T> - 1) / strips::kStrip<T> * strips::kStrip<T>;
}

template <class T>
void multiply_plainly(const Factor<T>& a, const Factor<T>& b, std::int64_t k, T* c, std::int64_t ldc,
                      ProductScratch& scratch) {
    if (by_strips(a, k, 1) && by_strips(b, k, 1)) return multiply_strips(a, b, k, c, ldc, false, scratch);
    blas_multiply(a, b, k, c, ldc);
}
template <class T>
void square_plainly(const Factor<T>& a, std::int64_t k, T* c, std::int64_t ldc, ProductScratch& scratch) {
    if (by_strips(a, k, 2)) return multiply_strips(a, a, k, c, ldc, true, scratch);
    blas_square(a, k, c, ldc);
}

void grow(LargeVector<std::uint16_t>& panel, std::int64_t vectors, std::int64_t depth) {
    panel.resize(std::max(panel.size(), std::size_t(split::panel_size(vectors, depth))));
}

#ifdef KERNALIGN_AMX
// Vectors [from, from + count), coordinates [at, at + depth).
void fill(const Factor<float>& a, split::Side side, std::int64_t from, std::int64_t count, std::int64_t at,
          std::int64_t depth, LargeVector<std::uint16_t>& panel) {
    split::fill(side, a.by_columns, count, depth, a.data + (a.by_columns ? at * a.ld + from : from * a.ld + at), a.ld,
                panel.data());
}

void multiply_parts(const Factor<float>& a, const Factor<float>& b, std::int64_t k, float* c, std::int64_t ldc,
                    bool upper, ProductScratch& scratch) {
    reserve(a.count, b.count, k, scratch);
    for (std::int64_t at = 0; at < k; at += split::kDepth) {
        const std::int64_t depth = std::min(split::kDepth, k - at);
        fill(a, split::Side::left, 0, a.count, at, depth, scratch.left);
        for (std::int64_t j = 0; j < b.count; j += kCols) {
            const std::int64_t cols = std::min(kCols, b.count - j);
            fill(b, split::Side::right, j, cols, at, depth, scratch.right);
            split::product(a.count, cols, depth, scratch.left.data(), scratch.right.data(), c + j, ldc, at > 0, upper,
                           j);
        }
    }
}
#else
void multiply_parts(const Factor<float>&, const Factor<float>&, std::int64_t, float*, std::int64_t, bool,
                    ProductScratch&) {}
#endif

}  // namespace

bool by_parts(std::int64_t k) { return k >= kLeastDepth && bfloat::available(); }

void reserve(std::int64_t a, std::int64_t b, std::int64_t k, ProductScratch& scratch) {
    if (!by_parts(k)) return;
    const std::int64_t depth = std::min(split::kDepth, k);
    grow(scratch.left, a, depth);
    grow(scratch.right, std::min(kCols, b), depth);
}

void multiply(const Factor<float>& a, const Factor<float>& b, std::int64_t k, float* c, std::int64_t ldc,
              ProductScratch& scratch) {
    if (by_parts(k)) return multiply_parts(a, b, k, c, ldc, false, scratch);
    multiply_plainly(a, b, k, c, ldc, scratch);
}
void square(const Factor<float>& a, std::int64_t k, float* c, std::int64_t ldc, ProductScratch& scratch) {
    if (by_parts(k)) return multiply_parts(a, a, k, c, ldc, true, scratch);
    square_plainly(a, k, c, ldc, scratch);
}
std::int64_t wide_columns(std::int64_t count) {
    return by_strips(Factor<float>{nullptr, 0, count}, strips::kDepth, 1) ? padded<float>(count) : 0;
}
void add_wide_square(const Factor<float>& a, std::int64_t k, double* c, ProductScratch& scratch) {
#ifdef KERNALIGN_X86_KERNELS
    scratch.strips.resize(std::max(scratch.strips.size(), std::size_t(strips_size<float>(a.count, k))));
    float* panel = reinterpret_cast<float*>(scratch.strips.data());
    for (std::int64_t at = 0; at < k; at += strips::kDepth) {
        const std::int64_t depth = std::min(strips::kDepth, k - at);
        strips::fill(a.data + at, a.ld, a.count, depth, panel);
        strips::add_square(a.data + at, a.ld, a.count, panel, depth, c, padded<float>(a.count));
    }
#else
    (void)a, (void)k, (void)c, (void)scratch;
#endif
}

template <class T>
bool Panels<T>::serve(std::int64_t rows, std::int64_t k) {
    return rows % 32 == 0 && !(std::is_same_v<T, float> && by_parts(k)) && by_strips(Factor<T>{nullptr, k, rows}, k, 1);
}
template <class T>
std::int64_t Panels<T>::size(std::int64_t rows, std::int64_t k) {
    return padded<T>(rows) * k;
}
#ifdef KERNALIGN_X86_KERNELS
template <class T>
Panels<T>::Panels(const Factor<T>& rows, std::int64_t k, T* memory)
    : data_(memory), padded_(padded<T>(rows.count)), k_(k) {
    for (std::int64_t at = 0; at < k; at += strips::kDepth)
        strips::fill(rows.data + at, rows.ld, rows.count, std::min(strips::kDepth, k - at), memory + at * padded_);
}
template <class T>
void Panels<T>::multiply(std::int64_t i, std::int64_t m, std::int64_t j, std::int64_t count, T* c,
                         std::int64_t ldc) const {
    for (std::int64_t at = 0; at < k_; at += strips::kDepth) {
        const std::int64_t depth = std::min(strips::kDepth, k_ - at);
        const T* panel = data_ + at * padded_;
        strips::product_of_panels(panel + i * depth, m, panel + j * depth, count, depth, c, ldc, at > 0, i == j);
    }
}
#else
template <class T>
Panels<T>::Panels(const Factor<T>&, std::int64_t, T*) {}
template <class T>
void Panels<T>::multiply(std::int64_t, std::int64_t, std::int64_t, std::int64_t, T*, std::int64_t) const {}
#endif
template class Panels<float>;
template class Panels<double>;

void multiply(const Factor<double>& a, const Factor<double>& b, std::int64_t k, double* c, std::int64_t ldc,
              ProductScratch& scratch) {
    multiply_plainly(a, b, k, c, ldc, scratch);
}
void square(const Factor<double>& a, std::int64_t k, double* c, std::int64_t ldc, ProductScratch& scratch) {
    square_plainly(a, k, c, ldc, scratch);
}

}  // namespace kernalign
