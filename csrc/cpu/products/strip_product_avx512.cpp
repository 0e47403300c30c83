// The loops of strip_product.hpp for CPUs with AVX-512.
#ifdef KERNALIGN_X86_KERNELS
#ifndef __AVX512F__
#error "CMakeLists.txt must name this file where it sets compiler options"
#endif
// Only built-in types and intrinsics here: see simd_kernels.inl.
#include <immintrin.h>

#include <cstdint>

#include "cpu/products/strip_product.hpp"

namespace kernalign::strips {
namespace {

using std::int64_t;

template <class T>
struct Vector;
template <>
struct Vector<float> {
    typedef __m512 Type;
    typedef __mmask16 Mask;
    static Type zero() { return _mm512_setzero_ps(); }
    static Type all(float value) { return _mm512_set1_ps(value); }
    static Type load(const float* p) { return _mm512_load_ps(p); }
    static Type load(const float* p, Mask mask) { return _mm512_maskz_loadu_ps(mask, p); }
    static void store(float* p, Type v) { _mm512_store_ps(p, v); }
    static void store(float* p, Type v, Mask mask) { _mm512_mask_storeu_ps(p, mask, v); }
    static Type add_product(Type a, Type b, Type c) { return _mm512_fmadd_ps(a, b, c); }
    static Type pick(Type a, __m512i from, Type b) { return _mm512_permutex2var_ps(a, from, b); }
    // lanes + even, or + odd in lanes that have the bit `step`.
    static __m512i moved(int step, int even, int odd) {
        const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        const Mask mask = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(step));
        return _mm512_mask_add_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32(even)), mask, lane,
                                     _mm512_set1_epi32(odd));
    }
};
template <>
struct Vector<double> {
    typedef __m512d Type;
    typedef __mmask8 Mask;
    static Type zero() { return _mm512_setzero_pd(); }
    static Type all(double value) { return _mm512_set1_pd(value); }
    static Type load(const double* p) { return _mm512_load_pd(p); }
    static Type load(const double* p, Mask mask) { return _mm512_maskz_loadu_pd(mask, p); }
    static void store(double* p, Type v) { _mm512_store_pd(p, v); }
    static void store(double* p, Type v, Mask mask) { _mm512_mask_storeu_pd(p, mask, v); }
    static Type add_product(Type a, Type b, Type c) { return _mm512_fmadd_pd(a, b, c); }
    static Type pick(Type a, __m512i from, Type b) { return _mm512_permutex2var_pd(a, from, b); }
    static __m512i moved(int step, int even, int odd) {
        const __m512i lane = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
        const Mask mask = _mm512_test_epi64_mask(lane, _mm512_set1_epi64(step));
        return _mm512_mask_add_epi64(_mm512_add_epi64(lane, _mm512_set1_epi64(even)), mask, lane,
                                     _mm512_set1_epi64(odd));
    }
};

template <class T>
constexpr int kWidth = 64 / sizeof(T);  // numbers of a vector

template <class T>
inline typename Vector<T>::Mask first(int64_t count) {
    typedef typename Vector<T>::Mask Mask;
    return count >= kWidth<T> ? Mask(-1) : count <= 0 ? Mask(0) : Mask((1 << count) - 1);
}

// In place: element j of vector i changes places with element i of vector j.
template <class T>
inline void transpose(typename Vector<T>::Type* x) {
    typedef Vector<T> V;
#pragma GCC unroll 4
    for (int step = 1; step < kWidth<T>; step *= 2) {
        const __m512i low = V::moved(step, 0, kWidth<T> - step);
        const __m512i high = V::moved(step, step, kWidth<T>);
#pragma GCC unroll 16
        for (int i = 0; i < kWidth<T>; ++i) {
            if (i & step) continue;
            const auto a = x[i], b = x[i + step];
            x[i] = V::pick(a, low, b);
            x[i + step] = V::pick(a, high, b);
        }
    }
}

template <class T>
void fill_panel(const T* rows, int64_t ld, int64_t count, int64_t depth, T* panel) {
    typedef Vector<T> V;
    constexpr int width = kWidth<T>;
    for (int64_t from = 0; from < count; from += kStrip<T>, panel += kStrip<T> * depth)
        for (int64_t half = 0; half < kStrip<T>; half += width)
            for (int64_t k = 0; k < depth; k += width) {
                typename V::Type x[width];
                const T* row = rows + (from + half) * ld + k;
                const auto some = first<T>(depth - k);
#pragma GCC unroll 16
                for (int r = 0; r < width; ++r, row += ld)
                    x[r] = from + half + r < count ? V::load(row, some) : V::zero();
                transpose<T>(x);
                T* out = panel + k * kStrip<T> + half;
#pragma GCC unroll 16
                for (int r = 0; r < width; ++r)
                    if (r < depth - k) V::store(out + r * kStrip<T>, x[r]);
            }
}

// `rows` rows of C and a strip of columns; the numbers of a row of A are `step` apart, its rows lda.
template <int rows, class T>
inline __attribute__((always_inline)) void block(const T* a, int64_t lda, int64_t step, const T* b, int64_t depth, T* c,
                                                 int64_t ldc, int64_t cols, bool add) {
    typedef Vector<T> V;
    constexpr int width = kWidth<T>;
    typename V::Type left[rows], right[rows];
    const auto some = first<T>(cols), more = first<T>(cols - width);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
        left[r] = V::zero();
        right[r] = V::zero();
    }
    for (int64_t k = 0; k < depth; ++k, b += kStrip<T>) {
        const auto b0 = V::load(b), b1 = V::load(b + width);
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r) {
            const auto value = V::all(a[r * lda + k * step]);
            left[r] = V::add_product(value, b0, left[r]);
            right[r] = V::add_product(value, b1, right[r]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
        if (add) {
            left[r] += V::load(c + r * ldc, some);
            right[r] += V::load(c + r * ldc + width, more);
        }
        V::store(c + r * ldc, left[r], some);
        V::store(c + r * ldc + width, right[r], more);
    }
}

template <class T>
void multiply(const T* a, int64_t lda, int64_t rows, const T* panel, int64_t count, int64_t depth, T* c, int64_t ldc,
              bool add, bool upper) {
    constexpr int64_t strip = kStrip<T>;
    for (int64_t j = 0; j < count; j += strip, panel += strip * depth) {
        const int64_t cols = count - j < strip ? count - j : strip, end = upper && j + cols < rows ? j + cols : rows;
        int64_t i = 0;
        for (; i + 8 <= end; i += 8) block<8>(a + i * lda, lda, 1, panel, depth, c + i * ldc + j, ldc, cols, add);
        for (; i + 2 <= end; i += 2) block<2>(a + i * lda, lda, 1, panel, depth, c + i * ldc + j, ldc, cols, add);
        for (; i < end; ++i) block<1>(a + i * lda, lda, 1, panel, depth, c + i * ldc + j, ldc, cols, add);
    }
}

template <class T>
void multiply_panels(const T* a, int64_t rows, const T* panel, int64_t count, int64_t depth, T* c, int64_t ldc,
                     bool add, bool upper) {
    constexpr int64_t strip = kStrip<T>;
    for (int64_t j = 0; j < count; j += strip, panel += strip * depth) {
        const int64_t cols = count - j < strip ? count - j : strip, end = upper && j + cols < rows ? j + cols : rows;
        const auto from = [&](int64_t i) { return a + i / strip * strip * depth + i % strip; };
        int64_t i = 0;
        for (; i + 8 <= end; i += 8) block<8>(from(i), 1, strip, panel, depth, c + i * ldc + j, ldc, cols, add);
        for (; i < end; ++i) block<1>(from(i), 1, strip, panel, depth, c + i * ldc + j, ldc, cols, add);
    }
}

// `rows` rows of C and a strip of columns, added in float64.
template <int rows>
inline void wide_block(const float* a, int64_t lda, const float* b, int64_t depth, double* c, int64_t ldc) {
    for (int64_t begin = 0; begin < depth; begin += kShort) {
        __m512 sums[2 * rows];
#pragma GCC unroll 16
        for (int s = 0; s < 2 * rows; ++s) sums[s] = _mm512_setzero_ps();
        const int64_t end = begin + kShort < depth ? begin + kShort : depth;
        for (int64_t k = begin; k < end; ++k, b += kStrip<float>) {
            const __m512 b0 = _mm512_load_ps(b), b1 = _mm512_load_ps(b + 16);
#pragma GCC unroll 8
            for (int r = 0; r < rows; ++r) {
                const __m512 value = _mm512_set1_ps(a[r * lda + k]);
                sums[2 * r] = _mm512_fmadd_ps(value, b0, sums[2 * r]);
                sums[2 * r + 1] = _mm512_fmadd_ps(value, b1, sums[2 * r + 1]);
            }
        }
#pragma GCC unroll 16
        for (int s = 0; s < 2 * rows; ++s) {
            double* to = c + s / 2 * ldc + s % 2 * 16;
            // With a mask: GCC 12 warns of the undefined values that are behind the plain ones.
            const __m512d low = _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, sums[s], 0));
            const __m512d high = _mm512_maskz_cvtps_pd(0xff, _mm512_maskz_extractf32x8_ps(0xff, sums[s], 1));
            _mm512_store_pd(to, _mm512_load_pd(to) + low);
            _mm512_store_pd(to + 8, _mm512_load_pd(to + 8) + high);
        }
    }
}

}  // namespace

void add_square(const float* a, int64_t lda, int64_t rows, const float* panel, int64_t depth, double* c, int64_t ldc) {
    for (int64_t j = 0; j < rows; j += kStrip<float>, panel += kStrip<float> * depth) {
        const int64_t end = rows < j + kStrip<float> ? rows : j + kStrip<float>;
        int64_t i = 0;
        for (; i + 8 <= end; i += 8) wide_block<8>(a + i * lda, lda, panel, depth, c + i * ldc + j, ldc);
        for (; i < end; ++i) wide_block<1>(a + i * lda, lda, panel, depth, c + i * ldc + j, ldc);
    }
}

void fill(const float* rows, int64_t ld, int64_t count, int64_t depth, float* panel) {
    fill_panel(rows, ld, count, depth, panel);
}
void fill(const double* rows, int64_t ld, int64_t count, int64_t depth, double* panel) {
    fill_panel(rows, ld, count, depth, panel);
}
void product(const float* a, int64_t lda, int64_t rows, const float* panel, int64_t count, int64_t depth, float* c,
             int64_t ldc, bool add, bool upper) {
    multiply(a, lda, rows, panel, count, depth, c, ldc, add, upper);
}
void product(const double* a, int64_t lda, int64_t rows, const double* panel, int64_t count, int64_t depth, double* c,
             int64_t ldc, bool add, bool upper) {
    multiply(a, lda, rows, panel, count, depth, c, ldc, add, upper);
}
void product_of_panels(const float* a, int64_t rows, const float* panel, int64_t count, int64_t depth, float* c,
                       int64_t ldc, bool add, bool upper) {
    multiply_panels(a, rows, panel, count, depth, c, ldc, add, upper);
}
void product_of_panels(const double* a, int64_t rows, const double* panel, int64_t count, int64_t depth, double* c,
                       int64_t ldc, bool add, bool upper) {
    multiply_panels(a, rows, panel, count, depth, c, ldc, add, upper);
}

}  // namespace kernalign::strips
#endif
