// Makes a device the thread's current one for a while.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace kernalign::cuda {

class CurrentDevice {
  public:
    explicit CurrentDevice(int device) {
        if (cudaGetDevice(&before_) != cudaSuccess) before_ = device;
        changed_ = before_ != device;
        const cudaError_t status = changed_ ? cudaSetDevice(device) : cudaSuccess;
        if (status != cudaSuccess)
            throw std::runtime_error("CUDA device " + std::to_string(device) +
                                     " cannot be used: " + cudaGetErrorString(status));
    }
    ~CurrentDevice() {
        if (changed_) cudaSetDevice(before_);
    }
    CurrentDevice(const CurrentDevice&) = delete;
    CurrentDevice& operator=(const CurrentDevice&) = delete;

  private:
    int before_ = 0;
    bool changed_ = false;
};

}  // namespace kernalign::cuda
