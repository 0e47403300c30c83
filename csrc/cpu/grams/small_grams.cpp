// Sums over two linear Gram matrices of a few rows, which are held whole.
#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>
#include <vector>

#include "cpu/products/float_product.hpp"
#include "cpu/runtime/dense_centre.hpp"
#include "cpu/runtime/load.hpp"
#include "cpu/simd/simd.hpp"
#include "error.hpp"
#include "grams.hpp"
#include "outlier.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kMostRows = 512;
constexpr std::int64_t kMostElements = 1 << 18;  // of both sides

template <class T>
struct SmallSide {
    LargeVector<T> rows, gram;
    std::vector<double> norms;  // squared
    double trace = 0;
    int exponent = 0;

    // False if all rows are equal, or products of them would not do.
    bool make(const Rows& given) {
        const std::int64_t n = given.rows(), cols = given.cols();
        rows.resize(std::size_t(n * cols));
        DenseRows<T> source(given);  // read where they are, for centring finds what is not finite
        if (!source.dense) {
            load_rows(given, 0, n, rows.data(), cols);
            source = DenseRows<T>(rows.data(), cols);
        }
        DenseCentre centre;
        Progress none(nullptr, 0);
        if (!centre.find(source, n, cols, 1, none)) return false;
        exponent = centre.exponent;
        norms.resize(std::size_t(n));
        const double factor = std::ldexp(1.0, -exponent);
        for (std::int64_t i = 0; i < n; ++i)
            trace += norms[std::size_t(i)] =
                simd().copy_centred(source.dense + i * source.stride, centre.mean.data(), centre.rest.data(), factor,
                                    rows.data() + i * cols, cols);
        if (!std::isfinite(trace) || (std::is_same_v<T, float> && has_outlier(norms))) return false;
        gram.resize(std::size_t(n * n));
        ProductScratch unused;
        square(Factor<T>{rows.data(), cols, n}, cols, gram.data(), n, unused);
        return true;
    }
};

template <class T>
std::optional<SmallGrams> small(const Rows& x, const Rows& y) {
    std::array<SmallSide<T>, 2> sides;
    if (!sides[0].make(x) || !sides[1].make(y)) return std::nullopt;
    const std::int64_t n = x.rows();
    double above[3] = {}, diagonal[3] = {};  // xy, xx, yy
    for (SmallSide<T>& side : sides)         // one long sum is quicker than one for each row
        for (std::int64_t i = 0; i < n; ++i) std::fill_n(side.gram.data() + i * n, i + 1, T(0));
    simd().pair_products(sides[0].gram.data(), sides[1].gram.data(), above, n * n);
    simd().pair_products(sides[0].norms.data(), sides[1].norms.data(), diagonal, n);
    SmallGrams result;
    for (std::size_t k = 0; k < 3; ++k) {
        const std::size_t at = std::array<std::size_t, 3>{1, 0, 2}[k];
        const double trace_x = sides[k / 2].trace, trace_y = sides[(k + 1) / 2].trace;
        PairSums &full = result.pairs[k], &hollow = result.hollow[k];
        hollow.full = 2 * above[at];
        hollow.rows = full.diagonal = diagonal[at];
        hollow.total_x = -trace_x;  // sums of rows without the diagonal, for those with it are zeros
        hollow.total_y = -trace_y;
        full.full = hollow.full + full.diagonal;
        full.trace_x = trace_x;
        full.trace_y = trace_y;
    }
    for (std::size_t s = 0; s < 2; ++s) result.exponents[s] = 2 * sides[s].exponent;
    return result;
}

}  // namespace

std::optional<SmallGrams> small_gram_sums(const Rows& x, const Rows& y, Precision precision) {
    require_same_rows(x.rows(), y.rows());
    if (x.rows() < 2 || x.rows() > kMostRows || x.rows() * (x.cols() + y.cols()) > kMostElements) return std::nullopt;
    if (precision == Precision::f64) return small<double>(x, y);
    if (!x.plain() || !y.plain() || by_parts(std::max(x.cols(), y.cols()))) return std::nullopt;
    return small<float>(x, y);
}

}  // namespace kernalign
