// Goes through the upper triangle of a matrix of products tile by tile, and feeds the queues of rows and columns.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cpu/neighbors/candidates.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"
#include "memory.hpp"

namespace kernalign {

constexpr std::int64_t kWholeBytes = 48 << 20;  // panels of all rows are kept when they fit in this
constexpr std::int64_t kGroupBytes = 18 << 20;  // else two groups of panels of about this size
constexpr std::int64_t kPanelRows = 32;         // rows that are filled together; tiles are whole multiples of them

// Two numbers of each row that say how far its bounds can be above what they bound.
struct Payments {
    std::vector<float> product, raised;
};

// Factors say what is multiplied, how, and what the bounds pay:
//   fill(row, at, count, tile, panel, offsets, payments, scratch)   rows [row, row + count), count <= kPanelRows
//   square(rows, panel, out, tile), product(rows, cols, left, right, out, tile)
//   paid(payments, row)   {a, b}, c: a bound is at most a payments.product + b payments.raised + c too high
// With kRough the products of two panels bound those that are meant, from above:
//   finish(row, panel, columns, count, out)                          those of a row with some rows of a panel
//   exact_product(rows, cols, left, right, out, tile)

// Small inputs need small tiles, because half of each tile on the diagonal is wasted; large ones gain by large tiles,
// whose products repack less (1024 against 512: 5 to 11 % of a search of 10,000 x 768 on AVX-512). Long rows need few
// per panel: a panel must fit its group, and a tile take well under 0.25 s.
inline std::int64_t tile_size(std::int64_t n, std::int64_t stride, int threads, std::int64_t most) {
    std::int64_t size = std::clamp<std::int64_t>((n / (2 * threads) + 31) / 32 * 32, 32, most);
    while (size > 32 && (size * size * stride > std::int64_t(5e9) || size * stride * 4 > kGroupBytes))
        size = (size / 2 + 31) / 32 * 32;
    return size;
}

template <class Factors>
class TileSearch {
  public:
    using Element = typename Factors::Element;

    TileSearch(const Factors& factors, std::int64_t rows, int threads, Monitor* monitor)
        : factors_(factors),
          n_(rows),
          tile_(tile_size(rows, factors.stride(), threads, Factors::kTile)),
          count_((rows + tile_ - 1) / tile_),
          threads_(threads),
          offsets_(std::size_t(rows + 16), -std::numeric_limits<float>::infinity()),
          payments_{std::vector<float>(std::size_t(rows + 16)), std::vector<float>(std::size_t(rows + 16))},
          never_(std::size_t(tile_), std::numeric_limits<float>::infinity()),
          sizes_(Factors::kRough ? std::size_t(rows) : 0),
          locks_(std::size_t(count_)),
          progress_(monitor, count_ * (count_ + 1) / 2),
          workers_(std::size_t(threads)) {}

    // choose(the first rows loaded, how many) says how many candidates to keep of each row; 0: stop.
    template <class Choose>
    std::unique_ptr<Candidates> run(const Choose& choose) {
        const std::int64_t panel = factors_.elements(tile_), bytes = tile_ * factors_.bytes();
        const bool whole = count_ * bytes <= kWholeBytes;
        const std::int64_t group = whole ? count_ : std::clamp<std::int64_t>(kGroupBytes / bytes, 1, count_);
        LargeVector<Element> own(std::size_t(group * panel)), other(whole ? 0 : std::size_t(group * panel));
        for (Worker& worker : workers_) worker.resize(tile_, factors_.stride());
        std::unique_ptr<Candidates> candidates;
        for (std::int64_t a = 0; a < count_; a += group) {
            const std::int64_t a_end = std::min(count_, a + group);
            load(a, a_end, own.data());
            if (a == 0) {
                const std::int64_t keep = choose(*this, own.data(), last(a_end - 1));
                if (keep == 0) return nullptr;
                candidates = std::make_unique<Candidates>(n_, keep, factors_.room(n_));
                candidates_ = candidates.get();
            }
            multiply(a, a_end, own.data(), a, a_end, own.data());
            for (std::int64_t b = a_end; b < count_; b += group) {
                const std::int64_t b_end = std::min(count_, b + group);
                load(b, b_end, other.data());
                multiply(a, a_end, own.data(), b, b_end, other.data());
            }
        }
        return candidates;
    }

    Payments& payments() { return payments_; }
    const float* offsets() const { return offsets_.data(); }
    std::int64_t tile() const { return tile_; }

  private:
    struct Worker {
        LargeVector<float> tile;
        std::vector<float> sums;
        std::vector<std::uint64_t> keys;
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
        const std::int64_t start = first(begin), rows = last(end - 1) - start;
        Progress silent(nullptr, 0);
        parallel_for((rows + kPanelRows - 1) / kPanelRows, threads_, silent, [&](std::int64_t task, int worker) {
            const std::int64_t r = task * kPanelRows;
            factors_.fill(start + r, r % tile_, std::min(kPanelRows, rows - r), tile_,
                          out + r / tile_ * factors_.elements(tile_), offsets_.data(), payments_,
                          workers_[std::size_t(worker)].row.data());
        });
        const auto largest = [&](const std::vector<float>& of, float so_far) {
            return std::max(so_far, *std::max_element(of.begin() + start, of.begin() + start + rows));
        };
        largest_product_ = largest(payments_.product, largest_product_);
        largest_raised_ = largest(payments_.raised, largest_raised_);
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
            feed_square(i, rows, worker);
            if constexpr (Factors::kRough) tighten(i, worker);
        } else {
            factors_.product(rows, cols, left, right, worker.tile.data(), tile_);
            const std::scoped_lock lock(locks_[std::size_t(i)], locks_[std::size_t(j)]);
            const std::int64_t hits = feed(i, left, rows, j, right, cols, worker);
            if (Factors::kRough && hits > rows * cols / 256) {
                tighten(i, worker);
                tighten(j, worker);
            }
        }
    }

    std::int64_t feed(std::int64_t i, const Element* left, std::int64_t rows, std::int64_t j, const Element* right,
                      std::int64_t cols, Worker& worker) {
        const Element* rough = Factors::kRough ? right : nullptr;
        std::int64_t hits = 0;
        for (std::int64_t r = 0; r < rows; ++r) {
            float* products = worker.tile.data() + r * tile_;
            if constexpr (Factors::kRough) {
                if (rough && r % 8 == 0 && hits > (r + 48) * cols / Factors::kShare) {  // cheaper all at once
                    factors_.exact_product(rows - r, cols, left + r * factors_.stride(), right, products, tile_);
                    rough = nullptr;
                }
            }
            const std::int64_t row = first(i) + r, end = (cols + 15) / 16 * 16;
            // A queue that is not full yet has no cut: look again after a few.
            for (std::int64_t begin = 0; begin < end;) {
                const bool full = candidates_->cut(row) > std::numeric_limits<float>::lowest();
                const std::int64_t width = full ? end - begin : std::min<std::int64_t>(64, end - begin);
                hits += feed_row(row, first(j) + begin, products + begin, width, worker,
                                 candidates_->cuts() + first(j) + begin, left + r * factors_.stride(),
                                 rough ? rough + begin * factors_.stride() : nullptr);
                begin += width;
            }
        }
        return hits;
    }

    // Every row starts with a cut from all of its columns, and no queue is flooded.
    void feed_square(std::int64_t i, std::int64_t rows, Worker& worker) {
        const std::int64_t start = first(i), width = (rows + 15) / 16 * 16;
        for (std::int64_t r = 0; r < rows; ++r) {
            float* products = worker.tile.data() + r * tile_;
            products[r] = -std::numeric_limits<float>::infinity();
            const auto row = std::size_t(start + r);
            if (candidates_->untouched(start + r)) {
                const auto [paid, constant] = factors_.paid(payments_, row);
                const float cut =
                    simd().neighbors.sure_cut(products, offsets_.data() + start, offsets_[row],
                                              payments_.product.data() + start, payments_.raised.data() + start,
                                              paid.data(), factors_.k, width) -
                    constant;
                if (cut > std::numeric_limits<float>::lowest()) candidates_->raise(start + r, cut);
            }
            feed_row(start + r, start, products, width, worker, never_.data(), nullptr, nullptr);
        }
    }

    // Raises the cuts of a panel's rows as far as their queues allow: rough products are dear when they pass.
    void tighten(std::int64_t panel, Worker& worker) {
        for (std::int64_t row = first(panel); row < last(panel); ++row) {
            const std::int64_t size = candidates_->size(row);
            if (size < factors_.k || size == sizes_[std::size_t(row)]) continue;
            const auto [paid, constant] = factors_.paid(payments_, std::size_t(row));
            worker.keys.assign(candidates_->keys(row), candidates_->keys(row) + size);
            std::uint64_t reached = 0;  // by k keys
            simd().neighbors.shrink(worker.keys.data(), size, factors_.k, &reached);
            const float most = paid[0] * largest_product_ + paid[1] * largest_raised_ + constant;
            const float cut = Candidate(reached).bound() - 1.001F * most;
            if (cut > candidates_->cut(row)) candidates_->raise(row, cut);
            sizes_[std::size_t(row)] = std::int32_t(size);
        }
    }

    // With rough products, left is the row itself and rough the panel from its first column on. Returns how many are
    // of interest.
    std::int64_t feed_row(std::int64_t row, std::int64_t first_column, const float* products, std::int64_t width,
                          Worker& worker, const float* column_cuts, const Element* left, const Element* rough) {
        const float offset = offsets_[std::size_t(row)];
        const std::int64_t found =
            simd().neighbors.select(products, offsets_.data() + first_column, offset, candidates_->cut(row),
                                    column_cuts, worker.sums.data(), worker.hits.data(), width);
        if constexpr (Factors::kRough) {
            if (rough) {
                factors_.finish(left, rough, worker.hits.data(), found, worker.sums.data());
                for (std::int64_t h = 0; h < found; ++h) {
                    const std::int64_t at = worker.hits[std::size_t(h)] >> 2, column = first_column + at;
                    const float bound = (worker.sums[std::size_t(at)] + offset) + offsets_[std::size_t(column)];
                    if (bound >= candidates_->cut(row)) candidates_->offer(row, {bound, column});
                    if (bound >= candidates_->cut(column)) candidates_->offer(column, {bound, row});
                }
                return found;
            }
        }
        for (std::int64_t h = 0; h < found; ++h) {
            const std::int32_t hit = worker.hits[std::size_t(h)];
            const float bound = worker.sums[std::size_t(hit >> 2)];
            const std::int64_t column = first_column + (hit >> 2);
            if (hit & 1) candidates_->offer(row, {bound, column});
            if (hit & 2) candidates_->offer(column, {bound, row});
        }
        return found;
    }

    const Factors& factors_;
    std::int64_t n_, tile_, count_;
    Candidates* candidates_ = nullptr;
    int threads_;
    std::vector<float> offsets_;  // h'; -infinity beyond the last row, which makes padding unfit
    Payments payments_;
    float largest_product_ = 0, largest_raised_ = 0;  // of the rows loaded so far
    std::vector<float> never_;                        // cuts that nothing reaches
    std::vector<std::int32_t> sizes_;                 // of the queues when their cuts were last raised
    std::vector<std::mutex> locks_;
    Progress progress_;
    std::vector<Worker> workers_;
};

}  // namespace kernalign
