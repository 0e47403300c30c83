// Finds the nearest neighbours of a few rows, of which a lower bound of the k-th similarity is known.
#include "cpu/neighbors/query_search.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "cpu/runtime/parallel.hpp"
#include "error.hpp"
#include "rescoring.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kFirst = 256;  // queries whose search says how that of the others is done
constexpr std::int64_t kFew = 64;     // scoring one row in so many costs less than float32 saves

// The k + 1 best of what a threshold search reports, which come in increasing order of index.
class Best {
  public:
    explicit Best(std::int64_t k) : keep_(std::size_t(k) + 1) {}
    void offer(double similarity, std::int32_t index) {
        const Scored candidate{similarity, index};
        if (heap_.size() == keep_) {
            if (!before(candidate, heap_.front())) return;
            std::pop_heap(heap_.begin(), heap_.end(), before);
            heap_.back() = candidate;
        } else {
            heap_.push_back(candidate);
        }
        std::push_heap(heap_.begin(), heap_.end(), before);  // the worst is in front
    }
    const std::vector<Scored>& sorted() {
        std::sort(heap_.begin(), heap_.end(), before);
        return heap_;
    }

  private:
    std::size_t keep_;
    std::vector<Scored> heap_;
};

}  // namespace

void write_row(const std::vector<Scored>& scored, std::int64_t at, Neighbors& out) {
    for (std::int64_t t = 0; t < out.k; ++t) {
        out.index[std::size_t(at * out.k + t)] = scored[std::size_t(t)].index;
        out.similarity[std::size_t(at * out.k + t)] = scored[std::size_t(t)].similarity;
    }
    const auto k = std::size_t(out.k);
    out.tie[std::size_t(at)] = scored.size() > k && scored[k].similarity == scored[k - 1].similarity;
}

std::int64_t search_queries(const ExactRows& rows, const Frame& frame, const RowGroups& groups,
                            const std::vector<Query>& queries, const std::vector<std::int64_t>& places, int threads,
                            Monitor* monitor, Neighbors& out, const ExactRows* from, bool single) {
    std::vector<Best> best(queries.size(), Best(out.k));
    const std::int64_t scored = threshold_search(
        rows, frame, groups, queries, threads, monitor,
        [&](std::int64_t q, const std::int32_t* others, const double* similarities, std::int64_t count) {
            for (std::int64_t c = 0; c < count; ++c) best[std::size_t(q)].offer(similarities[c], others[c]);
        },
        from, single);
    for (std::size_t q = 0; q < queries.size(); ++q) {
        const std::vector<Scored>& nearest = best[q].sorted();
        require_unchanged(std::int64_t(nearest.size()) >= out.k, rows.name());
        write_row(nearest, places[q], out);
    }
    return scored;
}

Neighbors nearest_of_rows(const ExactRows& rows, const std::int32_t* queries, std::int64_t q, std::int64_t k,
                          int threads, Monitor* monitor, const ExactRows* from) {
    const std::int64_t n = rows.count(), most = from == nullptr ? n - 1 : n;
    require(1 <= k && k <= most, "k must be between 1 and " + std::to_string(most) + " for " + std::to_string(n) +
                                     " rows, got " + std::to_string(k));
    require(from == nullptr || (from->cols() == rows.cols() && from->similarity() == rows.similarity()),
            "queries must have the columns and the similarity of the rows");
    threads = resolve_threads(threads);
    // About k n / c rows reach the k-th best of c: what both scorings cost together is least at the root. One more,
    // because a row is no neighbour of itself.
    const std::int64_t count = std::min(n, 1 + std::max(k, std::int64_t(std::sqrt(double(k) * double(n)))));
    std::vector<std::int32_t> some(static_cast<std::size_t>(count));
    for (std::int64_t c = 0; c < count; ++c) some[std::size_t(c)] = std::int32_t(c * n / count);
    Neighbors out = best_candidates(rows, queries, q, some.data(), count, k, threads, monitor, from, true);
    if (count == n) return out;
    const Frame frame(rows, threads, monitor, from);
    const RowGroups groups(rows, threads, monitor);
    bool single = true;  // until it leaves too much to be scored
    for (std::int64_t begin = 0, end = std::min(q, kFirst); begin < q; begin = end, end = q) {
        std::vector<Query> wanted;
        std::vector<std::int64_t> places;
        for (std::int64_t i = begin; i < end; ++i) {
            wanted.push_back({queries[i], out.similarity[std::size_t((i + 1) * k - 1)]});
            places.push_back(i);
        }
        const std::int64_t scored =
            search_queries(rows, frame, groups, wanted, places, threads, monitor, out, from, single);
        single = scored <= (end - begin) * n / kFew;
    }
    return out;
}

}  // namespace kernalign
