// Binds the Grams engine.
#include <array>
#include <utility>

#include "bindings/arrays.hpp"
#include "grams.hpp"
#include "moments.hpp"

namespace kernalign::bindings {
namespace {

// A GramSource that keeps the arrays it points into alive.
struct PySource {
    std::vector<PyRows> parts;
    GramSource source;

    PySource(std::vector<PyRows> rows, const std::string& form, double width, double offset, int degree,
             bool double_precision, bool levelled)
        : parts(std::move(rows)) {
        require(!parts.empty(), "a source needs rows");
        for (const PyRows& part : parts) {
            require(part.rows().cols() == parts.front().rows().cols(), "parts must have the same number of columns");
            source.parts.push_back(part.rows());
        }
        source.kernel = {form_of(form), width, offset, degree, levelled};
        source.precision = precision_of(double_precision);
    }
    // Made anew, since a copied PyRows points into its own vectors.
    GramSource get() const {
        GramSource fresh = source;
        for (std::size_t i = 0; i < parts.size(); ++i) fresh.parts[i] = parts[i].rows();
        return fresh;
    }
};

template <class T>
py::tuple of_sides(const GramSums& sums, T GramSums::Side::* member) {
    py::list out;
    for (const GramSums::Side& side : sums.sides) out.append(side.*member);
    return out;
}

}  // namespace

void bind_grams(py::module_& module) {
    py::class_<PySource>(module, "GramSource")
        .def(py::init<std::vector<PyRows>, std::string, double, double, int, bool, bool>(), py::arg("parts"),
             py::arg("form"), py::kw_only(), py::arg("width") = 1.0, py::arg("offset") = 0.0, py::arg("degree") = 1,
             py::arg("double_precision") = true, py::arg("levelled") = false)
        .def_property_readonly("n", [](const PySource& s) { return s.source.rows(); });
    py::class_<GramSums>(module, "GramSums")
        .def_readonly("n", &GramSums::n)
        .def_property_readonly("exponents", [](const GramSums& s) { return of_sides(s, &GramSums::Side::exponent); })
        .def_property_readonly("widened", [](const GramSums& s) { return of_sides(s, &GramSums::Side::widened); })
        .def(
            "pilot", [](const GramSums& s, std::size_t side) { return s.sides.at(side).pilot; }, py::arg("side"))
        .def(
            "plain", [](const GramSums& s, std::size_t side) { return s.sides.at(side).plain; }, py::arg("side"))
        .def(
            "row_sums",
            [](const GramSums& s, std::size_t side, bool hollow) {
                std::vector<double> sums = hollow ? s.sides.at(side).hollow : s.sides.at(side).sums;
                return to_numpy(std::move(sums));
            },
            py::arg("side"), py::arg("hollow"))
        .def("pair", &GramSums::pair, py::arg("a"), py::arg("b"), py::arg("hollow"))
        .def("u_centred",
             [](const GramSums& s) {
                 const auto count = py::ssize_t(s.sides.size());
                 return to_numpy(s.u_centred(), {count, count});
             })
        .def("pack", [](const GramSums& s) { return to_numpy(s.pack()); })
        .def_static(
            "unpack",
            [](const py::array_t<double, py::array::c_style>& packed) {
                return GramSums::unpack({packed.data(), packed.data() + packed.size()});
            },
            py::arg("packed"));
    module.def(
        "gram_sums",
        [](const std::vector<PySource>& sources, bool centred, int threads, py::object progress) {
            std::vector<GramSource> all;
            for (const PySource& source : sources) all.push_back(source.get());
            return without_gil(std::move(progress), [&](Monitor* m) { return gram_sums(all, centred, threads, m); });
        },
        py::arg("sources"), py::arg("centred"), py::arg("threads"), py::arg("progress"));
    module.def(
        "small_gram_sums",
        [](const PyRows& x, const PyRows& y, bool double_precision) -> py::object {
            const auto found = without_gil(py::none(), [&](Monitor*) {
                return small_gram_sums(x.rows(), y.rows(), precision_of(double_precision));
            });
            return found ? py::make_tuple(found->pairs, found->hollow, found->exponents) : py::object(py::none());
        },
        py::arg("x"), py::arg("y"), py::arg("double_precision"));
    module.def(
        "gram_row_terms",
        [](const PySource& x, const PySource& y, const GramSums& sums, bool centred, bool with_diagonal, int threads) {
            const std::array<GramSource, 2> both{x.get(), y.get()};
            auto terms = without_gil(
                py::none(), [&](Monitor* m) { return gram_row_terms(both, sums, centred, with_diagonal, threads, m); });
            return to_numpy(std::move(terms), {both[0].rows(), kRowTerms});
        },
        py::arg("x"), py::arg("y"), py::arg("sums"), py::arg("centred"), py::arg("with_diagonal"), py::arg("threads"));
    module.def(
        "u_centred_cubes",
        [](const PySource& source, int threads) {
            const GramSource wanted = source.get();
            const CubeSums sums =
                without_gil(py::none(), [&](Monitor* m) { return u_centred_cubes(wanted, threads, m); });
            return py::make_tuple(sums.squares, sums.cubes, sums.trace, sums.rows);
        },
        py::arg("source"), py::arg("threads"));
    module.def(
        "median_distance",
        [](const PySource& source, bool off_diagonal, int threads, py::object progress) {
            const GramSource wanted = source.get();
            return without_gil(std::move(progress),
                               [&](Monitor* m) { return median_distance(wanted, off_diagonal, threads, m); });
        },
        py::arg("source"), py::arg("off_diagonal"), py::arg("threads"), py::arg("progress"));
    module.def(
        "condensed_gram",
        [](const PySource& source, bool centred, int threads, py::object progress, bool restored) {
            const GramSource wanted = source.get();
            return to_numpy(without_gil(std::move(progress), [&](Monitor* m) {
                return condensed_gram(wanted, centred, threads, m, restored);
            }));
        },
        py::arg("source"), py::arg("centred"), py::arg("threads"), py::arg("progress"), py::arg("restored"));
}

}  // namespace kernalign::bindings
