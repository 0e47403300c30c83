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
constexpr std::int64_t kGroupBytes = 20 << 20;  // else two groups of panels of about this size

// Small inputs need small tiles, because half of each tile on the diagonal is wasted; 512 x 512 floats fit a core's
// second-level cache. Long rows need few per panel: a panel must fit its group, and a tile take well under 0.25 s.
std::int64_t tile_size(std::int64_t n, std::int64_t stride) {
    std::int64_t size = std::clamp<std::int64_t>((n / 4 + 31) / 32 * 32, 32, 512);
    while (size > 32 && (size * size * stride > std::int64_t(5e9) || size * stride * 4 > kGroupBytes))
        size = (size / 2 + 31) / 32 * 32;
    return size;
}

class Search {
  public:
    Search(const BoundPanels<float>& panels, std::int64_t rows, Candidates& candidates, int threads, Monitor* monitor)
        : panels_(panels),
          n_(rows),
          tile_(tile_size(rows, panels.stride())),
          count_((rows + tile_ - 1) / tile_),
          candidates_(candidates),
          threads_(threads),
          offsets_(std::size_t(rows + 16), -std::numeric_limits<float>::infinity()),
          locks_(std::size_t(count_)),
          progress_(monitor, count_ * (count_ + 1) / 2),
          workers_(std::size_t(threads)) {}

    void run() {
        const std::int64_t panel = tile_ * panels_.stride(), bytes = panel * std::int64_t(sizeof(float));
        const bool whole = count_ * bytes <= kWholeBytes;
        const std::int64_t group = whole ? count_ : std::clamp<std::int64_t>(kGroupBytes / bytes, 1, count_);
        const std::unique_ptr<float[]> own(
            new float[std::size_t(group * panel)]);  // not initialised: filled before use
        const std::unique_ptr<float[]> other(whole ? nullptr : new float[std::size_t(group * panel)]);
        for (Worker& worker : workers_) worker.resize(tile_, panels_.stride());
        for (std::int64_t a = 0; a < count_; a += group) {
            const std::int64_t a_end = std::min(count_, a + group);
            load(a, a_end, own.get());
            multiply(a, a_end, own.get(), a, a_end, own.get());
            for (std::int64_t b = a_end; b < count_; b += group) {
                const std::int64_t b_end = std::min(count_, b + group);
                load(b, b_end, other.get());
                multiply(a, a_end, own.get(), b, b_end, other.get());
            }
        }
    }

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

    void load(std::int64_t begin, std::int64_t end, float* out) {
        constexpr std::int64_t kRows = 32;
        const std::int64_t rows = last(end - 1) - first(begin);
        Progress silent(nullptr, 0);
        parallel_for((rows + kRows - 1) / kRows, threads_, silent, [&](std::int64_t task, int worker) {
            for (std::int64_t r = task * kRows; r < std::min(rows, (task + 1) * kRows); ++r) {
                const std::int64_t row = first(begin) + r;
                panels_.fill(row, out + r * panels_.stride(), &offsets_[std::size_t(row)],
                             workers_[std::size_t(worker)].row.data());
            }
        });
        progress_.poll();
    }

    // Diagonal by diagonal, so that threads rarely want the same panel at the same time.
    void multiply(std::int64_t a, std::int64_t a_end, const float* own, std::int64_t b, std::int64_t b_end,
                  const float* other) {
        std::vector<std::pair<std::int64_t, std::int64_t>> tiles;
        const std::int64_t wide = b_end - b, high = a_end - a;
        for (std::int64_t shift = 0; shift < wide; ++shift)
            for (std::int64_t r = 0; r < high; ++r) {
                if (a != b)
                    tiles.emplace_back(a + r, b + (r + shift) % wide);
                else if (r + shift < wide)
                    tiles.emplace_back(a + r, b + r + shift);
            }
        const std::int64_t panel = tile_ * panels_.stride();
        parallel_for(std::int64_t(tiles.size()), threads_, progress_, [&](std::int64_t task, int worker) {
            const auto [i, j] = tiles[std::size_t(task)];
            one_tile(i, own + (i - a) * panel, j, other + (j - b) * panel, workers_[std::size_t(worker)]);
        });
    }

    void one_tile(std::int64_t i, const float* left, std::int64_t j, const float* right, Worker& worker) {
        const std::int64_t rows = last(i) - first(i), cols = last(j) - first(j), stride = panels_.stride();
        if (i == j) {
            blas::syrk_nt(rows, panels_.width(), left, stride, worker.tile.data(), tile_);
            const std::lock_guard<std::mutex> lock(locks_[std::size_t(i)]);
            feed(i, j, rows, cols, worker);
        } else {
            blas::gemm_nt(rows, cols, panels_.width(), left, stride, right, stride, worker.tile.data(), tile_);
            const std::scoped_lock lock(locks_[std::size_t(i)], locks_[std::size_t(j)]);
            feed(i, j, rows, cols, worker);
        }
    }

    void feed(std::int64_t i, std::int64_t j, std::int64_t rows, std::int64_t cols, Worker& worker) {
        const std::int64_t i0 = first(i), j0 = first(j);
        for (std::int64_t r = 0; r < rows; ++r) {
            float* products = worker.tile.data() + r * tile_;
            std::int64_t begin = 0;
            if (i == j) {  // only the columns right of the diagonal
                begin = (r + 1) / 16 * 16;
                std::fill(products + begin, products + r + 1, -std::numeric_limits<float>::infinity());
            }
            if (begin >= cols) continue;
            const std::int64_t width = (cols - begin + 15) / 16 * 16;
            const std::int64_t found = simd().neighbors.select(
                products + begin, offsets_.data() + j0 + begin, offsets_[std::size_t(i0 + r)], candidates_.cut(i0 + r),
                candidates_.cuts() + j0 + begin, worker.sums.data(), worker.hits.data(), width);
            for (std::int64_t h = 0; h < found; ++h) {
                const std::int32_t hit = worker.hits[std::size_t(h)];
                const float bound = worker.sums[std::size_t(hit >> 2)];
                const std::int64_t column = j0 + begin + (hit >> 2);
                if (hit & 1) candidates_.offer(i0 + r, {bound, column});
                if (hit & 2) candidates_.offer(column, {bound, i0 + r});
            }
        }
    }

    const BoundPanels<float>& panels_;
    std::int64_t n_, tile_, count_;
    Candidates& candidates_;
    int threads_;
    std::vector<float> offsets_;  // h'; -infinity beyond the last row, which makes padding unfit
    std::vector<std::mutex> locks_;
    Progress progress_;
    std::vector<Worker> workers_;
};

}  // namespace

void symmetric_search(const BoundPanels<float>& panels, std::int64_t rows, Candidates& candidates, int threads,
                      Monitor* monitor) {
    Search(panels, rows, candidates, threads, monitor).run();
}

}  // namespace kernalign
