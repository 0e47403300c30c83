// The rounds of BLAKE2b on eight lanes, included by simd_kernels.inl once per instruction set.

typedef std::uint64_t Word __attribute__((vector_size(64)));  // of every lane

inline Word turned(Word x, int bits) { return (x >> bits) | (x << (64 - bits)); }

inline void mix(Word* v, int a, int b, int c, int d, Word first, Word second) {
    v[a] += v[b] + first;
    v[d] = turned(v[d] ^ v[a], 32);
    v[c] += v[d];
    v[b] = turned(v[b] ^ v[c], 24);
    v[a] += v[b] + second;
    v[d] = turned(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = turned(v[b] ^ v[c], 63);
}

void digest_blocks(std::uint64_t* state, const unsigned char* blocks, int64_t count, std::uint64_t before, bool last) {
    constexpr unsigned char order[10][16] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
        {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
        {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
        {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
        {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    };
    Word h[8];
    std::memcpy(h, state, sizeof h);
    for (int64_t block = 0; block < count; ++block, blocks += 16 * sizeof(Word)) {
        before += 16 * sizeof(std::uint64_t);
        Word v[16];
        for (int i = 0; i < 8; ++i) {
            v[i] = h[i];
            v[i + 8] = Word{} + kDigestStart[i];
        }
        v[12] ^= before;
        if (last) v[14] = ~v[14];
        const auto word = [&](int i) {
            Word found;
            std::memcpy(&found, blocks + i * int64_t(sizeof(Word)), sizeof found);
            return found;
        };
#pragma GCC unroll 12
        for (int round = 0; round < 12; ++round) {
            const unsigned char* o = order[round % 10];
            mix(v, 0, 4, 8, 12, word(o[0]), word(o[1]));
            mix(v, 1, 5, 9, 13, word(o[2]), word(o[3]));
            mix(v, 2, 6, 10, 14, word(o[4]), word(o[5]));
            mix(v, 3, 7, 11, 15, word(o[6]), word(o[7]));
            mix(v, 0, 5, 10, 15, word(o[8]), word(o[9]));
            mix(v, 1, 6, 11, 12, word(o[10]), word(o[11]));
            mix(v, 2, 7, 8, 13, word(o[12]), word(o[13]));
            mix(v, 3, 4, 9, 14, word(o[14]), word(o[15]));
        }
        for (int i = 0; i < 8; ++i) h[i] ^= v[i] ^ v[i + 8];
    }
    std::memcpy(state, h, sizeof h);
}
