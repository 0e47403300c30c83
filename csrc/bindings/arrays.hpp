// How Python objects reach the engines: Rows over NumPy memory, the GIL, Ctrl-C and progress.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "cpu/runtime/leaving.hpp"
#include "error.hpp"
#include "kernel.hpp"
#include "monitor.hpp"
#include "neighbors.hpp"
#include "view.hpp"

namespace py = pybind11;

namespace kernalign::bindings {

inline Precision precision_of(bool double_precision) { return double_precision ? Precision::f64 : Precision::f32; }

// A Rows value that keeps the arrays it points into alive.
class PyRows {
  public:
    PyRows(py::array data, std::string name, bool bfloat16, std::optional<double> clip, std::vector<double> shift,
           std::vector<double> scale, bool unit_norm, bool zero_mean, bool paired);
    // By value, so that a copy of this object does not point into the original.
    Rows rows() const {
        Rows rows = rows_;
        rows.shift = shift_.empty() ? nullptr : shift_.data();
        rows.scale = scale_.empty() ? nullptr : scale_.data();
        return rows;
    }
    py::array_t<double> dense(std::int64_t begin, std::int64_t end) const;
    PyRows given() const;  // the same rows before preprocessing
    // A copy of some rows, and of the same columns if asked for.
    PyRows columns(std::int64_t begin, std::int64_t end) const;
    PyRows taken(const py::array& index, bool columns) const;
    std::vector<double> offset() const;  // what was subtracted from the scaled columns; empty if nothing was

  private:
    py::array data_;
    std::vector<double> shift_, scale_;
    Rows rows_;
};

// Listens for Ctrl-C and reports progress, at most every 50 ms. `progress` is None or callable(done, total).
class PyMonitor : public Monitor {
  public:
    explicit PyMonitor(py::object progress) : progress_(std::move(progress)) {}
    void poll(std::int64_t done, std::int64_t total) override;
    void rethrow() const {
        if (error_) throw *error_;  // with the GIL held
    }

  private:
    py::object progress_;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
    std::optional<py::error_already_set> error_;
};

// What f(monitor) returns, called without the GIL. The GIL is taken back outside any destructor or noexcept frame: in a
// daemon thread at interpreter exit CPython leaves that call by unwinding the thread, which a noexcept frame would turn
// into an abort. That unwinding ends here, where no work is left: further up it would let go of Python's objects, for
// which it has no GIL.
template <class F>
auto without_gil(py::object progress, F&& f) {
    using Result = decltype(f(static_cast<Monitor*>(nullptr)));
    PyMonitor monitor(std::move(progress));
    InCall here;
    std::exception_ptr error;
    std::conditional_t<std::is_void_v<Result>, std::monostate, std::optional<Result>> result;
    PyThreadState* state = PyEval_SaveThread();  // releasing is safe: f touches no Python object but through monitor
    try {
        if constexpr (std::is_void_v<Result>)
            f(&monitor);
        else
            result.emplace(f(&monitor));
    } catch (const std::exception&) {
        error = std::current_exception();
    } catch (...) {  // no error of ours: polling took the GIL
        here.stay();
    }
    try {
        PyEval_RestoreThread(state);
    } catch (...) {
        here.stay();
    }
    monitor.rethrow();
    if (error) std::rethrow_exception(error);
    if constexpr (!std::is_void_v<Result>) return std::move(*result);
}

// Hands a C++ vector to NumPy without copying it; 1-D unless a shape is given.
template <class T, class Allocator>
py::array_t<T> to_numpy(std::vector<T, Allocator>&& values, std::vector<py::ssize_t> shape = {}) {
    if (shape.empty()) shape.push_back(py::ssize_t(values.size()));
    auto owner = std::make_unique<std::vector<T, Allocator>>(std::move(values));
    py::capsule capsule(owner.get(), [](void* p) { delete static_cast<std::vector<T, Allocator>*>(p); });
    return py::array_t<T>(std::move(shape), owner.release()->data(), capsule);
}

KernelForm form_of(const std::string& name);

double spacing_of(DType dtype);  // between the numbers next to 1

// "cosine", "dot" or "euclidean".
Similarity similarity_of(const std::string& name);

void bind_arrays(py::module_& module);
void bind_runtime(py::module_& module);
void bind_moments(py::module_& module);
void bind_grams(py::module_& module);
void bind_neighbors(py::module_& module);
void bind_lists(py::module_& module);
void bind_rescoring(py::module_& module);
void bind_permuted(py::module_& module);
void bind_statistics(py::module_& module);
void bind_decompositions(py::module_& module);

}  // namespace kernalign::bindings
