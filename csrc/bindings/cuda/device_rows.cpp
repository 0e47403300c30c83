// Rows in device memory as Python holds them.
#include "bindings/cuda/device_rows.hpp"

#include <algorithm>
#include <cstring>

#include "cuda/prepared_rows.hpp"

namespace kernalign::bindings {
namespace {

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

DeviceRows::DeviceRows(const py::object& array, std::string name, int device, bool unit_norm, bool zero_mean,
                       bool paired)
    : queue_(std::make_unique<cuda::Queue>(device)) {
    foreign_.emplace(array, name, queue_->stream());
    require(foreign_->device() == device,
            name + " must be on CUDA device " + std::to_string(device) + ", got " + std::to_string(foreign_->device()));
    rows_.view = foreign_->view();
    rows_.name = std::move(name);
    rows_.unit_norm = unit_norm;
    rows_.zero_mean = zero_mean;
    rows_.paired = paired;
    cuda::element_of(rows_);
}

DeviceRows::DeviceRows(const PyRows& given, int device) : queue_(std::make_unique<cuda::Queue>(device)) {
    rows_ = given.rows();
    if (rows_.shift) shift_.assign(rows_.shift, rows_.shift + rows_.cols());
    if (rows_.scale) scale_.assign(rows_.scale, rows_.scale + rows_.cols());
    rows_.shift = shift_.empty() ? nullptr : shift_.data();
    rows_.scale = scale_.empty() ? nullptr : scale_.data();
    MatrixView& view = rows_.view;
    const std::int64_t size = item_size(view.dtype), row = view.cols * size;
    require(size > 0, rows_.name + " must have a float dtype on a CUDA device, got integers; use .astype(\"float64\")");
    copy_ = cuda::Buffer<char>(*queue_, view.rows * row);
    without_gil(py::none(), [&](Monitor* monitor) {
        const std::int64_t block = std::max<std::int64_t>(1, (std::int64_t(1) << 24) / row);
        std::vector<char> packed(std::size_t(std::min(block, view.rows) * row));
        for (std::int64_t begin = 0; begin < view.rows; begin += block) {
            const std::int64_t end = std::min(view.rows, begin + block);
            pack(view, begin, end, packed.data());
            queue_->upload(copy_.get() + begin * row, packed.data(), std::size_t((end - begin) * row));
            queue_->wait(monitor);
        }
    });
    view.data = copy_.get();
    view.row_stride = row;
    view.col_stride = size;
}

PyRows DeviceRows::host(std::int64_t begin, std::int64_t end) const {
    const MatrixView& view = rows_.view;
    const std::int64_t size = item_size(view.dtype), row = view.cols * size;
    py::array out = empty(end - begin);
    char* to = static_cast<char*>(out.mutable_data());
    without_gil(py::none(), [&](Monitor*) {
        const auto* from = static_cast<const char*>(view.data) + begin * view.row_stride;
        if (view.row_stride == row) return queue_->download(to, from, std::size_t((end - begin) * row));
        for (std::int64_t i = 0; i < end - begin; ++i)
            queue_->download(to + i * row, from + i * view.row_stride, std::size_t(row));
    });
    return like(std::move(out));
}

PyRows DeviceRows::taken(const std::vector<std::int64_t>& listed) const {
    py::array out = empty(py::ssize_t(listed.size()));
    char* to = static_cast<char*>(out.mutable_data());
    without_gil(py::none(), [&](Monitor*) { cuda::gather(*queue_, cuda::any_rows(rows_), listed, to); });
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
        return cuda::PreparedRows(*queue_, rows_, Similarity::dot, monitor).largest();
    });
}

void bind_device_rows(py::module_& module) {
    py::class_<DeviceRows, std::shared_ptr<DeviceRows>>(module, "Rows",
                                                        py::module_local())  // _cuda and _cudasim can both be there
        .def(py::init<const py::object&, std::string, int, bool, bool, bool>(), py::arg("array"), py::arg("name"),
             py::arg("device"), py::kw_only(), py::arg("unit_norm") = false, py::arg("zero_mean") = false,
             py::arg("paired") = false)
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
