// The kernels as plain C++, for the simulated device.
#include "cuda/candidates.cu"
#include "cuda/nearest.cu"
#include "cuda/rows.cu"
