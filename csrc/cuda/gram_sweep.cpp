// Walks the Gram matrices of several representations on a device in tiles and sums the products of all pairs.
#include "cuda/gram_sweep.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "cuda/tile_kernels.hpp"
#include "cuda/tile_side.hpp"
#include "error.hpp"

namespace kernalign::cuda {
namespace {

constexpr std::int64_t kInFlight = 4;                                          // tiles
constexpr std::int64_t kTileNumbers = 1 << 27;                                 // of the tiles of all sources
constexpr std::int64_t kShares = 2048, kPartials = 1 << 22, kShareStep = 128;  // of a tile's entries
constexpr std::int64_t kSampled = 256;                                         // rows
constexpr std::int64_t kCollected = 1 << 23;                                   // squared distances

// Sums over entries of the products of all pairs of tiles.
class PairTotals {
  public:
    PairTotals(Queue& queue, std::int64_t sides)
        : queue_(queue),
          sides_(sides),
          most_(std::clamp<std::int64_t>(kPartials / (sides * sides), 1, kShares)),
          totals_(queue, sides * sides),
          partial_(queue, most_ * sides * sides) {
        totals_.clear();
    }

    void add(const double* tiles, std::int64_t entries) {
        partial_.clear();  // of pairs below the diagonal, which are not made
        const std::int64_t least = (entries + most_ - 1) / most_;
        const std::int64_t share = std::max<std::int64_t>(4096, (least + kShareStep - 1) / kShareStep * kShareStep);
        const std::int64_t shares = (entries + share - 1) / share;
        TileProducts kernel{tiles, entries, sides_, share, Written<double>(partial_.get())};
        launch(queue_, shares * TileProducts::pairs(sides_), kernel);
        AddUp sum{partial_.get(), shares, sides_ * sides_, sides_ * sides_, Written<double>(totals_.get())};
        launch(queue_, AddUp::blocks(sides_ * sides_), sum);
    }

    // Of both triangles.
    std::vector<double> values() const {
        std::vector<double> all = totals_.values();
        const auto count = std::size_t(sides_);
        for (std::size_t a = 0; a < count; ++a)
            for (std::size_t b = a; b < count; ++b) all[b * count + a] = all[a * count + b] *= 2;
        return all;
    }

  private:
    Queue& queue_;
    std::int64_t sides_, most_;  // shares of entries
    Buffer<double> totals_, partial_;
};

std::int64_t tile_size(std::int64_t n, std::int64_t sides, std::int64_t most) {
    const auto fits = std::int64_t(std::sqrt(double(kTileNumbers / sides)));
    return std::min({n, most, std::max<std::int64_t>(1, fits > 128 ? fits / 128 * 128 : fits)});
}

// Squared distances from least to most: how many there are, and are smaller; and those themselves, as far as they fit.
struct Bracket {
    double least = 0, most = std::numeric_limits<double>::infinity();
    std::int64_t below = 0, inside = 0;
    std::vector<double> found;

    bool holds(std::int64_t rank) const { return rank >= below && rank < below + inside; }
    bool complete() const { return std::int64_t(found.size()) == inside; }
};

void look(Queue& queue, TileSide& side, std::int64_t size, Products& products, Buffer<double>& values,
          std::int64_t collected, Bracket& bracket, Monitor* monitor) {
    const std::vector<Tile> tiles = upper_tiles(side.size(), size);
    const std::int64_t pairs = side.size() * (side.size() - 1) / 2;
    const int room = int(std::min<std::int64_t>(collected, pairs));
    Buffer<int> counts(queue, 2);
    const Buffer<double> found(queue, room);
    counts.clear();
    std::int64_t done = 0, held = 0;
    for (const Tile& tile : tiles) {
        side.distances(tile, products, values.get());
        CountCollect kernel;
        kernel.tile = values.get();
        kernel.row0 = tile.row0;
        kernel.col0 = tile.col0;
        kernel.rows = tile.rows;
        kernel.cols = kernel.ld = tile.cols;
        kernel.least = bracket.least;
        kernel.most = bracket.most;
        kernel.capacity = int(room - held);
        kernel.counts = Written<int>(counts.get());
        kernel.found = Written<double>(found.get() + held);
        launch(queue, CountCollect::blocks(tile.rows, tile.cols), kernel);
        queue.wait(monitor, ++done, std::int64_t(tiles.size()));
        const std::vector<int> now = counts.values();  // of this tile, which int can hold
        counts.clear();
        bracket.below += now[0];
        bracket.inside += now[1];
        held = std::min<std::int64_t>(room, held + now[1]);
    }
    bracket.found.resize(std::size_t(held));
    queue.download(bracket.found.data(), found.get(), std::size_t(held) * sizeof(double));
    std::sort(bracket.found.begin(), bracket.found.end());
}

// Half way between two numbers that are not negative, in their order.
double between(double least, double most) {
    std::uint64_t low, high;
    std::memcpy(&low, &least, sizeof low);
    std::memcpy(&high, &most, sizeof high);
    low += (high - low) / 2;
    std::memcpy(&least, &low, sizeof low);
    return least;
}

// A bracket that holds the rank: every pass over the tiles leaves fewer numbers that it could be, for certain.
Bracket search(Queue& queue, TileSide& side, std::int64_t rank, std::int64_t size, std::int64_t collected,
               Monitor* monitor) {
    Products products(queue);
    Buffer<double> values(queue, size * size);
    std::vector<double> sample = side.sampled_distances(kSampled);
    std::sort(sample.begin(), sample.end());
    Bracket all;
    all.inside = side.size() * (side.size() - 1) / 2;
    double noise = 0.05;  // of quantiles of the sample
    for (;;) {
        sample.erase(std::upper_bound(sample.begin(), sample.end(), all.most), sample.end());
        sample.erase(sample.begin(), std::lower_bound(sample.begin(), sample.end(), all.least));
        Bracket one;
        one.least = all.least;
        one.most = all.most;
        const double share = (double(rank - all.below) + 0.5) / double(all.inside), count = double(sample.size());
        if (all.inside > collected) {
            if (!sample.empty()) {
                const double room = std::max(noise, 0.25 * double(collected) / double(all.inside));
                const auto at = [&](double where) {
                    return sample[std::size_t(std::clamp(where * count, 0.0, count - 1))];
                };
                if (share > room) one.least = at(share - room);
                if (share + room < 1) one.most = at(share + room);
            }
            if (one.least == all.least && one.most == all.most) one.most = between(all.least, all.most);
        }
        look(queue, side, size, products, values, collected, one, monitor);
        if (one.holds(rank)) {
            if (one.complete() || one.least == one.most) return one;
            noise = 0.01;
            sample = std::move(one.found);
            all = std::move(one);
        } else if (rank < one.below) {
            all.most = std::nextafter(one.least, 0.0);
            all.inside = one.below - all.below;
        } else {
            all.inside -= one.below + one.inside - all.below;
            all.below = one.below + one.inside;
            all.least = std::nextafter(one.most, std::numeric_limits<double>::infinity());
        }
    }
}

// The values of two ranks among the squared distances above the diagonal, counted from 0: the same, or neighbours.
std::pair<double, double> ranked(Queue& queue, TileSide& side, std::int64_t first, std::int64_t last, std::int64_t size,
                                 std::int64_t collected, Monitor* monitor) {
    const auto value = [](const Bracket& bracket, std::int64_t rank) {
        return bracket.complete() ? bracket.found[std::size_t(rank - bracket.below)] : bracket.least;
    };
    const Bracket found = search(queue, side, first, size, collected, monitor);
    const double low = value(found, first);
    if (found.holds(last)) return {low, value(found, last)};
    return {low, value(search(queue, side, last, size, collected, monitor), last)};
}

}  // namespace

GramSums gram_sums(const std::vector<DeviceSource>& sources, bool centred, std::int64_t tile, Monitor* monitor) {
    require(!sources.empty(), "gram_sums needs at least one source");
    for (const DeviceSource& source : sources) require_same_rows(sources.front().rows.rows(), source.rows.rows());
    require_products();
    Queue queue(sources.front().queue->device());
    Products products(queue);
    std::vector<std::unique_ptr<TileSide>> sides;
    for (const DeviceSource& source : sources)
        sides.push_back(std::make_unique<TileSide>(queue, source, centred, monitor));
    const std::int64_t n = sources.front().rows.rows(), count = std::int64_t(sources.size());
    const std::int64_t size = tile_size(n, count, tile);
    const Buffer<double> values(queue, count * size * size);
    PairTotals totals(queue, count);
    const std::vector<Tile> tiles = upper_tiles(n, size);
    std::int64_t done = 0;
    for (const Tile& one : tiles) {
        for (std::int64_t s = 0; s < count; ++s)
            sides[std::size_t(s)]->add_tile(one, size, products, values.get() + s * one.entries());
        totals.add(values.get(), one.entries());
        if (++done % kInFlight == 0) queue.wait(monitor, done, std::int64_t(tiles.size()));
    }
    queue.wait(monitor, done, std::int64_t(tiles.size()));
    GramSums result;
    result.n = n;
    result.off_diagonal = totals.values();
    for (const auto& side : sides) result.sides.push_back(side->finish());
    return result;
}

double median_distance(const DeviceSource& source, bool off_diagonal, std::int64_t tile, std::int64_t collected,
                       Monitor* monitor) {
    const std::int64_t n = source.rows.rows();
    if (n < 2) return 0;
    require_products();
    Queue queue(source.queue->device());
    DeviceSource squared = source;
    squared.kernel = Kernel();
    squared.kernel.form = KernelForm::sqeuclidean;
    TileSide side(queue, squared, false, monitor);
    // Of all in order, zeros of the diagonal first and every other one twice.
    const std::int64_t zeros = off_diagonal ? 0 : n, all = n * (n - 1) + zeros;
    const std::int64_t low = (all - 1) / 2 - zeros, high = all / 2 - zeros;
    if (high < 0) return 0;
    const auto [a, b] =
        ranked(queue, side, std::max<std::int64_t>(0, low / 2), high / 2, tile_size(n, 1, tile), collected, monitor);
    const double first = low < 0 ? 0 : std::sqrt(a), last = std::sqrt(b);
    return std::ldexp((first + last) / 2, side.rows_exponent());
}

}  // namespace kernalign::cuda
