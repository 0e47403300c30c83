// Multiplies centred rows in device memory along the edges of a neighbour graph.
#include "cuda/edge_products.hpp"

#include "cuda/centred_rows.hpp"
#include "cuda/edge_kernels.hpp"

namespace kernalign::cuda {

EdgeProducts edge_products(Queue& queue, const Rows& rows, const std::vector<std::int32_t>& index, Monitor* monitor) {
    const PreparedRows prepared(queue, rows, Similarity::dot, monitor);
    const std::int64_t n = rows.rows(), size = std::int64_t(index.size());
    const std::vector<double> mean = spread_of(queue, prepared.any()).mean;
    const Buffer<double> shift(queue, mean);
    const CentredRows<double> centred = centred_rows<double>(queue, prepared.any(), shift.get(), 1.0);
    const Buffer<std::int32_t> neighbours(queue, index);
    const Buffer<double> edge(queue, size), projection(queue, n);
    Edges kernel;
    kernel.points = centred.points.get();
    kernel.mean = shift.get();
    kernel.index = neighbours.get();
    kernel.k = size / n;
    kernel.cols = rows.cols();
    kernel.edge = Written<double>(edge.get());
    kernel.projection = Written<double>(projection.get());
    launch(queue, n, kernel);
    queue.wait(monitor);
    EdgeProducts found;
    found.edge = edge.values();
    found.square = centred.norms.values();
    found.projection = projection.values();
    for (const double m : mean) found.mean_square += m * m;
    return found;
}

}  // namespace kernalign::cuda
