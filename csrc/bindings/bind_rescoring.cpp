// Float64 scores of chosen pairs of rows for Python.
#include <memory>

#include "bindings/arrays.hpp"
#include "cpu/neighbors/exact_rows.hpp"
#include "rescoring.hpp"

namespace kernalign::bindings {
namespace {

using Indices = py::array_t<std::int32_t, py::array::c_style>;

std::shared_ptr<ExactRows> exact_rows(const PyRows& x, const std::string& metric, int threads, py::object progress) {
    const Similarity similarity = similarity_of(metric);
    return without_gil(std::move(progress), [&](Monitor* monitor) {
        return std::make_shared<ExactRows>(x.rows(), similarity, threads, monitor);
    });
}

py::tuple rescored_tuple(Neighbors&& found) {
    const py::ssize_t q = found.n, k = found.k;
    return py::make_tuple(to_numpy(std::move(found.index), {q, k}), to_numpy(std::move(found.similarity), {q, k}),
                          to_numpy(std::move(found.tie), {q}));
}

py::tuple nearest(const ExactRows& rows, const Indices& queries, const Indices& candidates, std::int64_t k,
                  int threads) {
    require(queries.ndim() == 1 && candidates.ndim() == 2 && candidates.shape(0) == queries.shape(0),
            "queries must be (q,) and candidates (q, c)");
    const std::int32_t *query = queries.data(), *candidate = candidates.data();
    const py::ssize_t q = queries.shape(0), c = candidates.shape(1);
    return rescored_tuple(without_gil(py::none(), [&](Monitor* monitor) {
        return best_candidates(rows, query, q, candidate, c, k, threads, monitor);
    }));
}

py::tuple search(const ExactRows& rows, const Indices& queries, std::int64_t k, int threads, py::object progress,
                 const ExactRows* of) {
    require(queries.ndim() == 1, "queries must be (q,)");
    const std::int32_t* query = queries.data();
    const py::ssize_t q = queries.shape(0);
    return rescored_tuple(without_gil(std::move(progress), [&](Monitor* monitor) {
        return nearest_of_rows(rows, query, q, k, threads, monitor, of);
    }));
}

}  // namespace

void bind_rescoring(py::module_& module) {
    py::class_<ExactRows, std::shared_ptr<ExactRows>>(module, "ExactRows")
        .def(py::init(&exact_rows), py::arg("x"), py::arg("metric"), py::arg("threads") = 0,
             py::arg("progress") = py::none(), py::keep_alive<1, 2>())
        .def("nearest", &nearest, py::arg("queries").noconvert(), py::arg("candidates").noconvert(), py::arg("k"),
             py::arg("threads") = 0)
        .def("search", &search, py::arg("queries").noconvert(), py::arg("k"), py::arg("threads") = 0,
             py::arg("progress") = py::none(), py::arg("of") = nullptr);
}

}  // namespace kernalign::bindings
