// The table of hand-vectorised loops, compiled once per instruction set and chosen at run time.
#pragma once

#include <cstdint>

#include "cpu/simd/gram_kernels.hpp"
#include "cpu/simd/neighbor_kernels.hpp"

namespace kernalign {

// Every loop uses a fixed lane structure and no contraction, so all instruction sets give the same bits.
struct Simd {
    const char* name;

    bool (*all_finite_f32)(const float* values, std::int64_t n);
    bool (*all_finite_f64)(const double* values, std::int64_t n);
    bool all_finite(const float* values, std::int64_t n) const { return all_finite_f32(values, n); }
    bool all_finite(const double* values, std::int64_t n) const { return all_finite_f64(values, n); }

    // sum[j] += row[j] - base[j], in float64.
    void (*add_difference_f32)(const float* row, const float* base, double* sum, std::int64_t n);
    void (*add_difference_f64)(const double* row, const double* base, double* sum, std::int64_t n);
    void add_difference(const float* r, const float* b, double* s, std::int64_t n) const {
        add_difference_f32(r, b, s, n);
    }
    void add_difference(const double* r, const double* b, double* s, std::int64_t n) const {
        add_difference_f64(r, b, s, n);
    }

    // sum[j] += row[j] - base[j] for `count` rows, in float64; returns the sum of the differences' squares.
    double (*add_differences_f32)(const float* rows, std::int64_t stride, std::int64_t count, const float* base,
                                  double* sum, std::int64_t n);
    double (*add_differences_f64)(const double* rows, std::int64_t stride, std::int64_t count, const double* base,
                                  double* sum, std::int64_t n);
    double add_differences(const float* r, std::int64_t s, std::int64_t c, const float* b, double* t,
                           std::int64_t n) const {
        return add_differences_f32(r, s, c, b, t, n);
    }
    double add_differences(const double* r, std::int64_t s, std::int64_t c, const double* b, double* t,
                           std::int64_t n) const {
        return add_differences_f64(r, s, c, b, t, n);
    }

    // out <- ((row - mean) - rest) * scale, computed in float64; returns the squared norm of out.
    double (*copy_centred_f32)(const float* row, const double* mean, const double* rest, double scale, float* out,
                               std::int64_t n);
    double (*copy_centred_f64)(const double* row, const double* mean, const double* rest, double scale, double* out,
                               std::int64_t n);
    double copy_centred(const float* r, const double* m, const double* e, double c, float* o, std::int64_t n) const {
        return copy_centred_f32(r, m, e, c, o, n);
    }
    double copy_centred(const double* r, const double* m, const double* e, double c, double* o, std::int64_t n) const {
        return copy_centred_f64(r, m, e, c, o, n);
    }

    // total[j] += (row[j] - first[j]) * share and most[j] = max(most[j], |row[j] - first[j]|) for `count` rows, in
    // float64.
    void (*add_shares_f32)(const float* rows, std::int64_t stride, std::int64_t count, const double* first,
                           double share, double* total, double* most, std::int64_t n);
    void (*add_shares_f64)(const double* rows, std::int64_t stride, std::int64_t count, const double* first,
                           double share, double* total, double* most, std::int64_t n);
    void add_shares(const float* r, std::int64_t s, std::int64_t c, const double* f, double h, double* t, double* m,
                    std::int64_t n) const {
        add_shares_f32(r, s, c, f, h, t, m, n);
    }
    void add_shares(const double* r, std::int64_t s, std::int64_t c, const double* f, double h, double* t, double* m,
                    std::int64_t n) const {
        add_shares_f64(r, s, c, f, h, t, m, n);
    }

    // v = ((row - mean) - rest) * scale of `count` rows, in float64: squares[j] += v[j]^2, and out <- v, rows of n.
    void (*centre_rows_f32)(const float* rows, std::int64_t stride, std::int64_t count, const double* mean,
                            const double* rest, double scale, float* out, double* squares, std::int64_t n);
    void (*centre_rows_f64)(const double* rows, std::int64_t stride, std::int64_t count, const double* mean,
                            const double* rest, double scale, double* out, double* squares, std::int64_t n);
    void (*centre_rows_wide)(const float* rows, std::int64_t stride, std::int64_t count, const double* mean,
                             const double* rest, double scale, double* out, double* squares, std::int64_t n);
    void centre_rows(const float* r, std::int64_t s, std::int64_t c, const double* m, const double* e, double f,
                     float* o, double* q, std::int64_t n) const {
        centre_rows_f32(r, s, c, m, e, f, o, q, n);
    }
    void centre_rows(const double* r, std::int64_t s, std::int64_t c, const double* m, const double* e, double f,
                     double* o, double* q, std::int64_t n) const {
        centre_rows_f64(r, s, c, m, e, f, o, q, n);
    }
    void centre_rows(const float* r, std::int64_t s, std::int64_t c, const double* m, const double* e, double f,
                     double* o, double* q, std::int64_t n) const {
        centre_rows_wide(r, s, c, m, e, f, o, q, n);
    }

    // sum over j of ((row[j] - shift[j]) * scale)^2, in float64.
    double (*squared_norm_f32)(const float* row, const double* shift, double scale, std::int64_t n);
    double (*squared_norm_f64)(const double* row, const double* shift, double scale, std::int64_t n);
    double squared_norm(const float* r, const double* s, double c, std::int64_t n) const {
        return squared_norm_f32(r, s, c, n);
    }
    double squared_norm(const double* r, const double* s, double c, std::int64_t n) const {
        return squared_norm_f64(r, s, c, n);
    }

    // With v = (row - shift) * scale in float64:  sum += v, own += norm * v, other += other_norm * v;
    // and out <- (row - centre) * scale in row's dtype; out may be row.
    void (*accumulate_row_f32)(const float* row, float* out, const double* shift, const float* centre, double scale,
                               double norm, double other_norm, double* sum, double* own, double* other, std::int64_t n);
    void (*accumulate_row_f64)(const double* row, double* out, const double* shift, const double* centre, double scale,
                               double norm, double other_norm, double* sum, double* own, double* other, std::int64_t n);
    void accumulate_row(const float* row, float* out, const double* shift, const float* centre, double scale,
                        double norm, double other_norm, double* sum, double* own, double* other, std::int64_t n) const {
        accumulate_row_f32(row, out, shift, centre, scale, norm, other_norm, sum, own, other, n);
    }
    void accumulate_row(const double* row, double* out, const double* shift, const double* centre, double scale,
                        double norm, double other_norm, double* sum, double* own, double* other, std::int64_t n) const {
        accumulate_row_f64(row, out, shift, centre, scale, norm, other_norm, sum, own, other, n);
    }

    // row <- (row - shift) * scale, computed in float64.
    void (*centre_row_f32)(float* row, const double* shift, double scale, std::int64_t n);
    void (*centre_row_f64)(double* row, const double* shift, double scale, std::int64_t n);
    void centre_row(float* r, const double* s, double c, std::int64_t n) const { centre_row_f32(r, s, c, n); }
    void centre_row(double* r, const double* s, double c, std::int64_t n) const { centre_row_f64(r, s, c, n); }

    // total[j] += product[j] + a * u[j] + b * v[j], in float64.
    void (*add_rank_two_f32)(double* total, const float* product, double a, const double* u, double b, const double* v,
                             std::int64_t n);
    void (*add_rank_two_f64)(double* total, const double* product, double a, const double* u, double b, const double* v,
                             std::int64_t n);
    void add_rank_two(double* t, const float* p, double a, const double* u, double b, const double* v,
                      std::int64_t n) const {
        add_rank_two_f32(t, p, a, u, b, v, n);
    }
    void add_rank_two(double* t, const double* p, double a, const double* u, double b, const double* v,
                      std::int64_t n) const {
        add_rank_two_f64(t, p, a, u, b, v, n);
    }

    // sums[0..2] += <k, l>, <k, k>, <l, l>, in float64.
    void (*pair_products_f32)(const float* k, const float* l, double* sums, std::int64_t n);
    void (*pair_products_f64)(const double* k, const double* l, double* sums, std::int64_t n);
    void pair_products(const float* k, const float* l, double* s, std::int64_t n) const {
        pair_products_f32(k, l, s, n);
    }
    void pair_products(const double* k, const double* l, double* s, std::int64_t n) const {
        pair_products_f64(k, l, s, n);
    }

    // <a, b> accumulated in float64.
    double (*dot_f32)(const float* a, const double* b, std::int64_t n);
    double (*dot_f64)(const double* a, const double* b, std::int64_t n);
    double dot(const float* a, const double* b, std::int64_t n) const { return dot_f32(a, b, n); }
    double dot(const double* a, const double* b, std::int64_t n) const { return dot_f64(a, b, n); }

    NeighborKernels neighbors;
    GramKernels grams;
};

// The widest table this CPU can run; the environment variable KERNALIGN_ISA (baseline, avx2, avx512, amx) lowers it.
const Simd& simd();

extern const Simd simd_baseline;
extern const Simd simd_avx2;
extern const Simd simd_avx512;

}  // namespace kernalign
