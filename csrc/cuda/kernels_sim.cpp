// The kernels as plain C++, for the simulated device.
#include "cuda/candidates.cu"
#include "cuda/moment_kernels.cu"
#include "cuda/nearest.cu"
#include "cuda/rows.cu"
#include "cuda/tile_kernels.cu"
