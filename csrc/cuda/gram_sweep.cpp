// Walks the Gram matrices of several representations on a device in tiles and sums the products of all pairs.
#include "cuda/gram_sweep.hpp"

#include <algorithm>
#include <memory>

#include "cuda/tile_kernels.hpp"
#include "cuda/tile_side.hpp"
#include "error.hpp"

namespace kernalign::cuda {
namespace {

constexpr std::int64_t kShares = 2048, kPartials = 1 << 22, kShareStep = 128;  // of a tile's entries

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
    const Tiling tiling(queue, sources, tile);
    const std::int64_t size = tiling.size;
    const Buffer<double>& values = tiling.values;
    const bool narrow = std::any_of(sides.begin(), sides.end(), [](const auto& side) { return side->narrow(); });
    const Buffer<float> products_of_tile(queue, narrow ? size * size : 0);
    PairTotals totals(queue, count);
    const std::vector<Tile> tiles = upper_tiles(n, size);
    std::int64_t done = 0;
    for (const Tile& one : tiles) {
        for (std::int64_t s = 0; s < count; ++s)
            sides[std::size_t(s)]->add_tile(one, size, products, values.get() + s * one.entries(),
                                            products_of_tile.get());
        totals.add(values.get(), one.entries());
        if (++done % tiling.in_flight == 0) queue.wait(monitor, done, std::int64_t(tiles.size()));
    }
    queue.wait(monitor, done, std::int64_t(tiles.size()));
    GramSums result;
    result.n = n;
    result.off_diagonal = totals.values();
    for (const auto& side : sides) result.sides.push_back(side->finish());
    return result;
}

}  // namespace kernalign::cuda
