// Rows in a few coordinates, of which products bound those of whole rows from above (the projected bound of
// neighbors.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/neighbors/bound_panels.hpp"

namespace kernalign {

class Projection {
  public:
    // On the directions in which a sample of the rows differs most, as many as pay; null if they never would.
    static std::unique_ptr<Projection> sampled(const BoundPanels<float>& panels, std::int64_t rows, std::int64_t k);

    // On given columns (cols x size), which need not be orthonormal: what they lack is paid.
    Projection(const BoundPanels<float>& panels, const std::vector<float>& basis, std::int64_t size);

    bool sound() const { return sound_; }                             // else the columns are too far from orthonormal
    std::int64_t size() const { return size_; }                       // r
    std::int64_t width() const { return size_ + 2; }                  // with rho and g'
    std::int64_t stride() const { return (width() + 15) / 16 * 16; }  // floats of a row

    // P_i, rho_i and g'_i of count rows from their panels, which are stride() of the panels apart.
    void fill(const float* rows, std::int64_t count, float* out) const;

  private:
    std::int64_t cols_, row_stride_, size_;
    std::vector<float> basis_;  // cols x size
    double skew_ = 0;           // delta
    double wrong_ = 0;          // eta
    double lost_ = 0;
    bool sound_ = false;
};

}  // namespace kernalign
