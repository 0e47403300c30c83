// The names of CUDA's number types that csrc/cuda uses, with the values of its own header.
#pragma once

enum cudaDataType_t { CUDA_R_32F = 0, CUDA_R_16F = 2 };
