// Products of bfloat16 panels by AMX tiles; compiled for CPUs that have them and called on no other.
#ifdef KERNALIGN_AMX
#include "cpu/products/amx_tiles.hpp"
#include "cpu/products/bfloat_product.hpp"

namespace kernalign::bfloat {

// Four accumulators: two blocks of rows times two blocks of columns, so that each block loaded is used twice.
void product_amx(std::int64_t rows, std::int64_t cols, std::int64_t depth, const std::uint16_t* left,
                 const std::uint16_t* right, float* out, std::int64_t ld) {
    const TileScope tiles;
    const std::int64_t step = kBlock * kDepth, strip = kBlock * depth, bytes = ld * std::int64_t(sizeof(float));
    for (std::int64_t c = 0; c < cols; c += 2 * kBlock) {
        const std::uint16_t* b0 = right + c / kBlock * strip;
        const std::uint16_t* b1 = b0 + strip;
        for (std::int64_t r = 0; r < rows; r += 2 * kBlock) {
            const std::uint16_t* a0 = left + r / kBlock * strip;
            const std::uint16_t* a1 = a0 + strip;
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
            for (std::int64_t at = 0; at < strip; at += step) {
                _tile_loadd(4, a0 + at, 64);
                _tile_loadd(6, b0 + at, 64);
                _tile_loadd(5, a1 + at, 64);
                _tile_loadd(7, b1 + at, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            float* target = out + r * ld + c;
            _tile_stored(0, target, bytes);
            _tile_stored(1, target + kBlock, bytes);
            _tile_stored(2, target + kBlock * ld, bytes);
            _tile_stored(3, target + kBlock * ld + kBlock, bytes);
        }
    }
}

}  // namespace kernalign::bfloat
#endif
