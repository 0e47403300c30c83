// The Neighbors engine of a device for Python.
#include "bindings/cuda/device_rows.hpp"
#include "cuda/nearest.hpp"

namespace kernalign::bindings {

void bind_search(py::module_& module) {
    module.def(
        "nearest_neighbors",
        [](const DeviceRows& x, std::int64_t k, const std::string& metric, py::object progress) {
            const Similarity similarity = similarity_of(metric);
            Neighbors found = without_gil(std::move(progress), [&](Monitor* monitor) {
                return cuda::nearest_neighbors(x.queue(), x.rows(), k, similarity, monitor);
            });
            const py::ssize_t n = found.n, width = found.k;
            return py::make_tuple(to_numpy(std::move(found.index), {n, width}),
                                  to_numpy(std::move(found.similarity), {n, width}),
                                  to_numpy(std::move(found.tie), {n}), found.repeated);
        },
        py::arg("x"), py::arg("k"), py::arg("metric"), py::arg("progress") = py::none());
}

}  // namespace kernalign::bindings
