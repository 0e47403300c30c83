// Sums over each row of two Gram matrices and of their products, which delete-one jackknives are made of.
#include <algorithm>
#include <array>
#include <vector>

#include "cpu/grams/gram_tiles.hpp"
#include "cpu/simd/simd.hpp"
#include "grams.hpp"
#include "moments.hpp"

namespace kernalign {
namespace {

// A band of rows of one side in float64: the tile above or on the diagonal as it is, else its mirror image.
struct Reader {
    GramSide<float>::Panels narrow_panels;
    GramSide<double>::Panels wide_panels;
    LargeVector<float> narrow;
    LargeVector<double> wide;

    void read(const AnySide& any, const std::vector<double>& diagonal, const GramTask& task) {
        const auto size = std::size_t(task.m * task.k);
        wide.resize(std::max(wide.size(), size));
        if (const auto* side = std::get_if<GramSide<float>>(&any)) {
            narrow.resize(std::max(narrow.size(), size));
            side->tile(task.i0, task.m, task.j0, task.k, narrow_panels, narrow.data());
            simd().grams.widen(narrow.data(), wide.data(), std::int64_t(size));
        } else {
            std::get<GramSide<double>>(any).tile(task.i0, task.m, task.j0, task.k, wide_panels, wide.data());
        }
        if (!task.diagonal()) return;
        for (std::int64_t i = 0; i < task.m; ++i) {
            wide[std::size_t(i * task.k + i)] = diagonal[std::size_t(task.i0 + i)];
            for (std::int64_t j = 0; j < i; ++j) wide[std::size_t(i * task.k + j)] = wide[std::size_t(j * task.k + i)];
        }
    }
};

}  // namespace

std::vector<double> gram_row_terms(const std::array<GramSource, 2>& sources, const GramSums& sums, bool centred,
                                   bool with_diagonal, int threads, Monitor* monitor) {
    threads = resolve_threads(threads);
    const std::vector<GramSource> both(sources.begin(), sources.end());
    const Sides sides(both, centred, 0, threads, monitor);
    const std::int64_t n = both.front().rows(), size = gram_tile_size(both), bands = (n + size - 1) / size;
    std::array<std::vector<double>, 2> weight, diagonal, row_sums;
    for (std::size_t s = 0; s < 2; ++s) {
        const GramSums::Side& side = sums.sides[s];
        weight[s] = with_diagonal ? side.sums : side.hollow;
        // A diagonal of levels would take the digits of all else, before it is subtracted.
        const bool bare = !with_diagonal && std::visit([](const auto& one) { return one.levelled(); }, sides.all[s]);
        diagonal[s] = bare ? std::vector<double>(std::size_t(n), 0.0) : side.diagonal;
        row_sums[s] = bare ? side.hollow : side.sums;
    }

    std::vector<double> out(std::size_t(n * kRowTerms), 0.0);
    std::vector<std::array<Reader, 2>> readers(static_cast<std::size_t>(threads));
    Progress progress(monitor, bands);
    // A thread owns a whole band of rows, so that each row is summed in the same order for any number of threads.
    parallel_for(bands, threads, progress, [&](std::int64_t band, int worker) {
        const std::int64_t i0 = band * size, m = std::min(size, n - i0);
        std::array<Reader, 2>& own = readers[std::size_t(worker)];
        for (std::int64_t j0 = 0; j0 < n; j0 += size) {
            const std::int64_t k = std::min(size, n - j0);
            for (std::size_t s = 0; s < 2; ++s) own[s].read(sides.all[s], diagonal[s], {i0, m, j0, k});
            for (std::int64_t i = 0; i < m; ++i) {
                double* terms = out.data() + (i0 + i) * kRowTerms;
                const double* row_k = own[0].wide.data() + i * k;
                const double* row_l = own[1].wide.data() + i * k;
                simd().pair_products(row_k, row_l, terms + 4, k);
                terms[7] += simd().dot(row_k, weight[1].data() + j0, k);
                terms[8] += simd().dot(row_k, weight[0].data() + j0, k);
                terms[9] += simd().dot(row_l, weight[0].data() + j0, k);
                terms[10] += simd().dot(row_l, weight[1].data() + j0, k);
            }
        }
    });
    for (std::size_t i = 0; i < std::size_t(n); ++i)
        for (std::size_t s = 0; s < 2; ++s) {
            out[i * kRowTerms + s] = diagonal[s][i];
            out[i * kRowTerms + 2 + s] = row_sums[s][i];
        }
    return out;
}

}  // namespace kernalign
