// Binds the closed forms over small sums.
#include <array>

#include "bindings/arrays.hpp"
#include "statistics.hpp"

namespace kernalign::bindings {
namespace {

NeighborGraph graph_of(double k, const std::array<double, 3>& sums) { return {k, sums[0], sums[1], sums[2]}; }

}  // namespace

void bind_statistics(py::module_& module) {
    module.def("centred_product", &centred_product, py::arg("n"), py::arg("sums"));
    module.def("u_centred_product", &u_centred_product, py::arg("n"), py::arg("sums"));
    module.def("off_diagonal_product", &off_diagonal_product, py::arg("sums"));
    module.def("u_centred_third_moment", &u_centred_third_moment, py::arg("n"), py::arg("cubes_x"), py::arg("trace_x"),
               py::arg("cubes_y"), py::arg("trace_y"));
    module.def("centred_variance", &centred_variance, py::arg("n"), py::arg("trace_x"), py::arg("square_x"),
               py::arg("diagonal_x"), py::arg("trace_y"), py::arg("square_y"), py::arg("diagonal_y"));
    module.def(
        "knn_overlap_variance",
        [](std::int64_t n, double k_x, const std::array<double, 3>& x, double k_y, const std::array<double, 3>& y) {
            return knn_overlap_variance(n, graph_of(k_x, x), graph_of(k_y, y));
        },
        py::arg("n"), py::arg("k_x"), py::arg("x"), py::arg("k_y"), py::arg("y"));
}

}  // namespace kernalign::bindings
