// Protects the count of pairs that two triangles order alike: definition, ties, orders, threads and refusals.
#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "data.hpp"
#include "permuted.hpp"

using namespace kernalign;

namespace {

// Of few values, so that many are tied, or of all different ones.
std::vector<double> mid_ranks(std::int64_t size, unsigned seed, bool tied) {
    const auto drawn = check::gaussian<double>(size, 1, seed);
    std::vector<double> values(drawn.values.begin(), drawn.values.end()), ranks;
    if (tied)
        for (double& value : values) value = double(std::int64_t(value));
    for (const double value : values) {
        double below = 0, equal = 0;
        for (const double other : values) {
            below += other < value;
            equal += other == value;
        }
        ranks.push_back(below + (equal + 1) / 2);
    }
    return ranks;
}

double by_definition(const Triangles& a, const Triangles& b, const std::int32_t* order) {
    std::vector<double> x, y;
    for (std::int64_t i = 0; i < a.n; ++i)
        for (std::int64_t j = i + 1; j < a.n; ++j) {
            x.push_back(a.values[a.row(i) + j]);
            y.push_back(b.values[b.row(std::min(order[i], order[j])) + std::max(order[i], order[j])]);
        }
    const auto sign = [](double value) { return (value > 0) - (value < 0); };
    double sum = 0;
    for (std::size_t p = 0; p < x.size(); ++p)
        for (std::size_t q = p + 1; q < x.size(); ++q) sum += sign(x[p] - x[q]) * sign(y[p] - y[q]);
    return sum;
}

}  // namespace

TEST(pairs_are_counted_by_their_definition) {
    for (const std::int64_t n : {2, 3, 5, 9, 23})
        for (const bool tied : {false, true}) {
            const std::int64_t size = n * (n - 1) / 2;
            const auto x = mid_ranks(size, 1, tied), y = mid_ranks(size, 2, tied);
            const Triangles a{x.data(), 1, n}, b{y.data(), 1, n};
            std::vector<std::int32_t> index(std::size_t(3 * n));
            for (std::int64_t o = 0; o < 3; ++o) {
                const auto begin = index.begin() + o * n;
                std::iota(begin, begin + n, 0);
                if (o == 1) std::reverse(begin, begin + n);
                if (o == 2) std::rotate(begin, begin + n / 2, begin + n);
            }
            const Orders orders{index.data(), 3, n};
            for (const int threads : {1, 2}) {
                const auto found = permuted_concordance(a, b, orders, threads, nullptr);
                for (std::int64_t o = 0; o < 3; ++o) CHECK(found[std::size_t(o)] == by_definition(a, b, orders.row(o)));
            }
        }
}

TEST(what_is_no_mid_rank_is_refused) {
    const std::vector<double> ranks = {1, 2, 3};
    const std::vector<std::int32_t> index = {0, 1, 2};
    for (const double bad : {0.0, 0.5, 1.25, 3.5, -1.0, 1e300}) {
        const std::vector<double> other = {1, bad, 3};
        CHECK_THROWS(permuted_concordance({ranks.data(), 1, 3}, {other.data(), 1, 3}, {index.data(), 1, 3}, 1, nullptr),
                     std::invalid_argument, "mid-ranks must be multiples of 1/2 from 1 to 3");
    }
}
