// Rows in device memory, shifted and scaled, in float32 or float64: what products along edges and Gram tiles are made
// of.
#include "cuda/centred_rows.hpp"

#include <algorithm>

#include "cuda/moment_kernels.hpp"

namespace kernalign::cuda {

Spread spread_of(Queue& queue, const AnyRows& rows) {
    const std::int64_t chunks = Columns<double>::chunks(rows.count), cols = rows.cols;
    const Buffer<double> sums(queue, chunks * cols), largest(queue, chunks * cols), first(queue, cols);
    rows.with(0, rows.count, [&](auto x) {
        Columns<typename decltype(x)::Element> kernel;
        kernel.x = x;
        kernel.sums = Written<double>(sums.get());
        kernel.largest = Written<double>(largest.get());
        kernel.first = Written<double>(first.get());
        launch(queue, kernel.blocks(rows.count, cols), kernel);
    });
    const std::vector<double> sum = sums.values(), most = largest.values();
    Spread found{first.values(), *std::max_element(most.begin(), most.end())};
    for (std::int64_t j = 0; j < cols; ++j) {
        double total = 0;
        for (std::int64_t chunk = 0; chunk < chunks; ++chunk) total += sum[std::size_t(chunk * cols + j)];
        found.mean[std::size_t(j)] += total / double(rows.count);
    }
    return found;
}

template <class T>
CentredRows<T> centred_rows(Queue& queue, const AnyRows& rows, const double* shift, double factor) {
    CentredRows<T> made{Buffer<T>(queue, rows.count * rows.cols), Buffer<double>(queue, rows.count)};
    rows.with(0, rows.count, [&](auto x) {
        Centred<typename decltype(x)::Element, T> kernel;
        kernel.x = x;
        kernel.shift = shift;
        kernel.factor = factor;
        kernel.out = Written<T>(made.points.get());
        kernel.norms = Written<double>(made.norms.get());
        kernel.width = rows.cols;
        kernel.apart = 1;
        launch(queue, kernel.blocks(rows.count), kernel);
    });
    return made;
}

template CentredRows<float> centred_rows(Queue& queue, const AnyRows& rows, const double* shift, double factor);
template CentredRows<double> centred_rows(Queue& queue, const AnyRows& rows, const double* shift, double factor);

}  // namespace kernalign::cuda
