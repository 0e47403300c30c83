// The vectorised loops of the Neighbors engine, one set per instruction set (a part of the table in simd.hpp).
#pragma once

#include <cstdint>

namespace kernalign {

struct NeighborKernels {
    // sums[j] = (row[j] + offset) + offsets[j]. Appends to hits (column << 2 | rows << 0 | columns << 1) for every j
    // with sums[j] >= row_cut (rows) or sums[j] >= column_cuts[j] (columns); returns how many. n is a multiple of 16
    // and the caller's padding makes itself unfit (offsets of -infinity). NaN never fits.
    std::int64_t (*select_f32)(const float* row, const float* offsets, float offset, float row_cut,
                               const float* column_cuts, float* sums, std::int32_t* hits, std::int64_t n);
    std::int64_t (*select_f64)(const double* row, const double* offsets, double offset, double row_cut,
                               const double* column_cuts, double* sums, std::int32_t* hits, std::int64_t n);
    std::int64_t select(const float* r, const float* o, float offset, float cut, const float* cuts, float* s,
                        std::int32_t* hits, std::int64_t n) const {
        return select_f32(r, o, offset, cut, cuts, s, hits, n);
    }
    std::int64_t select(const double* r, const double* o, double offset, double cut, const double* cuts, double* s,
                        std::int32_t* hits, std::int64_t n) const {
        return select_f64(r, o, offset, cut, cuts, s, hits, n);
    }

    // out[f] = c_f = (row[f] * factor - centre[f]) * scale, computed in float64;  sums[0] += c.c, sums[1] += centre.c.
    void (*centre_row_f32_f32)(const float* row, const double* centre, double factor, double scale, float* out,
                               double* sums, std::int64_t n);
    void (*centre_row_f64_f32)(const double* row, const double* centre, double factor, double scale, float* out,
                               double* sums, std::int64_t n);
    void (*centre_row_f32_f64)(const float* row, const double* centre, double factor, double scale, double* out,
                               double* sums, std::int64_t n);
    void (*centre_row_f64_f64)(const double* row, const double* centre, double factor, double scale, double* out,
                               double* sums, std::int64_t n);
    void centre_row(const float* r, const double* c, double f, double s, float* o, double* sums, std::int64_t n) const {
        centre_row_f32_f32(r, c, f, s, o, sums, n);
    }
    void centre_row(const double* r, const double* c, double f, double s, float* o, double* sums,
                    std::int64_t n) const {
        centre_row_f64_f32(r, c, f, s, o, sums, n);
    }
    void centre_row(const float* r, const double* c, double f, double s, double* o, double* sums,
                    std::int64_t n) const {
        centre_row_f32_f64(r, c, f, s, o, sums, n);
    }
    void centre_row(const double* r, const double* c, double f, double s, double* o, double* sums,
                    std::int64_t n) const {
        centre_row_f64_f64(r, c, f, s, o, sums, n);
    }

    // out[f] = p_f, c_f rounded to bfloat16;  sums[0..3] += c.c, centre.c, |c - p|^2, p.p, in float64.
    void (*narrow_row_f32)(const float* row, const double* centre, double factor, double scale, std::uint16_t* out,
                           double* sums, std::int64_t n);
    void (*narrow_row_f64)(const double* row, const double* centre, double factor, double scale, std::uint16_t* out,
                           double* sums, std::int64_t n);
    void narrow_row(const float* r, const double* c, double f, double s, std::uint16_t* o, double* sums,
                    std::int64_t n) const {
        narrow_row_f32(r, c, f, s, o, sums, n);
    }
    void narrow_row(const double* r, const double* c, double f, double s, std::uint16_t* o, double* sums,
                    std::int64_t n) const {
        narrow_row_f64(r, c, f, s, o, sums, n);
    }

    // The transpose of 16 x 16 pairs of 16-bit numbers.
    void (*turn_pairs)(const std::uint16_t* in, std::uint32_t* out);

    // Drops the smallest of size keys but leaves the `keep` largest, in their order, and a few more; *cut becomes a
    // lower bound of the keep-th largest that every key left reaches. Returns how many are left; with many equal keys
    // that may be all of them.
    std::int64_t (*shrink)(std::uint64_t* keys, std::int64_t size, std::int64_t keep, std::uint64_t* cut);

    // out[c] = sum over f of x[f] * rows[c][f] for c < 4, in any order; in float64 unless both are float32.
    void (*four_dots_single)(const float* x, const float* const* rows, double* out, std::int64_t n);
    void (*four_dots_f32)(const double* x, const float* const* rows, double* out, std::int64_t n);
    void (*four_dots_f64)(const double* x, const double* const* rows, double* out, std::int64_t n);
    void four_dots(const float* x, const float* const* r, double* out, std::int64_t n) const {
        four_dots_single(x, r, out, n);
    }
    void four_dots(const double* x, const float* const* r, double* out, std::int64_t n) const {
        four_dots_f32(x, r, out, n);
    }
    void four_dots(const double* x, const double* const* r, double* out, std::int64_t n) const {
        four_dots_f64(x, r, out, n);
    }

    // A lower bound of the k-th largest (row[j] + offset) + offsets[j] - (paid[0] lost[j] + paid[1] size[j]) over
    // j < n, a multiple of 16: the k-th largest of the maxima of n / 16 <= 64 groups, -infinity if k is more.
    float (*sure_cut)(const float* row, const float* offsets, float offset, const float* lost, const float* size,
                      const float* paid, std::int64_t k, std::int64_t n);

    // For c < lanes <= 16: out[c] = sum over f, in order, of x[f] * (rows[c][f] * factors[c]); or, for distances
    // (factors unused), minus the sum of (x[f] - rows[c][f])^2. rows and factors have 16 valid entries, out 16 places.
    void (*score_in_order_f32)(const double* x, const float* const* rows, const double* factors, bool distance,
                               double* out, std::int64_t lanes, std::int64_t n);
    void (*score_in_order_f64)(const double* x, const double* const* rows, const double* factors, bool distance,
                               double* out, std::int64_t lanes, std::int64_t n);
    void score_in_order(const double* x, const float* const* r, const double* f, bool distance, double* out,
                        std::int64_t lanes, std::int64_t n) const {
        score_in_order_f32(x, r, f, distance, out, lanes, n);
    }
    void score_in_order(const double* x, const double* const* r, const double* f, bool distance, double* out,
                        std::int64_t lanes, std::int64_t n) const {
        score_in_order_f64(x, r, f, distance, out, lanes, n);
    }
};

}  // namespace kernalign
