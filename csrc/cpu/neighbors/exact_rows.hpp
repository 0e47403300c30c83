// The float64 rows that similarities are defined on, and their scores in feature order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "monitor.hpp"
#include "neighbors.hpp"
#include "view.hpp"

namespace kernalign {

class ExactRows {
  public:
    // Reads all rows once: throws std::invalid_argument naming the first NaN, infinity or (cosine) zero row.
    ExactRows(const Rows& rows, Similarity similarity, int threads, Monitor* monitor);

    std::int64_t count() const { return rows_.rows(); }
    std::int64_t cols() const { return rows_.cols(); }
    const std::string& name() const { return rows_.name; }
    Similarity similarity() const { return similarity_; }

    // X_i in float64.
    void read(std::int64_t row, double* out) const;

    // Row i, without its divisor, before its factor, in the memory of the caller if it is dense there, or aside, else
    // in scratch (cols values); exactly one of the two pointers is set.
    struct Raw {
        const float* f32 = nullptr;
        const double* f64 = nullptr;
    };
    Raw raw(std::int64_t row, double* scratch) const;
    // Whether raw() needs no scratch.
    bool dense() const { return dense32_ || dense64_; }
    double factor(std::int64_t row) const { return factor_.empty() ? 1.0 : factor_[std::size_t(row)]; }

    // out[c] = similarity of x (values from read) with row others[c]. Never NaN: that such rows would have, which were
    // finite when they were first read, is refused.
    void score(const double* x, const std::int32_t* others, std::int64_t count, double* out,
               std::vector<double>& scratch) const;

    // Nearly the same, sooner: each value is within rough_error() of score's. In float32 where the rows' sizes allow
    // it.
    void rough_score(const double* x, const std::int32_t* others, std::int64_t count, double* out,
                     std::vector<double>& scratch, std::vector<float>& rounded) const;
    double rough_error() const { return rough_error_; }

  private:
    void examine_all(int threads, Monitor* monitor);
    void set_aside();
    const char* source(std::int64_t row) const {
        return static_cast<const char*>(rows_.view.data) + row * rows_.view.row_stride;
    }

    Rows rows_;
    Similarity similarity_;
    bool dense32_ = false, dense64_ = false;
    bool rescale_ = false;  // norms near the ends of the float64 range: bring rows to unit size before squaring
    bool single_ = false;   // rough scores are in float32
    double rough_error_ = 0;
    std::vector<double> divisor_;      // of direction.hpp for cosine, unless all are 1
    std::vector<std::int64_t> aside_;  // the rows that have one, ascending, if they are few and the others dense
    std::vector<float> aside32_;       // those rows, divided: exact in the type of the others
    std::vector<double> aside64_;
    std::vector<double> factor_;  // 1 / |x_i / divisor| for cosine
};

}  // namespace kernalign
