// The first search of neighbors.hpp in bfloat16: a sample of rows says how many candidates each must keep.
#include "cpu/neighbors/narrow_search.hpp"

#include <algorithm>

#include "cpu/neighbors/tile_search.hpp"
#include "cpu/runtime/ordering.hpp"

namespace kernalign {
namespace {

constexpr float kCautious = 1.06f;  // what the bound pays beyond the rounding of its inputs, and noise
static_assert(NarrowPanels::kRows == kPanelRows);

// Bfloat16 rows, each panel a left factor followed by a right one. The payments of a row are NarrowPanels' lost and
// size.
struct Halves {
    using Element = std::uint16_t;
    static constexpr bool kRough = false;
    static constexpr std::int64_t kTile = 512;
    const NarrowPanels& panels;
    std::int64_t k;

    // Entries of a row's queue: as many as the float32 search has, and 8 MB in all for the wider bounds.
    std::int64_t room(std::int64_t n) const { return 3 * k + 32 + (std::int64_t(1) << 20) / n; }
    std::int64_t stride() const { return panels.depth(); }
    std::int64_t bytes() const { return 2 * stride() * std::int64_t(sizeof(std::uint16_t)); }
    std::int64_t elements(std::int64_t tile) const { return 2 * tile * stride(); }
    void fill(std::int64_t row, std::int64_t at, std::int64_t count, std::int64_t tile, std::uint16_t* panel,
              float* offsets, Payments& payments, double* scratch) const {
        std::uint16_t* left = panel + at * stride();
        const auto i = std::size_t(row);
        panels.fill(row, count, left, left + tile * stride(), offsets + row, &payments.product[i], &payments.raised[i],
                    scratch);
    }
    static std::int64_t whole(std::int64_t rows) { return (rows + 31) / 32 * 32; }
    void square(std::int64_t rows, const std::uint16_t* panel, float* out, std::int64_t tile) const {
        bfloat::product(whole(rows), whole(rows), stride(), panel, panel + tile * stride(), out, tile);
    }
    static std::pair<std::array<float, 2>, float> paid(const Payments& payments, std::size_t row) {
        return {{kCautious * payments.raised[row], kCautious * payments.product[row]}, 0.0F};
    }
    void product(std::int64_t rows, std::int64_t cols, const std::uint16_t* left, const std::uint16_t* right,
                 float* out, std::int64_t tile) const {
        bfloat::product(whole(rows), whole(cols), stride(), left, right + tile * stride(), out, tile);
    }
};

// How many candidates a row needs so that its k best by similarity are surely among them, from a few rows against the
// first `loaded` rows; 0 when they are too many to pay.
std::int64_t sampled_keep(TileSearch<Halves>& search, const Halves& halves, const std::uint16_t* panels,
                          std::int64_t loaded, std::int64_t n, std::int64_t k) {
    constexpr std::int64_t kBlock = bfloat::kBlock;
    const std::int64_t deep = halves.stride(), tile = search.tile(), strip = kBlock * deep;
    const std::int64_t blocks = loaded / kBlock, sampled = std::min<std::int64_t>(blocks, n < 4096 ? 2 : 4) / 2 * 2;
    if (sampled == 0) return 0;
    LargeVector<std::uint16_t> left(std::size_t(sampled * strip));
    std::vector<std::int64_t> rows;
    for (std::int64_t s = 0; s < sampled; ++s) {
        const std::int64_t first = (2 * s + 1) * blocks / (2 * sampled) * kBlock;
        std::copy_n(panels + first / tile * halves.elements(tile) + first % tile * deep, strip,
                    left.data() + s * strip);
        for (std::int64_t r = 0; r < kBlock; ++r) rows.push_back(first + r);
    }
    const std::int64_t wide = (loaded + tile - 1) / tile * tile;
    LargeVector<float> products(std::size_t(sampled * kBlock * wide));
    std::vector<float> sure(static_cast<std::size_t>(loaded));
    for (std::int64_t c = 0; c < loaded; c += tile)
        bfloat::product(sampled * kBlock, Halves::whole(std::min(tile, loaded - c)), deep, left.data(),
                        panels + c / tile * halves.elements(tile) + tile * deep, products.data() + c, wide);
    const std::vector<float>&lost = search.payments().product, &size = search.payments().raised;
    const std::int64_t place = std::clamp<std::int64_t>((k * loaded + n - 1) / n, 1, loaded - 1);
    std::int64_t most = 0;
    for (std::size_t s = 0; s < rows.size(); ++s) {
        const auto i = std::size_t(rows[s]);
        float* bounds = products.data() + std::int64_t(s) * wide;
        for (std::size_t j = 0; j < sure.size(); ++j) {
            bounds[j] += search.offsets()[j];
            sure[j] = bounds[j] - kCautious * (lost[i] * size[j] + size[i] * lost[j]);
        }
        bounds[i] = sure[i] = -std::numeric_limits<float>::infinity();
        std::nth_element(sure.begin(), sure.begin() + place - 1, sure.end(), Descending());
        const float cut = sure[std::size_t(place - 1)];
        most = std::max<std::int64_t>(most, std::count_if(bounds, bounds + loaded, [&](float b) { return b >= cut; }));
    }
    const std::int64_t needed = std::max(k + 6, (most * n / loaded) * 5 / 4 + 4);
    return needed > k + 320 || needed > n / 3 || needed * 5 / 4 + 8 > halves.room(n) ? 0 : needed;
}

}  // namespace

std::unique_ptr<Candidates> narrow_search(const NarrowPanels& panels, std::int64_t rows, std::int64_t k, int threads,
                                          Monitor* monitor) {
    const Halves halves{panels, k};
    TileSearch<Halves> search(halves, rows, threads, monitor);
    return search.run([&](auto& self, const std::uint16_t* own, std::int64_t loaded) {
        return sampled_keep(self, halves, own, loaded, rows, k);
    });
}

}  // namespace kernalign
