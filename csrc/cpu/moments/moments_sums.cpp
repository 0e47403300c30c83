// Algebra of the Moments value: re-basing, merging, and the sums over pairs of Grams that it stands for.
#include <algorithm>
#include <cmath>

#include "cpu/moments/product_tiles.hpp"
#include "cpu/simd/simd.hpp"
#include "error.hpp"
#include "moments.hpp"

namespace kernalign {
namespace {

using Vector = std::vector<double>;
using Matrix = LargeVector<double>;

template <class V>
double dot(const V& a, const V& b) {
    return simd().dot(a.data(), b.data(), std::int64_t(a.size()));
}

template <class V>
void add_scaled(V& target, double factor, const V& source) {
    for (std::size_t j = 0; j < target.size(); ++j) target[j] += factor * source[j];
}

template <class V>
void scale(V& values, double factor) {
    for (double& value : values) value *= factor;
}

Vector times(const Matrix& matrix, const Vector& v) {
    const std::size_t cols = v.size(), rows = matrix.size() / cols;
    Vector result(rows);
    for (std::size_t i = 0; i < rows; ++i)
        result[i] = simd().dot(matrix.data() + i * cols, v.data(), std::int64_t(cols));
    return result;
}

Vector transposed_times(const Matrix& matrix, const Vector& v) {
    const std::size_t rows = v.size(), cols = matrix.size() / rows;
    Vector result(cols, 0.0);
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < cols; ++j) result[j] += v[i] * matrix[i * cols + j];
    return result;
}

// M += a t^T + s b^T: how a product moves when its sides move by a and b; s and t are sums before and after the move.
void move_product(Matrix& product, const Vector& a, const Vector& moved_sum, const Vector& sum, const Vector& b) {
    const std::size_t cols = b.size();
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t j = 0; j < cols; ++j) product[i * cols + j] += a[i] * moved_sum[j] + sum[i] * b[j];
}

}  // namespace

MomentSums::MomentSums(std::int64_t p, std::int64_t q) {
    const std::array<std::int64_t, 2> cols{p, q};
    for (std::size_t s = 0; s < 2; ++s) {
        side[s].cols = cols[s];
        for (Vector* v : {&side[s].shift, &side[s].sum, &side[s].own, &side[s].other})
            v->assign(std::size_t(cols[s]), 0.0);
    }
    products = {Matrix(std::size_t(p * p), 0.0), Matrix(std::size_t(p * q), 0.0), Matrix(std::size_t(q * q), 0.0)};
}

void MomentSums::symmetrise() {
    for (std::size_t s = 0; s < 2; ++s) mirror_upper(products[2 * s], side[s].cols);
}

void MomentSums::rescale(int exponent_x, int exponent_y) {
    const std::array<int, 2> wanted{exponent_x, exponent_y};
    std::array<double, 2> f;
    for (std::size_t s = 0; s < 2; ++s)  // the sums of an unscaled side are zero
        f[s] = side[s].scaled ? std::ldexp(1.0, side[s].exponent - wanted[s]) : 1.0;
    for (std::size_t s = 0; s < 2; ++s) side[s].exponent = wanted[s];
    if (f[0] == 1 && f[1] == 1) return;
    for (std::size_t s = 0; s < 2; ++s) {
        const double own = f[s], other = f[1 - s];
        scale(side[s].sum, own);
        scale(side[s].own, own * own * own);
        scale(side[s].other, own * other * other);
        side[s].norm *= own * own;
        side[s].norm_square *= own * own * own * own;
    }
    norm_product *= f[0] * f[0] * f[1] * f[1];
    scale(products[0], f[0] * f[0]);
    scale(products[1], f[0] * f[1]);
    scale(products[2], f[1] * f[1]);
}

std::array<int, 2> MomentSums::exponents_for(const Vector& shift_x, const Vector& shift_y) const {
    constexpr int kHeadroom = 50;  // fourth powers of moves up to 2^50 scaled units are far from overflow
    const std::array<const Vector*, 2> shifts{&shift_x, &shift_y};
    std::array<int, 2> result;
    for (std::size_t s = 0; s < 2; ++s) {
        result[s] = side[s].exponent;
        double move = 0;
        for (std::size_t j = 0; j < side[s].shift.size(); ++j)
            move = std::max(move, std::fabs(side[s].shift[j] - (*shifts[s])[j]));
        if (move > 0 && !side[s].scaled) result[s] = std::clamp(std::ilogb(move), -1000, 1000);
        if (move > 0 && side[s].scaled) result[s] = std::max(result[s], std::ilogb(move) - kHeadroom);
    }
    return result;
}

void MomentSums::rebase(const Vector& shift_x, const Vector& shift_y) {
    const std::array<int, 2> room = exponents_for(shift_x, shift_y);
    rescale(room[0], room[1]);
    const std::array<const Vector*, 2> shifts{&shift_x, &shift_y};
    std::array<Vector, 2> d;
    for (std::size_t s = 0; s < 2; ++s) {
        d[s].resize(side[s].shift.size());
        for (std::size_t j = 0; j < d[s].size(); ++j)
            d[s][j] = std::ldexp(side[s].shift[j] - (*shifts[s])[j], -side[s].exponent);
    }
    move(d);
    for (std::size_t s = 0; s < 2; ++s) side[s].shift = *shifts[s];
}

void MomentSums::centre() {
    const std::vector<double> x = mean(0), y = mean(1);
    rebase(x, y);
    std::array<Vector, 2> d{side[0].sum, side[1].sum};  // what rounding took from the means
    for (Vector& move : d) scale(move, -1 / double(n));
    move(d);
}

void MomentSums::finish(bool centred) {
    symmetrise();
    if (centred && n > 0) return centre();
    rebase(Vector(side[0].shift.size(), 0.0), Vector(side[1].shift.size(), 0.0));
}

void MomentSums::move(const std::array<Vector, 2>& d) {
    const double count = double(n);
    std::array<double, 2> dd{};    // squared length of the move
    std::array<double, 2> ds{};    // d . sum
    std::array<Vector, 2> across;  // products with the other side's move: C d_y and C^T d_x
    std::array<Vector, 2> within;  // A d
    for (std::size_t s = 0; s < 2; ++s) {
        dd[s] = dot(d[s], d[s]);
        ds[s] = dot(d[s], side[s].sum);
        within[s] = times(products[2 * s], d[s]);
    }
    if (dd[0] == 0 && dd[1] == 0) return;
    across[0] = times(products[1], d[1]);
    across[1] = transposed_times(products[1], d[0]);

    const double cross = dot(d[0], across[0]);  // d_x^T C d_y
    norm_product += 2 * dot(d[1], side[1].other) + dd[1] * side[0].norm + 2 * dot(d[0], side[0].other) + 4 * cross +
                    2 * dd[1] * ds[0] + dd[0] * side[1].norm + 2 * dd[0] * ds[1] + count * dd[0] * dd[1];
    std::array<double, 2> norm_after;
    for (std::size_t s = 0; s < 2; ++s) norm_after[s] = side[s].norm + 2 * ds[s] + count * dd[s];
    for (std::size_t s = 0; s < 2; ++s) {
        SideSums& t = side[s];
        t.norm_square += 4 * dot(d[s], t.own) + 2 * dd[s] * t.norm + 4 * dot(d[s], within[s]) + 4 * dd[s] * ds[s] +
                         count * dd[s] * dd[s];
        add_scaled(t.own, 2, within[s]);
        add_scaled(t.own, dd[s], t.sum);
        add_scaled(t.own, norm_after[s], d[s]);
        add_scaled(t.other, 2, across[s]);
        add_scaled(t.other, dd[1 - s], t.sum);
        add_scaled(t.other, norm_after[1 - s], d[s]);
    }
    std::array<Vector, 2> moved{side[0].sum, side[1].sum};
    for (std::size_t s = 0; s < 2; ++s) add_scaled(moved[s], count, d[s]);
    move_product(products[0], d[0], moved[0], side[0].sum, d[0]);
    move_product(products[1], d[0], moved[1], side[0].sum, d[1]);
    move_product(products[2], d[1], moved[1], side[1].sum, d[1]);
    for (std::size_t s = 0; s < 2; ++s) {
        side[s].norm = norm_after[s];
        side[s].sum = std::move(moved[s]);
    }
}

void MomentSums::add(const MomentSums& o) {
    n += o.n;
    norm_product += o.norm_product;
    widened = widened || o.widened;
    for (std::size_t s = 0; s < 2; ++s) {
        add_scaled(side[s].sum, 1, o.side[s].sum);
        add_scaled(side[s].own, 1, o.side[s].own);
        add_scaled(side[s].other, 1, o.side[s].other);
        side[s].norm += o.side[s].norm;
        side[s].norm_square += o.side[s].norm_square;
        side[s].scaled = side[s].scaled || o.side[s].scaled;
    }
    for (std::size_t m = 0; m < 3; ++m) add_scaled(products[m], 1, o.products[m]);
}

void MomentSums::merge(MomentSums other) {
    // One scale for both, with room for the move from the other's shift to this one's.
    std::array<int, 2> exponents = other.exponents_for(side[0].shift, side[1].shift);
    std::array<bool, 2> moves{};
    for (std::size_t s = 0; s < 2; ++s) {
        const SideSums &mine = side[s], &theirs = other.side[s];
        moves[s] = mine.shift != theirs.shift;
        if (mine.scaled)
            exponents[s] = theirs.scaled || moves[s] ? std::max(exponents[s], mine.exponent) : mine.exponent;
    }
    rescale(exponents[0], exponents[1]);
    other.rescale(exponents[0], exponents[1]);
    for (std::size_t s = 0; s < 2; ++s) other.side[s].scaled = other.side[s].scaled || moves[s];
    other.rebase(side[0].shift, side[1].shift);
    add(other);
}

Vector MomentSums::mean(int which) const {
    require(which == 0 || which == 1, "side must be 0 or 1");
    const SideSums& t = side[std::size_t(which)];
    Vector result = t.shift;
    for (std::size_t j = 0; j < result.size(); ++j) result[j] += std::ldexp(t.sum[j] / double(n), t.exponent);
    return result;
}

const Matrix& MomentSums::product(int a, int b) const {
    require(0 <= a && a <= b && b <= 1, "sides must be 0 and 0, 0 and 1 or 1 and 1");
    return products[std::size_t(a + b)];
}

PairSums MomentSums::pair(int a, int b) const {
    const Matrix& between = product(a, b);
    const SideSums& x = side[std::size_t(a)];
    const SideSums& y = side[std::size_t(b)];
    PairSums sums;
    sums.full = dot(between, between);
    sums.diagonal = a == b ? x.norm_square : norm_product;
    sums.rows = dot(x.sum, times(between, y.sum));
    sums.rows_diagonal = dot(x.sum, a == b ? x.own : x.other);
    sums.diagonal_rows = dot(y.sum, a == b ? y.own : y.other);
    sums.trace_x = x.norm;
    sums.trace_y = y.norm;
    sums.total_x = dot(x.sum, x.sum);
    sums.total_y = dot(y.sum, y.sum);
    return sums;
}

}  // namespace kernalign
