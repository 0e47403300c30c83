// Instantiates the kernel that scores all pairs.
#include "cuda/exact.hpp"
#include "cuda/launch.hpp"

namespace kernalign::cuda {

template void launch(Queue&, std::int64_t, const Exact<Half>&);
template void launch(Queue&, std::int64_t, const Exact<BFloat16>&);
template void launch(Queue&, std::int64_t, const Exact<float>&);
template void launch(Queue&, std::int64_t, const Exact<double>&);

}  // namespace kernalign::cuda
