// Products of one row with a few others: the part of neighbor_kernels.inl that scores candidates.

template <class E>
void four_dots(const double* x, const E* const* rows, double* out, int64_t n) {
    Wide sums[4] = {};
    for_lanes(n, [&](int64_t f, auto io) {
        const Wide v = io.get(x + f);
        for (int c = 0; c < 4; ++c) sums[c] += v * io.get(rows[c] + f);
    });
    for (int c = 0; c < 4; ++c) out[c] = total(sums[c]);
}

void four_dots_single(const float* x, const float* const* rows, double* out, int64_t n) {
    Narrow sums[4] = {};
    int64_t f = 0;
    for (; f + kLanes <= n; f += kLanes) {
        Narrow v;
        std::memcpy(&v, x + f, sizeof v);
        for (int c = 0; c < 4; ++c) {
            Narrow w;
            std::memcpy(&w, rows[c] + f, sizeof w);
            sums[c] += v * w;
        }
    }
    for (int c = 0; c < 4; ++c) {
        float lanes[kLanes], rest = 0;
        std::memcpy(lanes, &sums[c], sizeof lanes);
        for (int64_t half = kLanes / 2; half > 0; half /= 2)
            for (int64_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
        for (int64_t g = f; g < n; ++g) rest += x[g] * rows[c][g];
        out[c] = double(lanes[0] + rest);
    }
}

typedef double Four __attribute__((vector_size(4 * sizeof(double))));
typedef float Four32 __attribute__((vector_size(4 * sizeof(float))));

inline Four load_four(const float* p) {
    Four32 v;
    std::memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, Four);
}
inline Four load_four(const double* p) {
    Four v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

// Four features of four rows, turned so that column[f] holds feature f of every row.
template <class E>
inline void turn(const E* const* rows, int64_t f, Four* column) {
    const Four a = load_four(rows[0] + f), b = load_four(rows[1] + f);
    const Four c = load_four(rows[2] + f), d = load_four(rows[3] + f);
    const Four ab0 = __builtin_shufflevector(a, b, 0, 4, 2, 6), ab1 = __builtin_shufflevector(a, b, 1, 5, 3, 7);
    const Four cd0 = __builtin_shufflevector(c, d, 0, 4, 2, 6), cd1 = __builtin_shufflevector(c, d, 1, 5, 3, 7);
    column[0] = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
    column[1] = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
    column[2] = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
    column[3] = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
}

// One row's chain of additions per lane; several groups of four hide the latency of an addition.
template <class E, bool kDistance, int kGroups>
void score_groups(const double* x, const E* const* rows, const double* factors, double* out, int64_t n) {
    Four sum[kGroups] = {}, factor[kGroups];
    for (int g = 0; g < kGroups; ++g) factor[g] = load_four(factors + 4 * g);
    const auto add = [&](int g, Four value, double with) {
        if constexpr (kDistance) {
            const Four difference = with - value;
            sum[g] += difference * difference;
        } else {
            sum[g] += (value * factor[g]) * with;
        }
    };
    int64_t f = 0;
    for (; f + 4 <= n; f += 4) {
        for (int g = 0; g < kGroups; ++g) {
            Four column[4];
            turn(rows + 4 * g, f, column);
            for (int t = 0; t < 4; ++t) add(g, column[t], x[f + t]);
        }
    }
    for (; f < n; ++f)
        for (int g = 0; g < kGroups; ++g) {
            const E* const* r = rows + 4 * g;
            add(g, Four{double(r[0][f]), double(r[1][f]), double(r[2][f]), double(r[3][f])}, x[f]);
        }
    for (int g = 0; g < kGroups; ++g) {
        const Four result = kDistance ? Four{} - sum[g] : sum[g];  // never -0
        std::memcpy(out + 4 * g, &result, sizeof result);
    }
}

template <class E, bool kDistance>
void score_lanes(const double* x, const E* const* rows, const double* factors, double* out, int64_t lanes, int64_t n) {
    if (lanes <= 4) return score_groups<E, kDistance, 1>(x, rows, factors, out, n);
    if (lanes <= 8) return score_groups<E, kDistance, 2>(x, rows, factors, out, n);
    if (lanes <= 12) return score_groups<E, kDistance, 3>(x, rows, factors, out, n);
    score_groups<E, kDistance, 4>(x, rows, factors, out, n);
}

template <class E>
void score_in_order(const double* x, const E* const* rows, const double* factors, bool distance, double* out,
                    int64_t lanes, int64_t n) {
    if (distance) return score_lanes<E, true>(x, rows, factors, out, lanes, n);
    score_lanes<E, false>(x, rows, factors, out, lanes, n);
}
