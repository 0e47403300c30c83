// Binds the Grams engine.
#include "bindings/arrays.hpp"
#include "grams.hpp"
#include "moments.hpp"

namespace kernalign::bindings {

void bind_grams(py::module_& module) {
    py::class_<GramSums>(module, "GramSums")
        .def_readonly("n", &GramSums::n)
        .def_readonly("widened", &GramSums::widened)
        .def_property_readonly("exponents",
                               [](const GramSums& s) { return py::make_tuple(s.exponent[0], s.exponent[1]); })
        .def(
            "pair", [](const GramSums& s, int a, int b) { return s.pairs[std::size_t(a + b)]; }, py::arg("a"),
            py::arg("b"));
    module.def(
        "gram_sums",
        [](const PyRows& x, const PyRows& y, bool centred, bool double_precision, int threads, py::object progress) {
            GramSums sums;
            without_gil(std::move(progress), [&](Monitor* m) {
                sums = gram_sums(x.rows(), y.rows(), centred, double_precision ? Precision::f64 : Precision::f32,
                                 threads, m);
            });
            return sums;
        },
        py::arg("x"), py::arg("y"), py::arg("centred"), py::arg("double_precision"), py::arg("threads"),
        py::arg("progress"));
    module.def(
        "gram_row_terms",
        [](const PyRows& x, const PyRows& y, bool centred, bool double_precision, int threads) {
            std::vector<double> terms;
            without_gil(py::none(), [&](Monitor* m) {
                terms = gram_row_terms(x.rows(), y.rows(), centred, double_precision ? Precision::f64 : Precision::f32,
                                       threads, m);
            });
            return to_numpy(std::move(terms), {x.rows().rows(), kRowTerms});
        },
        py::arg("x"), py::arg("y"), py::arg("centred"), py::arg("double_precision"), py::arg("threads"));
    module.def(
        "u_centred_cubes",
        [](const PyRows& rows, int threads) {
            CubeSums sums;
            without_gil(py::none(), [&](Monitor* m) { sums = u_centred_cubes(rows.rows(), threads, m); });
            return py::make_tuple(sums.squares, sums.cubes, sums.trace);
        },
        py::arg("rows"), py::arg("threads"));
}

}  // namespace kernalign::bindings
