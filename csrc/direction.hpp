// Contract of directions: what a row is divided by before it is made one of norm 1, so that rows that are exactly
// parallel become the same bits, on every device.
//
// A float64 number is an odd integer times a power of two, or 0. With g the greatest common divisor of the odd integers
// of a row, x / g is exact, and x' = t x for any t > 0 has x' / g' = 2^e (x / g): squares, norms and quotients of the
// two differ by powers of two only, unless they leave the range of float64, and their rows of norm 1 not at all. g is 1
// for nearly all rows that were measured, which a few entries tell: two odd integers at random have no common divisor
// with probability 8 / pi^2.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define KERNALIGN_ANYWHERE __host__ __device__ inline
#else
#define KERNALIGN_ANYWHERE inline
#endif

namespace kernalign {

KERNALIGN_ANYWHERE std::uint64_t odd_part(double value) {
    std::uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const std::uint64_t hidden = std::uint64_t(1) << 52, mantissa = bits & (hidden - 1);
    const std::uint64_t whole = (bits >> 52 & 0x7ffu) == 0 ? mantissa : mantissa | hidden;
    return whole == 0 ? 0 : whole / (whole & (~whole + 1));
}

// g of cols values, each value(f), times the power of two that brings it to [1, 2), for sizes are to stay; 1 of a row
// of zeros.
template <class Value>
KERNALIGN_ANYWHERE double common_divisor(const Value& value, std::int64_t cols) {
    std::uint64_t common = 0;
    for (std::int64_t f = 0; f < cols && common != 1; ++f)
        for (std::uint64_t rest = odd_part(double(value(f))); rest != 0;) {
            const std::uint64_t next = common % rest;
            common = rest;
            rest = next;
        }
    double divisor = common == 0 ? 1.0 : double(common);
    while (divisor >= 2) divisor *= 0.5;
    return divisor;
}

}  // namespace kernalign
