// Instantiates the kernels of Gram tiles and of neighbour graphs.
#include "cuda/edge_kernels.hpp"
#include "cuda/launch.hpp"
#include "cuda/tile_kernels.hpp"

namespace kernalign::cuda {

template void launch(Queue&, std::int64_t, const TileValues<float>&);
template void launch(Queue&, std::int64_t, const TileValues<double>&);
template void launch(Queue&, std::int64_t, const TileProducts&);
template void launch(Queue&, std::int64_t, const AddUp&);
template void launch(Queue&, std::int64_t, const CountCollect&);
template void launch(Queue&, std::int64_t, const SampledPairs<float>&);
template void launch(Queue&, std::int64_t, const SampledPairs<double>&);
template void launch(Queue&, std::int64_t, const Edges&);

}  // namespace kernalign::cuda
