// Adds prepared blocks to the Moments value: tiles of products, each through all blocks in order.
#include <algorithm>
#include <type_traits>

#include "cpu/moments/accumulator.hpp"
#include "cpu/moments/product_tiles.hpp"
#include "cpu/simd/simd.hpp"

namespace kernalign {

template <>
std::array<LargeVector<float>, 2>& Moments::buffers<float>(Chunk& chunk) {
    return chunk.narrow;
}
template <>
std::array<LargeVector<double>, 2>& Moments::buffers<double>(Chunk& chunk) {
    return chunk.wide;
}

std::int64_t Moments::tiles_per_chunk() const { return std::int64_t(product_tiles(cols(0), cols(1)).size()); }

// Adds the prepared chunk to the sums, each tile of the products through all blocks in order.
template <class T>
void Moments::commit(int threads, Progress& progress) {
    const std::vector<ProductTile> tiles = product_tiles(cols(0), cols(1));
    auto& data = buffers<T>(chunk_);
    if (chunk_.done.empty()) chunk_.done.assign(tiles.size(), 0);
    std::vector<LargeVector<T>> scratch(static_cast<std::size_t>(threads));
    std::vector<LargeVector<double>> wide_scratch(static_cast<std::size_t>(threads));
    std::vector<ProductScratch> panels(static_cast<std::size_t>(threads));
    parallel_for(std::int64_t(tiles.size()), threads, progress, [&](std::int64_t task, int worker) {
        if (chunk_.done[std::size_t(task)]) return;
        const ProductTile& tile = tiles[std::size_t(task)];
        const std::size_t a = std::size_t(tile.a), b = std::size_t(tile.b);
        const std::int64_t p = cols(tile.a), q = cols(tile.b), m = tile.rows, n = tile.cols;
        double* total = sums_.products[a + b].data();
        std::int64_t row = 0;
        for (const Block& block : chunk_.blocks) {  // no failure to allocate between two blocks
            if (block.wide[0].empty()) {
                scratch[std::size_t(worker)].resize(std::max(scratch[std::size_t(worker)].size(), std::size_t(m * n)));
                if (std::is_same_v<T, float>) reserve(m, n, block.rows, panels[std::size_t(worker)]);
            } else {
                wide_scratch[std::size_t(worker)].resize(
                    std::max(wide_scratch[std::size_t(worker)].size(), std::size_t(m * n)));
            }
        }
        for (const Block& block : chunk_.blocks) {
            const auto add = [&](const auto* left, const auto* right, auto& product) {
                multiply_tile(tile, block.rows, left, p, right, q, product.data(), panels[std::size_t(worker)]);
                for (std::int64_t i = 0; i < m; ++i) {
                    const std::int64_t from = tile.diagonal ? i : 0;
                    const std::size_t gi = std::size_t(tile.i + i), gj = std::size_t(tile.j + from);
                    simd().add_rank_two(total + std::int64_t(gi) * q + std::int64_t(gj), product.data() + i * n + from,
                                        block.delta[a][gi], block.side[b].sum.data() + gj, block.residual[a][gi],
                                        block.delta[b].data() + gj, n - from);
                }
            };
            if (block.wide[0].empty())
                add(data[a].data() + row * p, data[b].data() + row * q, scratch[std::size_t(worker)]);
            else
                add(block.wide[a].data(), block.wide[b].data(), wide_scratch[std::size_t(worker)]);
            row += block.rows;
        }
        chunk_.done[std::size_t(task)] = 1;
        progress.add(std::int64_t(chunk_.blocks.size()) - 1);  // a task counts one by itself
    });
    for (const Block& block : chunk_.blocks) {
        sums_.n += block.rows;
        sums_.norm_product += block.norm_product;
        sums_.widened = sums_.widened || !block.wide[0].empty();
        for (std::size_t s = 0; s < 2; ++s) {
            SideSums& side = sums_.side[s];
            const SideSums& part = block.side[s];
            side.norm += part.norm;
            side.norm_square += part.norm_square;
            for (std::size_t j = 0; j < std::size_t(side.cols); ++j) {
                side.sum[j] += part.sum[j];
                side.own[j] += part.own[j];
                side.other[j] += part.other[j];
            }
        }
    }
    chunk_.blocks.clear();
    chunk_.done.clear();
}

// Finishes what an interrupted call left prepared.
void Moments::complete(int threads, Progress& progress) {
    if (chunk_.blocks.empty()) return;
    if (precision_ == Precision::f32)
        commit<float>(threads, progress);
    else
        commit<double>(threads, progress);
}

template void Moments::commit<float>(int, Progress&);
template void Moments::commit<double>(int, Progress&);

}  // namespace kernalign
