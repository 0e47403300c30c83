// The first search of neighbors.hpp in float32: upper-triangular tiles that feed the queues of rows and columns.
#include "cpu/neighbors/symmetric_search.hpp"

#include <algorithm>

#include "cpu/neighbors/projection.hpp"
#include "cpu/neighbors/tile_search.hpp"
#include "cpu/runtime/blas.hpp"
#include "cpu/simd/simd.hpp"

namespace kernalign {
namespace {

// More candidates cost time in every queue, fewer leave more rows to be searched again.
std::int64_t kept(std::int64_t n, std::int64_t k) { return std::min(n - 1, k + std::max<std::int64_t>(6, k / 4)); }

// Float32 rows, each panel both factors of its products.
struct Singles {
    using Element = float;
    static constexpr bool kRough = false;
    static constexpr std::int64_t kTile = 1024;
    const BoundPanels<float>& panels;
    std::int64_t k;

    static std::int64_t room(std::int64_t) { return std::numeric_limits<std::int64_t>::max(); }
    std::int64_t stride() const { return panels.stride(); }
    std::int64_t bytes() const { return stride() * std::int64_t(sizeof(float)); }  // of a row
    std::int64_t elements(std::int64_t tile) const { return tile * stride(); }     // of a panel
    void fill(std::int64_t row, std::int64_t at, std::int64_t count, std::int64_t, float* panel, float* offsets,
              Payments& payments, double* scratch) const {
        for (std::int64_t r = 0; r < count; ++r) {
            float* coordinates = panel + (at + r) * stride();
            const auto i = std::size_t(row + r);
            panels.fill(row + r, coordinates, offsets + i, &payments.raised[i], scratch);
            payments.product[i] = coordinates[panels.width() - 1];
        }
    }
    void square(std::int64_t rows, const float* panel, float* out, std::int64_t tile) const {
        blas::syrk_nt(rows, panels.width(), panel, stride(), out, tile);
        constexpr std::int64_t kBlock = 32;  // the lower triangle is copied in squares that stay in the cache
        for (std::int64_t a = 0; a < rows; a += kBlock)
            for (std::int64_t b = 0; b <= a; b += kBlock)
                for (std::int64_t i = a; i < std::min(rows, a + kBlock); ++i)
                    for (std::int64_t j = b; j < std::min(i, b + kBlock); ++j) out[i * tile + j] = out[j * tile + i];
    }
    // Slack::at, which is far more than float32 can lose here.
    static std::pair<std::array<float, 2>, float> paid(const Payments& payments, std::size_t row) {
        return {{2.001F * payments.product[row], 2.001F}, 2.001F * payments.raised[row]};
    }
    void product(std::int64_t rows, std::int64_t cols, const float* left, const float* right, float* out,
                 std::int64_t tile) const {
        blas::gemm_nt(rows, cols, panels.width(), left, stride(), right, stride(), out, tile);
    }
};

// The same, followed by their projections, which are multiplied first.
struct Projected : Singles {
    static constexpr bool kRough = true;
    static constexpr std::int64_t kTile = 512;  // the first tiles of a row are multiplied whole
    static constexpr std::int64_t kShare = 12;  // a whole product costs as much as one pair in so many
    const Projection& projection;

    std::int64_t bytes() const { return (stride() + projection.stride()) * std::int64_t(sizeof(float)); }
    std::int64_t elements(std::int64_t tile) const { return tile * (stride() + projection.stride()); }
    void fill(std::int64_t row, std::int64_t at, std::int64_t count, std::int64_t tile, float* panel, float* offsets,
              Payments& payments, double* scratch) const {
        Singles::fill(row, at, count, tile, panel, offsets, payments, scratch);
        projection.fill(panel + at * stride(), count, panel + tile * stride() + at * projection.stride());
    }
    void product(std::int64_t rows, std::int64_t cols, const float* left, const float* right, float* out,
                 std::int64_t tile) const {
        const std::int64_t wide = projection.stride();
        blas::gemm_nt(rows, cols, projection.width(), left + tile * stride(), wide, right + tile * stride(), wide, out,
                      tile);
    }
    void exact_product(std::int64_t rows, std::int64_t cols, const float* left, const float* right, float* out,
                       std::int64_t tile) const {
        Singles::product(rows, cols, left, right, out, tile);
    }
    void finish(const float* row, const float* panel, const std::int32_t* hits, std::int64_t count, float* out) const {
        for (std::int64_t h = 0; h < count; h += 4) {
            const float* columns[4];
            double products[4];
            for (std::int64_t c = 0; c < 4; ++c)
                columns[c] = panel + (hits[std::min(h + c, count - 1)] >> 2) * stride();
            simd().neighbors.four_dots(row, columns, products, stride());
            for (std::int64_t c = 0; c < std::min<std::int64_t>(4, count - h); ++c)
                out[hits[h + c] >> 2] = float(products[c]);
        }
    }
};

template <class Factors>
std::unique_ptr<Candidates> search_with(const Factors& factors, std::int64_t rows, int threads, Monitor* monitor,
                                        Slack* slack) {
    TileSearch<Factors> search(factors, rows, threads, monitor);
    auto candidates = search.run([&](auto&, const float*, std::int64_t) { return kept(rows, factors.k); });
    *slack = {std::move(search.payments().product), std::move(search.payments().raised)};
    return candidates;
}

}  // namespace

std::unique_ptr<Candidates> symmetric_search(const BoundPanels<float>& panels, std::int64_t rows, std::int64_t k,
                                             int threads, Monitor* monitor, Slack* slack) {
    const Singles singles{panels, k};
    if (const auto projection = Projection::sampled(panels, rows, k))
        return search_with(Projected{singles, *projection}, rows, threads, monitor, slack);
    return search_with(singles, rows, threads, monitor, slack);
}

}  // namespace kernalign
