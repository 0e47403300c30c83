// The inner loops of the Grams engine, one table entry each.
#pragma once

#include <cstdint>

#include "kernel.hpp"

namespace kernalign {

// A kernel as a function of inner products of scaled rows; `pilot` is subtracted from its values.
struct GramFunction {
    KernelForm form = KernelForm::linear;
    double factor = 0;  // of the squared distance (rbf) or the distance (laplacian) in the exponent
    double offset = 0;
    double pilot = 0;
    int degree = 1;
};

struct GramKernels {
    // values[j], the inner product of a row of squared norm `own` with one of others[j], becomes the kernel's value.
    void (*apply_f32)(const GramFunction& f, float* values, double own, const float* others, std::int64_t n);
    void (*apply_f64)(const GramFunction& f, double* values, double own, const double* others, std::int64_t n);
    void apply(const GramFunction& f, float* v, double own, const float* o, std::int64_t n) const {
        apply_f32(f, v, own, o, n);
    }
    void apply(const GramFunction& f, double* v, double own, const double* o, std::int64_t n) const {
        apply_f64(f, v, own, o, n);
    }

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
    void (*cubes)(double* row, double own, const double* others, double* sums, std::int64_t n);
};

}  // namespace kernalign
