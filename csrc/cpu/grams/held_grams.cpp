// Holds the upper triangles of many Gram matrices as the rows of one matrix, whose products are those of all pairs.
#include "cpu/grams/held_grams.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "cpu/products/float_product.hpp"
#include "cpu/simd/simd.hpp"
#include "memory.hpp"

namespace kernalign {
namespace {

// K_ij for i < j, row by row, in the precision of its side.
using Triangle = std::variant<LargeVector<float>, LargeVector<double>>;

template <class T>
LargeVector<T> triangle_of(const GramSide<T>& side, std::int64_t size, int threads, Progress& progress) {
    const std::int64_t n = side.size();
    LargeVector<T> triangle(static_cast<std::size_t>(condensed_size(n)));
    const std::vector<GramTask> tasks = gram_tasks(n, size);
    std::vector<LargeVector<T>> tiles(static_cast<std::size_t>(threads));
    std::vector<typename GramSide<T>::Panels> panels(static_cast<std::size_t>(threads));
    parallel_for(std::int64_t(tasks.size()), threads, progress, [&](std::int64_t task, int worker) {
        const GramTask& t = tasks[std::size_t(task)];
        LargeVector<T>& tile = tiles[std::size_t(worker)];
        tile.resize(std::max(tile.size(), std::size_t(t.m * t.k)));
        side.tile(t.i0, t.m, t.j0, t.k, panels[std::size_t(worker)], tile.data());
        for (std::int64_t r = 0; r < t.m; ++r) {
            const std::int64_t from = t.diagonal() ? r + 1 : 0;
            std::copy(tile.data() + r * t.k + from, tile.data() + (r + 1) * t.k,
                      triangle.data() + condensed_place(n, t.i0 + r, t.j0 + from));
        }
    });
    return triangle;
}

template <class T>
std::vector<double> row_sums(const LargeVector<T>& triangle, std::int64_t n) {
    std::vector<double> sums(std::size_t(n), 0.0);
    for (std::int64_t i = 0; i + 1 < n; ++i)
        sums[std::size_t(i)] +=
            simd().grams.sums(triangle.data() + condensed_place(n, i, i + 1), sums.data() + i + 1, n - i - 1);
    return sums;
}

// Sums over all columns of the products of all pairs of rows, in groups of chunks that are added in order.
std::vector<double> products_of(const std::vector<Triangle>& triangles, std::int64_t length, int threads,
                                Progress& progress) {
    const auto count = std::int64_t(triangles.size());
    const std::int64_t chunks = (length + SideChunk::kEntries - 1) / SideChunk::kEntries;
    std::vector<std::vector<double>> partial(static_cast<std::size_t>(kGramGroups));
    parallel_for(kGramGroups, threads, progress, [&](std::int64_t group, int) {
        std::vector<double>& sums = partial[std::size_t(group)];
        sums.assign(std::size_t(count * count), 0.0);
        SideChunk chunk;
        chunk.resize(count);
        for (std::int64_t c = group * chunks / kGramGroups; c < (group + 1) * chunks / kGramGroups; ++c) {
            const std::int64_t begin = c * SideChunk::kEntries, width = std::min(SideChunk::kEntries, length - begin);
            for (std::size_t s = 0; s < triangles.size(); ++s)
                std::visit([&](const auto& values) { simd().grams.widen(values.data() + begin, chunk.row(s), width); },
                           triangles[s]);
            chunk.add_products(width, sums.data());
        }
    });
    std::vector<double> all(std::size_t(count * count), 0.0);
    for (const std::vector<double>& sums : partial) add_both_triangles(sums, triangles.size(), all);
    return all;
}

}  // namespace

bool can_hold_grams(const std::vector<GramSource>& sources) {
    const std::int64_t n = sources.front().rows(), count = std::int64_t(sources.size());
    const std::int64_t most = kAllKeptBytes / std::int64_t(sizeof(double)) / count;
    if (count <= 2 || n > most || condensed_size(n) > most) return false;
    return std::all_of(sources.begin(), sources.end(), [&](const GramSource& source) {
        return source.kernel.form != KernelForm::precomputed && n <= source.cols();
    });
}

GramSums held_gram_sums(const std::vector<GramSource>& sources, bool centred, int threads, Monitor* monitor) {
    GramSums result;
    const std::int64_t n = result.n = sources.front().rows();
    std::vector<Triangle> triangles;
    PanelMemory panels(sources, gram_tile_size(sources), false);
    Progress preparation(monitor, 0), progress(monitor, std::int64_t(sources.size()) + kGramGroups);
    for (const GramSource& source : sources) {
        MadeSide made = make_side(source, centred, kKeptBytes, threads, preparation);
        panels.pack(made.side);
        const bool shape_free = std::holds_alternative<GramSide<float>>(made.side) && by_parts(source.cols());
        const std::int64_t size = shape_free ? large_gram_tile(source.cols()) : gram_tile_size(sources);
        std::vector<double> hollow;
        std::visit(
            [&](const auto& side) {
                auto triangle = triangle_of(side, size, threads, preparation);
                if (!side.linear()) hollow = row_sums(triangle, n);
                triangles.emplace_back(std::move(triangle));
            },
            made.side);
        result.sides.push_back(finish_side(made.side, made.widened, std::move(hollow)));
        progress.add(1);
        progress.poll();
    }
    result.off_diagonal = products_of(triangles, condensed_size(n), threads, progress);
    return result;
}

}  // namespace kernalign
