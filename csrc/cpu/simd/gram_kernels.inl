// The loops behind gram_kernels.hpp, included by simd_kernels.inl once per instruction set.

// Vectors of T, and what turns an exponent into a power of two.
template <class T>
struct Numbers;

template <>
struct Numbers<float> {
    typedef Narrow Vector;
    typedef std::int32_t Count;  // as wide as T, which is vectorised best
    typedef std::int32_t Bits __attribute__((vector_size(kLanes * sizeof(std::int32_t))));
    static constexpr float least = -87.0f, round = 0x1.8p23f, log2e = 0x1.715476p0f;
    static constexpr float ln2_high = 0x1.63p-1f, ln2_low = -0x1.bd0106p-13f;
    static constexpr int bias = 127, shift = 23, terms = 7;
};
template <>
struct Numbers<double> {
    typedef Doubles Vector;
    typedef std::int64_t Count;
    typedef std::int64_t Bits __attribute__((vector_size(kLanes * sizeof(std::int64_t))));
    static constexpr double least = -708.0, round = 0x1.8p52, log2e = 0x1.71547652b82fep0;
    static constexpr double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
    static constexpr int bias = 1023, shift = 52, terms = 13;
};

// exp(x) - c for x <= 0 as 2^k expm1(r) + (2^k - c), so that nothing cancels where exp(x) and c are both near 1.
template <class T, class Vector>
inline Vector exp_minus(Vector x, T c) {
    typedef Numbers<T> E;
    x = x < E::least ? Vector{} + E::least : x;
    const Vector rounded = x * E::log2e + E::round;  // its low bits hold k
    const Vector k = rounded - E::round;
    const Vector r = (x - k * E::ln2_high) - k * E::ln2_low;
    Vector series = Vector{} + T(1.0 / E::terms);
    T factor = T(E::terms - 1);
    for (int term = E::terms - 1; term > 0; --term, factor -= 1) series = (series * r + T(1)) * (T(1) / factor);
    const Vector expm1 = series * r;
    typename E::Bits bits;
    std::memcpy(&bits, &rounded, sizeof bits);
    bits = (bits + E::bias) << E::shift;
    Vector power;
    std::memcpy(&power, &bits, sizeof power);
    return power * expm1 + (power - c);
}

template <class T>
void exponentiate(T* values, T factor, T pilot, int64_t n) {
    typedef typename Numbers<T>::Vector Vector;
    for (int64_t j = 0; j < n; j += kLanes) {
        const int64_t count = n - j < kLanes ? n - j : kLanes;
        const unsigned long bytes = static_cast<unsigned long>(count) * sizeof(T);
        Vector v = {};
        if (count == kLanes) {
            std::memcpy(&v, values + j, sizeof v);
            v = exp_minus<T>(v * factor, pilot);
            std::memcpy(values + j, &v, sizeof v);
        } else {
            std::memcpy(&v, values + j, bytes);
            v = exp_minus<T>(v * factor, pilot);
            std::memcpy(values + j, &v, bytes);
        }
    }
}

template <class T>
int64_t squared_distances(T* values, T own, const T* others, int64_t n) {
    typename Numbers<T>::Count close = 0;
    for (int64_t j = 0; j < n; ++j) {
        const T norms = own + others[j];
        const T d = norms - (values[j] + values[j]);
        values[j] = d > T(0) ? d : T(0);
        close += d < T(kClose) * norms;
    }
    return close;
}

// The loops over degrees are the outer ones, so that the inner ones are vectorised.
template <class T>
void polynomial(const GramFunction& f, T* values, int64_t n) {
    const T offset = T(f.offset), factor = T(f.factor), base = T(f.base);
    constexpr int64_t kBlock = 256;
    T b[kBlock], sum[kBlock];
    for (int64_t begin = 0; begin < n; begin += kBlock, values += kBlock) {
        const int64_t count = n - begin < kBlock ? n - begin : kBlock;
        for (int64_t j = 0; j < count; ++j) b[j] = values[j] * factor + offset;
        for (int64_t j = 0; j < count; ++j) sum[j] = T(1);
        T power = T(1), own = f.based ? base * factor + offset : T(0);
        for (int d = 1; d < f.degree; ++d) {
            power *= own;
            for (int64_t j = 0; j < count; ++j) sum[j] = sum[j] * b[j] + power;
        }
        for (int64_t j = 0; j < count; ++j) values[j] = (f.based ? values[j] - base : b[j]) * sum[j];
    }
}

template <class T>
void apply_kernel(const GramFunction& f, T* values, int64_t n) {
    if (f.form == KernelForm::polynomial) return polynomial(f, values, n);
    const T pilot = T(f.pilot);
    if (f.form == KernelForm::laplacian || f.form == KernelForm::euclidean)
        for (int64_t j = 0; j < n; ++j) values[j] = T(__builtin_sqrt(double(values[j])));
    if (f.form == KernelForm::rbf || f.form == KernelForm::laplacian)
        return exponentiate(values, T(f.factor), pilot, n);
    if (f.pilot != 0)
        for (int64_t j = 0; j < n; ++j) values[j] -= pilot;
}

template <class T>
double row_and_column_sums(const T* row, double* columns, int64_t n) {
    Wide sum = {};
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide v = io.get(row + j);
        sum += v;
        io.put(columns + j, io.get(columns + j) + v);
    });
    return total(sum);
}

template <class T>
void widen(const T* row, double* out, int64_t n) {
    for_lanes(n, [&](int64_t j, auto io) { io.put(out + j, io.get(row + j)); });
}

template <class T>
void u_centred_cubes(T* row, double own, const double* others, double* sums, int64_t n) {
    Wide squares = {}, cubes = {};
    for (int64_t j = 0; j < n; ++j) row[j] = T(double(row[j]) + (own + others[j]));
    for_lanes(n, [&](int64_t j, auto io) {
        const Wide v = io.get(row + j);
        squares += v * v;
        cubes += v * v * v;
    });
    sums[0] += total(squares);
    sums[1] += total(cubes);
}

constexpr GramKernels gram_kernels = {
    squared_distances<float>,   squared_distances<double>,   apply_kernel<float>, apply_kernel<double>,
    row_and_column_sums<float>, row_and_column_sums<double>, widen<float>,        widen<double>,
    u_centred_cubes<float>,     u_centred_cubes<double>,
};
