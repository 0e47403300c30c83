// Sources of every kernel form, for the tests of the Grams engine.
#pragma once

#include <cstdint>
#include <vector>

#include "check.hpp"
#include "data.hpp"
#include "error.hpp"
#include "grams.hpp"

namespace check {

using kernalign::GramSource;
using kernalign::Kernel;
using kernalign::KernelForm;
using kernalign::Precision;

// Every form but precomputed.
inline std::vector<Kernel> kernels() {
    return {{KernelForm::linear, 1, 0, 1},    {KernelForm::polynomial, 1, 2.5, 3}, {KernelForm::polynomial, 1, 0, 2},
            {KernelForm::rbf, 3, 0, 1},       {KernelForm::laplacian, 4, 0, 1},    {KernelForm::sqeuclidean, 1, 0, 1},
            {KernelForm::euclidean, 1, 0, 1}, {KernelForm::rbf, 1000, 0, 1},       {KernelForm::polynomial, 1, 1, 1}};
}

template <class T>
GramSource source(const Matrix<T>& x, const Kernel& kernel = {}) {
    return {{x.all()}, kernel, sizeof(T) == 4 ? Precision::f32 : Precision::f64};
}

// A symmetric matrix.
template <class T>
Matrix<T> symmetric(std::int64_t n, unsigned seed) {
    Matrix<T> m = gaussian<T>(n, n, seed);
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < i; ++j) m.values[std::size_t(i * n + j)] = m.values[std::size_t(j * n + i)];
    return m;
}

struct StopNow : kernalign::Monitor {
    void poll(std::int64_t, std::int64_t) override { throw kernalign::Stopped(); }
};

}  // namespace check
