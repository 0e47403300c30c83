// Searches the nearest neighbours of every row on a device (neighbors.hpp).
#include "cuda/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "cuda/candidate_search.hpp"
#include "cuda/exact.hpp"
#include "error.hpp"

namespace kernalign::cuda {
namespace {

constexpr double kWork = 0x1p39;                             // multiply-adds between two polls: a part of a second
constexpr std::int64_t kQueueBytes = std::int64_t(1) << 26;  // of what is searched at once

// Searches `rows` exactly.
template <class E>
void search_exactly(Queue& queue, const DeviceRows<E>& x, std::int64_t k, bool distance,
                    const std::vector<std::int32_t>& rows, Lists& lists, Monitor* monitor) {
    using Kernel = Exact<E>;
    using Scored = typename Kernel::Scored;
    const std::int64_t each = (Kernel::capacity(k) + k + 1) * std::int64_t(sizeof(Scored));
    const std::int64_t full = std::int64_t(queue.processors()) * Kernel::kRows;  // fewer leave processors idle
    const auto most = std::int64_t(kWork / (double(x.count) * double(x.cols)));
    const auto count = std::int64_t(rows.size());
    if (count == 0) return;
    const std::int64_t chunk = std::clamp<std::int64_t>(std::max(full, most), Kernel::kRows,
                                                        std::max<std::int64_t>(Kernel::kRows, kQueueBytes / each));
    const std::int64_t held = std::min(chunk, count);
    const Buffer<std::int32_t> queried(queue, rows);
    const Buffer<Scored> waiting(queue, held * Kernel::capacity(k)), sorted(queue, held * (k + 1));
    for (std::int64_t begin = 0; begin < count; begin += chunk) {
        Kernel kernel;
        kernel.x = x;
        kernel.k = k;
        kernel.distance = distance;
        kernel.rows = queried.get() + begin;
        kernel.queries = std::min(chunk, count - begin);
        kernel.queue = Written<Scored>(waiting.get());
        kernel.sorted = Written<Scored>(sorted.get());
        kernel.index = Written<std::int32_t>(lists.index.get());
        kernel.similarity = Written<double>(lists.similarity.get());
        kernel.tie = Written<unsigned char>(lists.tie.get());
        launch(queue, Kernel::blocks(kernel.queries), kernel);
        queue.wait(monitor, begin + kernel.queries, count);
    }
}

// A search that is left early must not leave kernels behind that read the caller's rows.
struct Finished {
    Queue& queue;
    ~Finished() {
        try {
            queue.wait(nullptr);
        } catch (const std::runtime_error&) {  // the error that made us leave
        }
    }
};

}  // namespace

Neighbors nearest_neighbors(Queue& queue, const Rows& rows, std::int64_t k, Similarity similarity, const Way& way,
                            Monitor* monitor) {
    const std::int64_t n = rows.rows();
    require(1 <= k && k < n, "k must be between 1 and n - 1 = " + std::to_string(n - 1) + ", got " + std::to_string(k));
    require(rows.cols() <= std::int64_t(1) << 21,
            rows.name + " must have at most 2097152 columns, got " + std::to_string(rows.cols()));
    require(n < std::int64_t(1) << 31, rows.name + " must have fewer than 2147483648 rows, got " + std::to_string(n));
    const Finished finished{queue};
    const PreparedRows prepared(queue, rows, similarity, monitor);
    require(!prepared.overflows(), rows.name + " is too large: its squares overflow float64; scale it down");
    Lists lists(queue, n, k);
    std::optional<std::vector<std::int32_t>> again = search_candidates(queue, prepared, k, way, lists, monitor);
    const bool candidates = again.has_value();
    if (!candidates) {
        again.emplace(static_cast<std::size_t>(n));
        std::iota(again->begin(), again->end(), 0);
    }
    const bool distance = similarity == Similarity::euclidean;
    prepared.with([&](auto x) { search_exactly(queue, x, k, distance, *again, lists, monitor); });
    Neighbors out{n, k, {}, {}, {}, candidates ? std::int64_t(again->size()) : 0};
    out.index = lists.index.values();
    out.similarity = lists.similarity.values();
    const std::vector<unsigned char> tie = lists.tie.values();
    out.tie.assign(tie.begin(), tie.end());
    return out;
}

}  // namespace kernalign::cuda
