// Finds and certifies neighbours through float16 products, where that is sooner than scoring all pairs.
#include "cuda/candidate_search.hpp"

#include <algorithm>
#include <cmath>

#include "cuda/candidates.hpp"
#include "cuda/certify.hpp"
#include "cuda/panels.hpp"
#include "cuda/products.hpp"
#include "cuda/row_kernels.hpp"

namespace kernalign::cuda {
namespace {

constexpr std::int64_t kSampledCentre = 256, kSampled = 64, kTogether = 16, kAttempts = 8;
constexpr std::int64_t kLoaded = 65536;  // rows that the sampled ones are compared with
constexpr std::int64_t kMostKept = 448;  // of 512 candidates that Certify scores, and 1024 that Shrink sorts
constexpr double kSafe = 1 + 0x1p-20, kHalvesPerDouble = 64;

// Panels of all rows, and what is the same for all.
struct Factors {
    PanelFrame frame;
    Buffer<std::uint16_t> left, right;
    Buffer<float> offsets, lost, size;
};

template <class E>
Factors make_factors(Queue& queue, const DeviceRows<E>& x, bool distance, bool cosine, Monitor* monitor) {
    Factors out;
    PanelFrame& frame = out.frame;
    const std::int64_t n = x.count, d = x.cols;
    Buffer<double> centre(queue, d);
    Centre<E> mean;
    mean.x = x;
    mean.sampled = std::min(n, kSampledCentre);
    mean.centre = Written<double>(centre.get());
    launch(queue, mean.blocks(d), mean);
    frame.distance = distance;
    frame.set_rounding(d, accumulation_unit(device_facts(queue.device())));
    if (!cosine) {
        const Buffer<double> squares(queue, n), largest(queue, n);
        Squares<E> apart;
        apart.x = x;
        apart.squares = Written<double>(squares.get());
        apart.largest = Written<double>(largest.get());
        apart.centre = centre.get();
        launch(queue, apart.blocks(n), apart);
        queue.wait(monitor);
        const std::vector<double> square = squares.values();
        const double most = *std::max_element(square.begin(), square.end());
        if (most > 0) frame.scale = std::scalbn(1.0, std::clamp(-std::ilogb(std::sqrt(most)), -450, 450));
    }
    if (!distance) {
        double sum = 0;
        for (const double m : centre.values()) sum += m * m;
        frame.base = sum * frame.scale * frame.scale;
    }
    frame.square = frame.scale * frame.scale;
    frame.centre_norm = std::sqrt(frame.base) * kSafe;
    out.left = Buffer<std::uint16_t>(queue, n * frame.depth);
    out.right = Buffer<std::uint16_t>(queue, n * frame.depth);
    out.offsets = Buffer<float>(queue, n);
    out.lost = Buffer<float>(queue, n);
    out.size = Buffer<float>(queue, n);
    Panels<E> panels;
    panels.x = x;
    panels.centre = centre.get();
    panels.frame = frame;
    panels.left = Written<std::uint16_t>(out.left.get());
    panels.right = Written<std::uint16_t>(out.right.get());
    panels.offsets = Written<float>(out.offsets.get());
    panels.lost = Written<float>(out.lost.get());
    panels.size = Written<float>(out.size.get());
    launch(queue, panels.blocks(n), panels);
    queue.wait(monitor);
    return out;
}

// How many candidates a row needs so that its k best are surely among them; more than kMostKept: too many.
std::int64_t sampled_keep(Queue& queue, const Factors& factors, std::int64_t n, std::int64_t k, Products& products) {
    const std::int64_t loaded = std::min(n, kLoaded), sampled = std::min(loaded, kSampled);
    const std::int64_t wide = (loaded + 3) / 4 * 4, depth = factors.frame.depth;
    const Buffer<float> tile(queue, sampled * wide);
    std::vector<std::int32_t> rows;
    for (std::int64_t s = 0; s < sampled; s += kTogether) {
        const std::int64_t count = std::min(kTogether, sampled - s), first = s * (loaded - count) / sampled;
        products.multiply(count, loaded, depth, factors.left.get() + first * depth, factors.right.get(),
                          tile.get() + s * wide, wide);
        for (std::int64_t r = 0; r < count; ++r) rows.push_back(std::int32_t(first + r));
    }
    const Buffer<std::int32_t> chosen(queue, rows);
    const Buffer<int> need(queue, sampled);
    Need kernel;
    kernel.products = tile.get();
    kernel.ld = wide;
    kernel.cols = int(loaded);
    kernel.place = int(std::clamp<std::int64_t>((k * loaded + n - 1) / n, 1, loaded - 1));
    kernel.rows = chosen.get();
    kernel.offsets = factors.offsets.get();
    kernel.lost = factors.lost.get();
    kernel.size = factors.size.get();
    kernel.need = Written<int>(need.get());
    launch(queue, sampled, kernel);
    const std::vector<int> needed = need.values();
    const std::int64_t most = *std::max_element(needed.begin(), needed.end());
    return std::min(n - 1, (std::max(k + 6, most * n / loaded * 5 / 4 + 4) + 7) / 8 * 8);
}

// The queues of all rows, fed tile by tile.
class Queues {
  public:
    Queues(Queue& queue, const Factors& factors, std::int64_t n, std::int64_t keep, std::int64_t tile,
           Products& products)
        : queue_(queue),
          factors_(factors),
          products_(products),
          n_(n),
          tile_(std::min(tile, (n + 3) / 4 * 4)),
          products_of_tile_(squares_that_fit<float>(queue, 1, tile_)),
          keep_(int(keep)),
          capacity_(int(std::min<std::int64_t>(8 * keep, Shrink::kMost))),
          keys(queue, n * capacity_),
          cuts(queue, std::vector<std::uint64_t>(std::size_t(n), kNoCut)),
          counts(queue, n),
          lost(queue, n),
          before_(queue, n),
          overflowed_(queue, n),
          overflows_(queue, 1) {
        counts.clear();
        lost.clear();
        before_.clear();
        overflowed_.clear();
        products_of_tile_.clear();  // which is read a few columns at a time, whole
    }

    void fill(Monitor* monitor) {
        const std::int64_t tiles = (n_ + tile_ - 1) / tile_, total = tiles * (tiles + 1) / 2;
        std::int64_t done = 0;
        for (std::int64_t apart = 0; apart < tiles; ++apart)  // those on the diagonal first: cuts rise soon
            for (std::int64_t i = 0; i + apart < tiles; ++i) {
                feed(i * tile_, (i + apart) * tile_);
                queue_.wait(monitor, ++done, total);
            }
        shrink(0, n_, 0);
    }
    int capacity() const { return capacity_; }

  private:
    void feed(std::int64_t row0, std::int64_t col0) {
        const std::int64_t rows = std::min(tile_, n_ - row0), cols = std::min(tile_, n_ - col0);
        const std::int64_t depth = factors_.frame.depth;
        products_.multiply(rows, cols, depth, factors_.left.get() + row0 * depth, factors_.right.get() + col0 * depth,
                           products_of_tile_.get(), tile_);
        for (std::int64_t attempt = 0; attempt < kAttempts; ++attempt) {
            Select select;
            select.tile = products_of_tile_.get();
            select.ld = tile_;
            select.rows = int(rows);
            select.cols = int(cols);
            select.row0 = int(row0);
            select.col0 = int(col0);
            select.capacity = capacity_;
            select.offsets = factors_.offsets.get();
            select.cuts = cuts.get();
            select.only = attempt == 0 ? nullptr : overflowed_.get();
            select.queue = Written<std::uint64_t>(keys.get());
            select.count = Written<int>(counts.get());
            launch(queue_, Select::blocks(int(rows), int(cols)), select);
            overflows_.clear();
            shrink(row0, rows, capacity_ / 2);
            if (row0 != col0) shrink(col0, cols, capacity_ / 2);
            if (overflows_.values()[0] == 0) return;
        }
        forget(row0, rows);
        if (row0 != col0) forget(col0, cols);
    }
    void shrink(std::int64_t first, std::int64_t rows, int trigger) {
        Shrink kernel;
        kernel.first = int(first);
        kernel.keep = keep_;
        kernel.capacity = capacity_;
        kernel.trigger = trigger;
        kernel.queue = Written<std::uint64_t>(keys.get());
        kernel.cuts = Written<std::uint64_t>(cuts.get());
        kernel.count = Written<int>(counts.get());
        kernel.before = Written<int>(before_.get());
        kernel.overflowed = Written<unsigned char>(overflowed_.get());
        kernel.overflows = Written<int>(overflows_.get());
        launch(queue_, rows, kernel);
    }
    // Rows whose queue never held all of a tile are not proven by it.
    void forget(std::int64_t first, std::int64_t rows) {
        Forget kernel;
        kernel.first = first;
        kernel.rows = rows;
        kernel.overflowed = overflowed_.get();
        kernel.lost = Written<unsigned char>(lost.get());
        launch(queue_, Forget::blocks(rows), kernel);
    }

    Queue& queue_;
    const Factors& factors_;
    Products& products_;
    std::int64_t n_, tile_;
    Buffer<float> products_of_tile_;
    int keep_, capacity_;

  public:
    Buffer<std::uint64_t> keys, cuts;
    Buffer<int> counts;
    Buffer<unsigned char> lost;

  private:
    Buffer<int> before_;
    Buffer<unsigned char> overflowed_;
    Buffer<int> overflows_;
};

}  // namespace

std::optional<std::vector<std::int32_t>> search_candidates(Queue& queue, const PreparedRows& rows, std::int64_t k,
                                                           const Way& way, Lists& lists, Monitor* monitor) {
    const std::int64_t n = rows.count();
    if (double(n) * double(n) * double(rows.cols()) < way.worthwhile || !has_products()) return std::nullopt;
    Products products(queue);
    const bool distance = rows.similarity() == Similarity::euclidean, cosine = rows.similarity() == Similarity::cosine;
    const Factors factors = rows.with([&](auto x) { return make_factors(queue, x, distance, cosine, monitor); });
    const std::int64_t keep = sampled_keep(queue, factors, n, k, products);
    if (keep > std::min(kMostKept, n / 3)) return std::nullopt;
    // Products of halves take a device a small part of the time of those that work() counts.
    const double side = std::sqrt(kHalvesPerDouble * queue.work() / double(factors.frame.depth));
    const std::int64_t tile = std::min(way.tile, std::max<std::int64_t>(512, std::int64_t(side) / 128 * 128));
    Queues queues(queue, factors, n, keep, tile, products);
    queues.fill(monitor);
    Buffer<unsigned char> proven(queue, n);
    rows.with([&](auto x) {
        Certify<typename decltype(x)::Element> kernel;
        kernel.x = x;
        kernel.frame = factors.frame;
        kernel.k = k;
        kernel.capacity = queues.capacity();
        kernel.queue = queues.keys.get();
        kernel.cuts = queues.cuts.get();
        kernel.counts = queues.counts.get();
        kernel.lost = queues.lost.get();
        kernel.index = Written<std::int32_t>(lists.index.get());
        kernel.similarity = Written<double>(lists.similarity.get());
        kernel.tie = Written<unsigned char>(lists.tie.get());
        kernel.proven = Written<unsigned char>(proven.get());
        const double each = double(keep) * double(rows.cols());
        const auto some = std::clamp<std::int64_t>(std::int64_t(queue.work() / each), 1, n);
        for (kernel.first = 0; kernel.first < n; kernel.first += some) {
            launch(queue, std::min(some, n - kernel.first), kernel);
            queue.wait(monitor);
        }
    });
    const std::vector<unsigned char> sure = proven.values();
    std::vector<std::int32_t> again;
    for (std::int64_t i = 0; i < n; ++i)
        if (!sure[std::size_t(i)]) again.push_back(std::int32_t(i));
    return again;
}

}  // namespace kernalign::cuda
