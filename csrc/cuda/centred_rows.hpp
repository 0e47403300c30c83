// Rows in device memory, shifted and scaled, in float32 or float64: what products along edges and Gram tiles are made
// of.
#pragma once

#include <vector>

#include "cuda/device.hpp"
#include "cuda/prepared_rows.hpp"

namespace kernalign::cuda {

// The column means, and the largest distance of an entry from that of the first row.
struct Spread {
    std::vector<double> mean;
    double largest = 0;
};
Spread spread_of(Queue& queue, const AnyRows& rows);

// (x - shift) * factor, densely, and the squared lengths.
template <class T>
struct CentredRows {
    Buffer<T> points;
    Buffer<double> norms;
};
template <class T>
CentredRows<T> centred_rows(Queue& queue, const AnyRows& rows, const double* shift, double factor);

}  // namespace kernalign::cuda
