// Searches the nearest neighbours of every row on a device (neighbors.hpp).
#include "cuda/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <type_traits>

#include "cuda/candidate_search.hpp"
#include "cuda/exact.hpp"
#include "error.hpp"

namespace kernalign::cuda {
namespace {

constexpr std::int64_t kQueueBytes = std::int64_t(1) << 26;  // of what is searched at once

// Searches `rows` exactly. Lists are those of all rows, or of these alone.
template <class E>
void search_exactly(Queue& queue, const DeviceRows<E>& x, std::int64_t k, bool distance,
                    const std::vector<std::int32_t>& rows, bool every, Lists& lists, Monitor* monitor) {
    using Kernel = Exact<E>;
    using Scored = typename Kernel::Scored;
    const std::int64_t each = (Kernel::capacity(k) + k + 1) * std::int64_t(sizeof(Scored));
    const std::int64_t full = std::int64_t(queue.processors()) * Kernel::kRows;  // fewer leave processors idle
    const auto most = std::int64_t(queue.work() / (double(x.count) * double(x.cols)));
    const auto count = std::int64_t(rows.size());
    if (count == 0) return;
    const std::int64_t chunk = std::clamp<std::int64_t>(std::max(full, most), Kernel::kRows,
                                                        std::max<std::int64_t>(Kernel::kRows, kQueueBytes / each));
    const std::int64_t held = std::min(chunk, count);
    const std::int64_t across =
        std::max<std::int64_t>(1, std::int64_t(queue.work() / (double(held) * double(x.cols))) / Kernel::kThreads);
    const Buffer<std::int32_t> queried(queue, rows);
    const Buffer<Scored> waiting(queue, held * Kernel::capacity(k)), sorted(queue, held * (k + 1));
    const Buffer<int> sizes(queue, held);
    for (std::int64_t begin = 0; begin < count; begin += chunk) {
        Kernel kernel;
        kernel.x = x;
        kernel.k = k;
        kernel.distance = distance;
        kernel.rows = queried.get() + begin;
        kernel.queries = std::min(chunk, count - begin);
        kernel.queue = Written<Scored>(waiting.get());
        kernel.sorted = Written<Scored>(sorted.get());
        kernel.held = Written<int>(sizes.get());
        const std::int64_t first = every ? 0 : begin;
        kernel.every = every;
        kernel.index = Written<std::int32_t>(lists.index.get() + first * k);
        kernel.similarity = Written<double>(lists.similarity.get() + first * k);
        kernel.tie = Written<unsigned char>(lists.tie.get() + first);
        for (kernel.begin = 0; kernel.begin < x.count; kernel.begin = kernel.end) {
            kernel.end = std::min(x.count, kernel.begin + across * Kernel::kThreads);
            launch(queue, Kernel::blocks(kernel.queries), kernel);
            queue.wait(monitor, begin + kernel.queries * kernel.end / x.count, count);
        }
    }
}

void check(const Rows& rows, std::int64_t k) {
    const std::int64_t n = rows.rows();
    require(1 <= k && k < n, "k must be between 1 and n - 1 = " + std::to_string(n - 1) + ", got " + std::to_string(k));
    require(rows.cols() <= std::int64_t(1) << 21,
            rows.name + " must have at most 2097152 columns, got " + std::to_string(rows.cols()));
    require(n < std::int64_t(1) << 31, rows.name + " must have fewer than 2147483648 rows, got " + std::to_string(n));
}

PreparedRows prepared_for(Queue& queue, const Rows& rows, Similarity similarity, Monitor* monitor) {
    PreparedRows prepared(queue, rows, similarity, monitor);
    require(!prepared.overflows(), rows.name + " is too large: its squares overflow float64; scale it down");
    return prepared;
}

Neighbors downloaded(const Lists& lists, std::int64_t n, std::int64_t k, std::int64_t repeated) {
    Neighbors out{n, k, {}, {}, {}, repeated};
    out.index = lists.index.values();
    out.similarity = lists.similarity.values();
    const std::vector<unsigned char> tie = lists.tie.values();
    out.tie.assign(tie.begin(), tie.end());
    return out;
}

}  // namespace

Neighbors nearest_neighbors(Queue& queue, const Rows& rows, std::int64_t k, Similarity similarity, const Way& way,
                            Monitor* monitor) {
    check(rows, k);
    const std::int64_t n = rows.rows();
    const PreparedRows prepared = prepared_for(queue, rows, similarity, monitor);
    Lists lists(queue, n, k);
    std::optional<std::vector<std::int32_t>> again = search_candidates(queue, prepared, k, way, lists, monitor);
    const bool candidates = again.has_value();
    if (!candidates) {
        again.emplace(static_cast<std::size_t>(n));
        std::iota(again->begin(), again->end(), 0);
    }
    const double work = double(again->size()) * double(n) * double(rows.cols());
    if (way.say) way.say(std::int64_t(again->size()), work / queue.work() / 10);
    const bool distance = similarity == Similarity::euclidean;
    prepared.with([&](auto x) { search_exactly(queue, x, k, distance, *again, true, lists, monitor); });
    return downloaded(lists, n, k, candidates ? std::int64_t(again->size()) : 0);
}

Neighbors nearest_of_rows(Queue& queue, const Rows& rows, const std::vector<std::int32_t>& queries, std::int64_t k,
                          Similarity similarity, Monitor* monitor) {
    check(rows, k);
    for (const std::int32_t row : queries) require(row >= 0 && row < rows.rows(), "queries must be rows");
    const PreparedRows prepared = prepared_for(queue, rows, similarity, monitor);
    const auto count = std::int64_t(queries.size());
    Lists lists(queue, count, k);
    const bool distance = similarity == Similarity::euclidean;
    prepared.with([&](auto x) { search_exactly(queue, x, k, distance, queries, false, lists, monitor); });
    return downloaded(lists, count, k, 0);
}

}  // namespace kernalign::cuda
