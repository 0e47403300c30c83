// Exact medians of all pairwise distances: a sample brackets them, and counting over tiles finds them.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "cpu/grams/gram_tiles.hpp"
#include "cpu/runtime/blas.hpp"
#include "cpu/runtime/ordering.hpp"
#include "error.hpp"
#include "grams.hpp"
#include "outlier.hpp"

namespace kernalign {
namespace {

constexpr int kBinBits = 22;  // 32 MB of counters: most brackets of float32 values have one bin per value
constexpr std::int64_t kCollected = 1 << 19;  // values expected where they are kept instead; up to four times that
constexpr std::int64_t kSampledRows = 1024;
constexpr double kDeviations = 6;        // of the sample's estimate, to either side
constexpr double kNarrowBracket = 1e-3;  // share of all pairs to either side, at least
constexpr int kMostPasses = 24;          // over all pairs: one for each 22 bits, and few for a misled sample

// The bits of numbers that are not negative order like the numbers.
using Key = std::uint64_t;
Key key_of(double value) {
    Key key;
    std::memcpy(&key, &value, sizeof key);
    return key;
}
Key key_of(float value) {
    std::uint32_t key;
    std::memcpy(&key, &value, sizeof key);
    return key;
}
template <class T>
T value_of(Key key) {
    const std::conditional_t<sizeof(T) == 4, std::uint32_t, Key> bits(static_cast<decltype(bits)>(key));
    T value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

struct Bracket {
    Key low, high;  // both inside
    int shift() const {
        int bits = 0;
        while (bits < 64 && (high - low) >> bits) ++bits;
        return std::max(0, bits - kBinBits);
    }
    std::size_t bins() const { return std::size_t(((high - low) >> shift()) + 1); }
};

// What one pass over all pairs says of a bracket: how many are below, and those inside, counted by bins or sorted.
struct Count {
    std::int64_t below = 0, held = 0;
    bool counted = false;
    std::vector<std::int64_t> bins;
    std::vector<Key> sorted;

    // The bin, or the key, that holds the one of this rank.
    Key at(std::int64_t rank) const {
        if (!counted) return sorted[std::size_t(rank - below)];
        std::int64_t before = below;
        Key bin = 0;
        while (before + bins[std::size_t(bin)] <= rank) before += bins[std::size_t(bin++)];
        return bin;
    }
};

template <class T>
class PairDistances {
  public:
    PairDistances(const GramSource& source, std::int64_t tile, int threads, Monitor* monitor)
        : name_(source.parts.front().name),
          threads_(threads),
          tile_(tile),
          monitor_(monitor),
          progress_(monitor, 0),
          side_(source, false, kKeptBytes, threads, progress_) {
        for (const double square : side_.rows().squared_norms) largest_ = std::max(largest_, key_of(T(4.01 * square)));
    }

    const GramSide<T>& side() const { return side_; }
    std::int64_t pairs() const { return side_.size() * (side_.size() - 1) / 2; }

    // The squared distances of rank k and k + 1 (from 0) among all pairs of different rows; of k twice if it is last.
    std::pair<double, double> ranks(std::int64_t k) {
        Bracket bracket = {0, largest_};
        double share = 1;
        if (side_.size() > kSampledRows) share = narrow(bracket, k);
        return search(k, std::min(k + 1, pairs() - 1), bracket, std::int64_t(share * double(pairs())));
    }

  private:
    std::pair<double, double> search(std::int64_t k, std::int64_t next, Bracket bracket, std::int64_t expected) {
        while (true) {
            const Count count = pass(bracket, expected);
            const std::int64_t end = count.below + count.held;
            if (k < count.below) {
                expected = count.below;
                require_unchanged(bracket.low > 0, name_);
                bracket = {0, bracket.low - 1};
            } else if (k >= end) {
                expected = pairs() - end;
                bracket = {bracket.high + 1, largest_};
            } else if (!count.counted || bracket.shift() == 0) {
                const Key base = count.counted ? bracket.low : 0;
                const double value = value_of<T>(base + count.at(k));
                if (next < end) return {value, value_of<T>(base + count.at(next))};
                return {value, search(next, next, {bracket.high + 1, largest_}, pairs() - end).first};
            } else {
                const int shift = bracket.shift();
                const Key first = count.at(k), last = count.at(std::min(next, end - 1));
                expected = 0;
                for (Key bin = first; bin <= last; ++bin) expected += count.bins[std::size_t(bin)];
                const Key high = bracket.low + (last << shift) + ((Key(1) << shift) - 1);
                bracket = {bracket.low + (first << shift), std::min(bracket.high, high)};
            }
        }
    }

    // Where the rank probably is, from the distances between evenly spaced rows; returns the share of pairs inside.
    double narrow(Bracket& bracket, std::int64_t k) {
        const std::int64_t n = side_.size(), cols = side_.rows().cols();
        const std::int64_t count = std::clamp<std::int64_t>(kPanelElements / cols, 64, kSampledRows);
        const auto row = [&](std::int64_t i) { return i * (n - 1) / (count - 1); };
        std::vector<T> rows(static_cast<std::size_t>(count * cols)), all(static_cast<std::size_t>(count * count));
        for (std::int64_t i = 0; i < count; ++i) side_.rows().convert(row(i), row(i) + 1, rows.data() + i * cols);
        blas::gemm_nt(count, count, cols, rows.data(), cols, rows.data(), cols, all.data(), count);
        std::vector<T> sample;
        for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t j = 0; j < count; ++j) {
                T* value = all.data() + i * count + j;
                side_.distances(row(i), row(j), 1, value);
                if (j < i) sample.push_back(*value);
            }
        const double share = double(k) / double(pairs());
        const auto quantile = [&](double q) {
            const auto at = std::ptrdiff_t(std::clamp(q, 0.0, 1.0) * double(sample.size() - 1));
            std::nth_element(sample.begin(), sample.begin() + at, sample.end(), Ascending());
            return sample[std::size_t(at)];
        };
        // The estimate's error is that of a mean over rows of each row's share below.
        const T middle = quantile(share);
        double sum = 0, squares = 0;
        for (std::int64_t i = 0; i < count; ++i) {
            const T* values = all.data() + i * count;
            const auto below = std::count_if(values, values + count, [&](T value) { return value <= middle; });
            sum += double(below) / double(count);
            squares += double(below) * double(below) / double(count * count);
        }
        const double variance = std::max(0.0, squares / double(count) - sum / double(count) * sum / double(count));
        const double margin = kNarrowBracket + kDeviations * 2 * std::sqrt(variance / double(count));
        bracket = {key_of(quantile(share - margin)), key_of(quantile(share + margin))};
        return std::min(1.0, 2 * margin);
    }

    Count pass(const Bracket& bracket, std::int64_t expected) {
        // Nothing is left to look at only if the pairs of an earlier pass were others.
        require_unchanged(bracket.low <= bracket.high && ++passes_ <= kMostPasses, name_);
        const int shift = bracket.shift();
        if (shift > 0 && expected <= kCollected) {
            Count collected;
            if (collect(bracket, collected)) return collected;
        }
        Count count;
        count.counted = true;
        const std::size_t size = bracket.bins();
        const std::unique_ptr<std::atomic<std::int64_t>[]> bins(new std::atomic<std::int64_t>[size]());
        count.below = walk(bracket, [&](const T* values, std::int64_t inside, std::size_t) {
            for (std::int64_t j = 0; j < inside;) {
                const Key bin = (key_of(values[j]) - bracket.low) >> shift;
                std::int64_t run = 1;  // many equal distances would make threads wait for one another
                while (j + run < inside && values[j + run] == values[j]) ++run;
                bins[std::size_t(bin)].fetch_add(run, std::memory_order_relaxed);
                j += run;
            }
        });
        count.bins.resize(size);
        for (std::size_t b = 0; b < size; ++b) count.held += count.bins[b] = bins[b].load();
        return count;
    }

    // Keeps the values inside; false if there are many more than expected.
    bool collect(const Bracket& bracket, Count& count) {
        std::vector<std::vector<Key>> groups(static_cast<std::size_t>(kGramGroups));
        std::atomic<std::int64_t> held{0};
        count.below = walk(bracket, [&](const T* values, std::int64_t inside, std::size_t group) {
            if (held.fetch_add(inside) + inside > 4 * kCollected) return;
            for (std::int64_t j = 0; j < inside; ++j) groups[group].push_back(key_of(values[j]));
        });
        count.held = held.load();
        if (count.held > 4 * kCollected) return false;
        for (std::vector<Key>& group : groups) {
            count.sorted.insert(count.sorted.end(), group.begin(), group.end());
            std::vector<Key>().swap(group);
        }
        std::sort(count.sorted.begin(), count.sorted.end());
        return true;
    }

    // take(values, how many, group) for the values inside, some at a time; returns how many are below.
    template <class F>
    std::int64_t walk(const Bracket& bracket, F&& take) {
        const T low = value_of<T>(bracket.low), high = value_of<T>(bracket.high);
        std::vector<std::int64_t> below(static_cast<std::size_t>(kGramGroups));
        std::vector<LargeVector<T>> tiles(static_cast<std::size_t>(threads_));
        std::vector<typename GramSide<T>::Panels> panels(static_cast<std::size_t>(threads_));
        each_tile(side_.size(), tile_, threads_, monitor_,
                  [&](const GramTask& task, std::size_t group, std::size_t worker) {
                      LargeVector<T>& tile = tiles[worker];
                      tile.resize(std::max(tile.size(), std::size_t(task.m * task.k)));
                      side_.tile(task.i0, task.m, task.j0, task.k, panels[worker], tile.data());
                      using Narrow = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;  // vectorised best
                      Narrow smaller = 0;
                      for (std::int64_t i = 0; i < task.m; ++i) {
                          T* row = tile.data() + i * task.k + (task.diagonal() ? i + 1 : 0);
                          const std::int64_t length = task.k - (task.diagonal() ? i + 1 : 0);
                          std::int64_t inside = 0;
                          for (std::int64_t j = 0; j < length; ++j) smaller += row[j] < low;
                          for (std::int64_t j = 0; j < length; ++j) {  // moves those inside to the front
                              const T value = row[j];
                              row[inside] = value;
                              inside += (value >= low) & (value <= high);
                          }
                          take(row, inside, group);
                      }
                      below[group] += smaller;
                  });
        std::int64_t sum = 0;
        for (const std::int64_t part : below) sum += part;
        return sum;
    }

    std::string name_;
    int threads_, passes_ = 0;
    std::int64_t tile_;
    Monitor* monitor_;
    Progress progress_;
    GramSide<T> side_;
    Key largest_ = 0;  // no squared distance is larger
};

template <class T>
double median_of(PairDistances<T>& distances, bool off_diagonal) {
    const std::int64_t n = distances.side().size();
    const auto root = [&](double square) { return std::ldexp(std::sqrt(square), distances.side().exponent() / 2); };
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
    threads = resolve_threads(threads, source.work());
    GramSource distance = source;
    distance.kernel = {};
    distance.kernel.form = KernelForm::sqeuclidean;
    if (source.rows() < 2) return 0;
    const std::int64_t tile = gram_tile_size({distance});
    if (source.precision == Precision::f32) {
        PairDistances<float> distances(distance, tile, threads, monitor);
        std::vector<double> squares = distances.side().rows().squared_norms;
        if (!has_outlier(squares)) {
            const double median = median_of(distances, off_diagonal);
            const auto middle = squares.begin() + std::ptrdiff_t(squares.size() / 2);
            std::nth_element(squares.begin(), middle, squares.end(), Ascending());
            const double scaled = std::ldexp(median, -distances.side().exponent() / 2);
            if (scaled * scaled >= kDuplicates * *middle) return median;
        }
    }
    PairDistances<double> distances(distance, tile, threads, monitor);
    return median_of(distances, off_diagonal);
}

}  // namespace kernalign
