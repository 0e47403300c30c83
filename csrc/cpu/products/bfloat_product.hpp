// Products of bfloat16 panels on CPUs whose matrix unit makes them many times cheaper than float32 (Intel AMX).
#pragma once

#include <cstdint>

namespace kernalign::bfloat {

constexpr std::int64_t kBlock = 16;  // rows of a block
constexpr std::int64_t kDepth = 32;  // coordinates of a block

// A panel holds blocks of 16 rows x 32 coordinates, all blocks of 16 rows one after the other: row-major inside for the
// left factor; for the right one pairs of coordinates are the rows (the matrix unit wants it so). Rows and columns of a
// product come in multiples of 32.
//
// C = A B^T in float32. Of each entry any order of summation may be used, fused or not; inputs and sums below 2^-126
// in magnitude may count as zero.
void product(std::int64_t rows, std::int64_t cols, std::int64_t depth, const std::uint16_t* left,
             const std::uint16_t* right, float* out, std::int64_t ld);

// Whether this CPU and its operating system have the unit; KERNALIGN_ISA set to anything but "amx" turns it off.
bool available();

#ifdef KERNALIGN_AMX
void product_amx(std::int64_t rows, std::int64_t cols, std::int64_t depth, const std::uint16_t* left,
                 const std::uint16_t* right, float* out, std::int64_t ld);
#endif

}  // namespace kernalign::bfloat
