// The loops behind simd.hpp, included by one file per instruction set with KERNALIGN_SIMD_TABLE defined.
// Only built-in vector types here: an inline function of the standard library compiled with AVX flags could be the
// copy that the linker keeps for every CPU.
#include <cstring>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "cpu/simd/simd.hpp"

namespace kernalign {
namespace {

using std::int64_t;
constexpr int64_t kLanes = 16;
typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double))));
typedef float Narrow __attribute__((vector_size(kLanes * sizeof(float))));

// As many doubles as a register holds, and as many pairs of these as make kLanes: a sum that is carried through a loop
// in a vector wider than registers is stored and loaded again in every step.
#if defined(__AVX512F__)
constexpr int kRegister = 8;
#elif defined(__AVX2__)
constexpr int kRegister = 4;
#else
constexpr int kRegister = 2;
#endif
typedef double Register __attribute__((vector_size(kRegister * sizeof(double))));
typedef float HalfRegister __attribute__((vector_size(kRegister * sizeof(float))));

template <class Half>
struct Both {
    Half low, high;
    Both& operator+=(const Both& other) { return *this = *this + other; }
    friend Both operator+(const Both& a, const Both& b) { return {a.low + b.low, a.high + b.high}; }
    friend Both operator-(const Both& a, const Both& b) { return {a.low - b.low, a.high - b.high}; }
    friend Both operator*(const Both& a, const Both& b) { return {a.low * b.low, a.high * b.high}; }
    friend Both operator*(const Both& a, double b) { return {a.low * b, a.high * b}; }
};
template <class Half, int count>
struct Lanes {
    typedef typename Lanes<Both<Half>, count / 2>::Type Type;
};
template <class Half>
struct Lanes<Half, 1> {
    typedef Half Type;
};
typedef Lanes<Register, kLanes / kRegister>::Type Wide;

#if defined(__AVX512F__)  // GCC 12 takes two steps for each, and warns of intrinsics without a mask
inline Register widened(HalfRegister v) { return (Register)_mm512_maskz_cvtps_pd(0xff, (__m256)v); }
inline HalfRegister narrowed(Register v) { return (HalfRegister)_mm512_maskz_cvtpd_ps(0xff, (__m512d)v); }
#else
inline Register widened(HalfRegister v) { return __builtin_convertvector(v, Register); }
inline HalfRegister narrowed(Register v) { return __builtin_convertvector(v, HalfRegister); }
#endif
inline void load(const double* p, Register& v) { std::memcpy(&v, p, sizeof v); }
inline void load(const float* p, Register& v) {
    HalfRegister half;
    std::memcpy(&half, p, sizeof half);
    v = widened(half);
}
template <class T, class Half>
inline void load(const T* p, Both<Half>& v) {
    load(p, v.low);
    load(p + sizeof(Half) / sizeof(double), v.high);
}
inline void store(double* p, Register v) { std::memcpy(p, &v, sizeof v); }
inline void store(float* p, Register v) {
    const HalfRegister half = narrowed(v);
    std::memcpy(p, &half, sizeof half);
}
template <class T, class Half>
inline void store(T* p, const Both<Half>& v) {
    store(p, v.low);
    store(p + sizeof(Half) / sizeof(double), v.high);
}

// The first n lanes, the others zero; copied by number they take several times as long as all.
#if defined(__AVX512F__)
inline __mmask8 first(int64_t n) { return __mmask8(n < kRegister ? (1u << (n > 0 ? n : 0)) - 1 : 0xff); }
inline void load_some(const double* p, int64_t n, Register& v) { v = (Register)_mm512_maskz_loadu_pd(first(n), p); }
inline void load_some(const float* p, int64_t n, Register& v) {
    v = widened((HalfRegister)_mm256_maskz_loadu_ps(first(n), p));
}
inline void store_some(double* p, int64_t n, Register v) { _mm512_mask_storeu_pd(p, first(n), (__m512d)v); }
inline void store_some(float* p, int64_t n, Register v) { _mm256_mask_storeu_ps(p, first(n), (__m256)narrowed(v)); }
#elif defined(__AVX2__)
inline __m256i first(int64_t n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }
inline __m128i first_of_half(int64_t n) { return _mm_cmpgt_epi32(_mm_set1_epi32(int(n)), _mm_setr_epi32(0, 1, 2, 3)); }
inline void load_some(const double* p, int64_t n, Register& v) { v = (Register)_mm256_maskload_pd(p, first(n)); }
inline void load_some(const float* p, int64_t n, Register& v) {
    v = widened((HalfRegister)_mm_maskload_ps(p, first_of_half(n)));
}
inline void store_some(double* p, int64_t n, Register v) { _mm256_maskstore_pd(p, first(n), (__m256d)v); }
inline void store_some(float* p, int64_t n, Register v) { _mm_maskstore_ps(p, first_of_half(n), (__m128)narrowed(v)); }
#else
template <class T>
inline void load_some(const T* p, int64_t n, Register& v) {
    v = Register{n > 0 ? double(p[0]) : 0.0, n > 1 ? double(p[1]) : 0.0};
}
template <class T>
inline void store_some(T* p, int64_t n, Register v) {
    if (n > 0) p[0] = T(v[0]);
    if (n > 1) p[1] = T(v[1]);
}
#endif
template <class T, class Half>
inline void load_some(const T* p, int64_t n, Both<Half>& v) {
    constexpr int64_t half = sizeof(Half) / sizeof(double);
    load_some(p, n, v.low);
    load_some(p + half, n - half, v.high);
}
template <class T, class Half>
inline void store_some(T* p, int64_t n, const Both<Half>& v) {
    constexpr int64_t half = sizeof(Half) / sizeof(double);
    store_some(p, n, v.low);
    store_some(p + half, n - half, v.high);
}
template <class T>
inline Wide load(const T* p) {
    Wide v;
    load(p, v);
    return v;
}
// As the type of what is pointed to holds it.
inline Wide rounded(const Wide& v, const double*) { return v; }
inline Register single(Register v) { return widened(narrowed(v)); }
template <class Half>
inline Both<Half> single(const Both<Half>& v) {
    return {single(v.low), single(v.high)};
}
inline Wide rounded(const Wide& v, const float*) { return single(v); }
// Halves are added to halves.
inline double total(Register v) {
#if defined(__AVX512F__)
    const auto four = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#else
    const auto four = v;
#endif
#if defined(__AVX2__)
    const auto two = __builtin_shufflevector(four, four, 0, 1) + __builtin_shufflevector(four, four, 2, 3);
#else
    const auto two = four;
#endif
    return two[0] + two[1];
}
template <class Half>
inline double total(const Both<Half>& v) {
    return total(v.low + v.high);
}

// How a loop body touches memory: whole groups of lanes, and the rest at the end (lanes beyond it read as zero).
struct Full {
    template <class T>
    Wide get(const T* p) const {
        return load(p);
    }
    template <class T>
    void put(T* p, const Wide& v) const {
        store(p, v);
    }
};
struct Rest {
    int64_t n;
    template <class T>
    Wide get(const T* p) const {
        Wide v;
        load_some(p, n, v);
        return v;
    }
    template <class T>
    void put(T* p, const Wide& v) const {
        store_some(p, n, v);
    }
};
template <class Body>
inline void for_lanes(int64_t n, Body body) {
    int64_t j = 0;
    for (; j + kLanes <= n; j += kLanes) body(j, Full{});
    if (j < n) body(j, Rest{n - j});
}

template <class T>
bool all_finite(const T* values, int64_t n) {
    Wide poison = {};  // 0 * finite is 0; 0 * inf and 0 * nan are nan
    for_lanes(n, [&](int64_t j, auto io) { poison += io.get(values + j) * 0.0; });
    return total(poison) == 0;
}

template <class T>
void add_difference(const T* row, const T* base, double* sum, int64_t n) {
    for_lanes(n, [&](int64_t j, auto io) { io.put(sum + j, io.get(sum + j) + (io.get(row + j) - io.get(base + j))); });
}

template <class T>
double add_differences(const T* rows, int64_t stride, int64_t count, const T* base, double* sum, int64_t n) {
    Wide squares = {};
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide from = io.get(base + j);
        Wide added = io.get(sum + j);
        const T* row = rows + j;
        for (int64_t i = 0; i < count; ++i, row += stride) {
            const Wide difference = io.get(row) - from;
            added += difference;
            squares += difference * difference;
        }
        io.put(sum + j, added);
    });
    return total(squares);
}

template <class T>
double copy_centred(const T* row, const double* mean, const double* rest, double scale, T* out, int64_t n) {
    Wide sum = {};
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide v = rounded(((io.get(row + j) - io.get(mean + j)) - io.get(rest + j)) * scale, out);
        io.put(out + j, v);
        sum += v * v;
    });
    return total(sum);
}

template <class T>
void add_shares(const T* rows, int64_t stride, int64_t count, const double* __restrict first, double share,
                double* __restrict sum, double* __restrict most, int64_t n) {
    for (int64_t i = 0; i < count; ++i, rows += stride) {
        const T* __restrict row = rows;
        for (int64_t j = 0; j < n; ++j) {  // not by lanes: vectors twice as wide as registers are compared one by one
            const double difference = double(row[j]) - first[j], size = __builtin_fabs(difference);
            sum[j] += difference * share;
            most[j] = most[j] > size ? most[j] : size;
        }
    }
}

template <class T, class Out>
void centre_rows(const T* rows, int64_t stride, int64_t count, const double* mean, const double* rest, double scale,
                 Out* out, double* squares, int64_t n) {
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide middle = io.get(mean + j), left = io.get(rest + j);
        Wide sum = io.get(squares + j);
        const T* row = rows + j;
        Out* to = out + j;
        for (int64_t i = 0; i < count; ++i, row += stride, to += n) {
            const Wide v = ((io.get(row) - middle) - left) * scale;
            sum += v * v;
            io.put(to, v);
        }
        io.put(squares + j, sum);
    });
}

template <class T>
double squared_norm(const T* row, const double* shift, double scale, int64_t n) {
    Wide sum = {};
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide v = (io.get(row + j) - io.get(shift + j)) * scale;
        sum += v * v;
    });
    return total(sum);
}

template <class T>
void accumulate_row(const T* row, T* out, const double* shift, const T* centre, double scale, double norm,
                    double other_norm, double* sum, double* own, double* other, int64_t n) {
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide raw = io.get(row + j);
        const Wide v = (raw - io.get(shift + j)) * scale;
        io.put(sum + j, io.get(sum + j) + v);
        io.put(own + j, io.get(own + j) + v * norm);
        io.put(other + j, io.get(other + j) + v * other_norm);
        io.put(out + j, (raw - io.get(centre + j)) * scale);
    });
}

template <class T>
void centre_row(T* row, const double* shift, double scale, int64_t n) {
    for_lanes(n, [&](int64_t j, auto io) { io.put(row + j, (io.get(row + j) - io.get(shift + j)) * scale); });
}

template <class T>
void add_rank_two(double* sum, const T* product, double a, const double* u, double b, const double* v, int64_t n) {
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide step = io.get(product + j) + (io.get(u + j) * a + io.get(v + j) * b);
        io.put(sum + j, io.get(sum + j) + step);
    });
}

template <class T>
void pair_products(const T* k, const T* l, double* sums, int64_t n) {
    Wide kl = {}, kk = {}, ll = {};
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide a = io.get(k + j), b = io.get(l + j);
        kl += a * b;
        kk += a * a;
        ll += b * b;
    });
    sums[0] += total(kl);
    sums[1] += total(kk);
    sums[2] += total(ll);
}

template <class T>
double dot(const T* a, const double* b, int64_t n) {
    Wide sum = {};
    for_lanes(n, [&](int64_t j, auto io) { sum += io.get(a + j) * io.get(b + j); });
    return total(sum);
}

#include "cpu/simd/gram_kernels.inl"
#include "cpu/simd/neighbor_kernels.inl"

}  // namespace

const Simd KERNALIGN_SIMD_TABLE = {
    KERNALIGN_SIMD_NAME,
    all_finite<float>,
    all_finite<double>,
    add_difference<float>,
    add_difference<double>,
    add_differences<float>,
    add_differences<double>,
    copy_centred<float>,
    copy_centred<double>,
    add_shares<float>,
    add_shares<double>,
    centre_rows<float, float>,
    centre_rows<double, double>,
    centre_rows<float, double>,
    squared_norm<float>,
    squared_norm<double>,
    accumulate_row<float>,
    accumulate_row<double>,
    centre_row<float>,
    centre_row<double>,
    add_rank_two<float>,
    add_rank_two<double>,
    pair_products<float>,
    pair_products<double>,
    dot<float>,
    dot<double>,
    neighbor_kernels,
    gram_kernels,
};

}  // namespace kernalign
