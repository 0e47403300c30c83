// Protects the promise of neighbor_kernels.hpp: every instruction set selects, centres and scores to the same bits.
#include "cpu/neighbor_kernels.hpp"

#include <array>
#include <cmath>
#include <cstring>
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

}  // namespace

TEST(all_tables_agree_on_float) { all_tables_agree<float>(); }
TEST(all_tables_agree_on_double) { all_tables_agree<double>(); }
