// Protects the row loader: every dtype, stride and preprocessing step, and the sentences it refuses bad values with.
#include "cpu/runtime/load.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.hpp"
#include "data.hpp"

using namespace kernalign;

namespace {

template <class T>
std::vector<T> load(const Rows& rows) {
    std::vector<T> out(std::size_t(rows.rows() * rows.cols()));
    load_rows<T>(rows, 0, rows.rows(), out.data(), rows.cols());
    return out;
}

template <class Element>
Rows dense(const std::vector<Element>& values, std::int64_t rows, DType dtype) {
    Rows view;
    const auto cols = std::int64_t(values.size()) / rows;
    view.view = {
        values.data(), rows, cols, std::ptrdiff_t(std::size_t(cols) * sizeof(Element)), std::ptrdiff_t(sizeof(Element)),
        dtype};
    return view;
}

// What the bits of an IEEE half mean, from the definition.
double half_value(unsigned bits) {
    const double sign = bits & 0x8000u ? -1 : 1;
    const int exponent = int(bits >> 10 & 31u);
    const int mantissa = int(bits & 1023u);
    return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

template <class Element>
void check_integers(DType dtype) {
    const std::vector<Element> values = {std::numeric_limits<Element>::min(), Element(1), Element(100),
                                         std::numeric_limits<Element>::max()};
    const std::vector<double> out = load<double>(dense(values, 2, dtype));
    for (std::size_t j = 0; j < values.size(); ++j) CHECK(out[j] == double(values[j]));
}

}  // namespace

TEST(every_finite_half_is_exact) {
    std::vector<std::uint16_t> bits;
    for (unsigned b = 0; b < 65536; ++b)
        if ((b >> 10 & 31u) != 31) bits.push_back(std::uint16_t(b));
    const std::vector<float> narrow = load<float>(dense(bits, 1, DType::f16));
    const std::vector<double> wide = load<double>(dense(bits, 1, DType::f16));
    int wrong = 0;
    for (std::size_t j = 0; j < bits.size(); ++j)
        wrong += double(narrow[j]) != half_value(bits[j]) || wide[j] != double(narrow[j]);
    CHECK(wrong == 0);
}

TEST(bfloat16_is_the_upper_half_of_float32) {
    const std::vector<std::uint16_t> bits = {0x3f80, 0xbf80, 0x4049, 0x0001, 0x7f7f};
    const std::vector<float> out = load<float>(dense(bits, 1, DType::bf16));
    for (std::size_t j = 0; j < bits.size(); ++j) {
        std::uint32_t back;
        std::memcpy(&back, &out[j], sizeof back);
        CHECK(back == std::uint32_t(bits[j]) << 16);
    }
}

TEST(integers_become_their_float64_value) {
    check_integers<std::int8_t>(DType::i8);
    check_integers<std::uint8_t>(DType::u8);
    check_integers<std::int16_t>(DType::i16);
    check_integers<std::uint16_t>(DType::u16);
    check_integers<std::int32_t>(DType::i32);
    check_integers<std::uint32_t>(DType::u32);
    check_integers<std::int64_t>(DType::i64);
    check_integers<std::uint64_t>(DType::u64);
}

TEST(strides_may_be_negative_zero_or_unaligned) {
    const std::vector<double> values = {1, 2, 3, 4, 5, 6};
    Rows flipped = dense(values, 2, DType::f64);
    flipped.view.data = &values[5];
    flipped.view.row_stride = -24;
    flipped.view.col_stride = -8;
    CHECK((load<double>(flipped) == std::vector<double>{6, 5, 4, 3, 2, 1}));

    Rows repeated = dense(values, 2, DType::f64);
    repeated.view.row_stride = 0;
    CHECK((load<double>(repeated) == std::vector<double>{1, 2, 3, 1, 2, 3}));

    std::vector<char> bytes(values.size() * sizeof(double) + 1);
    std::memcpy(bytes.data() + 1, values.data(), values.size() * sizeof(double));
    Rows shifted = dense(values, 2, DType::f64);
    shifted.view.data = bytes.data() + 1;
    CHECK(load<double>(shifted) == values);
    CHECK(!dense_as<double>(shifted));
    shifted.view.row_stride = 8;  // overlapping and transposed at once
    shifted.view.col_stride = 16;
    CHECK((load<float>(shifted) == std::vector<float>{1, 3, 5, 2, 4, 6}));
}

TEST(only_the_columns_asked_for_are_written) {
    const auto x = check::gaussian<float>(5, 3, 1);
    std::vector<double> out(4 * 7, -1);
    load_rows<double>(x.all(), 1, 5, out.data(), 7);
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 7; ++j) CHECK(out[std::size_t(7 * i + j)] == (j < 3 ? double(x(i + 1, j)) : -1));
}

TEST(dense_as_knows_what_needs_no_copy) {
    const auto x = check::gaussian<float>(4, 3, 1);
    CHECK(dense_as<float>(x.all()));
    CHECK(!dense_as<double>(x.all()));
    Rows rows = x.all();
    rows.unit_norm = true;
    CHECK(!dense_as<float>(rows));
    rows = x.all();
    rows.view.row_stride = -12;
    CHECK(!dense_as<float>(rows));
}

TEST(preprocessing_clips_then_scales_then_normalises) {
    const std::vector<double> values = {10, -10, 1, 0.5};
    const std::vector<double> shift = {1, 1}, scale = {2, 0.5};
    Rows rows = dense(values, 2, DType::f64);
    rows.clip = 3;
    rows.shift = shift.data();
    rows.scale = scale.data();
    CHECK((load<double>(rows) == std::vector<double>{4, -2, 0, -0.25}));
    rows.unit_norm = true;
    const std::vector<double> out = load<double>(rows);
    CHECK_NEAR(out[0], 4 / std::sqrt(20.0), 1e-15);
    CHECK_NEAR(out[1], -2 / std::sqrt(20.0), 1e-15);
    CHECK(out[2] == 0 && out[3] == -1);
}

TEST(unit_norm_survives_extreme_scales) {
    for (const double size : {1e-305, 1e-200, 1e200, 1e308}) {
        const std::vector<double> values = {size, -size};
        Rows rows = dense(values, 1, DType::f64);
        rows.unit_norm = true;
        const std::vector<double> out = load<double>(rows);
        CHECK_NEAR(out[0], std::sqrt(0.5), 1e-15);
        CHECK(out[1] == -out[0]);
    }
}

TEST(unit_rows_are_of_directions_alone) {
    const std::vector<double> values = {1, -2, 3, 5, -10, 15, 0.75, -1.5, 2.25, 0, 0, 0.3};
    Rows rows = dense(values, 4, DType::f64);
    rows.unit_norm = true;
    const std::vector<double> out = load<double>(rows);
    for (std::size_t at = 3; at < 9; ++at) CHECK(out[at] == out[at - 3]);
    CHECK(out[9] == 0 && out[11] == 1);
}

TEST(bad_values_are_named_by_row_and_column) {
    auto x = check::gaussian<float>(70, 33, 2);
    x.values[std::size_t(40 * 33 + 7)] = std::nanf("");
    x.values[std::size_t(41 * 33)] = HUGE_VALF;
    CHECK_THROWS(load<float>(x.all("y")), std::invalid_argument, "y must be finite, got nan at row 40, column 7");
    CHECK_THROWS(load<double>(x.all()), std::invalid_argument, "x must be finite, got nan at row 40, column 7");
    x.values[std::size_t(40 * 33 + 7)] = 0;
    Rows rows = x.all();
    rows.clip = 1;  // clipping must not hide it
    CHECK_THROWS(load<float>(rows), std::invalid_argument, "got inf at row 41, column 0");

    const std::vector<std::uint16_t> halves = {0x3c00, 0xfc00};
    CHECK_THROWS(load<float>(dense(halves, 2, DType::f16)), std::invalid_argument, "got -inf at row 1, column 0");
}

TEST(a_zero_row_cannot_be_normalised) {
    auto x = check::gaussian<double>(4, 3, 2);
    for (int j = 0; j < 3; ++j) x.values[std::size_t(2 * 3 + j)] = 0;
    Rows rows = x.all();
    load<double>(rows);
    rows.unit_norm = true;
    CHECK_THROWS(load<double>(rows), std::invalid_argument, "row 2 is zero");
}
