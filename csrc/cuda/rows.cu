// Instantiates the kernels that examine and preprocess rows.
#include "cuda/launch.hpp"
#include "cuda/row_kernels.hpp"

namespace kernalign::cuda {

template void launch(Queue&, std::int64_t, const Squares<Half>&);
template void launch(Queue&, std::int64_t, const Squares<BFloat16>&);
template void launch(Queue&, std::int64_t, const Squares<float>&);
template void launch(Queue&, std::int64_t, const Squares<double>&);
template void launch(Queue&, std::int64_t, const Divisors<Half>&);
template void launch(Queue&, std::int64_t, const Divisors<BFloat16>&);
template void launch(Queue&, std::int64_t, const Divisors<float>&);
template void launch(Queue&, std::int64_t, const Divisors<double>&);
template void launch(Queue&, std::int64_t, const Preprocess<Half>&);
template void launch(Queue&, std::int64_t, const Preprocess<BFloat16>&);
template void launch(Queue&, std::int64_t, const Preprocess<float>&);
template void launch(Queue&, std::int64_t, const Preprocess<double>&);
template void launch(Queue&, std::int64_t, const Gather<Half>&);
template void launch(Queue&, std::int64_t, const Gather<BFloat16>&);
template void launch(Queue&, std::int64_t, const Gather<float>&);
template void launch(Queue&, std::int64_t, const Gather<double>&);

}  // namespace kernalign::cuda
