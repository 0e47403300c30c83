// gram_sums of many wide representations: their Gram matrices take less memory than their rows, so they are made one
// after the other, and all pairs are multiplied at the end.
#pragma once

#include <vector>

#include "cpu/grams/gram_tiles.hpp"
#include "grams.hpp"

namespace kernalign {

// More than two sources, n <= columns of each, and all upper triangles in kAllKeptBytes.
bool can_hold_grams(const std::vector<GramSource>& sources);
GramSums held_gram_sums(const std::vector<GramSource>& sources, bool centred, int threads, Monitor* monitor);

}  // namespace kernalign
