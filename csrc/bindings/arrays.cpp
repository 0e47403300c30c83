// How Python objects reach the engines: Rows over NumPy memory, the GIL, Ctrl-C and progress.
#include "bindings/arrays.hpp"

#include <array>
#include <cmath>

#include "cpu/runtime/load.hpp"
#include "cpu/runtime/near_rows.hpp"

namespace kernalign::bindings {
namespace {

DType dtype_of(const py::array& array, const std::string& name, bool bfloat16) {
    const char kind = array.dtype().kind();
    const auto size = array.dtype().itemsize();
    if (bfloat16 && size == 2) return DType::bf16;
    if (array.dtype().byteorder() != '>') {
        if (kind == 'f' && size == 2) return DType::f16;
        if (kind == 'f' && size == 4) return DType::f32;
        if (kind == 'f' && size == 8) return DType::f64;
        if (kind == 'i' && size == 1) return DType::i8;
        if (kind == 'i' && size == 2) return DType::i16;
        if (kind == 'i' && size == 4) return DType::i32;
        if (kind == 'i' && size == 8) return DType::i64;
        if ((kind == 'u' || kind == 'b') && size == 1) return DType::u8;
        if (kind == 'u' && size == 2) return DType::u16;
        if (kind == 'u' && size == 4) return DType::u32;
        if (kind == 'u' && size == 8) return DType::u64;
    }
    throw py::type_error(name + " must have a native float or integer dtype, got " +
                         std::string(py::str(py::object(array.dtype()))));
}

}  // namespace

double spacing_of(DType dtype) {
    switch (dtype) {
        case DType::bf16:
            return std::ldexp(1.0, -7);
        case DType::f16:
            return std::ldexp(1.0, -10);
        case DType::f32:
            return std::ldexp(1.0, -23);
        case DType::f64:
            return std::ldexp(1.0, -52);
        default:
            return 0;
    }
}

KernelForm form_of(const std::string& name) {
    static const std::array<std::pair<const char*, KernelForm>, 7> forms = {{
        {"linear", KernelForm::linear},
        {"polynomial", KernelForm::polynomial},
        {"rbf", KernelForm::rbf},
        {"laplacian", KernelForm::laplacian},
        {"sqeuclidean", KernelForm::sqeuclidean},
        {"euclidean", KernelForm::euclidean},
        {"precomputed", KernelForm::precomputed},
    }};
    for (const auto& [known, form] : forms)
        if (name == known) return form;
    throw py::value_error("unknown kernel form " + name);
}

Similarity similarity_of(const std::string& name) {
    if (name == "cosine") return Similarity::cosine;
    if (name == "dot") return Similarity::dot;
    require(name == "euclidean", "metric must be 'cosine', 'dot' or 'euclidean', got '" + name + "'");
    return Similarity::euclidean;
}

PyRows::PyRows(py::array data, std::string name, bool bfloat16, std::optional<double> clip, std::vector<double> shift,
               std::vector<double> scale, bool unit_norm, bool zero_mean, bool paired)
    : data_(std::move(data)), shift_(std::move(shift)), scale_(std::move(scale)) {
    require(data_.ndim() == 2, name + " must be 2-D, got " + std::to_string(data_.ndim()) + "-D");
    require(data_.shape(1) < (std::int64_t(1) << 31), name + " must have fewer than 2^31 columns");
    const auto cols = std::size_t(data_.shape(1));
    require(shift_.empty() || shift_.size() == cols, "shift must have one value per column of " + name);
    require(scale_.empty() || scale_.size() == cols, "scale must have one value per column of " + name);
    rows_.view = {data_.data(),     data_.shape(0),   data_.shape(1),
                  data_.strides(0), data_.strides(1), dtype_of(data_, name, bfloat16)};
    rows_.name = std::move(name);
    if (clip) rows_.clip = *clip;
    rows_.unit_norm = unit_norm;
    rows_.zero_mean = zero_mean;
    rows_.paired = paired;
}

py::array_t<double> PyRows::dense(std::int64_t begin, std::int64_t end) const {
    require(0 <= begin && begin <= end && end <= rows_.rows(), "row range must lie within the rows");
    py::array_t<double> out({end - begin, rows_.cols()});
    double* to = out.mutable_data();
    without_gil(py::none(), [&](Monitor*) { load_rows(rows(), begin, end, to, rows_.cols()); });
    return out;
}

PyRows PyRows::given() const {
    PyRows plain = *this;
    plain.shift_.clear();
    plain.scale_.clear();
    plain.rows_.clip = Rows().clip;
    plain.rows_.unit_norm = plain.rows_.zero_mean = false;
    return plain;
}

PyRows PyRows::taken(const py::array& index, bool columns) const {
    PyRows some = *this;
    some.data_ = data_[index];  // not take(), which copies the whole of what is not in C order
    if (columns) some.data_ = some.data_.attr("take")(index, 1);
    MatrixView& view = some.rows_.view;
    view = {some.data_.data(),     some.data_.shape(0),   some.data_.shape(1),
            some.data_.strides(0), some.data_.strides(1), view.dtype};
    return some;
}

PyRows PyRows::columns(std::int64_t begin, std::int64_t end) const {
    require(!rows_.unit_norm && !rows_.zero_mean, "columns of rows that are changed as a whole cannot be read alone");
    require(0 <= begin && begin < end && end <= rows_.cols(), "column range must lie within the columns");
    PyRows some = *this;
    some.data_ = data_[py::make_tuple(py::ellipsis(), py::slice(begin, end, 1))];
    for (std::vector<double>* of : {&some.shift_, &some.scale_})
        if (!of->empty()) *of = std::vector<double>(of->begin() + begin, of->begin() + end);
    MatrixView& view = some.rows_.view;
    view = {some.data_.data(),     some.data_.shape(0),   some.data_.shape(1),
            some.data_.strides(0), some.data_.strides(1), view.dtype};
    return some;
}

std::vector<double> PyRows::offset() const {
    std::vector<double> result = shift_;
    for (std::size_t j = 0; j < result.size() && !scale_.empty(); ++j) result[j] *= scale_[j];
    return result;
}

void PyMonitor::poll(std::int64_t done, std::int64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(50)) return;
    last_ = now;
    PyThreadState* state = nullptr;
    PyEval_RestoreThread(state = PyGILState_GetThisThreadState());
    bool stop = PyErr_CheckSignals() != 0;
    if (!stop && total > 0 && !progress_.is_none()) {
        PyObject* result =
            PyObject_CallFunction(progress_.ptr(), "LL", static_cast<long long>(done), static_cast<long long>(total));
        stop = result == nullptr;
        Py_XDECREF(result);
    }
    if (stop) error_.emplace();
    state = PyEval_SaveThread();
    if (stop) throw Stopped();
}

void bind_arrays(py::module_& module) {
    py::class_<PyRows>(module, "Rows")
        // As they are given, in few steps; then all that there is.
        .def(py::init([](py::array data, std::string name, bool paired) {
                 return PyRows(std::move(data), std::move(name), false, std::nullopt, {}, {}, false, false, paired);
             }),
             py::arg("data"), py::arg("name"), py::arg("paired"))
        .def(py::init<py::array, std::string, bool, std::optional<double>, std::vector<double>, std::vector<double>,
                      bool, bool, bool>(),
             py::arg("data"), py::arg("name"), py::kw_only(), py::arg("bfloat16") = false, py::arg("clip") = py::none(),
             py::arg("shift") = std::vector<double>{}, py::arg("scale") = std::vector<double>{},
             py::arg("unit_norm") = false, py::arg("zero_mean") = false, py::arg("paired") = false)
        .def_property_readonly("shape",
                               [](const PyRows& r) { return py::make_tuple(r.rows().rows(), r.rows().cols()); })
        .def_property_readonly("name", [](const PyRows& r) { return r.rows().name; })
        .def_property_readonly("double_precision",
                               [](const PyRows& r) { return natural_precision(r.rows().view.dtype) == Precision::f64; })
        .def_property_readonly("spacing", [](const PyRows& r) { return spacing_of(r.rows().view.dtype); })
        .def_property_readonly("zero_mean", [](const PyRows& r) { return r.rows().zero_mean; })
        .def_property_readonly("given", &PyRows::given)
        .def_property_readonly("by_columns", [](const PyRows& r) { return !r.rows().unit_norm && !r.rows().zero_mean; })
        .def("columns", &PyRows::columns, py::arg("begin"), py::arg("end"))
        .def("taken", &PyRows::taken, py::arg("index"), py::arg("columns") = false)
        .def_property_readonly("offset", [](const PyRows& r) { return to_numpy(r.offset()); })
        .def_property_readonly("share_near",
                               [](const PyRows& r) {
                                   return without_gil(py::none(),
                                                      [&](Monitor* m) { return share_of_near_rows(r.rows(), m); });
                               })
        .def_property_readonly(
            "looks",
            [](const PyRows& r) { return without_gil(py::none(), [&](Monitor* m) { return looks_of(r.rows(), m); }); })
        .def(
            "vary",
            [](const PyRows& r, double relative, double absolute) {
                return without_gil(py::none(), [&](Monitor*) { return rows_vary(r.rows(), relative, absolute); });
            },
            py::arg("relative"), py::arg("absolute"))
        .def("dense", &PyRows::dense, py::arg("begin"), py::arg("end"));
}

}  // namespace kernalign::bindings
