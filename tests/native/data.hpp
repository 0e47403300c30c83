// Random matrices, and Rows over them, for the native tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include "view.hpp"

namespace check {

// ThreadSanitizer finds races, for which few tiles do, and slows down oracles of large matrices tenfold.
#ifdef __SANITIZE_THREAD__
constexpr bool kRacesOnly = true;
#else
constexpr bool kRacesOnly = false;
#endif

template <class T>
struct Matrix {
    std::int64_t rows, cols;
    std::vector<T> values;

    T operator()(std::int64_t i, std::int64_t j) const { return values[std::size_t(i * cols + j)]; }

    kernalign::Rows slice(std::int64_t begin, std::int64_t end, const char* name = "x") const {
        kernalign::Rows view;
        view.view = {values.data() + begin * cols,
                     end - begin,
                     cols,
                     std::ptrdiff_t(std::size_t(cols) * sizeof(T)),
                     std::ptrdiff_t(sizeof(T)),
                     std::is_same_v<T, float> ? kernalign::DType::f32 : kernalign::DType::f64};
        view.name = name;
        return view;
    }
    kernalign::Rows all(const char* name = "x") const { return slice(0, rows, name); }
};

// scale times normal entries around `mean`; the same seed gives the same rows, and the same float64 values rounded for
// float.
template <class T>
Matrix<T> gaussian(std::int64_t rows, std::int64_t cols, unsigned seed, double mean = 0, double scale = 1) {
    std::mt19937_64 generator(seed);
    std::normal_distribution<double> normal(mean, 1);
    Matrix<T> matrix{rows, cols, std::vector<T>(std::size_t(rows * cols))};
    for (T& value : matrix.values) value = T(scale * normal(generator));
    return matrix;
}

// Small integers without a common divisor in any row: every product is exact, and ties are everywhere.
inline Matrix<float> lattice(std::int64_t rows, std::int64_t cols) {
    Matrix<float> x = gaussian<float>(rows, cols, 7);
    for (float& value : x.values) value = std::round(value);
    for (std::int64_t i = 0; i < rows; ++i) x.values[std::size_t(i * cols)] = 1;
    return x;
}

// The same directions in other lengths.
inline Matrix<float> lengthened(Matrix<float> x) {
    for (std::size_t at = 0; at < x.values.size(); ++at) x.values[at] *= float(1 + std::int64_t(at) / x.cols % 7);
    return x;
}

}  // namespace check
