// The kernels as plain C++, for the simulated device.
#include "cuda/nearest.cu"
#include "cuda/rows.cu"
