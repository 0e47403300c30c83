// The Neighbors engine for Python.
#include "bindings/arrays.hpp"
#include "lists.hpp"
#include "neighbors.hpp"

namespace kernalign::bindings {
namespace {

py::tuple to_tuple(Neighbors&& found) {
    const py::ssize_t n = found.n, k = found.k;
    return py::make_tuple(to_numpy(std::move(found.index), {n, k}), to_numpy(std::move(found.similarity), {n, k}),
                          to_numpy(std::move(found.tie), {n}), found.repeated);
}

// Copies lists that nearest_neighbors made for these rows (the kernels trust them).
Neighbors from_tuple(const py::tuple& lists, const PyRows& rows) {
    const auto index = lists[0].cast<py::array_t<std::int32_t, py::array::c_style>>();
    const auto similarity = lists[1].cast<py::array_t<double, py::array::c_style>>();
    const auto tie = lists[2].cast<py::array_t<std::uint8_t, py::array::c_style>>();
    require(index.ndim() == 2 && index.shape(0) == rows.rows().rows() && similarity.size() == index.size() &&
                tie.size() == index.shape(0),
            "neighbour lists must belong to the rows of " + rows.rows().name);
    Neighbors out{index.shape(0), index.shape(1), {}, {}, {}, 0};
    out.index.assign(index.data(), index.data() + index.size());
    out.similarity.assign(similarity.data(), similarity.data() + similarity.size());
    out.tie.assign(tie.data(), tie.data() + tie.size());
    return out;
}

py::tuple to_tuple(const GraphSums& sums) { return py::make_tuple(sums.square, sums.reciprocal, sums.degree_square); }

}  // namespace

void bind_neighbors(py::module_& module) {
    module.def(
        "nearest_neighbors",
        [](const PyRows& x, std::int64_t k, const std::string& metric, bool sets, int threads, py::object progress) {
            const Similarity similarity = similarity_of(metric);
            const Detail detail = sets ? Detail::sets : Detail::lists;
            return to_tuple(without_gil(std::move(progress), [&](Monitor* monitor) {
                return nearest_neighbors(x.rows(), k, similarity, detail, threads, monitor);
            }));
        },
        py::arg("x"), py::arg("k"), py::arg("metric"), py::arg("sets") = false, py::arg("threads") = 0,
        py::arg("progress") = py::none());
    module.def(
        "fractional_overlap",
        [](const PyRows& x, const py::tuple& x_lists, const PyRows& y, const py::tuple& y_lists,
           const std::string& metric, int threads, py::object progress) {
            const Similarity similarity = similarity_of(metric);
            Neighbors a = from_tuple(x_lists, x), b = from_tuple(y_lists, y);
            Overlap overlap = without_gil(std::move(progress), [&](Monitor* monitor) {
                check_lists({a.index.data(), a.n, a.k}, x.rows().name.c_str(), monitor);
                check_lists({b.index.data(), b.n, b.k}, y.rows().name.c_str(), monitor);
                return fractional_overlap(x.rows(), std::move(a), y.rows(), std::move(b), similarity, threads, monitor);
            });
            return py::make_tuple(to_numpy(std::move(overlap.item)), to_tuple(overlap.x), to_tuple(overlap.y));
        },
        py::arg("x"), py::arg("x_lists"), py::arg("y"), py::arg("y_lists"), py::arg("metric"), py::arg("threads") = 0,
        py::arg("progress") = py::none());
}

}  // namespace kernalign::bindings
