// The Moments engine of a device for Python.
#include "bindings/cuda/device_rows.hpp"
#include "cpu/moments/accumulator.hpp"
#include "cuda/moment_stream.hpp"

namespace kernalign::bindings {

void bind_device_moments(py::module_& module) {
    using cuda::DeviceMoments;
    py::class_<DeviceMoments>(module, "Moments", py::module_local())
        .def(py::init([](int device, const Moments& begun) {
                 return std::make_unique<DeviceMoments>(device, begun.state(), begun.precision());
             }),
             py::arg("device"), py::arg("begun"))
        .def(
            "update",
            [](DeviceMoments& self, const DeviceRows& x, const DeviceRows& y, py::object progress) {
                without_gil(std::move(progress),
                            [&](Monitor* m) { self.update(x.queue(), x.rows(), y.queue(), y.rows(), m); });
            },
            py::arg("x"), py::arg("y"), py::arg("progress"))
        .def(
            "finish",
            [](const DeviceMoments& self, bool centred) {
                return without_gil(py::none(), [&](Monitor* m) { return self.finish(centred, m); });
            },
            py::arg("centred"))
        .def("host",
             [](const DeviceMoments& self) {
                 return without_gil(py::none(),
                                    [&](Monitor* m) { return Moments::of(self.state(m), self.precision()); });
             })
        .def_property_readonly("device", &DeviceMoments::device)
        .def_property_readonly("double_precision",
                               [](const DeviceMoments& m) { return m.precision() == Precision::f64; })
        .def_property_readonly("count", &DeviceMoments::count)
        .def_property_readonly("cols", [](const DeviceMoments& m) { return py::make_tuple(m.cols(0), m.cols(1)); });
}

}  // namespace kernalign::bindings
