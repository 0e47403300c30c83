// How AMX tiles are set up: eight of 16 rows of 64 bytes. Only for files that are compiled for AMX.
#pragma once

// Older versions of Clang call these __AMXTILE__ and __AMXBF16__.
#if !(defined(__AVX512F__) && (defined(__AMX_TILE__) || defined(__AMXTILE__)) && \
      (defined(__AMX_BF16__) || defined(__AMXBF16__)))
#error "CMakeLists.txt must name the file that includes this where it sets compiler options"
#endif

#include <immintrin.h>

#include <cstdint>

namespace kernalign::bfloat {

struct alignas(64) TileConfig {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t bytes[16] = {};
    std::uint8_t rows[16] = {};
};

// In force while it lives.
class TileScope {
  public:
    TileScope() {
        TileConfig config;
        for (int tile = 0; tile < 8; ++tile) config.bytes[tile] = 64, config.rows[tile] = 16;
        _tile_loadconfig(&config);
    }
    ~TileScope() { _tile_release(); }
    TileScope(const TileScope&) = delete;
    TileScope& operator=(const TileScope&) = delete;
};

}  // namespace kernalign::bfloat
