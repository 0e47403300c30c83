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
    DeviceRows(const py::object& array, std::string name, int device, bool unit_norm, bool zero_mean, bool paired);
    DeviceRows(const PyRows& rows, int device);

    Rows rows() const { return rows_; }
    cuda::Queue& queue() const { return *queue_; }
    PyRows host(std::int64_t begin, std::int64_t end) const;      // a copy of these rows on the CPU
    PyRows taken(const std::vector<std::int64_t>& listed) const;  // of those
    double largest() const;

  private:
    py::array empty(std::int64_t count) const;
    PyRows like(py::array values) const;

    std::unique_ptr<cuda::Queue> queue_;  // outlives what it allocated
    std::optional<ForeignMatrix> foreign_;
    cuda::Buffer<char> copy_;
    std::vector<double> shift_, scale_;
    Rows rows_;
};

void bind_device_rows(py::module_& module);
void bind_search(py::module_& module);
void bind_device_moments(py::module_& module);
void bind_device_grams(py::module_& module);
void bind_devices(py::module_& module);
void bind_simulation(py::module_& module);

}  // namespace kernalign::bindings
