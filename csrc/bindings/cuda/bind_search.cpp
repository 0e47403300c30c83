// The Neighbors engine of a device for Python.
#include "bindings/cuda/device_rows.hpp"
#include "cuda/edge_products.hpp"
#include "cuda/nearest.hpp"
#include "cuda/products.hpp"

namespace kernalign::bindings {
namespace {

using HalfBits = py::array_t<std::uint16_t, py::array::c_style>;

// A B^T as candidates are multiplied, for checks of how it sums.
py::array_t<float> half_products(const HalfBits& a, const HalfBits& b, int device) {
    require(a.ndim() == 2 && b.ndim() == 2 && a.shape(1) == b.shape(1) && a.shape(1) % 16 == 0 && b.shape(0) % 4 == 0,
            "a and b must be 2-D, with as many columns, a multiple of 16, and a multiple of 4 rows of b");
    cuda::Queue queue(device);
    const cuda::Buffer<std::uint16_t> left(queue, std::vector<std::uint16_t>(a.data(), a.data() + a.size())),
        right(queue, std::vector<std::uint16_t>(b.data(), b.data() + b.size()));
    const cuda::Buffer<float> products(queue, a.shape(0) * b.shape(0));
    cuda::Products(queue).multiply(a.shape(0), b.shape(0), a.shape(1), left.get(), right.get(), products.get(),
                                   b.shape(0));
    return to_numpy(products.values(), {a.shape(0), b.shape(0)});
}

}  // namespace

void bind_search(py::module_& module) {
    module.def(
        "nearest_neighbors",
        [](const DeviceRows& x, std::int64_t k, const std::string& metric, py::object progress, double worthwhile,
           std::int64_t tile, const py::object& say) {
            const Similarity similarity = similarity_of(metric);
            require(tile >= 4 && tile % 4 == 0, "tile must be a multiple of 4, got " + std::to_string(tile));
            cuda::Way way{worthwhile, tile};
            if (!say.is_none())
                way.say = [&say](std::int64_t rows, double seconds) {
                    const py::gil_scoped_acquire gil;
                    say(rows, seconds);
                };
            Neighbors found = without_gil(std::move(progress), [&](Monitor* monitor) {
                return cuda::nearest_neighbors(x.queue(), x.rows(), k, similarity, way, monitor);
            });
            const py::ssize_t n = found.n, width = found.k;
            return py::make_tuple(to_numpy(std::move(found.index), {n, width}),
                                  to_numpy(std::move(found.similarity), {n, width}),
                                  to_numpy(std::move(found.tie), {n}), found.repeated);
        },
        py::arg("x"), py::arg("k"), py::arg("metric"), py::arg("progress") = py::none(),
        py::arg("worthwhile") = cuda::Way().worthwhile, py::arg("tile") = cuda::Way().tile,
        py::arg("say") = py::none());
    module.def(
        "nearest_of_rows",
        [](const DeviceRows& x, const py::array_t<std::int32_t, py::array::c_style>& queries, std::int64_t k,
           const std::string& metric, py::object progress) {
            const Similarity similarity = similarity_of(metric);
            const std::vector<std::int32_t> listed(queries.data(), queries.data() + queries.size());
            Neighbors found = without_gil(std::move(progress), [&](Monitor* monitor) {
                return cuda::nearest_of_rows(x.queue(), x.rows(), listed, k, similarity, monitor);
            });
            const py::ssize_t count = found.n, width = found.k;
            return py::make_tuple(to_numpy(std::move(found.index), {count, width}),
                                  to_numpy(std::move(found.similarity), {count, width}),
                                  to_numpy(std::move(found.tie), {count}));
        },
        py::arg("x"), py::arg("queries"), py::arg("k"), py::arg("metric"), py::arg("progress") = py::none());
    module.def(
        "edge_products",
        [](const DeviceRows& x, const py::array_t<std::int32_t, py::array::c_style>& index, py::object progress) {
            const std::int64_t n = x.rows().rows();
            require(index.ndim() == 2 && index.shape(0) == n, "index must have a list of every row");
            const std::vector<std::int32_t> lists(index.data(), index.data() + index.size());
            for (const std::int32_t j : lists) require(j >= 0 && j < n, "index must hold rows");
            EdgeProducts found = without_gil(std::move(progress), [&](Monitor* monitor) {
                return cuda::edge_products(x.queue(), x.rows(), lists, monitor);
            });
            return py::make_tuple(to_numpy(std::move(found.edge), {n, index.shape(1)}),
                                  to_numpy(std::move(found.square)), to_numpy(std::move(found.projection)),
                                  found.mean_square);
        },
        py::arg("x"), py::arg("index"), py::arg("progress") = py::none());
    module.def("half_products", &half_products, py::arg("a"), py::arg("b"), py::arg("device"));
    module.def(
        "accumulation_unit", [](int device) { return cuda::accumulation_unit(cuda::device_facts(device)); },
        py::arg("device"));
}

}  // namespace kernalign::bindings
