// Walks the Gram matrices of several representations in tiles and sums the products of all pairs.
#include "grams.hpp"

#include <algorithm>
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

struct Worker {
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
    Sides sides(sources, centred, threads, monitor);
    const std::size_t count = sources.size();
    const std::int64_t n = sources.front().rows(), size = gram_tile_size(sources);

    std::vector<Partial> partial(static_cast<std::size_t>(kGramGroups));
    std::vector<Worker> workers(static_cast<std::size_t>(threads));
    for (Worker& worker : workers) worker.tiles.resize(count);
    each_tile(n, size, threads, monitor, [&](const GramTask& task, std::size_t group, std::size_t w) {
        Worker& worker = workers[w];
        if (partial[group].products.empty()) {
            partial[group].products.assign(count * count, 0.0);
            partial[group].sums.resize(count);
        }
        for (std::size_t s = 0; s < count; ++s) {
            worker.tiles[s].compute(sides.all[s], task, worker.panels);
            add_row_sums(sides.all[s], worker.tiles[s], task, partial[group].sums[s]);
        }
        double* products = partial[group].products.data();
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
