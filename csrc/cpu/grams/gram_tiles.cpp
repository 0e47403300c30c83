// How the sides of tiles are made, and how large tiles are.
#include "cpu/grams/gram_tiles.hpp"

#include <cmath>
#include <type_traits>
#include <utility>

#include "outlier.hpp"

namespace kernalign {

namespace {

// Bytes of the panels of a source that is made in T; 0 where there will be none.
template <class T>
std::int64_t panel_bytes(const GramSource& source, std::int64_t tile) {
    const std::int64_t bytes = Panels<T>::size(source.rows(), source.cols()) * std::int64_t(sizeof(T));
    return Panels<T>::serve(tile, source.cols()) && source.rows() > tile && bytes <= kKeptBytes ? bytes : 0;
}

// The same in doubles, of whole cache lines.
std::size_t in_lines(std::int64_t bytes) { return std::size_t((bytes + 63) / 64 * 8); }

}  // namespace

bool needs_double(const GramSource& source, const GramSide<float>& side) {
    if (source.kernel.form == KernelForm::precomputed) return false;
    double mean = 0;  // the squared length of the mean row
    for (const double v : side.rows().total) mean += v * v / double(side.size()) / double(side.size());
    return needs_double(source.kernel, side.rows().squared_norms, mean, side.rows().exponent());
}

MadeSide make_side(const GramSource& source, bool centred, std::int64_t kept_bytes, int threads, Progress& progress) {
    const bool asked = source.precision == Precision::f32;
    if (asked && !source.kernel.takes_root()) {
        GramSide<float> side(source, centred, kept_bytes, threads, progress);
        if (!needs_double(source, side)) return {std::move(side), false};
    }
    return {AnySide(std::in_place_type<GramSide<double>>, source, centred, kept_bytes, threads, progress), asked};
}

PanelMemory::PanelMemory(const std::vector<GramSource>& sources, std::int64_t tile, bool together)
    : tile_(tile), together_(together) {
    std::size_t size = 0;
    for (const GramSource& source : sources) {
        if (source.kernel.form != KernelForm::linear) continue;
        const std::size_t own = in_lines(source.precision == Precision::f32 ? panel_bytes<float>(source, tile)
                                                                            : panel_bytes<double>(source, tile));
        size = together ? size + own : std::max(size, own);
    }
    memory_.resize(size);
}

void PanelMemory::pack(AnySide& any) {
    std::visit(
        [&](auto& side) {
            const std::int64_t wanted = side.packed_size(tile_);
            using T = std::remove_const_t<std::remove_pointer_t<decltype(side.rows().kept())>>;
            const std::size_t size = in_lines(wanted * std::int64_t(sizeof(T)));
            if (wanted == 0 || size > memory_.size() - used_) return;
            side.pack(reinterpret_cast<T*>(memory_.data() + used_));
            if (together_) used_ += size;
        },
        any);
}

Sides::Sides(const std::vector<GramSource>& sources, bool centred, std::int64_t tile, int threads, Monitor* monitor) {
    Progress progress(monitor, 0);
    if (tile != 0) panels.emplace(sources, tile, true);
    const std::int64_t kept = kAllKeptBytes / std::int64_t(sources.size());
    all.reserve(sources.size());
    for (const GramSource& source : sources) {
        MadeSide made = make_side(source, centred, kept, threads, progress);
        if (panels) panels->pack(made.side);
        all.push_back(std::move(made.side));
        widened.push_back(made.widened);
    }
}

GramSums::Side finish_side(AnySide& any, bool widened, std::vector<double>&& hollow) {
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

std::vector<GramTask> gram_tasks(std::int64_t n, std::int64_t size) {
    std::vector<GramTask> tasks;
    for (std::int64_t i = 0; i < n; i += size)
        for (std::int64_t j = i; j < n; j += size)
            tasks.push_back({i, std::min(size, n - i), j, std::min(size, n - j)});
    return tasks;
}

void SideChunk::resize(std::int64_t sides) {
    sides_ = sides;
    entries_.resize(std::size_t(sides * kEntries));
    products_.resize(std::size_t(sides * sides));
}

void SideChunk::add_products(std::int64_t width, double* sums) {
    square(Factor<double>{entries_.data(), kEntries, sides_}, width, products_.data(), sides_, scratch_);
    for (std::int64_t a = 0; a < sides_; ++a)
        for (std::int64_t b = a; b < sides_; ++b) sums[a * sides_ + b] += products_[std::size_t(a * sides_ + b)];
}

void add_both_triangles(const std::vector<double>& above, std::size_t count, std::vector<double>& all) {
    for (std::size_t a = 0; a < count; ++a)
        for (std::size_t b = a; b < count; ++b) {
            all[a * count + b] += 2 * above[a * count + b];
            all[b * count + a] = all[a * count + b];
        }
}

std::int64_t gram_tile_size(const std::vector<GramSource>& sources) {
    std::int64_t widest = 1;
    for (const GramSource& source : sources)
        if (source.kernel.form != KernelForm::precomputed) widest = std::max(widest, source.cols());
    // The larger, the faster are products; but threads want some tiles each, many sources have many tiles, and wide
    // rows large panels. Much smaller ones would change the BLAS's float32 products in their last bits.
    const std::int64_t n = sources.front().rows();
    const std::int64_t wanted = n <= 512 ? 128 : n <= 2048 || sources.size() > 4 || widest > 2048 ? 256 : kGramTile;
    return std::clamp<std::int64_t>(kPanelElements / widest, 16, wanted);
}

}  // namespace kernalign
