// Float32 products by AMX tiles of bfloat16 parts; compiled for CPUs that have them and called on no other.
#ifdef KERNALIGN_AMX
#include "cpu/products/split_product.hpp"

#include "cpu/products/amx_tiles.hpp"

namespace kernalign::split {
namespace {

using std::int64_t;
constexpr int64_t kRows = 16, kCols = 32, kArea = kRows * kCols;  // of a block

// x = h + m + l, each in the upper halves of its lanes.
struct Parts {
    __m512i part[kParts];
};
inline __m512i rounded(__m512 x) {
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32(int(0xffff0000u));
    return _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x), half), upper);
}
inline Parts parts(__m512 x) {
    Parts p;
    p.part[0] = rounded(x);
    x = _mm512_sub_ps(x, _mm512_castsi512_ps(p.part[0]));
    p.part[1] = rounded(x);
    p.part[2] = _mm512_castps_si512(_mm512_sub_ps(x, _mm512_castsi512_ps(p.part[1])));
    return p;
}

// Transposes 16 x 16 pairs of bfloat16.
inline void turn(__m512i (&r)[kRows]) {
    __m512i t[kRows];
    for (int i = 0; i < 16; i += 4) {
        const __m512i a = _mm512_unpacklo_epi32(r[i], r[i + 1]), b = _mm512_unpackhi_epi32(r[i], r[i + 1]);
        const __m512i c = _mm512_unpacklo_epi32(r[i + 2], r[i + 3]), d = _mm512_unpackhi_epi32(r[i + 2], r[i + 3]);
        t[i] = _mm512_unpacklo_epi64(a, c);
        t[i + 1] = _mm512_unpackhi_epi64(a, c);
        t[i + 2] = _mm512_unpacklo_epi64(b, d);
        t[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    for (int i = 0; i < 4; ++i) {
        const __m512i a = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x88), b = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xdd);
        const __m512i c = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x88);
        const __m512i d = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xdd);
        r[i] = _mm512_shuffle_i32x4(a, c, 0x88);
        r[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
        r[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

// A block of 16 rows of 32 coordinates, or of 32 rows of 16 which are its columns; turned if the factor wants it so.
template <bool kByColumns, bool kTurned>
void fill_block(const float* x, int64_t ld, std::uint16_t* out) {
    alignas(64) static const std::uint16_t kUpperHalves[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21,
                                                               23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43,
                                                               45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
    const __m512i upper = _mm512_set1_epi32(int(0xffff0000u));
    __m512i rows[kParts][kRows];
    for (int64_t i = 0; i < kRows; ++i) {
        const float* from = kByColumns ? x + 2 * i * ld : x + i * ld;
        const Parts a = parts(_mm512_loadu_ps(from)), b = parts(_mm512_loadu_ps(kByColumns ? from + ld : from + kRows));
        for (int64_t s = 0; s < kParts; ++s)
            rows[s][i] = kByColumns
                             ? _mm512_or_si512(_mm512_srli_epi32(a.part[s], 16), _mm512_and_si512(b.part[s], upper))
                             : _mm512_permutex2var_epi16(a.part[s], _mm512_load_si512(kUpperHalves), b.part[s]);
    }
    for (int64_t s = 0; s < kParts; ++s) {
        if (kTurned) turn(rows[s]);
        for (int64_t i = 0; i < kRows; ++i) _mm512_storeu_si512(out + s * kArea + i * kCols, rows[s][i]);
    }
}

// The block of 16 rows from r and 32 coordinates from f, with zeros beyond the last ones.
template <bool kByColumns, bool kTurned>
void fill_one(int64_t rows, int64_t depth, const float* x, int64_t ld, int64_t r, int64_t f, std::uint16_t* panel) {
    const int64_t row_step = kByColumns ? 1 : ld, step = kByColumns ? ld : 1;
    std::uint16_t* out = panel + (r * padded(depth) + f * kRows) * kParts;
    if (r + kRows <= rows && f + kCols <= depth)
        return fill_block<kByColumns, kTurned>(x + r * row_step + f * step, ld, out);
    float edge[kArea] = {};
    constexpr int64_t kWidth = kByColumns ? kRows : kCols;
    for (int64_t i = 0; i < kRows && r + i < rows; ++i)
        for (int64_t j = 0; j < kCols && f + j < depth; ++j)
            edge[kByColumns ? j * kWidth + i : i * kWidth + j] = x[(r + i) * row_step + (f + j) * step];
    fill_block<kByColumns, kTurned>(edge, kWidth, out);
}

// Block by block in the order in which x lies in memory.
template <bool kByColumns, bool kTurned>
void fill_panel(int64_t rows, int64_t depth, const float* x, int64_t ld, std::uint16_t* panel) {
    if (kByColumns) {
        for (int64_t f = 0; f < depth; f += kCols)
            for (int64_t r = 0; r < padded(rows); r += kRows)
                fill_one<kByColumns, kTurned>(rows, depth, x, ld, r, f, panel);
    } else {
        for (int64_t r = 0; r < padded(rows); r += kRows)
            for (int64_t f = 0; f < depth; f += kCols) fill_one<kByColumns, kTurned>(rows, depth, x, ld, r, f, panel);
    }
}

inline void load_left(const std::uint16_t* a0, const std::uint16_t* a1) {
    _tile_loadd(4, a0, 64);
    _tile_loadd(5, a1, 64);
}
inline void load_right(const std::uint16_t* b0, const std::uint16_t* b1) {
    _tile_loadd(6, b0, 64);
    _tile_loadd(7, b1, 64);
}
inline void multiply() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

// 32 x 32 products. Small parts come first in each step, and each pair of blocks stays for two products or more.
void strip_product(int64_t blocks, const std::uint16_t* a0, const std::uint16_t* b0, int64_t strip, float* out) {
    const std::uint16_t *a1 = a0 + strip, *b1 = b0 + strip;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t at = 0; at < blocks * kParts * kArea; at += kParts * kArea) {
        const int64_t h = at, m = at + kArea, l = at + 2 * kArea;
        load_left(a0 + l, a1 + l);
        load_right(b0 + h, b1 + h);
        multiply();
        load_left(a0 + m, a1 + m);
        multiply();
        load_right(b0 + m, b1 + m);
        multiply();
        load_left(a0 + h, a1 + h);
        multiply();
        load_right(b0 + l, b1 + l);
        multiply();
        load_right(b0 + h, b1 + h);
        multiply();
    }
    _tile_stored(0, out, 2 * 64);
    _tile_stored(1, out + kRows, 2 * 64);
    _tile_stored(2, out + kRows * kStrip, 2 * 64);
    _tile_stored(3, out + kRows * kStrip + kRows, 2 * 64);
}

void put(const float* tile, int64_t rows, int64_t cols, float* out, int64_t ld, bool add) {
    for (int64_t c = 0; c < cols; c += kRows) {
        const auto mask = __mmask16(cols - c >= kRows ? 0xffff : (1 << (cols - c)) - 1);
        for (int64_t r = 0; r < rows; ++r) {
            __m512 value = _mm512_load_ps(tile + r * kStrip + c);
            float* target = out + r * ld + c;
            if (add) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, target));
            _mm512_mask_storeu_ps(target, mask, value);
        }
    }
}

}  // namespace

void fill(Side side, bool by_columns, int64_t rows, int64_t depth, const float* x, int64_t ld, std::uint16_t* panel) {
    if (side == Side::left)
        (by_columns ? fill_panel<true, true> : fill_panel<false, false>)(rows, depth, x, ld, panel);
    else
        (by_columns ? fill_panel<true, false> : fill_panel<false, true>)(rows, depth, x, ld, panel);
}

void product(int64_t rows, int64_t cols, int64_t depth, const std::uint16_t* left, const std::uint16_t* right,
             float* out, int64_t ld, bool add, bool upper, int64_t first) {
    const bfloat::TileScope tiles;
    const int64_t blocks = padded(depth) / kCols, strip = blocks * kParts * kArea;
    alignas(64) float tile[kStrip * kStrip];
    for (int64_t r = 0; r < rows; r += kStrip)
        for (int64_t c = upper && r > first ? (r - first) / kStrip * kStrip : 0; c < cols; c += kStrip) {
            strip_product(blocks, left + r / kRows * strip, right + c / kRows * strip, strip, tile);
            const int64_t height = rows - r < kStrip ? rows - r : kStrip, width = cols - c < kStrip ? cols - c : kStrip;
            put(tile, height, width, out + r * ld + c, ld, add);
        }
}

}  // namespace kernalign::split
#endif
