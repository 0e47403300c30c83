// Instantiates the kernels of the search through candidates.
#include "cuda/candidates.hpp"
#include "cuda/certify.hpp"
#include "cuda/launch.hpp"
#include "cuda/panels.hpp"

namespace kernalign::cuda {

template void launch(Queue&, std::int64_t, const Centre<Half>&);
template void launch(Queue&, std::int64_t, const Centre<BFloat16>&);
template void launch(Queue&, std::int64_t, const Centre<float>&);
template void launch(Queue&, std::int64_t, const Centre<double>&);
template void launch(Queue&, std::int64_t, const Panels<Half>&);
template void launch(Queue&, std::int64_t, const Panels<BFloat16>&);
template void launch(Queue&, std::int64_t, const Panels<float>&);
template void launch(Queue&, std::int64_t, const Panels<double>&);
template void launch(Queue&, std::int64_t, const Certify<Half>&);
template void launch(Queue&, std::int64_t, const Certify<BFloat16>&);
template void launch(Queue&, std::int64_t, const Certify<float>&);
template void launch(Queue&, std::int64_t, const Certify<double>&);
template void launch(Queue&, std::int64_t, const Select&);
template void launch(Queue&, std::int64_t, const Shrink&);
template void launch(Queue&, std::int64_t, const Forget&);
template void launch(Queue&, std::int64_t, const Need&);

}  // namespace kernalign::cuda
