// A Gram matrix that the caller computed, read in tiles.
#include "cpu/grams/given_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "cpu/runtime/load.hpp"
#include "error.hpp"

namespace kernalign {

constexpr std::int64_t kScaleRows = 16;

template <class T>
GivenMatrix<T>::GivenMatrix(const Rows& matrix) : matrix_(matrix) {
    const std::int64_t n = matrix.rows();
    require(n == matrix.cols(), matrix.name + " must be a square matrix where it is precomputed, got " +
                                    std::to_string(n) + " x " + std::to_string(matrix.cols()));
    double most = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        T value;
        read(i, 1, i, 1, &value);
        diagonal.push_back(double(value));
        most = std::max(most, std::fabs(double(value)));
    }
    const std::int64_t count = std::min(n, kScaleRows);  // the diagonal may be zero
    std::vector<T> row(static_cast<std::size_t>(n));
    for (std::int64_t s = 0; s < count; ++s) {
        const std::int64_t i = count > 1 ? s * (n - 1) / (count - 1) : 0;
        read(i, 1, 0, n, row.data());
        for (const T value : row) most = std::max(most, std::fabs(double(value)));
    }
    if (most > 0) exponent_ = std::clamp(std::ilogb(most), -1000, 1000);
    for (double& value : diagonal) value = std::ldexp(value, -exponent_);
}

template <class T>
void GivenMatrix<T>::tile(std::int64_t i0, std::int64_t m, std::int64_t j0, std::int64_t k, T* out) const {
    std::vector<T> mirror(std::size_t(m * k));
    read(i0, m, j0, k, out);
    read(j0, k, i0, m, mirror.data());
    const double factor = std::ldexp(1.0, -exponent_), tolerance = sizeof(T) == 4 ? 1e-5 : 1e-9;
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < k; ++j) {
            const double a = factor * double(out[i * k + j]), b = factor * double(mirror[std::size_t(j * m + i)]);
            if (!(std::fabs(a - b) <= tolerance * std::max({1.0, std::fabs(a), std::fabs(b)})))
                refuse(i0 + i, j0 + j, a / factor, b / factor);
            out[i * k + j] = T(a);
        }
}

template <class T>
void GivenMatrix<T>::read(std::int64_t i0, std::int64_t m, std::int64_t j0, std::int64_t k, T* out) const {
    Rows part = matrix_;
    part.view.data = static_cast<const char*>(part.view.data) + j0 * part.view.col_stride;
    part.view.cols = k;
    try {
        load_rows(part, i0, i0 + m, out, k);
    } catch (const std::invalid_argument&) {
        std::vector<T> rows(std::size_t(m * matrix_.cols()));
        load_rows(matrix_, i0, i0 + m, rows.data(), matrix_.cols());
        throw;
    }
}

template <class T>
void GivenMatrix<T>::refuse(std::int64_t i, std::int64_t j, double a, double b) const {
    const std::string one = std::to_string(i), other = std::to_string(j);
    throw std::invalid_argument(matrix_.name + " must be a symmetric matrix where it is precomputed, but entry (" +
                                one + ", " + other + ") is " + std::to_string(a) + " and entry (" + other + ", " + one +
                                ") is " + std::to_string(b));
}

template class GivenMatrix<float>;
template class GivenMatrix<double>;

}  // namespace kernalign
