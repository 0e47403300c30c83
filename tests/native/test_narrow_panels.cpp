// Protects the narrow search: its products bound every similarity from above, and the matrix unit multiplies rightly.
#include "cpu/neighbors/narrow_panels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "data.hpp"

using namespace kernalign;

namespace {

double widen(std::uint16_t half) {
    const std::uint32_t bits = std::uint32_t(half) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return double(value);
}

// All rows of a matrix as narrow panels, and their products by definition.
struct Panels {
    std::int64_t rows, whole, depth;
    std::vector<std::uint16_t> left, right;
    std::vector<float> offsets, lost, size;

    Panels(const NarrowPanels& panels, std::int64_t n, std::int64_t cols)
        : rows(n), whole((n + 31) / 32 * 32), depth(panels.depth()) {
        left.resize(std::size_t(whole * depth));
        right.resize(left.size());
        offsets.resize(std::size_t(whole));
        lost.resize(offsets.size()), size.resize(offsets.size());
        std::vector<double> scratch(static_cast<std::size_t>(cols));
        for (std::int64_t i = 0; i < n; i += 32)
            panels.fill(i, std::min<std::int64_t>(32, n - i), left.data() + i * depth, right.data() + i * depth,
                        offsets.data() + i, lost.data() + i, size.data() + i, scratch.data());
    }
    double at_left(std::int64_t i, std::int64_t f) const {
        return widen(left[std::size_t(i / 16 * 16 * depth + f / 32 * 512 + i % 16 * 32 + f % 32)]);
    }
    double at_right(std::int64_t i, std::int64_t f) const {
        return widen(right[std::size_t(i / 16 * 16 * depth + f / 32 * 512 + f % 32 / 2 * 32 + i % 16 * 2 + f % 2)]);
    }
    double product(std::int64_t i, std::int64_t j) const {
        double sum = 0;
        for (std::int64_t f = 0; f < depth; ++f) sum += at_left(i, f) * at_right(j, f);
        return sum;
    }
};

// How many pairs are not bounded.
int wrong_pairs(std::int64_t n, std::int64_t cols, double scale, double mean, Similarity kind) {
    const check::Matrix<float> x = check::gaussian<float>(n, cols, 7, mean, scale);
    const ExactRows rows(x.all(), kind, 1, nullptr);
    const Frame frame(rows, 1, nullptr);
    const NarrowPanels narrow(rows, frame);
    const BoundPanels<float> wide(rows, frame);
    const Panels panels(narrow, n, cols);
    std::vector<float> products(std::size_t(panels.whole * panels.whole));
    if (bfloat::available())
        bfloat::product(panels.whole, panels.whole, panels.depth, panels.left.data(), panels.right.data(),
                        products.data(), panels.whole);
    std::vector<double> values(static_cast<std::size_t>(cols)), scratch;
    int wrong = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        rows.read(i, values.data());
        for (std::int32_t j = 0; j < n; ++j) {
            double s = 0;
            rows.score(values.data(), &j, 1, &s, scratch);
            const double exact = panels.product(i, j);
            const float ours = float(exact);
            const float bound = (ours + panels.offsets[std::size_t(i)]) + panels.offsets[std::size_t(j)];
            wrong += !(double(bound) >= wide.threshold(s));
            if (!bfloat::available()) continue;
            const float unit = products[std::size_t(i * panels.whole + j)];
            wrong += !(std::fabs(double(unit) - exact) <= 1e-4 * (1 + std::fabs(exact)));
            const float bounded = (unit + panels.offsets[std::size_t(i)]) + panels.offsets[std::size_t(j)];
            wrong += !(double(bounded) >= wide.threshold(s));
        }
    }
    return wrong;
}

}  // namespace

TEST(narrow_bounds_hold) {
    for (const Similarity kind : {Similarity::cosine, Similarity::dot, Similarity::euclidean})
        for (const std::int64_t cols : {1, 2, 29, 30, 31, 64, 301})
            for (const double scale : {1e-15, 1.0, 1e12})
                for (const double mean : {0.0, 3.0}) CHECK(wrong_pairs(45, cols, scale, mean, kind) == 0);
}
