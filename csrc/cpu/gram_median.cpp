// Exact medians of all pairwise distances, found by bracketing on a sample and counting over tiles.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "cpu/gram_tiles.hpp"
#include "grams.hpp"

namespace kernalign {
namespace {

constexpr int kBinBits = 16;
constexpr std::int64_t kCollected = 3 << 19;  // values held at once; five times that if the sample misleads
constexpr std::int64_t kSampledRows = 1024;
constexpr double kBracket = 0.1;  // in shares of all pairs, to either side

// The bits of numbers that are not negative order like the numbers.
using Key = std::uint64_t;
Key key_of(double value) {
    Key key;
    std::memcpy(&key, &value, sizeof key);
    return key;
}
double value_of(Key key) {
    double value;
    std::memcpy(&value, &key, sizeof value);
    return value;
}

struct Bracket {
    Key low, high;  // both inside
    int shift() const {
        int bits = 0;
        while (bits < 64 && (high - low) >> bits) ++bits;
        return std::max(0, bits - kBinBits);
    }
};

// What one pass over all pairs says of a bracket.
struct Count {
    std::int64_t below = 0;
    std::vector<std::int64_t> bins;  // or:
    std::vector<Key> values;
    Key next = ~Key(0);  // the smallest above the bracket

    void add(const Count& other) {
        below += other.below;
        next = std::min(next, other.next);
        values.insert(values.end(), other.values.begin(), other.values.end());
        for (std::size_t b = 0; b < other.bins.size(); ++b) bins[b] += other.bins[b];
    }
    std::int64_t held() const {
        std::int64_t sum = std::int64_t(values.size());
        for (const std::int64_t bin : bins) sum += bin;
        return sum;
    }
};

template <class T>
class PairDistances {
  public:
    PairDistances(const GramSource& source, std::int64_t tile, int threads, Monitor* monitor)
        : threads_(threads),
          tile_(tile),
          monitor_(monitor),
          progress_(monitor, 0),
          side_(source, false, kKeptBytes, threads, progress_) {}

    const GramSide<T>& side() const { return side_; }
    std::int64_t pairs() const { return side_.size() * (side_.size() - 1) / 2; }

    // The squared distances of rank k and k + 1 (from 0) among all pairs of different rows; of k alone if it is last.
    std::pair<double, double> ranks(std::int64_t k) {
        Bracket bracket = first_bracket(k);
        auto inside = std::int64_t(2 * kBracket * double(pairs()));
        while (true) {
            const Count count = pass(bracket, inside <= kCollected && bracket.high > bracket.low);
            const std::int64_t held = count.held();
            if (k < count.below) {
                inside = count.below;
                bracket = {0, bracket.low - 1};
            } else if (k >= count.below + held) {
                inside = pairs() - count.below - held;
                bracket = {count.next, largest_};
            } else if (!count.values.empty()) {
                return pick(count, k);
            } else if (bracket.high == bracket.low) {
                return {value_of(bracket.low), value_of(k + 1 < count.below + held ? bracket.low : count.next)};
            } else {
                std::int64_t before = count.below;
                Key bin = 0;
                while (before + count.bins[std::size_t(bin)] <= k) before += count.bins[std::size_t(bin++)];
                inside = count.bins[std::size_t(bin)];
                const int shift = bracket.shift();
                const Key low = bracket.low + (bin << shift);
                bracket = {low, std::min(bracket.high, low + ((Key(1) << shift) - 1))};
            }
        }
    }

  private:
    static std::pair<double, double> pick(const Count& count, std::int64_t k) {
        std::vector<Key> values = count.values;
        const auto at = values.begin() + std::ptrdiff_t(k - count.below);
        std::nth_element(values.begin(), at, values.end());
        const Key second = at + 1 == values.end() ? count.next : *std::min_element(at + 1, values.end());
        return {value_of(*at), value_of(second)};
    }

    // Where the rank probably is, from the distances between evenly spaced rows.
    Bracket first_bracket(std::int64_t k) {
        const std::int64_t n = side_.size(), count = std::min(n, kSampledRows), cols = side_.rows().cols();
        std::vector<T> rows(static_cast<std::size_t>(count * cols)), products(static_cast<std::size_t>(count));
        std::vector<double> sample;
        const auto row = [&](std::int64_t i) { return count > 1 ? i * (n - 1) / (count - 1) : 0; };
        for (std::int64_t i = 0; i < count; ++i) side_.rows().convert(row(i), row(i) + 1, rows.data() + i * cols);
        for (std::int64_t i = 1; i < count; ++i) {
            blas::gemm_nt(1, i, cols, rows.data() + i * cols, cols, rows.data(), cols, products.data(), i);
            for (std::int64_t j = 0; j < i; ++j) {
                side_.apply(row(i), row(j), 1, products.data() + j);
                sample.push_back(double(products[std::size_t(j)]));
            }
        }
        double largest = 0;
        for (const double square : side_.rows().squared_norms) largest = std::max(largest, 4.01 * square);
        largest_ = key_of(largest);
        if (count == n) return {0, largest_};
        std::sort(sample.begin(), sample.end());
        const double share = double(k) / double(pairs()), size = double(sample.size() - 1);
        const auto at = [&](double q) { return key_of(sample[std::size_t(std::clamp(q, 0.0, 1.0) * size)]); };
        return {at(share - kBracket), at(share + kBracket)};
    }

    Count pass(const Bracket& bracket, bool collect) {
        std::vector<Count> groups(static_cast<std::size_t>(kGramGroups));
        std::vector<std::vector<T>> tiles(static_cast<std::size_t>(threads_));
        std::vector<typename GramSide<T>::Panels> panels(static_cast<std::size_t>(threads_));
        const std::size_t bins = collect ? 0 : std::size_t(((bracket.high - bracket.low) >> bracket.shift()) + 1);
        const int shift = bracket.shift();
        each_tile(side_.size(), tile_, threads_, monitor_,
                  [&](const GramTask& task, std::size_t g, std::size_t worker) {
                      std::vector<T>& tile = tiles[worker];
                      tile.resize(std::max(tile.size(), std::size_t(task.m * task.k)));
                      side_.tile(task.i0, task.m, task.j0, task.k, panels[worker], tile.data());
                      Count& count = groups[g];
                      count.bins.resize(bins);
                      for (std::int64_t i = 0; i < task.m; ++i)
                          for (std::int64_t j = task.diagonal() ? i + 1 : 0; j < task.k; ++j) {
                              const Key key = key_of(double(tile[std::size_t(i * task.k + j)]));
                              if (key < bracket.low) {
                                  ++count.below;
                              } else if (key > bracket.high) {
                                  count.next = std::min(count.next, key);
                              } else if (collect) {
                                  count.values.push_back(key);
                              } else {
                                  ++count.bins[std::size_t((key - bracket.low) >> shift)];
                              }
                          }
                  });
        Count all;
        all.bins.resize(bins);
        for (const Count& group : groups) all.add(group);
        return all;
    }

    int threads_;
    std::int64_t tile_;
    Monitor* monitor_;
    Progress progress_;
    GramSide<T> side_;
    Key largest_ = 0;  // no squared distance is larger
};

template <class T>
double median_of(PairDistances<T>& distances, bool off_diagonal) {
    const std::int64_t n = distances.side().size();
    const auto root = [&](double square) { return std::sqrt(square * std::ldexp(1.0, distances.side().exponent())); };
    // In the sorted list of all n^2 entries the n zeros come first, then every pair twice.
    const std::int64_t entries = off_diagonal ? distances.pairs() : n * n;
    const std::int64_t upper = entries / 2, lower = (entries - 1) / 2;
    const auto rank = [&](std::int64_t place) { return off_diagonal ? place : (place < n ? -1 : (place - n) / 2); };
    if (rank(upper) < 0) return 0;
    const std::int64_t first = std::max<std::int64_t>(rank(lower), 0);
    const auto [low, high] = distances.ranks(first);
    const double at_lower = rank(lower) < 0 ? 0 : root(low);
    return (at_lower + (rank(upper) > first ? root(high) : root(low))) / 2;
}

}  // namespace

double median_distance(const GramSource& source, bool off_diagonal, int threads, Monitor* monitor) {
    threads = resolve_threads(threads);
    GramSource squares = source;
    squares.kernel = {};
    squares.kernel.form = KernelForm::sqeuclidean;
    if (source.rows() < 2) return 0;
    const std::int64_t tile = gram_tile_size({squares});
    if (source.precision == Precision::f32) {
        PairDistances<float> distances(squares, tile, threads, monitor);
        if (!has_outlier(distances.side().rows().squared_norms)) return median_of(distances, off_diagonal);
    }
    PairDistances<double> distances(squares, tile, threads, monitor);
    return median_of(distances, off_diagonal);
}

}  // namespace kernalign
