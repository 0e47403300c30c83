// Products of permuted structures for Python.
#include "permuted.hpp"

#include "bindings/graph.hpp"

namespace kernalign::bindings {
namespace {

using OrderArray = py::array_t<std::int32_t, py::array::c_style | py::array::forcecast>;
using Values = py::array_t<double, py::array::c_style>;

Orders orders_of(const OrderArray& array) {
    require(array.ndim() == 2, "orders must be 2-D, got " + std::to_string(array.ndim()) + "-D");
    return {array.data(), array.shape(0), array.shape(1)};
}

Triangles triangles_of(const Values& array, std::int64_t n, const char* name) {
    require(array.ndim() == 2 && array.shape(1) == n * (n - 1) / 2,
            std::string(name) + " must have n (n - 1) / 2 entries for each layer");
    return {array.data(), array.shape(0), n};
}

std::vector<Features> features_of(const std::vector<Values>& layers, std::int64_t n, const char* name) {
    std::vector<Features> features;
    for (const Values& layer : layers) {
        require(layer.ndim() == 2 && layer.shape(0) == n, std::string(name) + " must have a row for every item");
        features.push_back({layer.data(), layer.shape(1)});
    }
    return features;
}

// f(monitor) with checked orders, without the GIL.
template <class F>
auto permuted(const Orders& orders, py::object progress, F&& f) {
    return without_gil(std::move(progress), [&](Monitor* monitor) {
        check_orders(orders);
        return f(monitor);
    });
}

}  // namespace

void bind_permuted(py::module_& module) {
    const auto workers = py::arg("threads") = 0;
    const auto report = py::arg("progress") = py::none();
    module.def(
        "permuted_overlaps",
        [](const PyGraph& x, const PyGraph& y, const OrderArray& orders, int threads, py::object progress) {
            const Orders wanted = orders_of(orders);
            const Graph a = x.graph(), b = y.graph();
            require(a.n == wanted.n && b.n == wanted.n, "orders must be of the items of both graphs");
            const py::ssize_t count = wanted.count, n = wanted.n;
            return to_numpy(
                permuted(wanted, std::move(progress),
                         [&](Monitor* monitor) { return permuted_overlaps(a, b, wanted, threads, monitor); }),
                {count, n});
        },
        py::arg("x"), py::arg("y"), py::arg("orders"), workers, report);
    module.def(
        "renamed_lists",
        [](const IndexArray& lists, const OrderArray& order) {
            require(order.ndim() == 1 && lists.ndim() > 0 && order.shape(0) == lists.shape(0),
                    "order must hold a place for every row of lists");
            const Orders one{order.data(), 1, order.shape(0)};
            return to_numpy(permuted(one, py::none(),
                                     [&](Monitor* monitor) {
                                         const OwnLists given(lists, "lists", monitor);
                                         return renamed_lists(*given, one);
                                     }),
                            {lists.shape(0), lists.shape(1)});
        },
        py::arg("lists").noconvert(), py::arg("order"));
    module.def(
        "permuted_triangles",
        [](const Values& x, const Values& y, const OrderArray& orders, int threads, py::object progress) {
            const Orders wanted = orders_of(orders);
            const Triangles a = triangles_of(x, wanted.n, "x"), b = triangles_of(y, wanted.n, "y");
            const py::ssize_t count = wanted.count, rows = a.layers, columns = b.layers;
            return to_numpy(
                permuted(wanted, std::move(progress),
                         [&](Monitor* monitor) { return permuted_triangles(a, b, wanted, threads, monitor); }),
                {count, rows, columns});
        },
        py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("orders"), workers, report);
    module.def(
        "permuted_concordance",
        [](const Values& x, const Values& y, const OrderArray& orders, int threads, py::object progress) {
            const Orders wanted = orders_of(orders);
            const Triangles a = triangles_of(x, wanted.n, "x"), b = triangles_of(y, wanted.n, "y");
            require(a.layers == 1 && b.layers == 1, "x and y must be of one layer each");
            const py::ssize_t count = wanted.count;
            return to_numpy(
                permuted(wanted, std::move(progress),
                         [&](Monitor* monitor) { return permuted_concordance(a, b, wanted, threads, monitor); }),
                {count});
        },
        py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("orders"), workers, report);
    module.def(
        "permuted_features",
        [](const std::vector<Values>& x, const std::vector<Values>& y, const OrderArray& orders, int threads,
           py::object progress) {
            const Orders wanted = orders_of(orders);
            const std::vector<Features> a = features_of(x, wanted.n, "x"), b = features_of(y, wanted.n, "y");
            const py::ssize_t count = wanted.count, rows = py::ssize_t(a.size()), columns = py::ssize_t(b.size());
            return to_numpy(
                permuted(wanted, std::move(progress),
                         [&](Monitor* monitor) { return permuted_features(a, b, wanted, threads, monitor); }),
                {count, rows, columns});
        },
        py::arg("x"), py::arg("y"), py::arg("orders"), workers, report);
}

}  // namespace kernalign::bindings
