// Binds the Moments engine and the sums it finishes to.
#include "bindings/arrays.hpp"
#include "cpu/moments/accumulator.hpp"
#include "cpu/runtime/load.hpp"

namespace kernalign::bindings {
namespace {

using RowNumbers = py::array_t<std::int64_t, py::array::c_style>;

}  // namespace

void bind_moments(py::module_& module) {
    py::class_<PairSums>(module, "PairSums")
        .def(py::init<>())
        .def_readwrite("full", &PairSums::full)
        .def_readwrite("diagonal", &PairSums::diagonal)
        .def_readwrite("rows", &PairSums::rows)
        .def_readwrite("rows_diagonal", &PairSums::rows_diagonal)
        .def_readwrite("diagonal_rows", &PairSums::diagonal_rows)
        .def_readwrite("trace_x", &PairSums::trace_x)
        .def_readwrite("trace_y", &PairSums::trace_y)
        .def_readwrite("total_x", &PairSums::total_x)
        .def_readwrite("total_y", &PairSums::total_y);

    py::class_<MomentSums>(module, "MomentSums")
        .def_readonly("n", &MomentSums::n)
        .def_readonly("widened", &MomentSums::widened)
        .def_property_readonly(
            "exponents", [](const MomentSums& s) { return py::make_tuple(s.side[0].exponent, s.side[1].exponent); })
        .def("pair", &MomentSums::pair, py::arg("a"), py::arg("b"))
        .def(
            "product",
            [](const MomentSums& s, int a, int b) {
                auto copy = without_gil(py::none(), [&](Monitor*) { return LargeVector<double>(s.product(a, b)); });
                return to_numpy(std::move(copy), {s.side[std::size_t(a)].cols, s.side[std::size_t(b)].cols});
            },
            py::arg("a"), py::arg("b"))
        .def("mean", [](const MomentSums& s, int side) { return to_numpy(s.mean(side)); }, py::arg("side"));

    py::class_<Moments>(module, "Moments")
        .def(py::init([](std::int64_t p, std::int64_t q, bool double_precision) {
                 return Moments(p, q, precision_of(double_precision));
             }),
             py::arg("p"), py::arg("q"), py::kw_only(), py::arg("double_precision"))
        .def(
            "update",
            [](Moments& self, const PyRows& x, const PyRows& y, int threads, py::object progress) {
                without_gil(std::move(progress), [&](Monitor* m) { self.update(x.rows(), y.rows(), threads, m); });
            },
            py::arg("x"), py::arg("y"), py::arg("threads"), py::arg("progress"))
        .def(
            "merge",
            [](Moments& self, const Moments& other) { without_gil(py::none(), [&](Monitor*) { self.merge(other); }); },
            py::arg("other"))
        .def(
            "finish",
            [](const Moments& self, bool centred, int threads) {
                return without_gil(py::none(), [&](Monitor* m) { return self.finish(centred, threads, m); });
            },
            py::arg("centred"), py::arg("threads"))
        .def("settle", [](Moments& self) { without_gil(py::none(), [&](Monitor*) { self.settle(); }); })
        .def("copy", [](const Moments& self) { return Moments(self); })
        .def_property_readonly("count", &Moments::count)
        .def_property_readonly("cols", [](const Moments& m) { return py::make_tuple(m.cols(0), m.cols(1)); })
        .def_property_readonly("double_precision", [](const Moments& m) { return m.precision() == Precision::f64; })
        .def("pack", [](const Moments& self) { return to_numpy(self.pack()); })
        .def_static(
            "unpack",
            [](std::int64_t p, std::int64_t q, bool double_precision,
               const py::array_t<double, py::array::c_style>& packed) {
                const std::vector<double> values(packed.data(), packed.data() + packed.size());
                return Moments::unpack(p, q, precision_of(double_precision), values);
            },
            py::arg("p"), py::arg("q"), py::arg("double_precision"), py::arg("packed").noconvert());

    module.def(
        "moment_sums",
        [](const PyRows& x, const PyRows& y, bool double_precision, bool centred, int threads, py::object progress) {
            return without_gil(std::move(progress), [&](Monitor* m) {
                return moment_sums(x.rows(), y.rows(), precision_of(double_precision), centred, threads, m);
            });
        },
        py::arg("x"), py::arg("y"), py::arg("double_precision"), py::arg("centred"), py::arg("threads"),
        py::arg("progress"));
    module.def(
        "held_moment_sums",
        [](const PyRows& x, const PyRows& y, bool double_precision, bool products, bool everything, int threads,
           py::object progress) -> py::object {
            const Keep keep = everything ? Keep::everything : products ? Keep::products : Keep::nothing;
            auto found = without_gil(std::move(progress), [&](Monitor* m) {
                return held_moment_sums(x.rows(), y.rows(), precision_of(double_precision), keep, threads, m);
            });
            if (!found) return py::none();
            return py::make_tuple(found->pairs, found->exponents, std::move(found->moments));
        },
        py::arg("x"), py::arg("y"), py::arg("double_precision"), py::arg("products"), py::arg("everything"),
        py::arg("threads"), py::arg("progress"));
    module.def(
        "check_rows",
        [](const PyRows& rows, int threads) {
            without_gil(py::none(), [&](Monitor* m) { check_rows(rows.rows(), threads, m); });
        },
        py::arg("rows"), py::arg("threads"));
    module.def(
        "moments_row_terms",
        [](const PyRows& x, const PyRows& y, const MomentSums& sums, bool double_precision, int threads) {
            auto terms = without_gil(py::none(), [&](Monitor* m) {
                return moments_row_terms(x.rows(), y.rows(), sums, precision_of(double_precision), threads, m);
            });
            return to_numpy(std::move(terms), {x.rows().rows(), kRowTerms});
        },
        py::arg("x"), py::arg("y"), py::arg("sums"), py::arg("double_precision"), py::arg("threads"));

    py::class_<Centre>(module, "Centre")
        .def_property_readonly("mean", [](const Centre& c) { return to_numpy(std::vector<double>(c.mean)); })
        .def_property_readonly("rest", [](const Centre& c) { return to_numpy(std::vector<double>(c.rest)); })
        .def_readonly("largest", &Centre::largest)
        .def_readwrite("exponent", &Centre::exponent);
    module.def(
        "find_centre",
        [](const PyRows& rows, bool centred, const RowNumbers& omitted, int threads) {
            const Omitted without{omitted.data(), omitted.size()};
            return without_gil(py::none(),
                               [&](Monitor* m) { return find_centre(rows.rows(), centred, without, threads, m); });
        },
        py::arg("rows"), py::arg("centred"), py::arg("omitted"), py::arg("threads"));
    module.def(
        "centred_products",
        [](const PyRows& x, const PyRows& y, const Centre& centre_x, const Centre& centre_y,
           const std::array<bool, 3>& wanted, const RowNumbers& omitted, bool double_precision, int threads,
           py::object progress) {
            const Omitted without{omitted.data(), omitted.size()};
            auto found = without_gil(std::move(progress), [&](Monitor* m) {
                return centred_products(x.rows(), y.rows(), {centre_x, centre_y}, wanted, without,
                                        precision_of(double_precision), threads, m);
            });
            const std::array<std::int64_t, 2> cols{x.rows().cols(), y.rows().cols()};
            const auto product = [&](std::size_t k) {
                const std::int64_t rows = wanted[k] ? cols[k / 2] : 0;
                return to_numpy(std::move(found.products[k]), {rows, cols[(k + 1) / 2]});
            };
            return py::make_tuple(product(0), product(1), product(2), to_numpy(std::move(found.squares[0])),
                                  to_numpy(std::move(found.squares[1])));
        },
        py::arg("x"), py::arg("y"), py::arg("centre_x"), py::arg("centre_y"), py::arg("wanted"), py::arg("omitted"),
        py::arg("double_precision"), py::arg("threads"), py::arg("progress"));
    module.def(
        "self_product",
        [](const py::array_t<double, py::array::c_style>& rows, int threads) {
            require(rows.ndim() == 2, "rows must be 2-D");
            const double* data = rows.data();
            const std::int64_t n = rows.shape(0), cols = rows.shape(1);
            auto product = without_gil(py::none(), [&](Monitor* m) { return self_product(data, n, cols, threads, m); });
            return to_numpy(std::move(product), {cols, cols});
        },
        py::arg("rows").noconvert(), py::arg("threads"));
}

}  // namespace kernalign::bindings
