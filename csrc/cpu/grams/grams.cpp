// Walks the Gram matrices of several representations in tiles and sums the products of all pairs.
#include "grams.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <variant>

#include "cpu/grams/gram_tiles.hpp"
#include "cpu/grams/held_grams.hpp"
#include "cpu/simd/simd.hpp"
#include "error.hpp"

namespace kernalign {
namespace {

// What a worker reads rows into, whichever side they are of.
struct Panels {
    GramSide<float>::Panels narrow;
    GramSide<double>::Panels wide;
};

// One worker's tile of one side.
struct SideTile {
    LargeVector<float> narrow;
    LargeVector<double> wide;

    // Calls f(side, tile) with the side's own type.
    template <class F>
    void with(const AnySide& side, F&& f) {
        if (const auto* narrow_side = std::get_if<GramSide<float>>(&side)) return f(*narrow_side, narrow);
        f(std::get<GramSide<double>>(side), wide);
    }
    void compute(const AnySide& any, const GramTask& task, Panels& panels) {
        with(any, [&](const auto& side, auto& tile) {
            tile.resize(std::max(tile.size(), std::size_t(task.m * task.k)));
            if constexpr (std::is_same_v<decltype(tile), LargeVector<float>&>) {
                side.tile(task.i0, task.m, task.j0, task.k, panels.narrow, tile.data());
            } else {
                side.tile(task.i0, task.m, task.j0, task.k, panels.wide, tile.data());
            }
        });
    }
};

// The tiles of many float32 sides of linear kernels: as they are made, the rows of a matrix that is multiplied by
// itself.
struct NarrowTiles {
    std::int64_t stride = 0;  // of the tiles; not a power of 2, of which all would lie in the same places of a cache
    LargeVector<float> tiles;
    LargeVector<double> products;
    GramSide<float>::Panels panels;

    void add_products(const std::vector<AnySide>& sides, const GramTask& task, std::int64_t columns, double* sums) {
        const auto count = std::int64_t(sides.size());
        tiles.resize(std::size_t(count * stride));
        const std::int64_t length = task.diagonal() ? condensed_size(task.m) : task.m * task.k;
        for (std::int64_t s = 0; s < count; ++s) {
            float* tile = tiles.data() + s * stride;
            std::get<GramSide<float>>(sides[std::size_t(s)]).tile(task.i0, task.m, task.j0, task.k, panels, tile);
            if (!task.diagonal()) continue;
            for (std::int64_t i = 0; i + 1 < task.m; ++i)  // what is above the diagonal moves together
                std::memmove(tile + condensed_place(task.m, i, i + 1), tile + i * task.k + i + 1,
                             std::size_t(task.m - i - 1) * sizeof(float));
        }
        products.assign(std::size_t(columns * columns), 0.0);
        add_wide_square({tiles.data(), stride, count}, length, products.data(), panels.scratch);
        for (std::int64_t a = 0; a < count; ++a)
            for (std::int64_t b = a; b < count; ++b) sums[a * count + b] += products[std::size_t(a * columns + b)];
    }
};

struct Worker {
    NarrowTiles narrow;
    std::vector<SideTile> tiles;
    Panels panels;
    SideChunk chunk;
};

// What one group of tiles has added up.
struct Partial {
    std::vector<double> products;           // sides x sides, upper triangle, above the diagonal of K
    std::vector<std::vector<double>> sums;  // of the rows off the diagonal, per side that is not linear
};

void add_row_sums(const AnySide& any, SideTile& worker, const GramTask& task, std::vector<double>& sums) {
    worker.with(any, [&](const auto& side, const auto& tile) {
        if (side.linear()) return;
        sums.resize(std::size_t(side.size()));
        for (std::int64_t i = 0; i < task.m; ++i) {
            const std::int64_t from = task.diagonal() ? i + 1 : 0;
            sums[std::size_t(task.i0 + i)] +=
                simd().grams.sums(tile.data() + i * task.k + from, sums.data() + task.j0 + from, task.k - from);
        }
    });
}

// Products of one or two sides of one type: row by row, as they are.
bool add_directly(const std::vector<AnySide>& sides, Worker& worker, const GramTask& task, double* products) {
    const std::size_t count = sides.size(), last = count - 1;
    if (count > 2 || sides[0].index() != sides[last].index()) return false;
    worker.tiles[0].with(sides[0], [&](const auto&, const auto& first) {
        const auto* second = first.data();
        if constexpr (std::is_same_v<decltype(first), const LargeVector<float>&>) {
            second = worker.tiles[last].narrow.data();
        } else {
            second = worker.tiles[last].wide.data();
        }
        double sums[3] = {0, 0, 0};
        for (std::int64_t i = 0; i < task.m; ++i) {
            const std::int64_t from = task.diagonal() ? i + 1 : 0, at = i * task.k + from;
            simd().pair_products(first.data() + at, second + at, sums, task.k - from);
        }
        products[0] += sums[1];
        if (count == 1) return;
        products[1] += sums[0];
        products[3] += sums[2];
    });
    return true;
}

// Products of many sides: chunks of their tiles, widened, are the rows of a matrix that is multiplied by itself.
void add_by_chunks(const std::vector<AnySide>& sides, Worker& worker, const GramTask& task, double* products) {
    worker.chunk.resize(std::int64_t(sides.size()));
    std::int64_t filled = 0;
    for (std::int64_t i = 0; i < task.m; ++i) {
        const std::int64_t from = task.diagonal() ? i + 1 : 0, length = task.k - from;
        if (length <= 0) continue;
        if (filled + length > SideChunk::kEntries) {
            worker.chunk.add_products(filled, products);
            filled = 0;
        }
        for (std::size_t s = 0; s < sides.size(); ++s)
            worker.tiles[s].with(sides[s], [&](const auto&, const auto& tile) {
                simd().grams.widen(tile.data() + i * task.k + from, worker.chunk.row(s) + filled, length);
            });
        filled += length;
    }
    if (filled > 0) worker.chunk.add_products(filled, products);
}

// Whether sums of few float32 products err about as little as the entries do (grams.hpp, Precision).
bool narrow_products(const std::vector<AnySide>& sides, std::int64_t n) {
    constexpr std::int64_t kLeast = 256;
    return n >= kLeast && sides.size() > 2 && std::all_of(sides.begin(), sides.end(), [](const AnySide& any) {
               const auto* side = std::get_if<GramSide<float>>(&any);
               return side && side->linear();
           });
}

double total_of(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

}  // namespace

PairSums GramSums::pair(std::size_t a, std::size_t b, bool hollow) const {
    require(a < sides.size() && b < sides.size(), "no such side");
    const Side &x = sides[a], &y = sides[b];
    PairSums out;
    out.full = off_diagonal[a * sides.size() + b];
    if (hollow) {
        out.rows = simd().dot(x.hollow.data(), y.hollow.data(), n);
        out.total_x = total_of(x.hollow);
        out.total_y = total_of(y.hollow);
        return out;
    }
    for (std::size_t i = 0; i < x.diagonal.size(); ++i) {
        out.diagonal += x.diagonal[i] * y.diagonal[i];
        out.rows += x.sums[i] * y.sums[i];
        out.rows_diagonal += x.sums[i] * y.diagonal[i];
        out.diagonal_rows += x.diagonal[i] * y.sums[i];
        out.trace_x += x.diagonal[i];
        out.trace_y += y.diagonal[i];
    }
    out.full += out.diagonal;
    out.total_x = x.total;
    out.total_y = y.total;
    return out;
}

std::vector<double> GramSums::u_centred() const {
    const std::size_t count = sides.size();
    std::vector<double> totals, products(count * count);
    for (const Side& side : sides) totals.push_back(total_of(side.hollow));
    for (std::size_t a = 0; a < count; ++a)
        for (std::size_t b = a; b < count; ++b) {
            PairSums sums;
            sums.full = off_diagonal[a * count + b];
            sums.rows = simd().dot(sides[a].hollow.data(), sides[b].hollow.data(), n);
            sums.total_x = totals[a];
            sums.total_y = totals[b];
            products[a * count + b] = products[b * count + a] = u_centred_product(n, sums);
        }
    return products;
}

GramSums gram_sums(const std::vector<GramSource>& sources, bool centred, int threads, Monitor* monitor) {
    require(!sources.empty(), "gram_sums needs at least one source");
    for (const GramSource& source : sources) require_same_rows(sources.front().rows(), source.rows());
    double work = 0;
    for (const GramSource& source : sources) work += source.work();
    threads = resolve_threads(threads, work);
    if (can_hold_grams(sources)) return held_gram_sums(sources, centred, threads, monitor);
    const std::size_t count = sources.size();
    const std::int64_t n = sources.front().rows(), size = gram_tile_size(sources);
    Sides sides(sources, centred, size, threads, monitor);

    std::vector<Partial> partial(static_cast<std::size_t>(kGramGroups));
    std::vector<Worker> workers(static_cast<std::size_t>(threads));
    for (Worker& worker : workers) worker.tiles.resize(count);
    const std::int64_t columns = narrow_products(sides.all, n) ? wide_columns(std::int64_t(count)) : 0;
    each_tile(n, size, threads, monitor, [&](const GramTask& task, std::size_t group, std::size_t w) {
        Worker& worker = workers[w];
        if (partial[group].products.empty()) {
            partial[group].products.assign(count * count, 0.0);
            partial[group].sums.resize(count);
        }
        double* products = partial[group].products.data();
        if (columns != 0) {
            worker.narrow.stride = size * size + 16;
            worker.narrow.add_products(sides.all, task, columns, products);
            return;
        }
        for (std::size_t s = 0; s < count; ++s) {
            worker.tiles[s].compute(sides.all[s], task, worker.panels);
            add_row_sums(sides.all[s], worker.tiles[s], task, partial[group].sums[s]);
        }
        if (!add_directly(sides.all, worker, task, products)) add_by_chunks(sides.all, worker, task, products);
    });

    GramSums result;
    result.n = n;
    result.off_diagonal.assign(count * count, 0.0);
    partial.erase(std::remove_if(partial.begin(), partial.end(), [](const Partial& p) { return p.products.empty(); }),
                  partial.end());
    for (const Partial& group : partial) add_both_triangles(group.products, count, result.off_diagonal);
    for (std::size_t s = 0; s < count; ++s) {
        std::vector<double> sums(std::size_t(n), 0.0);
        for (const Partial& group : partial)
            for (std::size_t i = 0; i < group.sums[s].size(); ++i) sums[i] += group.sums[s][i];
        result.sides.push_back(finish_side(sides.all[s], sides.widened[s] != 0, std::move(sums)));
    }
    return result;
}

}  // namespace kernalign
