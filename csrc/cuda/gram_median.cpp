// Finds exact medians of distances on a device: a sample brackets them, and one pass over the tiles collects the rest.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cuda/gram_sweep.hpp"
#include "cuda/tile_kernels.hpp"
#include "cuda/tile_side.hpp"
#include "error.hpp"
#include "outlier.hpp"

namespace kernalign::cuda {
namespace {

constexpr std::int64_t kSampledPairs = 1 << 21, kPartners = 16;  // at least, and of each row
constexpr double kDeviations = 5;                                // of the sample's estimate, to either side

// The bits of numbers that are not negative order like the numbers.
std::uint64_t key_of(double value) {
    std::uint64_t key;
    std::memcpy(&key, &value, sizeof key);
    return key;
}
double value_of(std::uint64_t key) {
    double value;
    std::memcpy(&value, &key, sizeof value);
    return value;
}
double between(double least, double most) { return value_of(key_of(least) + (key_of(most) - key_of(least)) / 2); }

struct Counts {
    std::int64_t below = 0, inside = 0;
    bool hold(std::int64_t rank) const { return rank >= below && rank < below + inside; }
};

// Counts entries of tiles, and collects those inside.
class Counter {
  public:
    explicit Counter(Queue& queue) : queue_(queue), counts_(queue, 2) { counts_.clear(); }

    void add(const double* values, const Tile& tile, double least, double most, double* found, std::int64_t room) {
        CountCollect kernel;
        kernel.tile = values;
        kernel.row0 = tile.row0;
        kernel.col0 = tile.col0;
        kernel.rows = tile.rows;
        kernel.cols = kernel.ld = tile.cols;
        kernel.least = least;
        kernel.most = most;
        kernel.capacity = int(std::min<std::int64_t>(room, std::numeric_limits<int>::max()));
        kernel.counts = Written<int>(counts_.get());
        kernel.found = Written<double>(found);
        launch(queue_, CountCollect::blocks(tile.rows, tile.cols), kernel);
    }
    // Since it was asked last.
    Counts take() {
        const std::vector<int> now = counts_.values();
        counts_.clear();
        return {now[0], now[1]};
    }
    Counts of(const Buffer<double>& values, std::int64_t count, double least, double most) {
        add(values.get(), {0, 1, 1, count}, least, most, nullptr, 0);  // a row above the diagonal
        return take();
    }
    // The number of a rank, counted from 0, that is known to be from least to most.
    double ranked(const Buffer<double>& values, std::int64_t count, std::int64_t rank, double least, double most) {
        std::uint64_t low = key_of(least), high = key_of(most);
        while (low < high) {
            const std::uint64_t middle = low + (high - low) / 2;
            const Counts there = of(values, count, value_of(middle), value_of(middle));
            if (there.hold(rank)) return value_of(middle);
            if (rank < there.below)
                high = middle - 1;
            else
                low = middle + 1;
        }
        return value_of(low);
    }

  private:
    Queue& queue_;
    Buffer<int> counts_;
};

// Squared distances from least to most: how many there are, and are smaller; and those themselves, as far as they fit.
struct Bracket {
    double least = 0, most = std::numeric_limits<double>::infinity();
    Counts counts;
    Buffer<double> found;
    std::int64_t held = 0;

    bool complete() const { return held == counts.inside; }
};

class Search {
  public:
    Search(Queue& queue, TileSide& side, Tiling tiling, std::int64_t collected, Monitor* monitor)
        : queue_(queue),
          side_(side),
          tiling_(std::move(tiling)),
          pairs_(side.size() * (side.size() - 1) / 2),
          tiles_(upper_tiles(side.size(), tiling_.size)),
          collected_(std::min(collected, pairs_)),
          monitor_(monitor),
          products_(queue),
          narrow_(queue, side.narrow() ? tiling_.values.size() : 0),
          counter_(queue) {
        if (collected_ < pairs_) sample_ = side.sampled_pairs(std::max(kSampledPairs, kPartners * side.size()));
    }

    // The values of two ranks among the squared distances above the diagonal, counted from 0: the same, or neighbours.
    std::pair<double, double> ranked(std::int64_t first, std::int64_t last) {
        double low;
        {  // its memory is free when the second is looked for
            const Bracket found = bracket(first);
            low = value(found, first);
            if (found.counts.hold(last)) return {low, value(found, last)};
        }
        return {low, value(bracket(last), last)};
    }

  private:
    double value(const Bracket& one, std::int64_t rank) {
        if (!one.complete()) return one.least;
        return counter_.ranked(one.found, one.held, rank - one.counts.below, one.least, one.most);
    }

    // One that holds the rank: every pass over the tiles leaves fewer numbers that it could be, for certain.
    Bracket bracket(std::int64_t rank) {
        Bracket all;
        all.counts.inside = pairs_;
        for (;;) {
            Bracket one = narrowed(all, rank);
            look(one);
            if (one.counts.hold(rank)) {
                if (one.complete() || one.least == one.most) return one;
                all.least = one.least;
                all.most = one.most;
                all.counts = one.counts;
            } else if (rank < one.counts.below) {
                all.most = std::nextafter(one.least, 0.0);
                all.counts.inside = one.counts.below - all.counts.below;
            } else {
                const std::int64_t seen = one.counts.below + one.counts.inside;
                all.counts.inside -= seen - all.counts.below;
                all.counts.below = seen;
                all.least = std::nextafter(one.most, std::numeric_limits<double>::infinity());
            }
        }
    }

    // What the sample says of where the rank is in a bracket, as wide as what can be collected allows.
    Bracket narrowed(const Bracket& all, std::int64_t rank) {
        Bracket one;
        one.least = all.least;
        one.most = all.most;
        const auto inside = double(all.counts.inside);
        if (all.counts.inside <= collected_) return one;
        const Counts sampled = counter_.of(sample_, sample_.size(), all.least, all.most);
        if (sampled.inside > 0) {
            const auto count = double(sampled.inside);
            const double share = (double(rank - all.counts.below) + 0.5) / inside;
            const double room = std::max(kDeviations / 2 / std::sqrt(count), 0.25 * double(collected_) / inside);
            const auto at = [&](double where) {
                const auto place = std::int64_t(std::clamp(where * count, 0.0, count - 1));
                return counter_.ranked(sample_, sample_.size(), sampled.below + place, all.least, all.most);
            };
            if (share > room) one.least = at(share - room);
            if (share + room < 1) one.most = at(share + room);
        }
        if (one.least == all.least && one.most == all.most) one.most = between(all.least, all.most);
        return one;
    }

    void look(Bracket& one) {
        one.found = Buffer<double>(queue_, collected_);
        const auto total = std::int64_t(tiles_.size());
        for (std::int64_t at = 0; at < total; ++at) {
            const Tile& tile = tiles_[std::size_t(at)];
            side_.distances(tile, products_, tiling_.values.get(), narrow_.get());
            counter_.add(tiling_.values.get(), tile, one.least, one.most, one.found.get() + one.held,
                         collected_ - one.held);
            if ((at + 1) % tiling_.in_flight != 0 && at + 1 < total) continue;
            queue_.wait(monitor_, at + 1, total);
            const Counts some = counter_.take();  // of few tiles, which int can hold
            one.counts.below += some.below;
            one.counts.inside += some.inside;
            one.held = std::min(collected_, one.held + some.inside);
        }
    }

    Queue& queue_;
    TileSide& side_;
    Tiling tiling_;
    std::int64_t pairs_;
    std::vector<Tile> tiles_;
    std::int64_t collected_;
    Monitor* monitor_;
    Products products_;
    Buffer<double> sample_;
    Buffer<float> narrow_;
    Counter counter_;
};

}  // namespace

double median_distance(const DeviceSource& source, bool off_diagonal, std::int64_t tile, std::int64_t collected,
                       Monitor* monitor) {
    const std::int64_t n = source.rows.rows();
    if (n < 2) return 0;
    require_products();
    Queue queue(source.queue->device());
    DeviceSource squared = source;
    squared.kernel = Kernel();
    squared.kernel.form = KernelForm::sqeuclidean;
    // Of all in order, zeros of the diagonal first and every other one twice.
    const std::int64_t zeros = off_diagonal ? 0 : n, all = n * (n - 1) + zeros;
    const std::int64_t low = (all - 1) / 2 - zeros, high = all / 2 - zeros;
    if (high < 0) return 0;
    for (;;) {
        TileSide side(queue, squared, false, monitor);
        Search search(queue, side, Tiling(queue, {squared}, tile), collected, monitor);
        const auto [a, b] = search.ranked(std::max<std::int64_t>(0, low / 2), high / 2);
        std::vector<double> lengths = side.squared_lengths();
        if (side.narrow() && a < kDuplicates * median_of(lengths)) {
            squared.precision = Precision::f64;
            continue;
        }
        const double first = low < 0 ? 0 : std::sqrt(a), last = std::sqrt(b);
        return std::ldexp((first + last) / 2, side.rows_exponent());
    }
}

}  // namespace kernalign::cuda
