// The upper triangle of n x n matrices in tiles: how sides are made, and who works on which tile.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "cpu/grams/gram_side.hpp"
#include "cpu/runtime/parallel.hpp"
#include "grams.hpp"

namespace kernalign {

constexpr std::int64_t kGramTile = 512;
constexpr std::int64_t kGramGroups = 32;           // of tiles; each has partial sums of its own
constexpr std::int64_t kPanelElements = 1 << 22;   // tiles are made smaller where panels of rows would be larger
constexpr std::int64_t kAllKeptBytes = 256 << 20;  // of converted rows of all sides

using AnySide = std::variant<GramSide<float>, GramSide<double>>;

// True if float32 products of these rows would not do for this kernel (grams.hpp, Precision).
bool needs_double(const GramSource& source, const GramSide<float>& side);

struct MadeSide {
    AnySide side;
    bool widened;  // to float64 although float32 was asked for
};

MadeSide make_side(const GramSource& source, bool centred, std::int64_t kept_bytes, int threads, Progress& progress);

// Memory for the panels of sides: one piece, which huge pages hold and a kernel need not clear page by page.
class PanelMemory {
  public:
    // For one source at a time, or for all of them together, in tiles of this size.
    PanelMemory(const std::vector<GramSource>& sources, std::int64_t tile, bool together);
    // Packs a side that gains by it; the next one lies behind it, if all have their place.
    void pack(AnySide& side);

  private:
    std::int64_t tile_;
    bool together_;
    std::size_t used_ = 0;
    LargeVector<double> memory_;
};

struct Sides {
    std::vector<AnySide> all;
    std::vector<char> widened;
    std::optional<PanelMemory> panels;

    // Ready for tiles of this size alone, where it is not 0.
    Sides(const std::vector<GramSource>& sources, bool centred, std::int64_t tile, int threads, Monitor* monitor);
};

// What a result keeps of a side, which is used up; `hollow` are the sums of its rows off the diagonal unless it is
// linear.
GramSums::Side finish_side(AnySide& any, bool widened, std::vector<double>&& hollow);

// Rows and columns of a tile.
struct GramTask {
    std::int64_t i0, m, j0, k;
    bool diagonal() const { return i0 == j0; }
};

// The tiles of the upper triangle.
std::vector<GramTask> gram_tasks(std::int64_t n, std::int64_t size);

// How many entries are above the diagonal, and where (i, j) is among them, row by row.
inline std::int64_t condensed_size(std::int64_t n) { return n * (n - 1) / 2; }
inline std::int64_t condensed_place(std::int64_t n, std::int64_t i, std::int64_t j) {
    return condensed_size(n) - condensed_size(n - i) + j - i - 1;
}

// Adds sums over the entries above the diagonal, of the pairs (a, b) of `count` sides with a <= b, to sums over both
// triangles, of all pairs.
void add_both_triangles(const std::vector<double>& above, std::size_t count, std::vector<double>& all);

// Entries of several sides, widened to float64, whose products are those of all pairs of sides.
class SideChunk {
  public:
    static constexpr std::int64_t kEntries = 1024;

    void resize(std::int64_t sides);
    double* row(std::size_t side) { return entries_.data() + std::int64_t(side) * kEntries; }
    // Adds the products of the first `width` entries to sums (sides x sides), on and above its diagonal.
    void add_products(std::int64_t width, double* sums);

  private:
    std::int64_t sides_ = 0;
    LargeVector<double> entries_, products_;
    ProductScratch scratch_;
};

// body(task, group, worker) for every tile of the upper triangle. Groups are decided by n and the tile's size alone;
// the tiles of one group come one after another, in order.
template <class Body>
void each_tile(std::int64_t n, std::int64_t size, int threads, Monitor* monitor, Body&& body) {
    const std::vector<GramTask> tasks = gram_tasks(n, size);
    const auto count = std::int64_t(tasks.size());
    const std::int64_t share = (count + kGramGroups - 1) / kGramGroups;
    const std::int64_t groups = std::min(count, kGramGroups);  // later ones would be empty
    Progress progress(monitor, share * groups);
    for (std::int64_t step = 0; step < share; ++step)
        parallel_for(groups, threads, progress, [&](std::int64_t group, int worker) {
            const std::int64_t task = group * share + step;
            if (task < count) body(tasks[std::size_t(task)], std::size_t(group), std::size_t(worker));
        });
}

std::int64_t gram_tile_size(const std::vector<GramSource>& sources);

// Where the tile's size changes no bits and tiles come one source at a time.
inline std::int64_t large_gram_tile(std::int64_t cols) {
    return std::clamp<std::int64_t>(kPanelElements / cols, 16, kGramTile);
}

}  // namespace kernalign
