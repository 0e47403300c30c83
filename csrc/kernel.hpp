// What is made of the inner products of rows: a kernel function or a distance.
#pragma once

#include <cstdint>
#include <vector>

#include "view.hpp"

namespace kernalign {

// With a and b two rows:
//   linear       a.b                           sqeuclidean  |a - b|^2
//   polynomial   (a.b + offset)^degree         euclidean    |a - b|
//   rbf          exp(-|a - b|^2 / (2 width^2)) laplacian    exp(-|a - b| / width)
//   precomputed  the n x n matrix itself, which must be symmetric
enum class KernelForm : std::uint8_t { linear, polynomial, rbf, laplacian, sqeuclidean, euclidean, precomputed };

struct Kernel {
    KernelForm form = KernelForm::linear;
    double width = 1;
    double offset = 0;
    int degree = 1;
    bool levelled = false;  // euclidean: levels of rows may be taken out, a_i + a_j, which no centred sum sees

    bool takes_root() const {
        return form == KernelForm::laplacian || form == KernelForm::euclidean;
    }  // of differences
};

// One representation as the Grams engine takes it; the rows of several parts follow one another.
struct GramSource {
    std::vector<Rows> parts;
    Kernel kernel;
    Precision precision = Precision::f64;

    std::int64_t rows() const {
        std::int64_t n = 0;
        for (const Rows& part : parts) n += part.rows();
        return n;
    }
    std::int64_t cols() const { return parts.front().cols(); }
    double work() const {
        return 0.5 * double(rows()) * double(rows()) * double(cols());
    }  // multiply-adds of all pairs
    bool by_distance() const {
        return kernel.form != KernelForm::linear && kernel.form != KernelForm::polynomial &&
               kernel.form != KernelForm::precomputed;
    }
    bool exponential() const { return kernel.form == KernelForm::rbf || kernel.form == KernelForm::laplacian; }
};

}  // namespace kernalign
