// Instantiates the kernels that centre rows.
#include "cuda/launch.hpp"
#include "cuda/moment_kernels.hpp"

namespace kernalign::cuda {

template void launch(Queue&, std::int64_t, const Columns<Half>&);
template void launch(Queue&, std::int64_t, const Columns<BFloat16>&);
template void launch(Queue&, std::int64_t, const Columns<float>&);
template void launch(Queue&, std::int64_t, const Columns<double>&);
template void launch(Queue&, std::int64_t, const Centred<Half>&);
template void launch(Queue&, std::int64_t, const Centred<BFloat16>&);
template void launch(Queue&, std::int64_t, const Centred<float>&);
template void launch(Queue&, std::int64_t, const Centred<double>&);
template void launch(Queue&, std::int64_t, const Centred<Half, float>&);
template void launch(Queue&, std::int64_t, const Centred<BFloat16, float>&);
template void launch(Queue&, std::int64_t, const Centred<float, float>&);
template void launch(Queue&, std::int64_t, const Centred<double, float>&);
template void launch(Queue&, std::int64_t, const Borders&);
template void launch(Queue&, std::int64_t, const Narrowed&);
template void launch(Queue&, std::int64_t, const AddNarrow&);
template void launch(Queue&, std::int64_t, const Widen<Half>&);
template void launch(Queue&, std::int64_t, const Widen<BFloat16>&);
template void launch(Queue&, std::int64_t, const Widen<float>&);
template void launch(Queue&, std::int64_t, const Widen<double>&);

}  // namespace kernalign::cuda
