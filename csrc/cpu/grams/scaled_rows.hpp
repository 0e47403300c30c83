// Rows of one representation, shifted, scaled by a power of two and converted, as products are made of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/runtime/parallel.hpp"
#include "memory.hpp"
#include "view.hpp"

namespace kernalign {

// Bands of rows are prepared in parallel and combined in order, so the bits do not depend on the threads.
template <class T>
class ScaledRows {
  public:
    // Shifts by the mean if centred or, where a few rows are very far off, by an ordinary row. All rows are kept
    // converted if they take no more than kept_bytes.
    ScaledRows(const std::vector<Rows>& parts, bool centred, std::int64_t kept_bytes, int threads, Progress& progress);

    std::int64_t size() const { return n_; }
    std::int64_t cols() const { return cols_; }
    int exponent() const { return exponent_; }  // rows were divided by 2^exponent

    // Rows [begin, end) as a dense panel: kept ones, or converted into scratch.
    const T* get(std::int64_t begin, std::int64_t end, LargeVector<T>& scratch) const;

    const T* kept() const { return kept_.empty() ? nullptr : kept_.data(); }
    void drop() { LargeVector<T>().swap(kept_); }

    // Writes their squared norms too, if there is a place for them.
    void convert(std::int64_t begin, std::int64_t end, T* out, double* squares = nullptr) const;

    // The product of every row with `total`.
    std::vector<double> row_sums(int threads, Progress& progress) const;

    std::vector<double> total;          // sum of the rows
    std::vector<double> squared_norms;  // of each

  private:
    template <class F>
    void each_band(int threads, Progress& progress, F&& f) const;

    // Sum over rows of vectors of `cols` numbers; groups of bands share a partial sum, so that few of them are held.
    template <class F>
    std::vector<double> sum_bands(int threads, Progress& progress, F&& f) const;

    // Rows [begin, end) as they are given, from whichever parts hold them.
    template <class Out>
    void load(std::int64_t begin, std::int64_t end, Out* out) const;

    // The first row, if it is far off two others that are near each other; it is then one of them.
    bool is_far_off(std::vector<double>& row) const;

    // Sum of the rows' differences from one of them, and about the largest entry of each.
    template <class S>
    std::vector<double> differences(const std::vector<double>& first, std::vector<double>& largest, int threads,
                                    Progress& progress);

    // S holds the rows as they are read, exactly.
    template <class S>
    void find_shift_and_scale(bool centred, int threads, Progress& progress);

    std::vector<Rows> parts_;
    std::int64_t n_ = 0, cols_, band_ = 1;
    int exponent_ = 0;
    bool exact_ = true;         // T holds the rows as they are read; preprocessed ones are centred in float64 first
    const T* dense_ = nullptr;  // the rows as they are given, if they can be read where they are
    std::ptrdiff_t stride_ = 0;
    std::vector<double> shift_, none_;  // none_: zeros
    LargeVector<T> kept_;
};

extern template class ScaledRows<float>;
extern template class ScaledRows<double>;

}  // namespace kernalign
