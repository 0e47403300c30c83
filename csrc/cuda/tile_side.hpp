// One representation in a device's memory as the tiles of its Gram matrix see it.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/gram_sweep.hpp"
#include "cuda/products.hpp"
#include "cuda/rows.hpp"
#include "gram_function.hpp"

namespace kernalign::cuda {

// Rows and columns of a tile of the upper triangle.
struct Tile {
    std::int64_t row0, rows, col0, cols;
    std::int64_t entries() const { return rows * cols; }
};
std::vector<Tile> upper_tiles(std::int64_t n, std::int64_t size);

// Tiles of several sides in memory, as large as fits.
struct Tiling {
    std::int64_t size = 0, in_flight = 1;  // rows; tiles between two polls
    Buffer<double> values;

    Tiling(Queue& queue, const std::vector<DeviceSource>& sides, std::int64_t most);
};

class TileSide {
  public:
    TileSide(Queue& queue, const DeviceSource& source, bool centred, Monitor* monitor);

    // The sums of its rows' values off the diagonal grow by those of the tile, which is made at `to`, densely. Products
    // of narrow rows come to `narrow` first, which may be null where rows are not.
    void add_tile(const Tile& tile, std::int64_t size, Products& products, double* to, float* narrow);
    // Squared distances, in place of kernel values; no sums.
    void distances(const Tile& tile, Products& products, double* to, float* narrow);
    // Squared distances of pairs of rows, about `least` of them.
    Buffer<double> sampled_pairs(std::int64_t least) const;

    std::int64_t size() const { return n_; }
    bool narrow() const { return narrow_.get() != nullptr; }  // rows and products are float32
    const std::vector<double>& squared_lengths() const { return squares_; }
    int rows_exponent() const { return rows_exponent_; }
    GramSums::Side finish() const;

  private:
    std::vector<double> sample(std::int64_t count) const;               // evenly spaced rows, scaled
    std::vector<double> distances_of_sample(std::int64_t count) const;  // squared
    double mean_of_sample(const GramFunction& function) const;
    void place(const AnyRows& rows, const std::vector<double>& shift, bool narrow, Monitor* monitor);
    template <class F>
    auto with_points(F&& f) const {  // f(whichever there are)
        return narrow() ? f(static_cast<const float*>(narrow_.get())) : f(static_cast<const double*>(points_.get()));
    }
    void values(const Tile& tile, const GramFunction& function, bool distance, std::int64_t line, Products& products,
                double* to, float* narrow, bool levelled);
    void set_levels();

    Queue& queue_;
    Kernel kernel_;
    std::int64_t n_, cols_;
    int rows_exponent_ = 0;
    bool by_distance_;
    ScaledKernel scaled_;
    bool widened_ = false;  // to float64 although float32 was asked for
    double plain_ = 0, taken_ = 0;
    std::vector<double> levels_;   // subtracted from rows and columns, if any
    std::vector<double> squares_;  // of the rows' lengths
    Buffer<double> points_;
    Buffer<float> narrow_;  // in the place of points_
    Buffer<double> norms_, levels_there_, sums_, by_row_, by_column_;
};

}  // namespace kernalign::cuda
