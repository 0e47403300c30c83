// Binds the decompositions of dense matrices.
#include "bindings/arrays.hpp"
#include "decompositions.hpp"

namespace kernalign::bindings {
namespace {

using ByRows = py::array_t<double, py::array::c_style | py::array::forcecast>;
using ByColumns = py::array_t<double, py::array::f_style | py::array::forcecast>;

Dense copy(const py::array_t<double>& matrix, const char* name) {
    require(matrix.ndim() == 2, std::string(name) + " must be a matrix");
    return Dense(matrix.data(), matrix.data() + matrix.size());
}

std::int64_t order(const py::array_t<double>& matrix, const char* name) {
    require(matrix.ndim() == 2 && matrix.shape(0) == matrix.shape(1), std::string(name) + " must be square");
    return matrix.shape(0);
}

py::object by_columns(Dense&& matrix, std::int64_t rows, std::int64_t columns) {
    return to_numpy(std::move(matrix), {columns, rows}).attr("T");
}

py::object svd(const ByRows& matrix, bool vectors, bool full, bool careful) {
    Dense a = copy(matrix, "matrix");
    const std::int64_t m = matrix.shape(0), n = matrix.shape(1), k = std::min(m, n);
    const Vectors wanted = !vectors ? Vectors::none : full ? Vectors::full : Vectors::thin;
    auto found = without_gil(py::none(),
                             [&](Monitor* monitor) { return singular(std::move(a), m, n, wanted, careful, monitor); });
    if (!found) return py::none();
    if (!vectors) return to_numpy(std::move(found->values));
    return py::make_tuple(to_numpy(std::move(found->u), {m, full ? m : k}), to_numpy(std::move(found->values)),
                          to_numpy(std::move(found->vt), {full ? n : k, n}));
}

py::object eigh(const ByRows& matrix, std::int64_t count, bool vectors, bool careful) {
    Dense a = copy(matrix, "matrix");
    const std::int64_t n = order(matrix, "matrix");
    auto found = without_gil(py::none(), [&](Monitor* monitor) {
        return symmetric_eigen(std::move(a), n, count, vectors, careful, monitor);
    });
    if (!found) return py::none();
    if (!vectors) return to_numpy(std::move(found->values));
    return py::make_tuple(to_numpy(std::move(found->values)), by_columns(std::move(found->vectors), n, count));
}

}  // namespace

void bind_decompositions(py::module_& module) {
    module.def("svd", &svd, py::arg("matrix"), py::kw_only(), py::arg("vectors"), py::arg("full") = false,
               py::arg("careful") = false);
    module.def("eigh", &eigh, py::arg("matrix"), py::arg("count"), py::kw_only(), py::arg("vectors"),
               py::arg("careful") = false);
    module.def(
        "cholesky",
        [](const ByRows& matrix) -> py::object {
            Dense a = copy(matrix, "matrix");
            const std::int64_t n = order(matrix, "matrix");
            auto lower = without_gil(py::none(), [&](Monitor* monitor) { return cholesky(std::move(a), n, monitor); });
            if (!lower) return py::none();
            return to_numpy(std::move(*lower), {n, n});
        },
        py::arg("matrix"));
    module.def(
        "reciprocal_condition",
        [](const ByRows& lower, double norm) {
            const std::int64_t n = order(lower, "lower");
            const double* factor = lower.data();
            return without_gil(py::none(), [&](Monitor*) { return reciprocal_condition(factor, n, norm); });
        },
        py::arg("lower"), py::arg("norm"));
    module.def(
        "solve_lower",
        [](const ByRows& lower, const ByRows& right, bool transposed) {
            Dense l = copy(lower, "lower"), b = copy(right, "right");
            const std::int64_t n = order(lower, "lower"), columns = right.shape(1);
            require(right.shape(0) == n, "right must have as many rows as lower");
            return to_numpy(without_gil(py::none(),
                                        [&](Monitor* monitor) {
                                            return solve_lower(std::move(l), n, std::move(b), columns, transposed,
                                                               monitor);
                                        }),
                            {n, columns});
        },
        py::arg("lower"), py::arg("right"), py::kw_only(), py::arg("transposed") = false);
    module.def(
        "qr_triangle",
        [](const ByColumns& matrix) {
            Dense a = copy(matrix, "matrix");
            const std::int64_t m = matrix.shape(0), n = matrix.shape(1);
            return by_columns(
                without_gil(py::none(), [&](Monitor* monitor) { return qr_triangle(std::move(a), m, n, monitor); }),
                std::min(m, n), n);
        },
        py::arg("matrix"));
    module.def(
        "qr_append",
        [](const ByColumns& triangle, const ByColumns& below) {
            Dense t = copy(triangle, "triangle"), a = copy(below, "below");
            const std::int64_t m = below.shape(0), n = order(triangle, "triangle");
            require(below.shape(1) == n, "below must have as many columns as triangle");
            return by_columns(
                without_gil(py::none(),
                            [&](Monitor* monitor) { return qr_append(std::move(t), std::move(a), m, n, monitor); }),
                n, n);
        },
        py::arg("triangle"), py::arg("below"));
}

}  // namespace kernalign::bindings
