// Measures what the proof of exactness costs: whole searches against the same searches that trust their bounds.
//
// Uncertified: the same tiles and queues, then the k best of every row by the computed value, in order. CPU time, one
// thread, median of interleaved rounds.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <vector>

#include "cpu/neighbors/narrow_search.hpp"
#include "cpu/neighbors/symmetric_search.hpp"
#include "neighbors.hpp"

using namespace kernalign;

namespace {

constexpr std::int64_t kRows = 10000, kNearest = 10;
constexpr int kRounds = 9;

std::vector<float> gaussian(std::int64_t cols, bool clustered) {
    std::mt19937_64 generator(1);
    std::normal_distribution<float> normal;
    std::vector<float> x(std::size_t(kRows * cols));
    for (float& value : x) value = normal(generator);
    if (!clustered) return x;
    std::vector<float> centres(std::size_t(kRows / 100 * cols));
    for (float& value : centres) value = normal(generator);
    for (std::int64_t i = 0; i < kRows; ++i) {
        const float* centre = centres.data() + std::int64_t(generator() % std::uint64_t(kRows / 100)) * cols;
        for (std::int64_t f = 0; f < cols; ++f) {
            float& value = x[std::size_t(i * cols + f)];
            value = centre[f] + 0.33F * value;
        }
    }
    return x;
}

std::vector<std::int32_t> uncertified(const Rows& x) {
    const ExactRows rows(x, Similarity::cosine, 1, nullptr);
    const Frame frame(rows, 1, nullptr);
    const BoundPanels<float> panels(rows, frame);
    std::unique_ptr<Candidates> found;
    if (bfloat::available()) found = narrow_search(NarrowPanels(rows, frame), kRows, kNearest, 1, nullptr);
    Slack slack;
    if (!found) found = symmetric_search(panels, kRows, kNearest, 1, nullptr, &slack);
    std::vector<std::int32_t> index;
    for (std::int64_t i = 0; i < kRows; ++i) {
        std::int64_t size = 0;
        float others = 0;
        const std::uint64_t* best = found->sorted(i, &size, &others);
        for (std::int64_t t = 0; t < kNearest; ++t) index.push_back(Candidate(best[t]).index());
    }
    return index;
}

template <class Call>
double milliseconds(const Call& call) {
    const std::clock_t begin = std::clock();
    call();
    return 1e3 * double(std::clock() - begin) / CLOCKS_PER_SEC;
}

void measure(const char* name, std::int64_t cols, bool clustered) {
    const std::vector<float> values = gaussian(cols, clustered);
    Rows x;
    x.view = {values.data(), kRows, cols, std::ptrdiff_t(cols * 4), 4, DType::f32};
    std::array<std::vector<double>, 3> times;
    std::vector<std::int32_t> trusted;
    Neighbors lists, sets;
    const auto certified = [&](Detail detail) {
        return nearest_neighbors(x, kNearest, Similarity::cosine, detail, 1, nullptr);
    };
    for (int round = 0; round <= kRounds; ++round) {
        const std::array<double, 3> now = {milliseconds([&] { trusted = uncertified(x); }),
                                           milliseconds([&] { sets = certified(Detail::sets); }),
                                           milliseconds([&] { lists = certified(Detail::lists); })};
        for (std::size_t c = 0; c < 3; ++c)
            if (round > 0) times[c].push_back(now[c]);
    }
    std::int64_t right = 0;
    for (std::size_t at = 0; at < trusted.size(); ++at) right += trusted[at] == lists.index[at];
    std::array<double, 3> median{};
    for (std::size_t c = 0; c < 3; ++c) {
        std::sort(times[c].begin(), times[c].end());
        median[c] = times[c][kRounds / 2];
    }
    std::printf(
        "%-10s n=%d d=%d k=%d: uncertified %.0f ms (%.4f of its places are right), sets %.0f (%+.1f %%), "
        "lists with float64 similarities %.0f (%+.1f %%), %d rows searched again\n",
        name, int(kRows), int(cols), int(kNearest), median[0], double(right) / double(trusted.size()), median[1],
        100 * (median[1] / median[0] - 1), median[2], 100 * (median[2] / median[0] - 1), int(lists.repeated));
}

}  // namespace

int main() {
    for (const std::int64_t cols : {384, 768}) measure("gaussian", cols, false);
    measure("clustered", 768, true);
    return 0;
}
