// Rows in device memory as Python holds them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/cuda/dlpack.hpp"
#include "cuda/device.hpp"

namespace kernalign::bindings {

// Somebody else's matrix, or a copy of one that was on the CPU, and how its rows are to be read.
class DeviceRows {
  public:
    DeviceRows(const py::object& array, Rows how, int device);
    DeviceRows(const py::object& array, const PyRows& like, int device);  // which is a copy of it
    DeviceRows(const PyRows& rows, int device);
    DeviceRows(const DeviceRows& other, bool unit_norm, bool zero_mean);  // the same memory

    Rows rows() const;
    cuda::Queue& queue() const { return *memory_->queue; }
    PyRows host(std::int64_t begin, std::int64_t end) const;      // a copy of these rows on the CPU
    PyRows taken(const std::vector<std::int64_t>& listed) const;  // of those
    double largest() const;

  private:
    struct Memory {
        std::optional<ForeignMatrix> foreign;  // outlives the queue, which waits for what it was asked to read
        std::unique_ptr<cuda::Queue> queue;    // outlives what it allocated
        cuda::Buffer<char> copy;
    };
    py::array empty(std::int64_t count) const;
    PyRows like(py::array values) const;

    std::shared_ptr<Memory> memory_;
    std::vector<double> shift_, scale_;
    Rows rows_;  // less its columns' shift and scale
};

void bind_device_rows(py::module_& module);
void bind_search(py::module_& module);
void bind_device_moments(py::module_& module);
void bind_device_grams(py::module_& module);
void bind_devices(py::module_& module);
void bind_simulation(py::module_& module);

}  // namespace kernalign::bindings
