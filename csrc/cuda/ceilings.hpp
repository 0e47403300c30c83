// Contract of ceilings: how fast a device copies its memory and multiplies matrices, which bounds everything else.
#pragma once

#include <cstdint>

namespace kernalign::cuda {

// Bytes read and written, and multiplications and additions, per second; 0 of products without cuBLAS.
struct Ceilings {
    double copied = 0, doubles = 0, squares = 0, floats = 0, halves = 0;
};

// Of square matrices of `size` rows, a multiple of 16, several times.
Ceilings measure_ceilings(int device, std::int64_t size);

}  // namespace kernalign::cuda
