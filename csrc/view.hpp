// What an engine reads: a strided matrix it does not own, seen through row-wise preprocessing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

namespace kernalign {

enum class DType : std::uint8_t { f16, bf16, f32, f64, i8, u8, i16, u16, i32, u32, i64, u64 };

// Arithmetic of the matrix products: float32 for 16- and 32-bit floats, float64 for float64 and integers.
enum class Precision : std::uint8_t { f32, f64 };

inline Precision natural_precision(DType dtype) {
    return dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f32 ? Precision::f32 : Precision::f64;
}

// Strides are in bytes and may be negative or zero; elements need not be aligned.
struct MatrixView {
    const void* data = nullptr;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::ptrdiff_t row_stride = 0;
    std::ptrdiff_t col_stride = 0;
    DType dtype = DType::f32;
};

// A view plus what is done to each row as it is read, in this order:
//   clamp to [-clip, clip];  subtract shift and multiply by scale, column by column;  subtract the row's mean
//   (zero_mean);  divide by the row's L2 norm (unit_norm; direction.hpp).
// `name` is the argument's name, for error messages. Pointers are borrowed and may be null.
struct Rows {
    MatrixView view;
    std::string name = "x";
    double clip = std::numeric_limits<double>::infinity();
    const double* shift = nullptr;
    const double* scale = nullptr;
    bool zero_mean = false;
    bool unit_norm = false;
    bool paired = false;  // zero_rows and nan_rows can drop rows with their partners: error messages say so

    std::int64_t rows() const { return view.rows; }
    std::int64_t cols() const { return view.cols; }
    bool plain() const {
        return !(clip < std::numeric_limits<double>::infinity()) && !shift && !scale && !zero_mean && !unit_norm;
    }
};

}  // namespace kernalign
