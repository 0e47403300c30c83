// Protects the promise of neighbor_kernels.hpp: every instruction set selects, centres and scores to the same bits.
#include "cpu/simd/neighbor_kernels.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "tables.hpp"

using namespace kernalign;
using check::tables;
using check::values;

namespace {

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

template <class T>
std::vector<double> selected(const Simd& table, std::int64_t n) {
    std::vector<T> row = values<T>(n, 1), offsets = values<T>(n, 2), cuts = values<T>(n, 3);
    for (std::size_t j = 0; j < std::size_t(n); j += 5) row[j] = std::numeric_limits<T>::quiet_NaN();
    for (std::size_t j = 3; j < std::size_t(n); j += 7) offsets[j] = -std::numeric_limits<T>::infinity();
    std::vector<T> sums(std::size_t(n), T(0));
    std::vector<std::int32_t> hits(std::size_t(n) + 32, -1);
    const std::int64_t count =
        table.neighbors.select(row.data(), offsets.data(), T(0.3), T(1.5), cuts.data(), sums.data(), hits.data(), n);
    std::vector<double> out = {double(count)};
    for (std::int64_t h = 0; h < count; ++h) out.push_back(double(hits[std::size_t(h)]));
    for (const T sum : sums) out.push_back(std::isnan(sum) ? 0 : double(sum));
    return out;
}

template <class T, class Out>
std::vector<double> centred(const Simd& table, std::int64_t n) {
    const std::vector<T> row = values<T>(n, 1);
    const std::vector<double> centre = values<double>(n, 2);
    std::vector<Out> out = values<Out>(n, 3);
    std::array<double, 2> sums = {1, -1};
    table.neighbors.centre_row(row.data(), centre.data(), 0.7, 0.125, out.data(), sums.data(), n);
    std::vector<double> all(out.begin(), out.end());
    all.insert(all.end(), sums.begin(), sums.end());
    return all;
}

template <class T>
struct Scoring {
    std::vector<double> x, factors = values<double>(16, 4);
    std::array<std::vector<T>, 16> rows;
    std::array<const T*, 16> pointers{};
    explicit Scoring(std::int64_t n) : x(values<double>(n, 3)) {
        for (std::size_t c = 0; c < 16; ++c) {
            rows[c] = values<T>(n, unsigned(10 + c));
            pointers[c] = rows[c].data();
        }
    }
    std::vector<double> scores(const Simd& table, bool distance, std::int64_t lanes, std::int64_t n) const {
        std::vector<double> out(16, 0.0);
        table.neighbors.score_in_order(x.data(), pointers.data(), factors.data(), distance, out.data(), lanes, n);
        out.resize(std::size_t(lanes));
        return out;
    }
    std::vector<double> by_definition(bool distance, std::int64_t lanes, std::int64_t n) const {
        std::vector<double> out(std::size_t(lanes), 0.0);
        for (std::size_t c = 0; c < out.size(); ++c)
            for (std::size_t f = 0; f < std::size_t(n); ++f) {
                const double gap = x[f] - double(rows[c][f]);
                out[c] += distance ? -(gap * gap) : x[f] * (double(rows[c][f]) * factors[c]);
            }
        return out;
    }
};

template <class T>
void all_tables_agree() {
    for (const Simd* table : tables()) {
        const auto require = [&](bool same, const char* loop, std::int64_t n) {
            if (!same) check::fail(table->name, 0, std::string(loop) + " differs at n = " + std::to_string(n));
        };
        for (std::int64_t n = 0; n <= 160; n += 16)
            require(same_bits(selected<T>(*table, n), selected<T>(simd_baseline, n)), "select", n);
        for (std::int64_t n = 0; n <= 70; ++n) {
            require(same_bits(centred<T, float>(*table, n), centred<T, float>(simd_baseline, n)), "centre_row", n);
            require(same_bits(centred<T, double>(*table, n), centred<T, double>(simd_baseline, n)), "centre_row", n);
            const Scoring<T> scoring(n);
            for (const bool distance : {false, true})
                for (std::int64_t lanes = 1; lanes <= 16; ++lanes)
                    require(scoring.scores(*table, distance, lanes, n) == scoring.by_definition(distance, lanes, n),
                            "score_in_order", n);
        }
    }
}

double widen(std::uint16_t half) {
    const std::uint32_t bits = std::uint32_t(half) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return double(value);
}

// narrow_row's halves and sums.
template <class T>
std::vector<double> narrowed(const Simd& table, std::int64_t n) {
    const std::vector<T> row = check::uniform<T>(n, 1);
    const std::vector<double> centre = check::uniform<double>(n, 2);
    std::vector<std::uint16_t> out(std::size_t(n + 1), 0x1234);  // one guard element
    std::array<double, 4> sums = {1, -1, 2, 3};
    table.neighbors.narrow_row(row.data(), centre.data(), 0.7, 0.5, out.data(), sums.data(), n);
    std::vector<double> all(out.begin(), out.end());
    all.insert(all.end(), sums.begin(), sums.end());
    return all;
}

// Whether they are the nearest bfloat16 numbers, and the sums are what they are said to be.
template <class T>
bool narrow_row_is_right(const Simd& table, std::int64_t n) {
    const std::vector<T> row = check::uniform<T>(n, 1);
    const std::vector<double> centre = check::uniform<double>(n, 2), got = narrowed<T>(table, n);
    double sums[4] = {1, -1, 2, 3};
    bool right = got[std::size_t(n)] == 0x1234;
    for (std::size_t f = 0; f < std::size_t(n); ++f) {
        const double c = (double(row[f]) * 0.7 - centre[f]) * 0.5, p = widen(std::uint16_t(got[f]));
        right = right && std::fabs(p - c) <= std::ldexp(std::fabs(c), -8) * (1 + 1e-4);
        sums[0] += c * c, sums[1] += c * centre[f], sums[2] += (c - p) * (c - p), sums[3] += p * p;
    }
    for (std::size_t s = 0; s < 4; ++s)
        right = right && std::fabs(got[std::size_t(n) + 1 + s] - sums[s]) <= 1e-12 * (1 + std::fabs(sums[s]));
    return right;
}

bool turned(const Simd& table) {
    std::array<std::uint16_t, 512> in;
    std::array<std::uint32_t, 256> out;
    for (std::size_t e = 0; e < in.size(); ++e) in[e] = std::uint16_t(e * 97 + 5);
    table.neighbors.turn_pairs(in.data(), out.data());
    bool right = true;
    for (std::size_t r = 0; r < 16; ++r)
        for (std::size_t pair = 0; pair < 16; ++pair) {
            std::array<std::uint16_t, 2> two;
            std::memcpy(two.data(), &out[16 * pair + r], sizeof two);
            right = right && two[0] == in[32 * r + 2 * pair] && two[1] == in[32 * r + 2 * pair + 1];
        }
    return right;
}

// Four dot products are those of the definition, to the rounding of the given unit in any order.
template <class X, class T>
bool four_dots_are_right(const Simd& table, std::int64_t n, double unit) {
    const std::vector<X> x = check::uniform<X>(n, 3);
    std::array<std::vector<T>, 4> rows;
    std::array<const T*, 4> pointers{};
    for (std::size_t c = 0; c < 4; ++c) {
        rows[c] = check::uniform<T>(n, unsigned(10 + c));
        pointers[c] = rows[c].data();
    }
    std::array<double, 4> out = {7, 7, 7, 7};
    table.neighbors.four_dots(x.data(), pointers.data(), out.data(), n);
    bool right = true;
    for (std::size_t c = 0; c < 4; ++c) {
        double sum = 0, size = 0;
        for (std::size_t f = 0; f < std::size_t(n); ++f) {
            sum += double(x[f]) * double(rows[c][f]);
            size += std::fabs(double(x[f]) * double(rows[c][f]));
        }
        right = right && std::fabs(out[c] - sum) <= double(n + 2) * unit * size;
    }
    return right;
}

// The cut is at most the k-th largest maximum of a group, and hardly less.
bool sure_cut_is_right(const Simd& table, std::int64_t n, std::int64_t k) {
    const std::vector<float> row = check::uniform<float>(n, 1), offsets = check::uniform<float>(n, 2);
    const std::vector<float> lost = check::uniform<float>(n, 3), size = check::uniform<float>(n, 4);
    const std::array<float, 2> paid = {0.25F, 0.125F};
    const float lowest = -std::numeric_limits<float>::infinity();
    const float cut =
        table.neighbors.sure_cut(row.data(), offsets.data(), 0.5F, lost.data(), size.data(), paid.data(), k, n);
    if (k > std::min<std::int64_t>(n, 64)) return cut == lowest;
    std::array<float, 64> most;
    most.fill(lowest);
    for (std::size_t j = 0; j < std::size_t(n); ++j)
        most[j % 64] = std::max(most[j % 64], ((row[j] + 0.5F) + offsets[j]) - (lost[j] * paid[0] + size[j] * paid[1]));
    std::sort(most.begin(), most.end(), std::greater<>());
    const float kth = most[std::size_t(k - 1)];
    return cut <= kth && cut >= kth - (65 * std::fabs(most[0]) + 2) / 512;
}

}  // namespace

TEST(bfloat16_rows_are_rounded_to_nearest) {
    for (const Simd* table : tables())
        for (std::int64_t n = 0; n <= 70; ++n) {
            CHECK(narrow_row_is_right<float>(*table, n) && narrow_row_is_right<double>(*table, n));
            CHECK(same_bits(narrowed<float>(*table, n), narrowed<float>(simd_baseline, n)));
            CHECK(same_bits(narrowed<double>(*table, n), narrowed<double>(simd_baseline, n)));
        }
}

TEST(pairs_are_turned) {
    for (const Simd* table : tables()) CHECK(turned(*table));
}

TEST(four_dots_are_dot_products) {
    for (const Simd* table : tables())
        for (std::int64_t n = 0; n <= 70; ++n) {
            CHECK((four_dots_are_right<float, float>(*table, n, 0x1p-24)));
            CHECK((four_dots_are_right<double, float>(*table, n, 0x1p-53)));
            CHECK((four_dots_are_right<double, double>(*table, n, 0x1p-53)));
        }
}

TEST(a_sure_cut_is_what_k_groups_reach) {
    for (const Simd* table : tables())
        for (const std::int64_t n : {16, 32, 64, 80, 512, 1024})
            for (const std::int64_t k : {1, 2, 10, 15, 40, 64, 65}) CHECK(sure_cut_is_right(*table, n, k));
}

TEST(all_tables_agree_on_float) { all_tables_agree<float>(); }
TEST(all_tables_agree_on_double) { all_tables_agree<double>(); }
