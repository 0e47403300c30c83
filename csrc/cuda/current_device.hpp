// Makes a device the thread's current one for a while.
#pragma once

#include <new>

namespace kernalign::cuda {

// By the driver's stack of contexts: cudaSetDevice(before) would make a context on a device that the process may never
// have used, and must perhaps not.
class CurrentDevice {
  public:
    explicit CurrentDevice(int device);
    CurrentDevice(int device, std::nothrow_t) noexcept;  // for what is given back whatever fails
    ~CurrentDevice();
    CurrentDevice(const CurrentDevice&) = delete;
    CurrentDevice& operator=(const CurrentDevice&) = delete;

  private:
    void push(int device);
    bool pushed_ = false;
};

}  // namespace kernalign::cuda
