// The loops behind neighbor_kernels.hpp, included by simd_kernels.inl (which explains the rules) within its namespace.

// Bit c is set when a[c] >= b[c].
inline unsigned at_least(Narrow a, Narrow b) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ);
#elif defined(__AVX2__)
    __m256 x[2], y[2];
    std::memcpy(x, &a, sizeof a);
    std::memcpy(y, &b, sizeof b);
    return unsigned(_mm256_movemask_ps(_mm256_cmp_ps(x[0], y[0], _CMP_GE_OQ))) |
           unsigned(_mm256_movemask_ps(_mm256_cmp_ps(x[1], y[1], _CMP_GE_OQ))) << 8;
#else
    unsigned bits = 0;
    for (int lane = 0; lane < kLanes; ++lane) bits |= unsigned(a[lane] >= b[lane]) << lane;
    return bits;
#endif
}
inline unsigned at_least(Doubles a, Doubles b) {
#if defined(__AVX512F__)
    __m512d x[2], y[2];
    std::memcpy(x, &a, sizeof a);
    std::memcpy(y, &b, sizeof b);
    return unsigned(_mm512_cmp_pd_mask(x[0], y[0], _CMP_GE_OQ)) | unsigned(_mm512_cmp_pd_mask(x[1], y[1], _CMP_GE_OQ))
                                                                      << 8;
#else
    unsigned bits = 0;
    for (int lane = 0; lane < kLanes; ++lane) bits |= unsigned(a[lane] >= b[lane]) << lane;
    return bits;
#endif
}

template <class T, class Vector>
int64_t select_as(const T* row, const T* offsets, T offset, T row_cut, const T* column_cuts, T* sums,
                  std::int32_t* hits, int64_t n) {
    int64_t count = 0;
    const Vector row_cuts = row_cut - Vector{};
    for (int64_t j = 0; j < n; j += kLanes) {
        Vector v, o, cuts;
        std::memcpy(&v, row + j, sizeof v);
        std::memcpy(&o, offsets + j, sizeof o);
        std::memcpy(&cuts, column_cuts + j, sizeof cuts);
        const Vector u = (v + offset) + o;
        const unsigned rows = at_least(u, row_cuts), columns = at_least(u, cuts);
        unsigned any = rows | columns;
        if (!any) continue;
        std::memcpy(sums + j, &u, sizeof u);
        while (any) {
            const int lane = __builtin_ctz(any);
            any &= any - 1;
            hits[count++] =
                std::int32_t((j + lane) << 2) | std::int32_t(rows >> lane & 1) | std::int32_t(columns >> lane & 1) << 1;
        }
    }
    return count;
}

int64_t select_f32(const float* row, const float* offsets, float offset, float row_cut, const float* column_cuts,
                   float* sums, std::int32_t* hits, int64_t n) {
    return select_as<float, Narrow>(row, offsets, offset, row_cut, column_cuts, sums, hits, n);
}
int64_t select_f64(const double* row, const double* offsets, double offset, double row_cut, const double* column_cuts,
                   double* sums, std::int32_t* hits, int64_t n) {
    return select_as<double, Doubles>(row, offsets, offset, row_cut, column_cuts, sums, hits, n);
}

template <class E, class T>
void centre_row(const E* row, const double* centre, double factor, double scale, T* out, double* sums, int64_t n) {
    Wide squares = {}, products = {};
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide m = io.get(centre + j);
        const Wide c = (io.get(row + j) * factor - m) * scale;
        io.put(out + j, c);
        squares += c * c;
        products += c * m;
    });
    sums[0] += total(squares);
    sums[1] += total(products);
}

typedef std::uint32_t Bits __attribute__((vector_size(kLanes * sizeof(std::uint32_t))));
typedef std::uint16_t Halves __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));

template <class E>
void narrow_row(const E* row, const double* centre, double factor, double scale, std::uint16_t* out, double* sums,
                int64_t n) {
    Wide squares = {}, products = {}, wrong = {}, narrow = {};
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide m = io.get(centre + j);
        const Wide c = (io.get(row + j) * factor - m) * scale;
        float single[kLanes];
        store(single, c);
        Bits bits;
        std::memcpy(&bits, single, sizeof bits);
        bits = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;  // to nearest, ties to even; values are below 2
        const Halves halves = __builtin_convertvector(bits, Halves);
        bits <<= 16;
        std::memcpy(single, &bits, sizeof single);
        const Wide p = load(single);
        std::memcpy(out + j, &halves, static_cast<unsigned long>(n - j < kLanes ? n - j : kLanes) * sizeof(*out));
        squares += c * c;
        products += c * m;
        wrong += (c - p) * (c - p);
        narrow += p * p;
    });
    sums[0] += total(squares);
    sums[1] += total(products);
    sums[2] += total(wrong);
    sums[3] += total(narrow);
}

void turn_pairs(const std::uint16_t* in, std::uint32_t* out) {
    std::uint32_t pairs[256];
    std::memcpy(pairs, in, sizeof pairs);
    for (int column = 0; column < 16; ++column)
        for (int r = 0; r < 16; ++r) out[16 * column + r] = pairs[16 * r + column];
}

// Bisection over the values: counting is one vector comparison per few keys, where sorting is mispredicted branches.
int64_t shrink(std::uint64_t* keys, int64_t size, int64_t keep, std::uint64_t* cut) {
    const auto reaching = [&](std::uint64_t value) {
        int64_t count = 0;
        for (int64_t e = 0; e < size; ++e) count += keys[e] >= value;
        return count;
    };
    std::uint64_t low = keys[0], high = keys[0];  // at least keep keys reach low, fewer reach high + 1
    for (int64_t e = 1; e < size; ++e) {
        low = keys[e] < low ? keys[e] : low;
        high = keys[e] > high ? keys[e] : high;
    }
    const int64_t enough = keep + (size - keep) / 8;
    int64_t left = size;
    while (left > enough && low < high) {
        const std::uint64_t middle = low + (high - low + 1) / 2;
        const int64_t count = reaching(middle);
        if (count >= keep) {
            low = middle;
            left = count;
        } else {
            high = middle - 1;
        }
    }
    int64_t kept = 0;
    for (int64_t e = 0; e < size; ++e) {
        const std::uint64_t key = keys[e];
        keys[kept] = key;
        kept += key >= low;
    }
    *cut = low;
    return kept;
}

// The groups are the lanes of n / 256 streams of vectors, so that no maximum is taken across lanes.
float sure_cut(const float* row, const float* offsets, float offset, const float* lost, const float* size,
               const float* paid, int64_t k, int64_t n) {
    constexpr int64_t kStreams = 4;
    const float lowest = -__builtin_inff();
    Narrow most[kStreams];
    for (Narrow& m : most) m = lowest - Narrow{};
    int64_t stream = 0;
    for (int64_t j = 0; j < n; j += kLanes) {
        Narrow v, o, l, s;
        std::memcpy(&v, row + j, sizeof v);
        std::memcpy(&o, offsets + j, sizeof o);
        std::memcpy(&l, lost + j, sizeof l);
        std::memcpy(&s, size + j, sizeof s);
        const Narrow sure = ((v + offset) + o) - (l * paid[0] + s * paid[1]);
        most[stream] = sure > most[stream] ? sure : most[stream];
        stream = (stream + 1) % kStreams;
    }
    float groups[kStreams * kLanes];
    std::memcpy(groups, most, sizeof groups);
    if (k > kStreams * kLanes) return lowest;
    // Bisection between the ends: the result need not be the k-th exactly, only have k groups that reach it.
    float low = lowest, high = lowest;
    for (const float g : groups) high = g > high ? g : high;
    float least = high;
    for (const float g : groups) least = g < least ? g : least;
    if (!(least > -3e38f)) least = high - 64 * (high < 0 ? -high : high) - 1;
    low = least;
    const auto reach = [&](float value) {
        int64_t count = 0;
        for (const float g : groups) count += g >= value;
        return count;
    };
    if (reach(low) < k) return lowest;
    for (int step = 0; step < 10; ++step) {
        const float middle = low + (high - low) / 2;
        if (reach(middle) >= k)
            low = middle;
        else
            high = middle;
    }
    return low;
}

#include "cpu/simd/scoring_kernels.inl"

constexpr NeighborKernels neighbor_kernels = {
    select_f32,
    select_f64,
    centre_row<float, float>,
    centre_row<double, float>,
    centre_row<float, double>,
    centre_row<double, double>,
    narrow_row<float>,
    narrow_row<double>,
    turn_pairs,
    shrink,
    four_dots_single,
    four_dots<float>,
    four_dots<double>,
    sure_cut,
    score_in_order<float>,
    score_in_order<double>,
};
