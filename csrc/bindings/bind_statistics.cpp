// Binds the closed forms over small sums.
#include "bindings/arrays.hpp"
#include "statistics.hpp"

namespace kernalign::bindings {

void bind_statistics(py::module_& module) {
    module.def("centred_product", &centred_product, py::arg("n"), py::arg("sums"));
    module.def("u_centred_product", &u_centred_product, py::arg("n"), py::arg("sums"));
    module.def("off_diagonal_product", &off_diagonal_product, py::arg("sums"));
    module.def("u_centred_third_moment", &u_centred_third_moment, py::arg("n"), py::arg("cubes_x"), py::arg("trace_x"),
               py::arg("cubes_y"), py::arg("trace_y"));
    module.def("centred_variance", &centred_variance, py::arg("n"), py::arg("trace_x"), py::arg("square_x"),
               py::arg("diagonal_x"), py::arg("trace_y"), py::arg("square_y"), py::arg("diagonal_y"));
}

}  // namespace kernalign::bindings
