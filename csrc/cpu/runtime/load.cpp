// Reads rows of any dtype and layout into a dense float32 or float64 block, checked and preprocessed.
#include "cpu/runtime/load.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"
#include "direction.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kTogether = 1 << 10;  // numbers of short rows that are read together

struct Half {
    std::uint16_t bits;
    explicit operator float() const {
        const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16;
        const std::uint32_t exponent = (bits >> 10) & 0x1fu;
        const std::uint32_t mantissa = bits & 0x3ffu;
        // Zero or subnormal: mantissa * 2^-24, exact in float. No branches, so that loops are vectorised.
        const float small = float(std::int32_t(mantissa)) * 0x1p-24f;
        std::uint32_t small_bits;
        std::memcpy(&small_bits, &small, sizeof small_bits);
        const std::uint32_t is_small = 0u - std::uint32_t(exponent == 0),
                            is_special = 0u - std::uint32_t(exponent == 31);
        const std::uint32_t usual = (exponent + 112) << 23 | mantissa << 13 | (is_special & 0x7f800000u);
        const std::uint32_t wide = sign | (is_small & small_bits) | (~is_small & usual);
        float value;
        std::memcpy(&value, &wide, sizeof value);
        return value;
    }
    explicit operator double() const { return double(float(*this)); }
};

struct BFloat16 {
    std::uint16_t bits;
    explicit operator float() const {
        const std::uint32_t wide = std::uint32_t(bits) << 16;
        float value;
        std::memcpy(&value, &wide, sizeof value);
        return value;
    }
    explicit operator double() const { return double(float(*this)); }
};

template <class F>
void with_element_type(DType dtype, F&& f) {
    switch (dtype) {
        case DType::f16:
            return f(Half{});
        case DType::bf16:
            return f(BFloat16{});
        case DType::f32:
            return f(float{});
        case DType::f64:
            return f(double{});
        case DType::i8:
            return f(std::int8_t{});
        case DType::u8:
            return f(std::uint8_t{});
        case DType::i16:
            return f(std::int16_t{});
        case DType::u16:
            return f(std::uint16_t{});
        case DType::i32:
            return f(std::int32_t{});
        case DType::u32:
            return f(std::uint32_t{});
        case DType::i64:
            return f(std::int64_t{});
        case DType::u64:
            return f(std::uint64_t{});
    }
}

template <class Element, class T>
void convert_row(const char* source, std::ptrdiff_t stride, std::int64_t cols, T* out) {
    if (stride == std::ptrdiff_t(sizeof(Element))) {
        if constexpr (std::is_same_v<Element, T>) {
            std::memcpy(out, source, std::size_t(cols) * sizeof(T));
            return;
        }
        for (std::int64_t j = 0; j < cols; ++j) {  // a stride that the compiler knows
            Element value;
            std::memcpy(&value, source + j * std::int64_t(sizeof(Element)), sizeof value);
            out[j] = T(value);
        }
        return;
    }
    for (std::int64_t j = 0; j < cols; ++j) {
        Element value;
        std::memcpy(&value, source + j * stride, sizeof value);
        out[j] = T(value);
    }
}

[[noreturn]] void throw_not_finite(const Rows& rows, std::int64_t row, std::int64_t col, double value) {
    const std::string kind = std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    throw std::invalid_argument(rows.name + " must be finite, got " + kind + " at row " + std::to_string(row) +
                                ", column " + std::to_string(col) +
                                (rows.paired ? " (nan_rows=\"drop_pair\" drops such items)" : ""));
}

template <class T>
void check_finite(const Rows& rows, std::int64_t row, const T* values) {
    if (simd().all_finite(values, rows.cols())) return;
    for (std::int64_t j = 0; j < rows.cols(); ++j)
        if (!std::isfinite(values[j])) throw_not_finite(rows, row, j, double(values[j]));
}

// The L2 norm without overflow or underflow of the squares.
double norm_of(const double* values, std::int64_t cols) {
    double sum = 0;
    for (std::int64_t j = 0; j < cols; ++j) sum += values[j] * values[j];
    if (sum > 1e-280 && sum < 1e280) return std::sqrt(sum);
    double largest = 0;
    for (std::int64_t j = 0; j < cols; ++j) largest = std::fmax(largest, std::fabs(values[j]));
    if (largest == 0) return 0;
    const int exponent = std::ilogb(largest);
    sum = 0;
    for (std::int64_t j = 0; j < cols; ++j) {
        const double value = std::scalbn(values[j], -exponent);
        sum += value * value;
    }
    return std::scalbn(std::sqrt(sum), exponent);
}

void preprocess(const Rows& rows, std::int64_t row, double* values) {
    const std::int64_t cols = rows.cols();
    if (rows.clip < std::numeric_limits<double>::infinity())
        for (std::int64_t j = 0; j < cols; ++j) values[j] = std::fmin(std::fmax(values[j], -rows.clip), rows.clip);
    if (rows.shift)
        for (std::int64_t j = 0; j < cols; ++j) values[j] -= rows.shift[j];
    if (rows.scale)
        for (std::int64_t j = 0; j < cols; ++j) values[j] *= rows.scale[j];
    if (rows.zero_mean) {
        const double first = values[0];  // differences from it are exactly 0 in a constant row
        double sum = 0;
        for (std::int64_t j = 0; j < cols; ++j) sum += values[j] - first;
        const double mean = first + sum / double(cols);
        for (std::int64_t j = 0; j < cols; ++j) values[j] -= mean;
    }
    if (rows.unit_norm) {
        if (const double common = common_divisor([values](std::int64_t j) { return values[j]; }, cols); common != 1)
            for (std::int64_t j = 0; j < cols; ++j) values[j] /= common;
        const double norm = norm_of(values, cols);
        if (norm == 0) {
            const std::string kind = rows.zero_mean ? "constant" : "zero";
            throw std::invalid_argument(rows.name + " must have no " + kind + " row where rows are " +
                                        (rows.zero_mean ? "correlated" : "normalised") + ", row " +
                                        std::to_string(row) + " is " + kind +
                                        (rows.paired ? " (zero_rows=\"drop_pair\" drops such items)" : ""));
        }
        for (std::int64_t j = 0; j < cols; ++j) values[j] /= norm;
    }
}

// Some rows at a time, so that many short ones cost no more than as many numbers in long ones.
template <class Element, class T>
void load_plain(const Rows& rows, std::int64_t begin, std::int64_t end, T* out, std::int64_t ld) {
    const std::int64_t cols = rows.cols();
    const bool closed = ld == cols, joined = closed && rows.view.col_stride == std::ptrdiff_t(sizeof(Element)) &&
                                             rows.view.row_stride == cols * rows.view.col_stride;
    const std::int64_t step = closed ? std::max<std::int64_t>(1, kTogether / cols) : 1;
    for (std::int64_t i = begin; i < end; i += step, out += step * ld) {
        const std::int64_t count = std::min(step, end - i), length = joined ? count * cols : cols;
        const char* source = static_cast<const char*>(rows.view.data) + i * rows.view.row_stride;
        for (std::int64_t r = 0; r < (joined ? 1 : count); ++r, source += rows.view.row_stride)
            convert_row<Element>(source, rows.view.col_stride, length, out + r * ld);
        if (std::is_integral_v<Element> || simd().all_finite(out, count * cols)) continue;
        for (std::int64_t r = 0; r < count; ++r) check_finite(rows, i + r, out + r * ld);
    }
}

}  // namespace

template <class T>
void load_rows(const Rows& rows, std::int64_t begin, std::int64_t end, T* out, std::int64_t ld) {
    const bool plain = rows.plain();
    std::vector<double> wide(plain ? 0 : std::size_t(rows.cols()));
    with_element_type(rows.view.dtype, [&](auto element) {
        using Element = decltype(element);
        if (plain) return load_plain<Element>(rows, begin, end, out, ld);
        for (std::int64_t i = begin; i < end; ++i, out += ld) {
            const char* source = static_cast<const char*>(rows.view.data) + i * rows.view.row_stride;
            convert_row<Element>(source, rows.view.col_stride, rows.cols(), wide.data());
            check_finite(rows, i, wide.data());
            preprocess(rows, i, wide.data());
            for (std::int64_t j = 0; j < rows.cols(); ++j) out[j] = T(wide[std::size_t(j)]);
        }
    });
}

template <class T>
bool dense_as(const Rows& rows) {
    const DType wanted = std::is_same_v<T, float> ? DType::f32 : DType::f64;
    return rows.plain() && rows.view.dtype == wanted && rows.view.col_stride == std::ptrdiff_t(sizeof(T)) &&
           rows.view.row_stride >= rows.cols() * std::ptrdiff_t(sizeof(T)) &&
           rows.view.row_stride % std::ptrdiff_t(sizeof(T)) == 0 &&
           reinterpret_cast<std::uintptr_t>(rows.view.data) % alignof(T) == 0;
}

bool rows_vary(const Rows& rows, double relative, double absolute) {
    const std::int64_t cols = rows.cols(), most = std::max<std::int64_t>(1, (1 << 14) / cols);
    std::vector<double> first(static_cast<std::size_t>(cols)), block;
    load_rows(rows, 0, 1, first.data(), cols);
    for (std::int64_t begin = 1, step = 1; begin < rows.rows(); begin += step, step = most) {  // most tell at once
        const std::int64_t end = std::min(rows.rows(), begin + step);
        block.resize(std::size_t((end - begin) * cols));
        load_rows(rows, begin, end, block.data(), cols);
        for (std::int64_t i = 0; i < end - begin; ++i) {
            double square = 0;
            for (std::int64_t j = 0; j < cols; ++j) {
                const double a = block[std::size_t(i * cols + j)], b = first[std::size_t(j)], gap = std::fabs(a - b);
                square += gap * gap;
                if (!rows.unit_norm && gap > std::max(relative * std::max(std::fabs(a), std::fabs(b)), absolute))
                    return true;
            }
            if (rows.unit_norm && square > relative * relative) return true;
        }
    }
    return false;
}

void check_rows(const Rows& rows, int threads, Monitor* monitor) {
    constexpr std::int64_t kStep = 256;
    const std::int64_t tasks = (rows.rows() + kStep - 1) / kStep;
    const std::int64_t some = std::clamp<std::int64_t>(kTogether / rows.cols(), 1, kStep);
    Progress progress(monitor, tasks);
    parallel_for(tasks, resolve_threads(threads, 8.0 * double(rows.rows()) * double(rows.cols())), progress,
                 [&](std::int64_t task, int) {
                     std::vector<double> scratch(static_cast<std::size_t>(some * rows.cols()));
                     const std::int64_t end = std::min(rows.rows(), (task + 1) * kStep);
                     for (std::int64_t i = task * kStep; i < end; i += some)
                         load_rows(rows, i, std::min(end, i + some), scratch.data(), rows.cols());
                 });
}

template void load_rows<float>(const Rows&, std::int64_t, std::int64_t, float*, std::int64_t);
template void load_rows<double>(const Rows&, std::int64_t, std::int64_t, double*, std::int64_t);
template bool dense_as<float>(const Rows&);
template bool dense_as<double>(const Rows&);

}  // namespace kernalign
