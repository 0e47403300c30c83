// Contract of matrix products on a device: of halves, float32 and float64, by cuBLAS, which is found at run time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/device.hpp"

namespace kernalign::cuda {

// Looks for cuBLAS where the process has it already, then at these paths, then where the system looks.
void look_for_products(const std::vector<std::string>& paths);
std::string products_path();  // of cuBLAS; empty if none was found
inline bool has_products() { return !products_path().empty(); }
void require_products();  // for what has no other way

// u: sums of n products of halves are off by no more than n u / (1 - n u) times the sum of their magnitudes. Matrix
// units align 4 to 16 products and the sum so far to the largest exponent and cut the rest off: after 25 bits of
// fraction from compute capability 9.0 on, 24 from 7.5 on; other units are trusted with 23.
inline double accumulation_unit(const DeviceFacts& facts) {
    const int capability = 10 * facts.major + facts.minor;
    return capability >= 90 ? 0x1p-24 : capability >= 75 ? 0x1p-23 : 0x1p-22;
}

// Whether products of 16- and 32-bit rows are made in float32, since float64 ones take many times as long.
inline bool multiplies_floats(int device) { return floats_per_double(device) > 8; }

class Products {
  public:
    explicit Products(Queue& queue);
    ~Products();
    Products(const Products&) = delete;
    Products& operator=(const Products&) = delete;

    // C = A B^T in float32: A is m x k, B is n x k, of halves, dense, k a multiple of 16; C is m x n, ldc a multiple
    // of 4.
    void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const std::uint16_t* a, const std::uint16_t* b,
                  float* c, std::int64_t ldc);
    // The same of float32, in float32 and nothing less, of rows lda and ldb apart; and of float64.
    void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
                  std::int64_t ldb, float* c, std::int64_t ldc);
    void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda, const double* b,
                  std::int64_t ldb, double* c, std::int64_t ldc);
    // The upper triangle of C = V^T V: V is rows x cols, dense, C dense; and of C += V^T V.
    void square(std::int64_t rows, std::int64_t cols, const float* v, float* c);
    void add_square(std::int64_t rows, std::int64_t cols, const double* v, double* c);

  private:
    struct State;
    Queue& queue_;
    std::unique_ptr<State> state_;
};

}  // namespace kernalign::cuda
