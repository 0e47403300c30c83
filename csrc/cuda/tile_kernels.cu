// Instantiates the kernels of Gram tiles.
#include "cuda/launch.hpp"
#include "cuda/tile_kernels.hpp"

namespace kernalign::cuda {

template void launch(Queue&, std::int64_t, const TileValues&);
template void launch(Queue&, std::int64_t, const TileProducts&);
template void launch(Queue&, std::int64_t, const AddUp&);
template void launch(Queue&, std::int64_t, const CountCollect&);

}  // namespace kernalign::cuda
