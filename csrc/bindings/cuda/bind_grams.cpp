// The Grams engine of a device for Python.
#include "bindings/cuda/device_rows.hpp"
#include "cuda/gram_sweep.hpp"

namespace kernalign::bindings {
namespace {

// A source that keeps its rows alive.
struct PyDeviceSource {
    std::shared_ptr<DeviceRows> rows;
    Kernel kernel;
    Precision precision;

    cuda::DeviceSource get() const { return {&rows->queue(), rows->rows(), kernel, precision}; }
};

}  // namespace

void bind_device_grams(py::module_& module) {
    py::class_<PyDeviceSource>(module, "GramSource", py::module_local())
        .def(py::init([](std::shared_ptr<DeviceRows> rows, const std::string& form, double width, double offset,
                         int degree, bool levelled, bool double_precision) {
                 return PyDeviceSource{
                     std::move(rows), {form_of(form), width, offset, degree, levelled}, precision_of(double_precision)};
             }),
             py::arg("rows"), py::arg("form"), py::arg("width") = 1.0, py::arg("offset") = 0.0, py::arg("degree") = 1,
             py::arg("levelled") = false, py::arg("double_precision") = true);
    module.def(
        "gram_sums",
        [](const std::vector<PyDeviceSource>& sources, bool centred, py::object progress, std::int64_t tile) {
            std::vector<cuda::DeviceSource> all;
            for (const PyDeviceSource& source : sources) all.push_back(source.get());
            return without_gil(std::move(progress), [&](Monitor* m) { return cuda::gram_sums(all, centred, tile, m); });
        },
        py::arg("sources"), py::arg("centred"), py::arg("progress") = py::none(), py::arg("tile") = cuda::kLargestTile);
    module.def(
        "median_distance",
        [](const PyDeviceSource& source, bool off_diagonal, py::object progress, std::int64_t tile,
           std::int64_t collected) {
            return without_gil(std::move(progress), [&](Monitor* m) {
                return cuda::median_distance(source.get(), off_diagonal, tile, collected, m);
            });
        },
        py::arg("source"), py::arg("off_diagonal"), py::arg("progress") = py::none(),
        py::arg("tile") = cuda::kLargestTile, py::arg("collected") = cuda::kCollected);
}

}  // namespace kernalign::bindings
