// Streams rows into the Moments value: blocks, float32 or float64 products per block, float64 sums.
#include "moments.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <utility>

#include "cpu/blas.hpp"
#include "cpu/load.hpp"
#include "cpu/outlier.hpp"
#include "cpu/simd.hpp"
#include "error.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kTileRows = 512, kTileCols = 1024;  // measured in bench/README.md: packing costs less
constexpr std::int64_t kScratch = 32 << 20;                // bytes of prepared rows
constexpr double kLargestNorm = 0x1p100;  // of a block's rows together: float32 sums of squares stay finite
constexpr double kOverflow = 0x1p1000;
constexpr int kExponentLimit = 1000;  // keeps 2^-e a normal number

// A rectangle of x'y'^T, x'x'^T or y'y'^T; on the diagonal a square of which the upper triangle is made.
struct ProductTile {
    int a, b;
    std::int64_t i, j, rows, cols;
    bool diagonal;
};

std::vector<ProductTile> product_tiles(std::int64_t p, std::int64_t q) {
    std::vector<ProductTile> tiles;
    const std::array<std::int64_t, 2> cols{p, q};
    for (const auto& [a, b] : {std::pair{0, 1}, std::pair{0, 0}, std::pair{1, 1}}) {
        const std::int64_t m = cols[std::size_t(a)], n = cols[std::size_t(b)];
        for (std::int64_t j = 0; j < n; j += kTileCols) {
            const std::int64_t width = std::min(kTileCols, n - j);
            for (std::int64_t i = 0; i < (a == b ? j : m); i += kTileRows)
                tiles.push_back({a, b, i, j, std::min(kTileRows, m - i), width, false});
            if (a == b) tiles.push_back({a, b, j, j, width, width, true});
        }
    }
    return tiles;
}

// Mean of a block's rows, rounded to T. Differences from the first row are exactly zero in a constant column.
template <class T>
std::vector<T> block_mean(const T* data, std::int64_t rows, std::int64_t cols) {
    std::vector<double> sum(std::size_t(cols), 0.0);
    for (std::int64_t i = 1; i < rows; ++i) simd().add_difference(data + i * cols, data, sum.data(), cols);
    std::vector<T> mean(static_cast<std::size_t>(cols));
    for (std::size_t j = 0; j < mean.size(); ++j) mean[j] = T(double(data[j]) + sum[j] / double(rows));
    return mean;
}

// A tile of a block's products.
template <class T>
void multiply(const ProductTile& tile, std::int64_t rows, const T* left, std::int64_t p, const T* right, std::int64_t q,
              T* product) {
    if (tile.diagonal)
        blas::syrk_tn(tile.rows, rows, left + tile.i, p, product, tile.cols);
    else
        blas::gemm_tn(tile.rows, tile.cols, rows, left + tile.i, p, right + tile.j, q, product, tile.cols);
}

}  // namespace

Moments::Moments(std::int64_t p, std::int64_t q, Precision precision) : precision_(precision), sums_(p, q) {
    require(p >= 1 && q >= 1, "x and y must have at least one column");
}

std::int64_t Moments::count() const {
    std::int64_t rows = sums_.n + waiting_;
    for (const Block& block : chunk_.blocks) rows += block.rows;
    return rows;
}

std::int64_t Moments::blocks_per_chunk() const {
    if (!(sums_.side[0].scaled && sums_.side[1].scaled)) return 1;  // the block that sets shift and scale goes alone
    const std::int64_t width = precision_ == Precision::f32 ? sizeof(float) : sizeof(double);
    return std::max<std::int64_t>(1, kScratch / (kMomentsBlock * (cols(0) + cols(1)) * width));
}

template <>
std::array<std::vector<float>, 2>& Moments::buffers<float>(Chunk& chunk) {
    return chunk.narrow;
}
template <>
std::array<std::vector<double>, 2>& Moments::buffers<double>(Chunk& chunk) {
    return chunk.wide;
}

void Moments::update(const Rows& x, const Rows& y, int threads, Monitor* monitor) {
    require_same_rows(x.rows(), y.rows());
    const std::array<const Rows*, 2> sides{&x, &y};
    for (int s = 0; s < 2; ++s)
        require(sides[std::size_t(s)]->cols() == cols(s), std::string(s ? "y" : "x") + " must have the " +
                                                              std::to_string(cols(s)) + " columns of the stream, got " +
                                                              std::to_string(sides[std::size_t(s)]->cols()));
    threads = resolve_threads(threads);
    const std::int64_t blocks = (waiting_ + x.rows()) / kMomentsBlock;
    const std::int64_t tiles = std::int64_t(product_tiles(cols(0), cols(1)).size());
    Progress progress(monitor, blocks * (1 + tiles));
    complete(threads, progress);
    if (precision_ == Precision::f32)
        take<float>(x, y, threads, progress);
    else
        take<double>(x, y, threads, progress);
}

template <class T>
void Moments::take(const Rows& x, const Rows& y, int threads, Progress& progress) {
    const std::array<const Rows*, 2> sides{&x, &y};
    std::int64_t position = 0;
    const auto wait = [&](std::int64_t rows) {
        for (std::size_t s = 0; s < 2; ++s) {
            waiting_rows_[s].resize(std::size_t((waiting_ + rows) * cols(int(s))));
            load_rows(*sides[s], position, position + rows, waiting_rows_[s].data() + waiting_ * cols(int(s)),
                      cols(int(s)));
        }
        waiting_ += rows;
        position += rows;
    };
    if (waiting_ > 0) {
        wait(std::min(kMomentsBlock - waiting_, x.rows()));
        if (waiting_ == kMomentsBlock) flush(threads, progress);
    }
    while (x.rows() - position >= kMomentsBlock) {
        const std::int64_t blocks = std::min(blocks_per_chunk(), (x.rows() - position) / kMomentsBlock);
        std::vector<Block> prepared(static_cast<std::size_t>(blocks));
        auto& data = buffers<T>(chunk_);
        for (std::size_t s = 0; s < 2; ++s) data[s].resize(std::size_t(blocks * kMomentsBlock * cols(int(s))));
        parallel_for(blocks, threads, progress, [&](std::int64_t b, int) {
            std::array<T*, 2> rows;
            const std::int64_t begin = position + b * kMomentsBlock;
            for (std::size_t s = 0; s < 2; ++s) {
                rows[s] = data[s].data() + b * kMomentsBlock * cols(int(s));
                load_rows(*sides[s], begin, begin + kMomentsBlock, rows[s], cols(int(s)));
            }
            Block& block = prepared[std::size_t(b)];
            block.rows = kMomentsBlock;
            if (blocks_per_chunk() == 1) start<T>(rows, block.rows);
            prepare<T>(block, rows);
        });
        if (!fits(prepared)) continue;  // again, with the larger scale
        chunk_.blocks = std::move(prepared);
        position += blocks * kMomentsBlock;
        commit<T>(threads, progress);
    }
    if (position < x.rows()) wait(x.rows() - position);
    Chunk().swap(chunk_);
}

// Turns the waiting rows, a whole block or what is left at the end, into sums.
void Moments::flush(int threads, Progress& progress) {
    if (waiting_ == 0) return;
    const auto fill = [&](auto element) {
        using T = decltype(element);
        std::vector<Block> prepared;
        do {
            prepared.clear();
            prepared.resize(1);
            prepared[0].rows = waiting_;
            std::array<T*, 2> rows;
            for (std::size_t s = 0; s < 2; ++s) {
                std::vector<T>& data = buffers<T>(chunk_)[s];
                data.assign(waiting_rows_[s].begin(), waiting_rows_[s].begin() + waiting_ * cols(int(s)));
                rows[s] = data.data();
            }
            start<T>(rows, waiting_);
            prepare<T>(prepared[0], rows);
        } while (!fits(prepared));
        chunk_.blocks = std::move(prepared);
        progress.add(1);
        waiting_ = 0;
        commit<T>(threads, progress);
    };
    if (precision_ == Precision::f32)
        fill(float{});
    else
        fill(double{});
}

// Sets the shift from the first block, and the scale from the first block whose rows deviate from the shift.
template <class T>
void Moments::start(const std::array<T*, 2>& data, std::int64_t rows) {
    for (std::size_t s = 0; s < 2; ++s) {
        SideSums& side = sums_.side[s];
        if (sums_.n == 0) {
            const std::vector<T> mean = block_mean(data[s], rows, side.cols);
            side.shift.assign(mean.begin(), mean.end());
            side.scaled = false;
            side.exponent = 0;
        }
        if (side.scaled) continue;
        double largest = 0;
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t j = 0; j < side.cols; ++j)
                largest =
                    std::fmax(largest, std::fabs(double(data[s][i * side.cols + j]) - side.shift[std::size_t(j)]));
        if (largest > 0) {
            side.exponent = std::clamp(std::ilogb(largest), -kExponentLimit, kExponentLimit);
            side.scaled = true;
        }
    }
}

// Sums of one block about the common shift; the rows are left centred on the block's own mean, and scaled.
template <class T>
void Moments::prepare(Block& block, const std::array<T*, 2>& data) const {
    const double rows = double(block.rows);
    std::array<std::vector<double>, 2> norms;
    std::array<std::vector<T>, 2> centre;
    std::array<double, 2> factor;
    for (std::size_t s = 0; s < 2; ++s) {
        const SideSums& side = sums_.side[s];
        SideSums& sums = block.side[s];
        for (std::vector<double>* v : {&sums.sum, &sums.own, &sums.other}) v->assign(std::size_t(side.cols), 0.0);
        centre[s] = block_mean(data[s], block.rows, side.cols);
        factor[s] = std::ldexp(1.0, -side.exponent);
        norms[s].resize(std::size_t(block.rows));
        for (std::int64_t i = 0; i < block.rows; ++i) {
            const double norm = simd().squared_norm(data[s] + i * side.cols, side.shift.data(), factor[s], side.cols);
            norms[s][std::size_t(i)] = norm;
            sums.norm += norm;
            sums.norm_square += norm * norm;
        }
    }
    for (std::size_t i = 0; i < std::size_t(block.rows); ++i) block.norm_product += norms[0][i] * norms[1][i];
    bool widen = false;
    if constexpr (std::is_same_v<T, float>) widen = has_outlier(norms[0]) || has_outlier(norms[1]);
    for (std::size_t s = 0; s < 2; ++s) {
        const SideSums& side = sums_.side[s];
        SideSums& sums = block.side[s];
        if (widen) {
            block.wide[s].resize(std::size_t(block.rows * side.cols));
            for (std::size_t k = 0; k < block.wide[s].size(); ++k)
                block.wide[s][k] = (double(data[s][k]) - double(centre[s][k % std::size_t(side.cols)])) * factor[s];
        }
        for (std::size_t i = 0; i < std::size_t(block.rows); ++i)
            simd().accumulate_row(data[s] + std::int64_t(i) * side.cols, side.shift.data(), centre[s].data(), factor[s],
                                  norms[s][i], norms[1 - s][i], sums.sum.data(), sums.own.data(), sums.other.data(),
                                  side.cols);
        block.delta[s].resize(std::size_t(side.cols));
        block.residual[s].resize(std::size_t(side.cols));
        for (std::size_t j = 0; j < std::size_t(side.cols); ++j) {
            block.delta[s][j] = (double(centre[s][j]) - side.shift[j]) * factor[s];
            block.residual[s][j] = sums.sum[j] - rows * block.delta[s][j];
        }
    }
}

// Whether the blocks' fourth powers can be summed at the present scale; if not, raises the scale.
bool Moments::fits(const std::vector<Block>& blocks) {
    std::array<int, 2> exponents{sums_.side[0].exponent, sums_.side[1].exponent};
    bool fit = true;
    for (std::size_t s = 0; s < 2; ++s) {
        double largest = 0;
        for (const Block& block : blocks)
            largest = std::isfinite(block.side[s].norm) ? std::max(largest, block.side[s].norm) : kOverflow;
        if (largest < kLargestNorm || exponents[s] >= kExponentLimit) continue;
        exponents[s] = std::min(exponents[s] + std::ilogb(largest) / 2, kExponentLimit);
        fit = false;
    }
    if (!fit) sums_.rescale(exponents[0], exponents[1]);
    return fit;
}

// Adds the prepared chunk to the sums, each tile of the products through all blocks in order.
template <class T>
void Moments::commit(int threads, Progress& progress) {
    const std::vector<ProductTile> tiles = product_tiles(cols(0), cols(1));
    auto& data = buffers<T>(chunk_);
    if (chunk_.done.empty()) chunk_.done.assign(tiles.size(), 0);
    std::vector<std::vector<T>> scratch(static_cast<std::size_t>(threads));
    std::vector<std::vector<double>> wide_scratch(static_cast<std::size_t>(threads));
    parallel_for(std::int64_t(tiles.size()), threads, progress, [&](std::int64_t task, int worker) {
        if (chunk_.done[std::size_t(task)]) return;
        const ProductTile& tile = tiles[std::size_t(task)];
        const std::size_t a = std::size_t(tile.a), b = std::size_t(tile.b);
        const std::int64_t p = cols(tile.a), q = cols(tile.b), m = tile.rows, n = tile.cols;
        double* total = sums_.products[a + b].data();
        std::int64_t row = 0;
        for (const Block& block : chunk_.blocks) {
            const auto add = [&](const auto* left, const auto* right, auto& product) {
                product.resize(std::max(product.size(), std::size_t(m * n)));
                multiply(tile, block.rows, left, p, right, q, product.data());
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

}  // namespace kernalign
