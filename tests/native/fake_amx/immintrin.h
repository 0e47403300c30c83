// The matrix unit's instructions as plain loops, by their definitions in Intel's manual; all others are the compiler's.
//
// As the unit does, it takes subnormal inputs for zero and makes no subnormal sums. What the unit refuses ends the
// test.
#pragma once

#include_next <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace fake_amx {
namespace {  // each file has its own, for it may be compiled for other instructions

constexpr int kRows = 16, kCols = 16;
struct Tile {
    std::uint32_t word[kRows][kCols];
};
thread_local Tile tiles[8];
thread_local bool set_up = false;

inline Tile& tile(int number) {
    if (!set_up || number < 0 || number > 7) std::abort();
    return tiles[number];
}
inline float flushed(float x) { return std::fabs(x) < 0x1p-126F ? 0.0F : x; }
inline float wide(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
inline float lower(std::uint32_t pair) { return flushed(wide(pair << 16)); }
inline float upper(std::uint32_t pair) { return flushed(wide(pair & 0xffff0000U)); }

inline void load_config(const void* config) {
    const auto* bytes = static_cast<const std::uint8_t*>(config);
    if (bytes[0] != 1) std::abort();
    for (int number = 0; number < 8; ++number)
        if (bytes[16 + 2 * number] != 4 * kCols || bytes[48 + number] != kRows) std::abort();
    set_up = true;
    std::memset(tiles, 0, sizeof tiles);
}
inline void release() { set_up = false; }
inline void zero(int number) { tile(number) = {}; }
inline void load(int number, const void* from, std::int64_t stride) {
    for (int row = 0; row < kRows; ++row)
        std::memcpy(tile(number).word[row], static_cast<const char*>(from) + row * stride, sizeof(Tile) / kRows);
}
inline void store(int number, void* to, std::int64_t stride) {
    for (int row = 0; row < kRows; ++row)
        std::memcpy(static_cast<char*>(to) + row * stride, tile(number).word[row], sizeof(Tile) / kRows);
}
// Even and odd coordinates are summed apart, both sums are added, and then what was there.
inline void multiply(int sum, int left, int right) {
    Tile &c = tile(sum), &a = tile(left), &b = tile(right);
    for (int row = 0; row < kRows; ++row) {
        float even[kCols] = {}, odd[kCols] = {};
        for (int pair = 0; pair < kCols; ++pair) {
            const float x = lower(a.word[row][pair]), y = upper(a.word[row][pair]);
            for (int col = 0; col < kCols; ++col) {
                even[col] = flushed(even[col] + x * lower(b.word[pair][col]));
                odd[col] = flushed(odd[col] + y * upper(b.word[pair][col]));
            }
        }
        for (int col = 0; col < kCols; ++col) {
            const float total = flushed(flushed(wide(c.word[row][col])) + flushed(even[col] + odd[col]));
            std::memcpy(&c.word[row][col], &total, sizeof total);
        }
    }
}

}  // namespace
}  // namespace fake_amx

#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig fake_amx::load_config
#define _tile_release fake_amx::release
#define _tile_zero fake_amx::zero
#define _tile_loadd fake_amx::load
#define _tile_stored fake_amx::store
#define _tile_dpbf16ps fake_amx::multiply
