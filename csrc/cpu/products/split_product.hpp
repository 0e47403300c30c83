// The two steps of float_product.hpp that need the matrix unit: splitting numbers in three, and multiplying the parts.
#pragma once

#include <cstdint>

namespace kernalign::split {

constexpr std::int64_t kParts = 3;
constexpr std::int64_t kDepth = 128;  // coordinates of a panel: two strips of it fit the first cache
constexpr std::int64_t kStrip = 32;   // rows that are multiplied together

inline std::int64_t padded(std::int64_t count) { return (count + kStrip - 1) / kStrip * kStrip; }

// A panel holds rows as blocks of 16 rows x 32 coordinates, all of 16 rows one after the other; of each block the parts
// h, m and l. Rows and coordinates are filled up with zeros to multiples of 32.
inline std::int64_t panel_size(std::int64_t rows, std::int64_t depth) { return padded(rows) * padded(depth) * kParts; }

enum class Side { left, right };  // the right factor has pairs of coordinates as the rows of its blocks

// Row r, coordinate f is x[r * ld + f], or x[f * ld + r] if `by_columns`.
void fill(Side side, bool by_columns, std::int64_t rows, std::int64_t depth, const float* x, std::int64_t ld,
          std::uint16_t* panel);

// C = A B^T of two panels of the same depth, or C += A B^T. If `upper`, row i of A is row i - `first` of B, and blocks
// without an entry on or above that diagonal are left out.
void product(std::int64_t rows, std::int64_t cols, std::int64_t depth, const std::uint16_t* left,
             const std::uint16_t* right, float* out, std::int64_t ld, bool add, bool upper, std::int64_t first);

}  // namespace kernalign::split
