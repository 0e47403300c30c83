// Rows in device memory, as kernels read them: of four types, widened to the same bits as on the CPU.
#pragma once

#include <cstdint>
#include <cstring>

#include "cuda/simt.hpp"

namespace kernalign::cuda {

KERNALIGN_KERNEL float float_of(std::uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
KERNALIGN_KERNEL std::uint32_t bits_of(float value) {
    std::uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

struct Half {
    std::uint16_t bits;
    KERNALIGN_KERNEL explicit operator double() const {
        const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16, exponent = (bits >> 10) & 0x1fu,
                            mantissa = bits & 0x3ffu;
        if (exponent == 0) {  // zero or subnormal, exact in float32
            const float small = float(mantissa) * 0x1p-24f;
            return double(sign ? -small : small);
        }
        const std::uint32_t wide = exponent == 31 ? 0x7f800000u : (exponent + 112) << 23;
        return double(float_of(sign | wide | mantissa << 13));
    }
};

struct BFloat16 {
    std::uint16_t bits;
    KERNALIGN_KERNEL explicit operator double() const { return double(float_of(std::uint32_t(bits) << 16)); }
};

// The nearest half, ties to even; infinity from 65520 on.
KERNALIGN_KERNEL Half half_of(float value) {
    const std::uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffffu;
    const auto sign = std::uint16_t(bits >> 16 & 0x8000u);
    if (magnitude < 0x38800000u)  // subnormal: a float of 2^23 and more has integers only
        return {std::uint16_t(sign | (bits_of(float_of(magnitude) * 0x1p24f + 0x1p23f) & 0x7fffffu))};
    if (magnitude >= 0x477ff000u) return {std::uint16_t(sign | 0x7c00u)};
    return {std::uint16_t(sign | (magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u) >> 13)};
}
// The least half, or float, that is not below value; halves of [0, 65504] only.
KERNALIGN_KERNEL Half half_up(double value) {
    Half near = half_of(float(value));
    while (double(near) < value) ++near.bits;
    return near;
}
KERNALIGN_KERNEL float float_up(double value) {
    const auto near = float(value);
    if (double(near) >= value) return near;
    return float_of(bits_of(near) + (near < 0 ? -1 : 1));
}

// X_i of neighbors.hpp: element * factor, rounded once. E is Half, BFloat16, float or double.
template <class E>
struct DeviceRows {
    using Element = E;
    const E* data = nullptr;
    std::int64_t count = 0, cols = 0, stride = 0;  // stride in elements
    const double* factor = nullptr;                // 1 / |x_i| for cosine, or null
    const double* divisor = nullptr;               // of each row (direction.hpp), or null: quotients are exact

    KERNALIGN_KERNEL double raw(std::int64_t row, std::int64_t f) const {
        const double value = double(data[row * stride + f]);
        return divisor && divisor[row] != 1 ? value / divisor[row] : value;
    }
    KERNALIGN_KERNEL double scaling(std::int64_t row) const { return factor ? factor[row] : 1.0; }
    KERNALIGN_KERNEL double operator()(std::int64_t row, std::int64_t f) const { return raw(row, f) * scaling(row); }
};

// Calls f with the element type of rows: f(Half{}) and so on.
enum class Element : std::uint8_t { f16, bf16, f32, f64 };
template <class F>
auto with_element(Element element, F&& f) {
    switch (element) {
        case Element::f16:
            return f(Half{});
        case Element::bf16:
            return f(BFloat16{});
        case Element::f32:
            return f(float{});
        default:
            return f(double{});
    }
}

// Rows of any of these types, without factors.
struct AnyRows {
    Element element = Element::f64;
    const void* data = nullptr;
    std::int64_t count = 0, cols = 0, stride = 0;  // stride in elements

    // f(DeviceRows<E>) of rows [begin, begin + rows).
    template <class F>
    auto with(std::int64_t begin, std::int64_t rows, F&& f) const {
        return with_element(element, [&](auto one) {
            using E = decltype(one);
            DeviceRows<E> x;
            x.data = static_cast<const E*>(data) + begin * stride;
            x.count = rows;
            x.cols = cols;
            x.stride = stride;
            return f(x);
        });
    }
};

}  // namespace kernalign::cuda
