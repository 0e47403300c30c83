// The list kernels for Python.
#include "lists.hpp"

#include <algorithm>
#include <optional>

#include "bindings/arrays.hpp"

namespace kernalign::bindings {
namespace {

using IndexArray = py::array_t<std::int32_t, py::array::c_style>;
using PlaceArray = py::array_t<std::int64_t, py::array::c_style>;
using WeightArray = py::array_t<double, py::array::c_style>;

// A Graph value that keeps the arrays it points into alive.
class PyGraph {
  public:
    PyGraph(IndexArray index, PlaceArray begin, std::optional<WeightArray> weight)
        : index_(std::move(index)), begin_(std::move(begin)), weight_(std::move(weight)) {
        const std::int64_t* places = begin_.data();
        bool fits = begin_.ndim() == 1 && begin_.size() > 0 && places[0] == 0 && index_.ndim() == 1 &&
                    places[begin_.size() - 1] == index_.size() && std::is_sorted(places, places + begin_.size());
        fits = fits && (!weight_ || (weight_->ndim() == 1 && weight_->size() == index_.size()));
        require(fits, "begin must ascend from 0 to the number of edges, each with one index and one weight");
        check_graph(graph());
    }
    Graph graph() const {
        return {index_.data(), begin_.data(), weight_ ? weight_->data() : nullptr, std::int64_t(begin_.size()) - 1};
    }

  private:
    IndexArray index_;
    PlaceArray begin_;
    std::optional<WeightArray> weight_;
};

Lists lists_of(const IndexArray& array, const char* name) {
    require(array.ndim() == 2, std::string(name) + " must be 2-D, got " + std::to_string(array.ndim()) + "-D");
    const Lists lists{array.data(), array.shape(0), array.shape(1)};
    check_lists(lists, name);
    return lists;
}

// f(a, b) without the GIL, as an array of one value per row.
template <class F>
auto per_row(const IndexArray& x, const IndexArray& y, F&& f) {
    const Lists a = lists_of(x, "x"), b = lists_of(y, "y");
    decltype(f(a, b)) values;
    without_gil(py::none(), [&](Monitor*) { values = f(a, b); });
    const py::ssize_t n = a.n;
    return to_numpy(std::move(values), {n});
}

}  // namespace

void bind_lists(py::module_& module) {
    const auto x = py::arg("x").noconvert(), y = py::arg("y").noconvert();
    module.def(
        "shared_counts", [](const IndexArray& a, const IndexArray& b) { return per_row(a, b, shared_counts); }, x, y);
    module.def(
        "common_subsequences",
        [](const IndexArray& a, const IndexArray& b) { return per_row(a, b, common_subsequences); }, x, y);
    module.def(
        "edit_distances", [](const IndexArray& a, const IndexArray& b) { return per_row(a, b, edit_distances); }, x, y);
    module.def("cycles", [](const IndexArray& a, const IndexArray& b) { return per_row(a, b, cycles); }, x, y);
    module.def(
        "in_degrees",
        [](const IndexArray& a) {
            const Lists lists = lists_of(a, "x");
            const py::ssize_t n = lists.n;
            return to_numpy(in_degrees(lists), {n});
        },
        x);
    module.def(
        "graph_sums",
        [](const IndexArray& a) {
            const GraphSums sums = graph_sums(lists_of(a, "x"));
            return py::make_tuple(sums.square, sums.reciprocal, sums.degree_square);
        },
        x);
    py::class_<PyGraph>(module, "Graph")
        .def(py::init<IndexArray, PlaceArray, std::optional<WeightArray>>(), py::arg("index").noconvert(),
             py::arg("begin").noconvert(), py::arg("weight") = py::none());
    module.def(
        "edge_sums",
        [](const PyGraph& graph, int threads, py::object progress) {
            std::array<double, kEdgeSums> sums{};
            without_gil(std::move(progress),
                        [&](Monitor* monitor) { sums = edge_sums(graph.graph(), threads, monitor); });
            return to_numpy(std::vector<double>(sums.begin(), sums.end()), {py::ssize_t(kEdgeSums)});
        },
        py::arg("graph"), py::arg("threads") = 0, py::arg("progress") = py::none());
    module.def(
        "graph_products",
        [](const std::vector<const PyGraph*>& given, int threads, py::object progress) {
            std::vector<Graph> graphs;
            for (const PyGraph* one : given) graphs.push_back(one->graph());
            GraphProducts out;
            without_gil(std::move(progress), [&](Monitor* monitor) { out = graph_products(graphs, threads, monitor); });
            const py::ssize_t count = py::ssize_t(graphs.size());
            return py::make_tuple(to_numpy(std::move(out.same), {count, count}),
                                  to_numpy(std::move(out.reverse), {count, count}),
                                  to_numpy(std::move(out.degrees), {count, count}));
        },
        py::arg("graphs"), py::arg("threads") = 0, py::arg("progress") = py::none());
    module.def(
        "overlap_curve",
        [](const IndexArray& a, const IndexArray& b, const std::vector<std::int64_t>& ks) {
            return overlap_curve(lists_of(a, "x"), lists_of(b, "y"), ks);
        },
        x, y, py::arg("ks"));
    module.def(
        "edge_products",
        [](const PyRows& rows, const IndexArray& lists, int threads, py::object progress) {
            const Lists edges = lists_of(lists, "lists");
            EdgeProducts out;
            without_gil(std::move(progress),
                        [&](Monitor* monitor) { out = edge_products(rows.rows(), edges, threads, monitor); });
            const py::ssize_t n = edges.n, k = edges.k;
            return py::make_tuple(to_numpy(std::move(out.edge), {n, k}), to_numpy(std::move(out.square), {n}),
                                  to_numpy(std::move(out.projection), {n}), out.mean_square);
        },
        py::arg("rows"), py::arg("lists").noconvert(), py::arg("threads") = 0, py::arg("progress") = py::none());
}

}  // namespace kernalign::bindings
