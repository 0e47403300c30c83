// The first search of neighbors.hpp: upper-triangular float32 tiles that feed the queues of rows and columns.
#include "cpu/symmetric_search.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "cpu/blas.hpp"
#include "cpu/simd.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kWholeBytes = 48 << 20;  // panels of all rows are kept when they fit in this
constexpr float kCautious = 1.06f;              // what the bound pays beyond the rounding of its inputs, and noise
constexpr std::int64_t kGroupBytes = 20 << 20;  // else two groups of panels of about this size

// Small inputs need small tiles, because half of each tile on the diagonal is wasted; large ones gain by large tiles,
// whose products repack less (1024 against 512: 5 to 11 % of a search of 10,000 x 768 on AVX-512). Long rows need few
// per panel: a panel must fit its group, and a tile take well under 0.25 s.
std::int64_t tile_size(std::int64_t n, std::int64_t stride, int threads, std::int64_t most) {
    std::int64_t size = std::clamp<std::int64_t>((n / (2 * threads) + 31) / 32 * 32, 32, most);
    while (size > 32 && (size * size * stride > std::int64_t(5e9) || size * stride * 4 > kGroupBytes))
        size = (size / 2 + 31) / 32 * 32;
    return size;
}

// What a search multiplies: float32 rows, each panel both factors of its products ...
struct Singles {
    using Element = float;
    static constexpr bool kWholeSquare = false;
    static constexpr std::int64_t kTile = 1024;
    const BoundPanels<float>& panels;

    static std::int64_t room(std::int64_t) { return std::numeric_limits<std::int64_t>::max(); }
    std::int64_t stride() const { return panels.stride(); }
    std::int64_t bytes() const { return stride() * std::int64_t(sizeof(float)); }  // of a row
    std::int64_t elements(std::int64_t tile) const { return tile * stride(); }     // of a panel
    void fill(std::int64_t row, std::int64_t at, std::int64_t count, std::int64_t, float* panel, float* offsets,
              Slack& slack, double* scratch) const {
        for (std::int64_t r = 0; r < count; ++r) {
            float* coordinates = panel + (at + r) * stride();
            const auto i = std::size_t(row + r);
            panels.fill(row + r, coordinates, offsets + i, &slack.raised[i], scratch);
            slack.product[i] = coordinates[panels.width() - 1];
        }
    }
    void square(std::int64_t rows, const float* panel, float* out, std::int64_t tile) const {
        blas::syrk_nt(rows, panels.width(), panel, stride(), out, tile);
    }
    void product(std::int64_t rows, std::int64_t cols, const float* left, const float* right, float* out,
                 std::int64_t tile) const {
        blas::gemm_nt(rows, cols, panels.width(), left, stride(), right, stride(), out, tile);
    }
};

// ... or bfloat16 rows, each panel a left factor followed by a right one.
struct Halves {
    using Element = std::uint16_t;
    static constexpr bool kWholeSquare = true;  // that costs little, and spares the queues
    static constexpr std::int64_t kTile = 512;
    const NarrowPanels& panels;
    std::int64_t k;

    // Entries of a row's queue: as many as the float32 search has, and 8 MB in all for the wider bounds.
    std::int64_t room(std::int64_t n) const { return 3 * k + 32 + (std::int64_t(1) << 20) / n; }
    std::int64_t stride() const { return panels.depth(); }
    std::int64_t bytes() const { return 2 * stride() * std::int64_t(sizeof(std::uint16_t)); }
    std::int64_t elements(std::int64_t tile) const { return 2 * tile * stride(); }
    void fill(std::int64_t row, std::int64_t at, std::int64_t count, std::int64_t tile, std::uint16_t* panel,
              float* offsets, Slack& slack, double* scratch) const {
        std::uint16_t* left = panel + at * stride();
        const auto i = std::size_t(row);
        panels.fill(row, count, left, left + tile * stride(), offsets + row, &slack.product[i], &slack.raised[i],
                    scratch);
    }
    static std::int64_t whole(std::int64_t rows) { return (rows + 31) / 32 * 32; }
    void square(std::int64_t rows, const std::uint16_t* panel, float* out, std::int64_t tile) const {
        bfloat::product(whole(rows), whole(rows), stride(), panel, panel + tile * stride(), out, tile);
    }
    void product(std::int64_t rows, std::int64_t cols, const std::uint16_t* left, const std::uint16_t* right,
                 float* out, std::int64_t tile) const {
        bfloat::product(whole(rows), whole(cols), stride(), left, right + tile * stride(), out, tile);
    }
};

template <class Factors>
class Search {
  public:
    using Element = typename Factors::Element;

    Search(const Factors& factors, std::int64_t rows, int threads, Monitor* monitor)
        : factors_(factors),
          n_(rows),
          tile_(tile_size(rows, factors.stride(), threads, Factors::kTile)),
          count_((rows + tile_ - 1) / tile_),
          threads_(threads),
          offsets_(std::size_t(rows + 16), -std::numeric_limits<float>::infinity()),
          slack_{std::vector<float>(std::size_t(rows + 16)), std::vector<float>(std::size_t(rows + 16))},
          never_(std::size_t(tile_), std::numeric_limits<float>::infinity()),
          locks_(std::size_t(count_)),
          progress_(monitor, count_ * (count_ + 1) / 2),
          workers_(std::size_t(threads)) {}

    // choose(the first rows loaded, how many) says how many candidates to keep of each row; 0: stop.
    template <class Choose>
    std::unique_ptr<Candidates> run(const Choose& choose) {
        const std::int64_t panel = factors_.elements(tile_), bytes = tile_ * factors_.bytes();
        const bool whole = count_ * bytes <= kWholeBytes;
        const std::int64_t group = whole ? count_ : std::clamp<std::int64_t>(kGroupBytes / bytes, 1, count_);
        // Not initialised: filled before use.
        const std::unique_ptr<Element[]> own(new Element[std::size_t(group * panel)]);
        const std::unique_ptr<Element[]> other(whole ? nullptr : new Element[std::size_t(group * panel)]);
        for (Worker& worker : workers_) worker.resize(tile_, factors_.stride());
        std::unique_ptr<Candidates> candidates;
        for (std::int64_t a = 0; a < count_; a += group) {
            const std::int64_t a_end = std::min(count_, a + group);
            load(a, a_end, own.get());
            if (a == 0) {
                const std::int64_t keep = choose(*this, own.get(), last(a_end - 1));
                if (keep == 0) return nullptr;
                candidates = std::make_unique<Candidates>(n_, keep, factors_.room(n_));
                candidates_ = candidates.get();
            }
            multiply(a, a_end, own.get(), a, a_end, own.get());
            for (std::int64_t b = a_end; b < count_; b += group) {
                const std::int64_t b_end = std::min(count_, b + group);
                load(b, b_end, other.get());
                multiply(a, a_end, own.get(), b, b_end, other.get());
            }
        }
        return candidates;
    }

    Slack& slack() { return slack_; }
    const float* offsets() const { return offsets_.data(); }
    std::int64_t tile() const { return tile_; }

  private:
    struct Worker {
        std::vector<float> tile, sums;
        std::vector<double> row;
        std::vector<std::int32_t> hits;
        void resize(std::int64_t size, std::int64_t cols) {
            tile.resize(std::size_t(size * size));
            sums.resize(std::size_t(size));
            hits.resize(std::size_t(size));
            row.resize(std::size_t(cols));
        }
    };

    std::int64_t first(std::int64_t panel) const { return panel * tile_; }
    std::int64_t last(std::int64_t panel) const { return std::min(n_, (panel + 1) * tile_); }

    void load(std::int64_t begin, std::int64_t end, Element* out) {
        constexpr std::int64_t kRows = NarrowPanels::kRows;
        static_assert(kRows == 32, "tiles are whole multiples of 32 rows");
        const std::int64_t start = first(begin), rows = last(end - 1) - start;
        Progress silent(nullptr, 0);
        parallel_for((rows + kRows - 1) / kRows, threads_, silent, [&](std::int64_t task, int worker) {
            const std::int64_t r = task * kRows;
            factors_.fill(start + r, r % tile_, std::min(kRows, rows - r), tile_,
                          out + r / tile_ * factors_.elements(tile_), offsets_.data(), slack_,
                          workers_[std::size_t(worker)].row.data());
        });
        progress_.poll();
    }

    // Diagonal by diagonal, so that threads rarely want the same panel at the same time.
    void multiply(std::int64_t a, std::int64_t a_end, const Element* own, std::int64_t b, std::int64_t b_end,
                  const Element* other) {
        std::vector<std::pair<std::int64_t, std::int64_t>> tiles;
        const std::int64_t wide = b_end - b, high = a_end - a;
        for (std::int64_t shift = 0; shift < wide; ++shift)
            for (std::int64_t r = 0; r < high; ++r) {
                if (a != b)
                    tiles.emplace_back(a + r, b + (r + shift) % wide);
                else if (r + shift < wide)
                    tiles.emplace_back(a + r, b + r + shift);
            }
        const std::int64_t panel = factors_.elements(tile_);
        parallel_for(std::int64_t(tiles.size()), threads_, progress_, [&](std::int64_t task, int worker) {
            const auto [i, j] = tiles[std::size_t(task)];
            one_tile(i, own + (i - a) * panel, j, other + (j - b) * panel, workers_[std::size_t(worker)]);
        });
    }

    void one_tile(std::int64_t i, const Element* left, std::int64_t j, const Element* right, Worker& worker) {
        const std::int64_t rows = last(i) - first(i), cols = last(j) - first(j);
        if (i == j) {
            factors_.square(rows, left, worker.tile.data(), tile_);
            const std::lock_guard<std::mutex> lock(locks_[std::size_t(i)]);
            if constexpr (Factors::kWholeSquare)
                feed_square(i, rows, worker);
            else
                feed(i, j, rows, cols, worker);
        } else {
            factors_.product(rows, cols, left, right, worker.tile.data(), tile_);
            const std::scoped_lock lock(locks_[std::size_t(i)], locks_[std::size_t(j)]);
            feed(i, j, rows, cols, worker);
        }
    }

    void feed(std::int64_t i, std::int64_t j, std::int64_t rows, std::int64_t cols, Worker& worker) {
        for (std::int64_t r = 0; r < rows; ++r) {
            float* products = worker.tile.data() + r * tile_;
            std::int64_t begin = 0;
            if (i == j) {  // only the columns right of the diagonal
                begin = (r + 1) / 16 * 16;
                std::fill(products + begin, products + r + 1, -std::numeric_limits<float>::infinity());
            }
            const std::int64_t row = first(i) + r, end = (cols + 15) / 16 * 16;
            while (begin < end) {  // a queue that is not full yet has no cut: look again after a few
                const bool full = candidates_->cut(row) > std::numeric_limits<float>::lowest();
                const std::int64_t width = full ? end - begin : std::min<std::int64_t>(64, end - begin);
                feed_row(row, first(j) + begin, products + begin, width, worker,
                         candidates_->cuts() + first(j) + begin);
                begin += width;
            }
        }
    }

    // Both triangles are there, so every row starts with a cut from all of its columns, and no queue is flooded.
    void feed_square(std::int64_t i, std::int64_t rows, Worker& worker) {
        const std::int64_t start = first(i), width = (rows + 15) / 16 * 16;
        for (std::int64_t r = 0; r < rows; ++r) {
            float* products = worker.tile.data() + r * tile_;
            products[r] = -std::numeric_limits<float>::infinity();
            const auto row = std::size_t(start + r);
            if (candidates_->untouched(start + r)) {
                const float paid[2] = {kCautious * slack_.raised[row], kCautious * slack_.product[row]};
                const float cut = simd().neighbors.sure_cut(products, offsets_.data() + start, offsets_[row],
                                                            slack_.product.data() + start, slack_.raised.data() + start,
                                                            paid, factors_.k, width);
                if (cut > std::numeric_limits<float>::lowest()) candidates_->start(start + r, cut);
            }
            feed_row(start + r, start, products, width, worker, never_.data());
        }
    }

    void feed_row(std::int64_t row, std::int64_t first_column, const float* products, std::int64_t width,
                  Worker& worker, const float* column_cuts) {
        const std::int64_t found =
            simd().neighbors.select(products, offsets_.data() + first_column, offsets_[std::size_t(row)],
                                    candidates_->cut(row), column_cuts, worker.sums.data(), worker.hits.data(), width);
        for (std::int64_t h = 0; h < found; ++h) {
            const std::int32_t hit = worker.hits[std::size_t(h)];
            const float bound = worker.sums[std::size_t(hit >> 2)];
            const std::int64_t column = first_column + (hit >> 2);
            if (hit & 1) candidates_->offer(row, {bound, column});
            if (hit & 2) candidates_->offer(column, {bound, row});
        }
    }

    const Factors& factors_;
    std::int64_t n_, tile_, count_;
    Candidates* candidates_ = nullptr;
    int threads_;
    std::vector<float> offsets_;  // h'; -infinity beyond the last row, which makes padding unfit
    Slack slack_;
    std::vector<float> never_;  // cuts that nothing reaches
    std::vector<std::mutex> locks_;
    Progress progress_;
    std::vector<Worker> workers_;
};

// How many candidates a row needs so that its k best by similarity are surely among them, from a few rows against the
// first `loaded` rows; 0 when they are too many to pay.
std::int64_t sampled_keep(Search<Halves>& search, const Halves& halves, const std::uint16_t* panels,
                          std::int64_t loaded, std::int64_t n, std::int64_t k) {
    constexpr std::int64_t kBlock = bfloat::kBlock;
    const std::int64_t deep = halves.stride(), tile = search.tile(), strip = kBlock * deep;
    const std::int64_t blocks = loaded / kBlock, sampled = std::min<std::int64_t>(blocks, n < 4096 ? 2 : 4) / 2 * 2;
    if (sampled == 0) return 0;
    std::vector<std::uint16_t> left(std::size_t(sampled * strip));
    std::vector<std::int64_t> rows;
    for (std::int64_t s = 0; s < sampled; ++s) {
        const std::int64_t first = (2 * s + 1) * blocks / (2 * sampled) * kBlock;
        std::copy_n(panels + first / tile * halves.elements(tile) + first % tile * deep, strip,
                    left.data() + s * strip);
        for (std::int64_t r = 0; r < kBlock; ++r) rows.push_back(first + r);
    }
    const std::int64_t wide = (loaded + tile - 1) / tile * tile;
    std::vector<float> products(std::size_t(sampled * kBlock * wide)), sure(static_cast<std::size_t>(loaded));
    for (std::int64_t c = 0; c < loaded; c += tile)
        bfloat::product(sampled * kBlock, Halves::whole(std::min(tile, loaded - c)), deep, left.data(),
                        panels + c / tile * halves.elements(tile) + tile * deep, products.data() + c, wide);
    const std::vector<float>&lost = search.slack().product, &size = search.slack().raised;
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
        std::nth_element(sure.begin(), sure.begin() + place - 1, sure.end(), std::greater<>());
        const float cut = sure[std::size_t(place - 1)];
        most = std::max<std::int64_t>(most, std::count_if(bounds, bounds + loaded, [&](float b) { return b >= cut; }));
    }
    const std::int64_t needed = std::max(k + 6, (most * n / loaded) * 5 / 4 + 4);
    return needed > k + 320 || needed > n / 3 || needed * 5 / 4 + 8 > halves.room(n) ? 0 : needed;
}

}  // namespace

std::unique_ptr<Candidates> symmetric_search(const BoundPanels<float>& panels, std::int64_t rows, std::int64_t keep,
                                             int threads, Monitor* monitor, Slack* slack) {
    const Singles singles{panels};
    Search<Singles> search(singles, rows, threads, monitor);
    auto candidates = search.run([&](auto&, const float*, std::int64_t) { return keep; });
    *slack = std::move(search.slack());
    return candidates;
}

std::unique_ptr<Candidates> narrow_search(const NarrowPanels& panels, std::int64_t rows, std::int64_t k, int threads,
                                          Monitor* monitor) {
    const Halves halves{panels, k};
    Search<Halves> search(halves, rows, threads, monitor);
    return search.run([&](auto& self, const std::uint16_t* own, std::int64_t loaded) {
        return sampled_keep(self, halves, own, loaded, rows, k);
    });
}

}  // namespace kernalign
