// Multiplies on the CPU: halves are summed as matrix units do, some products at once, cut off below the largest.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "cuda/products.hpp"
#include "cuda/rows.hpp"
#include "cuda/simulation.hpp"

namespace kernalign::cuda {
namespace {

// The float32 sum of sum and some products, each cut off after `bits` bits below the largest of them.
float cut_sum(float sum, const double* products, int count, int bits) {
    double largest = std::fabs(double(sum));
    for (int p = 0; p < count; ++p) largest = std::max(largest, std::fabs(products[p]));
    if (largest == 0) return sum;
    const double unit = std::scalbn(1.0, std::max(std::ilogb(largest), -126) - bits);
    double total = std::trunc(double(sum) / unit);
    for (int p = 0; p < count; ++p) total += std::trunc(products[p] / unit);
    total *= unit;
    const auto near = float(total);
    return std::fabs(double(near)) > std::fabs(total) ? std::nextafter(near, 0.0F) : near;
}

void multiply_halves(const simulation::Settings& settings, std::int64_t m, std::int64_t n, std::int64_t k,
                     const std::uint16_t* a, const std::uint16_t* b, float* c, std::int64_t ldc) {
    const int capability = settings.capability, bits = capability >= 90 ? 25 : 24;
    const int together = capability >= 90 ? 16 : capability >= 80 ? 8 : 4;
    std::vector<double> left(static_cast<std::size_t>(k)), right(static_cast<std::size_t>(n * k)), products(16);
    for (std::int64_t e = 0; e < n * k; ++e) right[std::size_t(e)] = double(Half{b[e]});
    for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t f = 0; f < k; ++f) left[std::size_t(f)] = double(Half{a[i * k + f]});
        for (std::int64_t j = 0; j < n; ++j) {
            const double* other = right.data() + j * k;
            float sum = 0;
            if (!settings.truncating) {
                for (std::int64_t f = 0; f < k; ++f) sum += float(left[std::size_t(f)] * other[f]);
            } else {
                for (std::int64_t f = 0; f < k; f += together) {
                    for (int p = 0; p < together; ++p)
                        products[std::size_t(p)] = left[std::size_t(f + p)] * other[f + p];
                    sum = cut_sum(sum, products.data(), together, bits);
                }
            }
            c[i * ldc + j] = sum;
        }
    }
}

template <class T>
void multiply_rows(std::int64_t m, std::int64_t n, std::int64_t k, const T* a, std::int64_t lda, const T* b,
                   std::int64_t ldb, T* c, std::int64_t ldc) {
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
            T sum = 0;
            for (std::int64_t f = 0; f < k; ++f) sum += a[i * lda + f] * b[j * ldb + f];
            c[i * ldc + j] = sum;
        }
}

template <class T>
void add_squares(std::int64_t rows, std::int64_t cols, const T* v, T* c) {
    for (std::int64_t r = 0; r < rows; ++r, v += cols)
        for (std::int64_t i = 0; i < cols; ++i)
            for (std::int64_t j = i; j < cols; ++j) c[i * cols + j] += v[i] * v[j];
}

}  // namespace

void look_for_products(const std::vector<std::string>&) {}
std::string products_path() { return simulation::settings().products ? "simulated" : ""; }
void require_products() {
    if (!has_products()) throw std::runtime_error("sums of products on a CUDA device need cuBLAS, which was not found");
}

struct Products::State {};
Products::Products(Queue& queue) : queue_(queue) {}
Products::~Products() = default;

void Products::multiply(std::int64_t m, std::int64_t n, std::int64_t k, const std::uint16_t* a, const std::uint16_t* b,
                        float* c, std::int64_t ldc) {
    const simulation::Settings settings = simulation::settings();
    simulation::begin_product(queue_.device());
    simulation::later(queue_, [=] { multiply_halves(settings, m, n, k, a, b, c, ldc); });
}

void Products::multiply(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                        const float* b, std::int64_t ldb, float* c, std::int64_t ldc) {
    simulation::begin_product(queue_.device());
    simulation::later(queue_, [=] { multiply_rows(m, n, k, a, lda, b, ldb, c, ldc); });
}

void Products::multiply(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
                        const double* b, std::int64_t ldb, double* c, std::int64_t ldc) {
    simulation::begin_product(queue_.device());
    simulation::later(queue_, [=] { multiply_rows(m, n, k, a, lda, b, ldb, c, ldc); });
}

void Products::square(std::int64_t rows, std::int64_t cols, const float* v, float* c) {
    simulation::begin_product(queue_.device());
    simulation::later(queue_, [=] {
        for (std::int64_t i = 0; i < cols; ++i) std::fill(c + i * cols + i, c + (i + 1) * cols, 0.0F);
        add_squares(rows, cols, v, c);
    });
}

void Products::add_square(std::int64_t rows, std::int64_t cols, const double* v, double* c) {
    simulation::begin_product(queue_.device());
    simulation::later(queue_, [=] { add_squares(rows, cols, v, c); });
}

}  // namespace kernalign::cuda
