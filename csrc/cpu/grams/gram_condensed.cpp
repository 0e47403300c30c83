// The upper triangle of a Gram matrix as a vector, for statistics of ranks.
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <variant>
#include <vector>

#include "cpu/grams/gram_tiles.hpp"
#include "grams.hpp"

namespace kernalign {

std::vector<double> condensed_gram(const GramSource& source, bool centred, int threads, Monitor* monitor,
                                   bool restored) {
    threads = resolve_threads(threads, source.work());
    const Sides sides({source}, centred, 0, threads, monitor);
    const std::int64_t n = source.rows();
    std::vector<double> out(std::size_t(condensed_size(n)));
    std::visit(
        [&](const auto& side) {
            using Side = std::decay_t<decltype(side)>;
            using T = std::conditional_t<std::is_same_v<Side, GramSide<float>>, float, double>;
            const double unit = restored ? std::ldexp(1.0, side.exponent()) : 1.0;
            std::vector<LargeVector<T>> tiles(static_cast<std::size_t>(threads));
            std::vector<typename Side::Panels> panels(static_cast<std::size_t>(threads));
            each_tile(n, gram_tile_size({source}), threads, monitor,
                      [&](const GramTask& task, std::size_t, std::size_t worker) {
                          LargeVector<T>& tile = tiles[worker];
                          tile.resize(std::max(tile.size(), std::size_t(task.m * task.k)));
                          side.tile(task.i0, task.m, task.j0, task.k, panels[worker], tile.data());
                          for (std::int64_t i = 0; i < task.m; ++i) {
                              const std::int64_t from = task.diagonal() ? i + 1 : 0;
                              double* row = out.data() + condensed_place(n, task.i0 + i, task.j0 + from);
                              for (std::int64_t j = from; j < task.k; ++j)
                                  *row++ = double(tile[std::size_t(i * task.k + j)]) * unit;
                          }
                      });
        },
        sides.all.front());
    return out;
}

}  // namespace kernalign
