// The upper triangle of n x n matrices in tiles: how sides are made, and who works on which tile.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "cpu/grams/gram_side.hpp"
#include "cpu/products/outlier.hpp"
#include "cpu/runtime/parallel.hpp"
#include "grams.hpp"

namespace kernalign {

constexpr std::int64_t kGramTile = 512;
constexpr std::int64_t kGramGroups = 32;           // of tiles; each has partial sums of its own
constexpr std::int64_t kPanelElements = 1 << 22;   // tiles are made smaller where panels of rows would be larger
constexpr std::int64_t kAllKeptBytes = 256 << 20;  // of converted rows of all sides
constexpr double kNarrowest = 64;                  // squared norm over squared width that float32 can stand
constexpr double kWidest = 1e-30;                  // and the least that it can hold
constexpr double kLargestMean = 0.5;               // share of squared lengths, of rows that cannot be centred

using AnySide = std::variant<GramSide<float>, GramSide<double>>;

// True if float32 products of these rows would not do for this kernel (grams.hpp, Precision).
inline bool needs_double(const GramSource& source, const GramSide<float>& side) {
    if (source.kernel.form == KernelForm::precomputed) return false;
    std::vector<double> squares = side.rows().squared_norms;
    if (has_outlier(squares)) return true;
    const KernelForm form = source.kernel.form;
    if (form != KernelForm::rbf && form != KernelForm::polynomial) return false;
    std::nth_element(squares.begin(), squares.begin() + std::ptrdiff_t(squares.size() / 2), squares.end());
    const double median = squares[squares.size() / 2];
    if (form == KernelForm::polynomial) {
        double mean = 0;  // the squared length of the mean row
        for (const double v : side.rows().total) mean += v * v / double(side.size()) / double(side.size());
        return mean > kLargestMean * median;
    }
    const double width = std::ldexp(source.kernel.width, -side.rows().exponent());
    return median > kNarrowest * width * width || median < kWidest * width * width;
}

struct MadeSide {
    AnySide side;
    bool widened;  // to float64 although float32 was asked for
};

inline MadeSide make_side(const GramSource& source, bool centred, std::int64_t kept_bytes, int threads,
                          Progress& progress) {
    const bool asked = source.precision == Precision::f32;
    if (asked && !source.takes_root()) {
        GramSide<float> side(source, centred, kept_bytes, threads, progress);
        if (!needs_double(source, side)) return {std::move(side), false};
    }
    return {AnySide(std::in_place_type<GramSide<double>>, source, centred, kept_bytes, threads, progress), asked};
}

struct Sides {
    std::vector<AnySide> all;
    std::vector<char> widened;

    Sides(const std::vector<GramSource>& sources, bool centred, int threads, Monitor* monitor) {
        Progress progress(monitor, 0);
        const std::int64_t kept = kAllKeptBytes / std::int64_t(sources.size());
        all.reserve(sources.size());
        for (const GramSource& source : sources) {
            MadeSide made = make_side(source, centred, kept, threads, progress);
            all.push_back(std::move(made.side));
            widened.push_back(made.widened);
        }
    }
};

// What a result keeps of a side, which is used up; `hollow` are the sums of its rows off the diagonal unless it is
// linear.
inline GramSums::Side finish_side(AnySide& any, bool widened, std::vector<double>&& hollow) {
    GramSums::Side out;
    std::visit(
        [&](auto& side) {
            out.exponent = side.exponent();
            out.pilot = side.pilot();
            out.plain = side.plain;
            out.widened = widened;
            out.diagonal = std::move(side.diagonal);
            if (side.linear()) {
                out.sums = std::move(side.sums);
                for (const double v : side.rows().total) out.total += v * v;
                for (std::size_t i = 0; i < out.sums.size(); ++i) out.hollow.push_back(out.sums[i] - out.diagonal[i]);
                return;
            }
            out.hollow = std::move(hollow);
            for (std::size_t i = 0; i < out.hollow.size(); ++i) out.sums.push_back(out.hollow[i] + out.diagonal[i]);
            for (const double sum : out.sums) out.total += sum;
        },
        any);
    return out;
}

// Rows and columns of a tile.
struct GramTask {
    std::int64_t i0, m, j0, k;
    bool diagonal() const { return i0 == j0; }
};

// The tiles of the upper triangle.
inline std::vector<GramTask> gram_tasks(std::int64_t n, std::int64_t size) {
    std::vector<GramTask> tasks;
    for (std::int64_t i = 0; i < n; i += size)
        for (std::int64_t j = i; j < n; j += size)
            tasks.push_back({i, std::min(size, n - i), j, std::min(size, n - j)});
    return tasks;
}

// How many entries are above the diagonal, and where (i, j) is among them, row by row.
inline std::int64_t condensed_size(std::int64_t n) { return n * (n - 1) / 2; }
inline std::int64_t condensed_place(std::int64_t n, std::int64_t i, std::int64_t j) {
    return condensed_size(n) - condensed_size(n - i) + j - i - 1;
}

// Adds sums over the entries above the diagonal, of the pairs (a, b) of `count` sides with a <= b, to sums over both
// triangles, of all pairs.
inline void add_both_triangles(const std::vector<double>& above, std::size_t count, std::vector<double>& all) {
    for (std::size_t a = 0; a < count; ++a)
        for (std::size_t b = a; b < count; ++b) {
            all[a * count + b] += 2 * above[a * count + b];
            all[b * count + a] = all[a * count + b];
        }
}

// body(task, group, worker) for every tile of the upper triangle. Groups are decided by n and the tile's size alone;
// the tiles of one group come one after another, in order.
template <class Body>
void each_tile(std::int64_t n, std::int64_t size, int threads, Monitor* monitor, Body&& body) {
    const std::vector<GramTask> tasks = gram_tasks(n, size);
    const auto count = std::int64_t(tasks.size());
    const std::int64_t share = (count + kGramGroups - 1) / kGramGroups;
    Progress progress(monitor, share * kGramGroups);
    for (std::int64_t step = 0; step < share; ++step)
        parallel_for(kGramGroups, threads, progress, [&](std::int64_t group, int worker) {
            const std::int64_t task = group * share + step;
            if (task < count) body(tasks[std::size_t(task)], std::size_t(group), std::size_t(worker));
        });
}

inline std::int64_t gram_tile_size(const std::vector<GramSource>& sources) {
    std::int64_t widest = 1;
    for (const GramSource& source : sources)
        if (source.kernel.form != KernelForm::precomputed) widest = std::max(widest, source.cols());
    // The larger, the faster are products; but threads want some tiles each, many sources have many tiles, and wide
    // rows large panels. Much smaller ones would change the BLAS's float32 products in their last bits.
    const std::int64_t n = sources.front().rows();
    const std::int64_t wanted = n <= 512 ? 128 : n <= 2048 || sources.size() > 4 || widest > 2048 ? 256 : kGramTile;
    return std::clamp<std::int64_t>(kPanelElements / widest, 16, wanted);
}

// Where the tile's size changes no bits and tiles come one source at a time.
inline std::int64_t large_gram_tile(std::int64_t cols) {
    return std::clamp<std::int64_t>(kPanelElements / cols, 16, kGramTile);
}

}  // namespace kernalign
