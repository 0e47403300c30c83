// Rows as panels whose products bound similarities from above (the bound of neighbors.hpp).
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/neighbors/exact_rows.hpp"

namespace kernalign {

// What all panels of one search share: the centre m and the scale e.
struct Frame {
    std::vector<double> centre;  // m
    double scale = 1;            // e, a power of two: every |C_i| is below 2
    double base = 0;             // |M|^2, M = e m; 0 for euclidean

    // Of the rows, and of others that will ask for their neighbours among them.
    Frame(const ExactRows& rows, int threads, Monitor* monitor, const ExactRows* others = nullptr);

    // What a row's bound consists of and pays besides its products, from sums = {|C|^2, m.C}; unit is that of the sums
    // with h'.
    struct Terms {
        double h, raised;  // h_i and h'_i
        double truth;      // gamma64_d (|C_i| + |M|)^2; 0 for euclidean, whose h' pays it
    };
    Terms terms(const double* sums, double unit) const;

    double gamma64;      // of sums of d terms, and a few more, in float64
    double centre_norm;  // |M|, rounded up
    Similarity similarity;
};

// T is float or double.
template <class T>
class BoundPanels {
  public:
    BoundPanels(const ExactRows& rows, const Frame& frame);

    std::int64_t width() const { return rows_.cols() + 1; }           // coordinates, g included
    std::int64_t stride() const { return (width() + 15) / 16 * 16; }  // leading dimension of a panel
    // p_i and g_i, h'_i, and how far h'_i was raised.
    void fill(std::int64_t row, T* coordinates, T* offset, float* raised, double* scratch) const;

    // The least value of U that a row of similarity s or more can have.
    double threshold(double s) const;

  private:
    const ExactRows& rows_;
    const Frame& frame_;
    double by_norm_, by_truth_, unit_;  // coefficients of g_i^2; the unit roundoff of T
};

extern template class BoundPanels<float>;
extern template class BoundPanels<double>;

}  // namespace kernalign
