// Walks the Gram matrices of several representations on a device in tiles and sums the products of all pairs.
#include "cuda/gram_sweep.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "cuda/tile_kernels.hpp"
#include "cuda/tile_side.hpp"
#include "error.hpp"

namespace kernalign::cuda {
namespace {

constexpr std::int64_t kInFlight = 4;                   // tiles
constexpr std::int64_t kTileNumbers = 1 << 27;          // of the tiles of all sources
constexpr std::int64_t kShares = 256, kShareStep = 32;  // of a tile's entries
constexpr std::int64_t kSampled = 256;                  // rows
constexpr int kCollected = 1 << 22;

// Sums over entries of the products of all pairs of tiles.
class PairTotals {
  public:
    PairTotals(Queue& queue, std::int64_t sides)
        : queue_(queue), sides_(sides), totals_(queue, sides * sides), partial_(queue, kShares * sides * sides) {
        totals_.clear();
    }

    void add(const double* tiles, std::int64_t entries) {
        partial_.clear();  // of pairs below the diagonal, which are not made
        const std::int64_t least = (entries + kShares - 1) / kShares;
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
    std::int64_t sides_;
    Buffer<double> totals_, partial_;
};

std::int64_t tile_size(std::int64_t n, std::int64_t sides, std::int64_t most) {
    const auto fits = std::int64_t(std::sqrt(double(kTileNumbers / sides)));
    return std::min({n, most, std::max<std::int64_t>(1, fits)});
}

// What a bracket of squared distances holds.
struct Bracket {
    double least, most;
    std::int64_t below = 0, inside = 0;
    std::vector<double> found;  // if all of them fit
};

void look(Queue& queue, TileSide& side, std::int64_t size, Products& products, Buffer<double>& values, Bracket& bracket,
          Monitor* monitor) {
    const std::vector<Tile> tiles = upper_tiles(side.size(), size);
    const std::int64_t pairs = side.size() * (side.size() - 1) / 2;
    const int room = int(std::min<std::int64_t>(kCollected, pairs));
    Buffer<int> counts(queue, 2);
    const Buffer<double> found(queue, room);
    counts.clear();
    std::int64_t done = 0;
    for (const Tile& tile : tiles) {
        side.distances(tile, products, values.get());
        queue.clear(counts.get(), sizeof(int));
        CountCollect kernel;
        kernel.tile = values.get();
        kernel.row0 = tile.row0;
        kernel.col0 = tile.col0;
        kernel.rows = tile.rows;
        kernel.cols = kernel.ld = tile.cols;
        kernel.least = bracket.least;
        kernel.most = bracket.most;
        kernel.capacity = room;
        kernel.counts = Written<int>(counts.get());
        kernel.found = Written<double>(found.get());
        launch(queue, CountCollect::blocks(tile.rows, tile.cols), kernel);
        queue.wait(monitor, ++done, std::int64_t(tiles.size()));
        const std::vector<int> now = counts.values();
        bracket.below += now[0];
        bracket.inside = now[1];
        if (bracket.inside > room) break;  // too many, wherever the middle is
    }
    bracket.found.resize(std::size_t(std::min<std::int64_t>(bracket.inside, room)));
    queue.download(bracket.found.data(), found.get(), bracket.found.size() * sizeof(double));
}

// The values of these ranks among the squared distances above the diagonal, counted from 0; first <= last <= first + 1.
std::pair<double, double> ranked(Queue& queue, TileSide& side, std::int64_t first, std::int64_t last, std::int64_t size,
                                 Monitor* monitor) {
    Products products(queue);
    Buffer<double> values(queue, size * size);
    std::vector<double> sample = side.sampled_distances(kSampled);
    std::sort(sample.begin(), sample.end());
    const double n = double(side.size()), share = (double(first) + 0.5) / (n * (n - 1) / 2);
    double room = 0.02;
    double least = 0, most = std::numeric_limits<double>::infinity();  // the ranks are in between for certain
    for (;;) {
        const auto count = double(sample.size());
        const auto at = [&](double where) { return sample[std::size_t(std::clamp(where * count, 0.0, count - 1))]; };
        Bracket bracket{share < room ? least : std::max(least, at(share - room)),
                        share + room > 1 ? most : std::min(most, at(share + room)),
                        0,
                        0,
                        {}};
        look(queue, side, size, products, values, bracket, monitor);
        if (bracket.inside > kCollected) {
            if (bracket.least == bracket.most) return {bracket.least, bracket.least};
            sample = std::move(bracket.found);  // nearer to where it has to be
            std::sort(sample.begin(), sample.end());
            least = bracket.least;
            most = bracket.most;
            room /= 4;
            continue;
        }
        if (first >= bracket.below && last < bracket.below + bracket.inside) {
            std::sort(bracket.found.begin(), bracket.found.end());
            return {bracket.found[std::size_t(first - bracket.below)],
                    bracket.found[std::size_t(last - bracket.below)]};
        }
        room *= 4;
    }
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

double median_distance(const DeviceSource& source, bool off_diagonal, std::int64_t tile, Monitor* monitor) {
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
        ranked(queue, side, std::max<std::int64_t>(0, low / 2), high / 2, tile_size(n, 1, tile), monitor);
    const double first = low < 0 ? 0 : std::sqrt(a), last = std::sqrt(b);
    return std::ldexp((first + last) / 2, side.rows_exponent());
}

}  // namespace kernalign::cuda
