// Finds the neighbours of few, very long rows without a copy of them.
#pragma once

#include "cpu/neighbors/exact_rows.hpp"

namespace kernalign {

// Whether rows are so long, and so few, that panels of them would take much more memory than their products, and that
// float32 bounds would prove nothing.
bool are_wide(const ExactRows& rows);

// All neighbours: float64 products, made of some columns at a time, are within a known error of the similarities, so
// that they say which few rows need exact ones. Holds 8 n^2 bytes.
void wide_search(const ExactRows& rows, int threads, Monitor* monitor, Neighbors& out);

}  // namespace kernalign
