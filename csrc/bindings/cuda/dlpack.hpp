// Takes matrices in device memory from whatever speaks DLPack, without copying them.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <utility>

#include "error.hpp"
#include "view.hpp"

namespace kernalign::bindings {

namespace py = pybind11;

// The binary interface of DLPack: with a version before the tensor, and without, as older producers have it.
namespace dlpack {

struct Tensor {
    void* data;
    std::int32_t device_type, device_id;
    std::int32_t ndim;
    std::uint8_t code, bits;
    std::uint16_t lanes;
    std::int64_t *shape, *strides;  // in elements; strides may be null: dense
    std::uint64_t byte_offset;
};
struct Managed {
    Tensor tensor;
    void* context;
    void (*deleter)(Managed*);
};
struct Versioned {
    std::uint32_t major, minor;
    void* context;
    void (*deleter)(Versioned*);
    std::uint64_t flags;  // whether it is read-only, or a copy: we read only
    Tensor tensor;
};
constexpr std::int32_t kCuda = 2, kCudaManaged = 13;
constexpr std::uint32_t kMajor = 1;

}  // namespace dlpack

// A tensor that somebody else owns, until this is destroyed, which needs the GIL.
class ForeignMatrix {
  public:
    // Orders the work of `stream` behind what the producer has done so far.
    ForeignMatrix(const py::object& array, const std::string& name, std::intptr_t stream) {
        const py::object capsule = given(array, stream);
        if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned"))
            versioned_ = static_cast<dlpack::Versioned*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
        else if (PyCapsule_IsValid(capsule.ptr(), "dltensor"))
            managed_ = static_cast<dlpack::Managed*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
        else
            throw py::type_error(name + " must give its memory by DLPack: it gave no tensor, or one that was used");
        PyCapsule_SetName(capsule.ptr(), versioned_ ? "used_dltensor_versioned" : "used_dltensor");
        try {
            if (versioned_ && versioned_->major != dlpack::kMajor)
                throw py::type_error(name + " must give its memory by DLPack 1, got " +
                                     std::to_string(versioned_->major));
            view_ = checked(tensor(), name);
        } catch (...) {
            release();
            throw;
        }
    }
    ~ForeignMatrix() { release(); }
    ForeignMatrix(ForeignMatrix&& other) noexcept
        : managed_(std::exchange(other.managed_, nullptr)),
          versioned_(std::exchange(other.versioned_, nullptr)),
          view_(other.view_) {}
    ForeignMatrix(const ForeignMatrix&) = delete;
    ForeignMatrix& operator=(const ForeignMatrix&) = delete;

    const MatrixView& view() const { return view_; }
    int device() const { return tensor().device_id; }

  private:
    // With a version if the producer knows of versions.
    static py::object given(const py::object& array, std::intptr_t stream) {
        const py::object give = array.attr("__dlpack__");
        try {
            return give(py::arg("stream") = stream, py::arg("max_version") = py::make_tuple(dlpack::kMajor, 0));
        } catch (py::error_already_set& error) {
            if (!error.matches(PyExc_TypeError)) throw;
        }
        return give(py::arg("stream") = stream);
    }
    const dlpack::Tensor& tensor() const { return versioned_ ? versioned_->tensor : managed_->tensor; }
    void release() {
        if (versioned_ && versioned_->deleter) versioned_->deleter(versioned_);
        if (managed_ && managed_->deleter) managed_->deleter(managed_);
        versioned_ = nullptr;
        managed_ = nullptr;
    }
    static DType dtype_of(const dlpack::Tensor& tensor, const std::string& name) {
        enum : std::uint8_t { integer, natural, real, opaque, bfloat, complex, boolean };
        if (tensor.lanes == 1 && tensor.code == real) {
            if (tensor.bits == 16) return DType::f16;
            if (tensor.bits == 32) return DType::f32;
            if (tensor.bits == 64) return DType::f64;
        }
        if (tensor.lanes == 1 && tensor.code == bfloat && tensor.bits == 16) return DType::bf16;
        const char* kinds[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
        throw py::type_error(name + " must have dtype float16, bfloat16, float32 or float64 on a CUDA device, got " +
                             (tensor.code <= boolean ? kinds[tensor.code] : "unknown") + std::to_string(tensor.bits));
    }
    static MatrixView checked(const dlpack::Tensor& tensor, const std::string& name) {
        require(tensor.device_type == dlpack::kCuda || tensor.device_type == dlpack::kCudaManaged,
                name + " must be in CUDA memory");
        require(tensor.ndim == 2, name + " must be 2-D, got " + std::to_string(tensor.ndim) + "-D");
        MatrixView view;
        view.dtype = dtype_of(tensor, name);
        view.rows = tensor.shape[0];
        view.cols = tensor.shape[1];
        require(view.rows > 0 && view.cols > 0, name + " must have at least one row and one column, got shape (" +
                                                    std::to_string(view.rows) + ", " + std::to_string(view.cols) + ")");
        const std::ptrdiff_t size = tensor.bits / 8;
        view.row_stride = (tensor.strides ? tensor.strides[0] : view.cols) * size;
        view.col_stride = (tensor.strides ? tensor.strides[1] : 1) * size;
        view.data = static_cast<const char*>(tensor.data) + tensor.byte_offset;
        return view;
    }

    dlpack::Managed* managed_ = nullptr;  // or the other
    dlpack::Versioned* versioned_ = nullptr;
    MatrixView view_;
};

}  // namespace kernalign::bindings
