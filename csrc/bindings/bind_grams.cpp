// Binds the Grams engine.
#include <algorithm>
#include <array>
#include <utility>

#include "bindings/arrays.hpp"
#include "grams.hpp"
#include "moments.hpp"

namespace kernalign::bindings {
namespace {

KernelForm form_of(const std::string& name) {
    static const std::array<std::pair<const char*, KernelForm>, 7> forms = {{
        {"linear", KernelForm::linear},
        {"polynomial", KernelForm::polynomial},
        {"rbf", KernelForm::rbf},
        {"laplacian", KernelForm::laplacian},
        {"sqeuclidean", KernelForm::sqeuclidean},
        {"euclidean", KernelForm::euclidean},
        {"precomputed", KernelForm::precomputed},
    }};
    for (const auto& [known, form] : forms)
        if (name == known) return form;
    throw py::value_error("unknown kernel form " + name);
}

// A GramSource that keeps the arrays it points into alive.
struct PySource {
    std::vector<PyRows> parts;
    GramSource source;

    PySource(std::vector<PyRows> rows, const std::string& form, double width, double offset, int degree,
             bool double_precision)
        : parts(std::move(rows)) {
        require(!parts.empty(), "a source needs rows");
        for (const PyRows& part : parts) {
            require(part.rows().cols() == parts.front().rows().cols(), "parts must have the same number of columns");
            source.parts.push_back(part.rows());
        }
        source.kernel = {form_of(form), width, offset, degree};
        source.precision = double_precision ? Precision::f64 : Precision::f32;
    }
    // Made anew, since a copied PyRows points into its own vectors.
    GramSource get() const {
        GramSource fresh = source;
        for (std::size_t i = 0; i < parts.size(); ++i) fresh.parts[i] = parts[i].rows();
        return fresh;
    }
};

}  // namespace

void bind_grams(py::module_& module) {
    py::class_<PySource>(module, "GramSource")
        .def(py::init<std::vector<PyRows>, std::string, double, double, int, bool>(), py::arg("parts"), py::arg("form"),
             py::kw_only(), py::arg("width") = 1.0, py::arg("offset") = 0.0, py::arg("degree") = 1,
             py::arg("double_precision") = true)
        .def_property_readonly("n", [](const PySource& s) { return s.source.rows(); });
    py::class_<GramSums>(module, "GramSums")
        .def_readonly("n", &GramSums::n)
        .def_property_readonly("exponents",
                               [](const GramSums& s) {
                                   py::list out;
                                   for (const GramSums::Side& side : s.sides) out.append(side.exponent);
                                   return py::tuple(out);
                               })
        .def_property_readonly("widened",
                               [](const GramSums& s) {
                                   py::list out;
                                   for (const GramSums::Side& side : s.sides) out.append(side.widened);
                                   return py::tuple(out);
                               })
        .def(
            "pilot", [](const GramSums& s, int side) { return s.sides.at(std::size_t(side)).pilot; }, py::arg("side"))
        .def(
            "plain", [](const GramSums& s, int side) { return s.sides.at(std::size_t(side)).plain; }, py::arg("side"))
        .def(
            "row_sums",
            [](const GramSums& s, int side, bool hollow) {
                const GramSums::Side& one = s.sides.at(std::size_t(side));
                std::vector<double> sums = hollow ? one.hollow : one.sums;
                const auto n = py::ssize_t(sums.size());
                return to_numpy(std::move(sums), {n});
            },
            py::arg("side"), py::arg("hollow"))
        .def(
            "pair",
            [](const GramSums& s, int a, int b, bool hollow) {
                require(0 <= a && 0 <= b && std::size_t(std::max(a, b)) < s.sides.size(), "no such side");
                return s.pair(std::size_t(a), std::size_t(b), hollow);
            },
            py::arg("a"), py::arg("b"), py::arg("hollow"));
    module.def(
        "gram_sums",
        [](const std::vector<PySource>& sources, bool centred, int threads, py::object progress) {
            std::vector<GramSource> all;
            for (const PySource& source : sources) all.push_back(source.get());
            GramSums sums;
            without_gil(std::move(progress), [&](Monitor* m) { sums = gram_sums(all, centred, threads, m); });
            return sums;
        },
        py::arg("sources"), py::arg("centred"), py::arg("threads"), py::arg("progress"));
    module.def(
        "gram_row_terms",
        [](const PySource& x, const PySource& y, const GramSums& sums, bool centred, bool with_diagonal, int threads) {
            std::vector<double> terms;
            without_gil(py::none(), [&](Monitor* m) {
                terms = gram_row_terms({x.get(), y.get()}, sums, centred, with_diagonal, threads, m);
            });
            return to_numpy(std::move(terms), {x.source.rows(), kRowTerms});
        },
        py::arg("x"), py::arg("y"), py::arg("sums"), py::arg("centred"), py::arg("with_diagonal"), py::arg("threads"));
    module.def(
        "u_centred_cubes",
        [](const PySource& source, int threads) {
            CubeSums sums;
            const GramSource wanted = source.get();
            without_gil(py::none(), [&](Monitor* m) { sums = u_centred_cubes(wanted, threads, m); });
            return py::make_tuple(sums.squares, sums.cubes, sums.trace);
        },
        py::arg("source"), py::arg("threads"));
    module.def(
        "median_distance",
        [](const PySource& source, bool off_diagonal, int threads, py::object progress) {
            double median = 0;
            const GramSource wanted = source.get();
            without_gil(std::move(progress),
                        [&](Monitor* m) { median = median_distance(wanted, off_diagonal, threads, m); });
            return median;
        },
        py::arg("source"), py::arg("off_diagonal"), py::arg("threads"), py::arg("progress"));
    module.def(
        "condensed_gram",
        [](const PySource& source, bool centred, int threads, py::object progress) {
            std::vector<double> values;
            const GramSource wanted = source.get();
            without_gil(std::move(progress), [&](Monitor* m) { values = condensed_gram(wanted, centred, threads, m); });
            const auto size = py::ssize_t(values.size());
            return to_numpy(std::move(values), {size});
        },
        py::arg("source"), py::arg("centred"), py::arg("threads"), py::arg("progress"));
}

}  // namespace kernalign::bindings
