// The Neighbors engine for Python.
#include "bindings/arrays.hpp"
#include "neighbors.hpp"

namespace kernalign::bindings {
namespace {

Similarity similarity_of(const std::string& name) {
    if (name == "cosine") return Similarity::cosine;
    if (name == "dot") return Similarity::dot;
    require(name == "euclidean", "metric must be 'cosine', 'dot' or 'euclidean', got '" + name + "'");
    return Similarity::euclidean;
}

py::tuple to_tuple(Neighbors&& found) {
    const py::ssize_t n = found.n, k = found.k;
    return py::make_tuple(to_numpy(std::move(found.index), {n, k}), to_numpy(std::move(found.similarity), {n, k}),
                          to_numpy(std::move(found.tie), {n}), found.repeated);
}

}  // namespace

void bind_neighbors(py::module_& module) {
    module.def(
        "nearest_neighbors",
        [](const PyRows& x, std::int64_t k, const std::string& metric, int threads, py::object progress) {
            Neighbors found;
            const Similarity similarity = similarity_of(metric);
            without_gil(std::move(progress), [&](Monitor* monitor) {
                found = nearest_neighbors(x.rows(), k, similarity, threads, monitor);
            });
            return to_tuple(std::move(found));
        },
        py::arg("x"), py::arg("k"), py::arg("metric"), py::arg("threads") = 0, py::arg("progress") = py::none());
}

}  // namespace kernalign::bindings
