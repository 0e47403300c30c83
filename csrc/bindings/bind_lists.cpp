// The list kernels for Python.
#include "lists.hpp"

#include "bindings/graph.hpp"

namespace kernalign::bindings {
namespace {

// f(a, b, monitor) of checked lists, without the GIL.
template <class F>
auto of_both(const IndexArray& x, const IndexArray& y, py::object progress, F&& f) {
    return without_gil(std::move(progress), [&](Monitor* monitor) {
        const OwnLists a(x, "x", monitor), b(y, "y", monitor);
        return f(*a, *b, monitor);
    });
}

// A function of (a, b, threads, monitor) that yields one value per row.
template <class F>
void define_per_row(py::module_& module, const char* name, F* f) {
    module.def(
        name,
        [f](const IndexArray& x, const IndexArray& y, int threads, py::object progress) {
            return to_numpy(of_both(x, y, std::move(progress), [&](const Lists& a, const Lists& b, Monitor* monitor) {
                return f(a, b, threads, monitor);
            }));
        },
        py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("threads") = 0, py::arg("progress") = py::none());
}

// f of checked lists, without the GIL.
template <class F>
auto of_one(const IndexArray& x, F&& f) {
    return without_gil(py::none(), [&](Monitor* monitor) {
        const OwnLists lists(x, "x", monitor);
        return f(*lists, monitor);
    });
}

}  // namespace

void bind_lists(py::module_& module) {
    const auto x = py::arg("x").noconvert(), y = py::arg("y").noconvert();
    define_per_row(module, "shared_counts", shared_counts);
    define_per_row(module, "common_subsequences", common_subsequences);
    define_per_row(module, "rank_similarities", rank_similarities);
    define_per_row(module, "edit_distances", edit_distances);
    define_per_row(module, "cycles", cycles);
    module.def(
        "in_degrees",
        [](const IndexArray& lists) {
            return to_numpy(of_one(lists, [](const Lists& a, Monitor*) { return in_degrees(a); }));
        },
        x);
    module.def(
        "graph_sums",
        [](const IndexArray& lists) {
            const GraphSums sums = of_one(lists, graph_sums);
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
        [](const IndexArray& lists_x, const IndexArray& lists_y, const std::vector<std::int64_t>& ks) {
            return of_both(lists_x, lists_y, py::none(),
                           [&](const Lists& a, const Lists& b, Monitor*) { return overlap_curve(a, b, ks); });
        },
        x, y, py::arg("ks"));
    module.def(
        "subset_overlaps",
        [](const IndexArray& lists_x, const IndexArray& lists_y, std::int64_t k,
           const py::array_t<bool, py::array::c_style>& subsets, int threads, py::object progress) {
            require(subsets.ndim() == 2 && subsets.shape(1) == lists_x.shape(0),
                    "subsets must have a column for every item");
            const auto* members = reinterpret_cast<const std::uint8_t*>(subsets.data());
            const py::ssize_t count = subsets.shape(0);
            return to_numpy(of_both(lists_x, lists_y, std::move(progress),
                                    [&](const Lists& a, const Lists& b, Monitor* monitor) {
                                        return subset_overlaps(a, b, k, members, count, threads, monitor);
                                    }),
                            {count, k + 1});
        },
        x, y, py::arg("k"), py::arg("subsets").noconvert(), py::arg("threads") = 0, py::arg("progress") = py::none());
    module.def(
        "overlaps_without_one",
        [](const IndexArray& lists_x, const IndexArray& lists_y) {
            return to_numpy(of_both(lists_x, lists_y, py::none(), overlaps_without_one));
        },
        x, y);
    module.def(
        "edge_products",
        [](const PyRows& rows, const IndexArray& lists, int threads, py::object progress) {
            EdgeProducts out;
            without_gil(std::move(progress), [&](Monitor* monitor) {
                const OwnLists edges(lists, "lists", monitor);
                out = edge_products(rows.rows(), *edges, threads, monitor);
            });
            const py::ssize_t n = lists.shape(0), k = lists.shape(1);
            return py::make_tuple(to_numpy(std::move(out.edge), {n, k}), to_numpy(std::move(out.square), {n}),
                                  to_numpy(std::move(out.projection), {n}), out.mean_square);
        },
        py::arg("rows"), py::arg("lists").noconvert(), py::arg("threads") = 0, py::arg("progress") = py::none());
}

}  // namespace kernalign::bindings
