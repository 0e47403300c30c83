// Products of two sides' columns cut into tiles: what threads share when second moments are multiplied.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "cpu/products/float_product.hpp"
#include "memory.hpp"

namespace kernalign {

constexpr std::int64_t kTileRows = 512, kTileCols = 1024;  // measured in bench/README.md: packing costs less

// A rectangle of x'y'^T, x'x'^T or y'y'^T; on the diagonal a square of which the upper triangle is made.
struct ProductTile {
    int a, b;
    std::int64_t i, j, rows, cols;
    bool diagonal;
};

inline std::vector<ProductTile> product_tiles(std::int64_t p, std::int64_t q) {
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

// A tile of a block's products.
template <class T>
void multiply_tile(const ProductTile& tile, std::int64_t rows, const T* left, std::int64_t p, const T* right,
                   std::int64_t q, T* product, ProductScratch& scratch) {
    const Factor<T> a{left + tile.i, p, tile.rows, true};
    if (tile.diagonal)
        square(a, rows, product, tile.cols, scratch);
    else
        multiply(a, Factor<T>{right + tile.j, q, tile.cols, true}, rows, product, tile.cols, scratch);
}

// Copies the upper triangle of a square matrix down.
inline void mirror_upper(LargeVector<double>& matrix, std::int64_t size) {
    constexpr std::size_t tile = 64;  // keeps the transposed writes in cache
    const std::size_t cols = std::size_t(size);
    for (std::size_t i0 = 0; i0 < cols; i0 += tile)
        for (std::size_t j0 = 0; j0 <= i0; j0 += tile)
            for (std::size_t i = i0; i < std::min(cols, i0 + tile); ++i)
                for (std::size_t j = j0; j < std::min(i, j0 + tile); ++j) matrix[i * cols + j] = matrix[j * cols + i];
}

}  // namespace kernalign
