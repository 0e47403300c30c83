// Rows in device memory as Python holds them.
#include "bindings/cuda/device_rows.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "cuda/prepared_rows.hpp"

namespace kernalign::bindings {
namespace {

constexpr std::int64_t kTogether = std::int64_t(1) << 24;  // bytes that are copied at once

std::int64_t item_size(DType dtype) {
    switch (dtype) {
        case DType::f16:
        case DType::bf16:
            return 2;
        case DType::f32:
            return 4;
        case DType::f64:
            return 8;
        default:
            return 0;
    }
}

// Rows [begin, end) of a matrix on the CPU, densely.
void pack(const MatrixView& view, std::int64_t begin, std::int64_t end, char* out) {
    const std::int64_t size = item_size(view.dtype);
    for (std::int64_t i = begin; i < end; ++i) {
        const char* row = static_cast<const char*>(view.data) + i * view.row_stride;
        if (view.col_stride == size)
            std::memcpy(out, row, std::size_t(view.cols * size));
        else
            for (std::int64_t j = 0; j < view.cols; ++j)
                std::memcpy(out + j * size, row + j * view.col_stride, std::size_t(size));
        out += view.cols * size;
    }
}

}  // namespace

DeviceRows::DeviceRows(const py::object& array, Rows how, int device)
    : memory_(std::make_shared<Memory>()), rows_(std::move(how)) {
    memory_->queue = std::make_unique<cuda::Queue>(device);
    const ForeignMatrix& given = memory_->foreign.emplace(array, rows_.name, queue().stream());
    require(given.device() == device, rows_.name + " must be on CUDA device " + std::to_string(device) + ", got " +
                                          std::to_string(given.device()));
    rows_.view = given.view();
    cuda::element_of(rows_);
}

DeviceRows::DeviceRows(const py::object& array, const PyRows& like, int device)
    : DeviceRows(array, like.rows(), device) {
    const Rows copy = like.rows();
    require(copy.rows() == rows_.rows() && copy.cols() == rows_.cols() && copy.view.dtype == rows_.view.dtype,
            rows_.name + " changed while it was read");
    if (copy.shift) shift_.assign(copy.shift, copy.shift + copy.cols());
    if (copy.scale) scale_.assign(copy.scale, copy.scale + copy.cols());
    rows_.shift = rows_.scale = nullptr;
}

DeviceRows::DeviceRows(const DeviceRows& other, bool unit_norm, bool zero_mean)
    : memory_(other.memory_), shift_(other.shift_), scale_(other.scale_), rows_(other.rows_) {
    rows_.unit_norm = unit_norm;
    rows_.zero_mean = zero_mean;
}

DeviceRows::DeviceRows(const PyRows& given, int device) : memory_(std::make_shared<Memory>()), rows_(given.rows()) {
    memory_->queue = std::make_unique<cuda::Queue>(device);
    if (rows_.shift) shift_.assign(rows_.shift, rows_.shift + rows_.cols());
    if (rows_.scale) scale_.assign(rows_.scale, rows_.scale + rows_.cols());
    MatrixView& view = rows_.view;
    const std::int64_t size = item_size(view.dtype), row = view.cols * size;
    require(size > 0, rows_.name + " must have a float dtype on a CUDA device, got integers; use .astype(\"float64\")");
    cuda::Buffer<char>& copy = memory_->copy = cuda::Buffer<char>(queue(), view.rows * row);
    without_gil(py::none(), [&](Monitor* monitor) {
        const std::int64_t block = std::max<std::int64_t>(1, kTogether / row);
        std::vector<char> packed(std::size_t(std::min(block, view.rows) * row));
        for (std::int64_t begin = 0; begin < view.rows; begin += block) {
            const std::int64_t end = std::min(view.rows, begin + block);
            pack(view, begin, end, packed.data());
            queue().upload(copy.get() + begin * row, packed.data(), std::size_t((end - begin) * row));
            queue().wait(monitor);
        }
    });
    view.data = copy.get();
    view.row_stride = row;
    view.col_stride = size;
}

Rows DeviceRows::rows() const {
    Rows rows = rows_;
    rows.shift = shift_.empty() ? nullptr : shift_.data();
    rows.scale = scale_.empty() ? nullptr : scale_.data();
    return rows;
}

PyRows DeviceRows::host(std::int64_t begin, std::int64_t end) const {
    const MatrixView& view = rows_.view;
    const std::int64_t size = item_size(view.dtype), row = view.cols * size;
    py::array out = empty(end - begin);
    char* to = static_cast<char*>(out.mutable_data());
    without_gil(py::none(), [&](Monitor*) {
        const auto* from = static_cast<const char*>(view.data) + begin * view.row_stride;
        if (view.row_stride == row) return queue().download(to, from, std::size_t((end - begin) * row));
        const std::int64_t some = std::max<std::int64_t>(1, kTogether / row);
        for (std::int64_t i = begin; i < end; i += some) {
            std::vector<std::int64_t> listed(std::size_t(std::min(some, end - i)));
            std::iota(listed.begin(), listed.end(), i);
            cuda::gather(queue(), cuda::any_rows(rows_), listed, to + (i - begin) * row);
        }
    });
    return like(std::move(out));
}

PyRows DeviceRows::taken(const std::vector<std::int64_t>& listed) const {
    py::array out = empty(py::ssize_t(listed.size()));
    char* to = static_cast<char*>(out.mutable_data());
    without_gil(py::none(), [&](Monitor*) { cuda::gather(queue(), cuda::any_rows(rows_), listed, to); });
    return like(std::move(out));
}

py::array DeviceRows::empty(std::int64_t count) const {
    const MatrixView& view = rows_.view;
    const std::int64_t size = item_size(view.dtype);
    const char* kind = view.dtype == DType::bf16 ? "u2" : view.dtype == DType::f16 ? "f2" : size == 4 ? "f4" : "f8";
    return py::array(py::dtype(kind), std::vector<py::ssize_t>{count, view.cols});
}

PyRows DeviceRows::like(py::array values) const {
    std::optional<double> clip;
    if (rows_.clip < Rows().clip) clip = rows_.clip;
    return {std::move(values), rows_.name,  rows_.view.dtype == DType::bf16, clip, shift_, scale_, rows_.unit_norm,
            rows_.zero_mean,   rows_.paired};
}

double DeviceRows::largest() const {
    return without_gil(py::none(), [&](Monitor* monitor) {
        return cuda::PreparedRows(queue(), rows(), Similarity::dot, monitor).largest();
    });
}

void bind_device_rows(py::module_& module) {
    py::class_<DeviceRows, std::shared_ptr<DeviceRows>>(module, "Rows",
                                                        py::module_local())  // _cuda and _cudasim can both be there
        .def(py::init([](const py::object& array, std::string name, int device, bool unit_norm, bool zero_mean,
                         bool paired) {
                 Rows how;
                 how.name = std::move(name);
                 how.unit_norm = unit_norm;
                 how.zero_mean = zero_mean;
                 how.paired = paired;
                 return std::make_shared<DeviceRows>(array, std::move(how), device);
             }),
             py::arg("array"), py::arg("name"), py::arg("device"), py::kw_only(), py::arg("unit_norm") = false,
             py::arg("zero_mean") = false, py::arg("paired") = false)
        .def_static(
            "over",
            [](const py::object& array, const PyRows& like, int device) {
                return std::make_shared<DeviceRows>(array, like, device);
            },
            py::arg("array"), py::arg("like"), py::arg("device"))
        .def(
            "read_as",
            [](const DeviceRows& r, bool unit_norm, bool zero_mean) {
                return std::make_shared<DeviceRows>(r, unit_norm, zero_mean);
            },
            py::arg("unit_norm"), py::arg("zero_mean"))
        .def_static(
            "uploaded", [](const PyRows& rows, int device) { return std::make_shared<DeviceRows>(rows, device); },
            py::arg("rows"), py::arg("device"))
        .def_property_readonly("shape",
                               [](const DeviceRows& r) { return py::make_tuple(r.rows().rows(), r.rows().cols()); })
        .def_property_readonly("name", [](const DeviceRows& r) { return r.rows().name; })
        .def_property_readonly("device", [](const DeviceRows& r) { return r.queue().device(); })
        .def_property_readonly(
            "double_precision",
            [](const DeviceRows& r) { return natural_precision(r.rows().view.dtype) == Precision::f64; })
        .def("largest", &DeviceRows::largest)
        .def_property_readonly("spacing", [](const DeviceRows& r) { return spacing_of(r.rows().view.dtype); })
        .def_property_readonly("zero_mean", [](const DeviceRows& r) { return r.rows().zero_mean; })
        .def("host", [](const DeviceRows& r) { return r.host(0, r.rows().rows()); })
        .def(
            "head", [](const DeviceRows& r, std::int64_t most) { return r.host(0, std::min(most, r.rows().rows())); },
            py::arg("most"))
        .def("taken", &DeviceRows::taken, py::arg("listed"));
}

}  // namespace kernalign::bindings
