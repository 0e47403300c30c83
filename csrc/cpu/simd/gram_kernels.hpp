// The inner loops of the Grams engine, one table entry each.
#pragma once

#include <cstdint>

#include "gram_function.hpp"

namespace kernalign {

struct GramKernels {
    // values[j], the inner product of a row of squared norm `own` with one of others[j], becomes the squared distance,
    // not negative. Returns how many are below kClose of the two squared norms' sum, where cancellation shows.
    std::int64_t (*distances_f32)(float* values, float own, const float* others, std::int64_t n);
    std::int64_t (*distances_f64)(double* values, double own, const double* others, std::int64_t n);
    std::int64_t distances(float* v, float own, const float* o, std::int64_t n) const {
        return distances_f32(v, own, o, n);
    }
    std::int64_t distances(double* v, double own, const double* o, std::int64_t n) const {
        return distances_f64(v, own, o, n);
    }

    // values[j], an inner product or a squared distance, becomes the kernel's value.
    void (*apply_f32)(const GramFunction& f, float* values, std::int64_t n);
    void (*apply_f64)(const GramFunction& f, double* values, std::int64_t n);
    void apply(const GramFunction& f, float* v, std::int64_t n) const { apply_f32(f, v, n); }
    void apply(const GramFunction& f, double* v, std::int64_t n) const { apply_f64(f, v, n); }

    // columns[j] += row[j]; returns the sum of the row. In float64.
    double (*sums_f32)(const float* row, double* columns, std::int64_t n);
    double (*sums_f64)(const double* row, double* columns, std::int64_t n);
    double sums(const float* r, double* c, std::int64_t n) const { return sums_f32(r, c, n); }
    double sums(const double* r, double* c, std::int64_t n) const { return sums_f64(r, c, n); }

    // out[j] = row[j], exactly.
    void (*widen_f32)(const float* row, double* out, std::int64_t n);
    void (*widen_f64)(const double* row, double* out, std::int64_t n);
    void widen(const float* r, double* o, std::int64_t n) const { widen_f32(r, o, n); }
    void widen(const double* r, double* o, std::int64_t n) const { widen_f64(r, o, n); }

    // row[j] += own + others[j];  sums[0] += row[j]^2, sums[1] += row[j]^3.
    void (*cubes_f32)(float* row, double own, const double* others, double* sums, std::int64_t n);
    void (*cubes_f64)(double* row, double own, const double* others, double* sums, std::int64_t n);
    void cubes(float* r, double own, const double* o, double* s, std::int64_t n) const { cubes_f32(r, own, o, s, n); }
    void cubes(double* r, double own, const double* o, double* s, std::int64_t n) const { cubes_f64(r, own, o, s, n); }
};

}  // namespace kernalign
