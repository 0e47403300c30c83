// Reads rows of any dtype and layout into a dense float32 or float64 block, checked and preprocessed.
#pragma once

#include <cstdint>

#include "monitor.hpp"
#include "view.hpp"

namespace kernalign {

// Writes rows [begin, end) to out with leading dimension ld >= cols. Arithmetic of the preprocessing is float64.
// Throws std::invalid_argument naming the argument, the row and the column of the first NaN or infinity, or the first
// row of norm zero where unit_norm is asked for. T is float or double.
template <class T>
void load_rows(const Rows& rows, std::int64_t begin, std::int64_t end, T* out, std::int64_t ld);

// Reads all rows once and throws std::invalid_argument on the first bad value.
void check_rows(const Rows& rows, int threads, Monitor* monitor);

// True if an entry differs from that of the first row by more than `relative` of the larger of both and more than
// `absolute`, or if a row of norm 1 is further than `relative` from the first; reads no more rows than it takes to
// tell.
bool rows_vary(const Rows& rows, double relative, double absolute);

// True when the data is already a dense block of T that needs no preprocessing (it may still hold NaN).
template <class T>
bool dense_as(const Rows& rows);

extern template void load_rows<float>(const Rows&, std::int64_t, std::int64_t, float*, std::int64_t);
extern template void load_rows<double>(const Rows&, std::int64_t, std::int64_t, double*, std::int64_t);
extern template bool dense_as<float>(const Rows&);
extern template bool dense_as<double>(const Rows&);

}  // namespace kernalign
