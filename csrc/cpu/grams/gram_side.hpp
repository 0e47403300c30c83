// One representation as the tiles of its Gram matrix see it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/grams/given_matrix.hpp"
#include "cpu/grams/scaled_rows.hpp"
#include "cpu/products/float_product.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"
#include "kernel.hpp"

namespace kernalign {

constexpr std::int64_t kKeptBytes = 32 << 20;  // converted rows of one side are all kept if they fit

template <class T>
class GramSide {
  public:
    // One thread's converted rows.
    struct Panels {
        LargeVector<T> left, right;
        ProductScratch scratch;
    };

    GramSide(const GramSource& source, bool centred, std::int64_t kept_bytes, int threads, Progress& progress);

    std::int64_t size() const { return n_; }
    int exponent() const { return exponent_; }  // kernel values were divided by 2^exponent
    double pilot() const { return levels_.empty() ? function_.pilot : taken_; }
    bool levelled() const { return !levels_.empty(); }
    bool linear() const { return kernel_.form == KernelForm::linear; }
    const ScaledRows<T>& rows() const { return *rows_; }  // not of a given matrix

    // Numbers of memory that `pack` needs, for tiles of this size; 0 if it would gain nothing.
    std::int64_t packed_size(std::int64_t tile) const;
    // Lays the rows out anew, for `tile` alone: what else reads them must have done so.
    void pack(T* memory);

    // K of rows [i0, i0 + m) and [j0, j0 + k), scaled and without the pilot; where i0 == j0 only above the diagonal.
    void tile(std::int64_t i0, std::int64_t m, std::int64_t j0, std::int64_t k, Panels& panels, T* out) const;

    // Inner products of row i with rows [j, j + count) become squared distances if the kernel is one of them; returns
    // how many have lost digits.
    std::int64_t distances(std::int64_t i, std::int64_t j, std::int64_t count, T* values) const;

    std::vector<double> diagonal;  // K_ii, scaled and without the pilot
    std::vector<double> sums;      // (K1)_i; only of linear kernels
    double plain = 0;              // the kernel's value for equal rows (distances) or rows of zeros, as the diagonal is

  private:
    // The kernel in terms of scaled rows, and its diagonal.
    void set_function(bool by_distance);

    // The pilot of a polynomial, or none, and the diagonal.
    void set_base(bool centred);

    // Squared distances that cancellation has spoiled, anew from differences.
    void refine(const T* row, T norm, const T* others, const T* norms, std::int64_t count, T* values) const;

    // The levels of rows, if some are much higher than most, and what is left of the diagonal.
    void set_levels(int threads, Progress& progress);

    // About the mean of K off the diagonal, as a float32 number, from evenly spaced rows.
    double mean_of_sample() const;

    Kernel kernel_;
    std::int64_t n_;
    int exponent_ = 0;
    GramFunction function_;
    std::unique_ptr<ScaledRows<T>> rows_;
    std::unique_ptr<GivenMatrix<T>> matrix_;
    kernalign::Panels<T> panels_;
    std::vector<double> levels_;  // subtracted from rows and columns, if any
    double taken_ = 0;            // root mean square of what that subtracts
    std::vector<T> norms_;        // squared, where the kernel is one of distances
};

extern template class GramSide<float>;
extern template class GramSide<double>;

}  // namespace kernalign
