// The second search of neighbors.hpp: every row at least as similar as a given value, for a few chosen rows.
#include "cpu/neighbors/threshold_search.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>

#include "cpu/runtime/blas.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kColumns = 256;   // rows of a panel that is converted, multiplied and forgotten
constexpr std::int64_t kDistinct = 256;  // distinct queried rows of one task

// One distinct row and the queries that ask for it (rows of one group have the same similarities).
struct Target {
    std::int32_t row;
    std::int64_t begin, end;  // range of the sorted queries
    double least;
};

template <class T>
class Search {
  public:
    Search(const ExactRows& rows, const Frame& frame, const RowGroups& groups, const std::vector<Query>& queries,
           const Found& found, const ExactRows& from, const RowGroups& asked)
        : rows_(rows),
          from_(from),
          groups_(groups),
          asked_(asked),
          queries_(queries),
          found_(found),
          panels_(rows, frame),
          query_panels_(from, frame),
          same_(&rows == &from) {
        order_.resize(queries.size());
        for (std::size_t q = 0; q < order_.size(); ++q) order_[q] = std::int64_t(q);
        std::stable_sort(order_.begin(), order_.end(),
                         [&](std::int64_t a, std::int64_t b) { return group_of(a) < group_of(b); });
        for (std::size_t q = 0; q < order_.size(); ++q) {
            const Query& query = queries[std::size_t(order_[q])];
            if (q == 0 || group_of(order_[q]) != group_of(order_[q - 1]))
                targets_.push_back({query.row, std::int64_t(q), std::int64_t(q), query.least});
            targets_.back().end = std::int64_t(q) + 1;
            targets_.back().least = std::min(targets_.back().least, query.least);
        }
    }

    std::int64_t run(int threads, Monitor* monitor) {
        const std::int64_t total = std::int64_t(targets_.size());
        const std::int64_t share = (total + threads - 1) / threads;
        const std::int64_t size = std::clamp<std::int64_t>((share + 15) / 16 * 16, 16, kDistinct);
        const std::int64_t tasks = (total + size - 1) / size;
        const std::int64_t steps = (rows_.count() + kColumns - 1) / kColumns;
        std::vector<Worker> workers(std::size_t(std::min<std::int64_t>(threads, std::max<std::int64_t>(1, tasks))));
        Progress progress(monitor, tasks * (steps + 1));
        std::atomic<bool> stop{false};
        parallel_for(tasks, threads, progress, [&](std::int64_t task, int at) {
            Worker& worker = workers[std::size_t(at)];
            worker.prepare(*this, size);
            load_targets(task * size, std::min(total, (task + 1) * size), worker);
            for (std::int64_t step = 0; step < steps && !stop.load(); ++step) {
                one_panel(step * kColumns, std::min(rows_.count(), (step + 1) * kColumns), worker);
                progress.add(1);
                if (at != 0) continue;
                try {  // a task is long; worker 0 is the caller's thread
                    progress.poll();
                } catch (...) {
                    stop.store(true);
                    throw;
                }
            }
        });
        std::int64_t scored = 0;
        for (const Worker& worker : workers) scored += worker.scored;
        return scored;
    }

  private:
    struct Worker {
        std::vector<T> left, right, tile, left_offsets, right_offsets, never, sums;
        std::vector<double> row, scratch, values, scores, similarities;
        std::vector<std::int32_t> hits, others, asked, slot;
        std::vector<std::int64_t> seen;  // stamp of the last (target, panel) that scored this group
        std::int64_t stamp = 0, begin = 0, end = 0, scored = 0;

        void prepare(const Search& s, std::int64_t size) {
            const auto cols = std::size_t(s.rows_.cols()), panel = std::size_t(kColumns);
            if (!tile.empty()) return;
            left.resize(std::size_t(size * s.panels_.stride()));
            right.resize(std::size_t(kColumns * s.panels_.stride()));
            tile.resize(std::size_t(size * kColumns));
            left_offsets.resize(std::size_t(size));
            right_offsets.resize(panel);
            never.assign(panel, std::numeric_limits<T>::infinity());
            sums.resize(panel), hits.resize(panel), others.resize(panel), asked.resize(panel), slot.resize(panel);
            scores.resize(panel), similarities.resize(panel);
            row.resize(cols);
            values.resize(std::size_t(size) * cols);
            seen.assign(std::size_t(s.groups_.count), 0);
            place.resize(std::size_t(s.groups_.count));
        }
        std::vector<std::int32_t> place;  // where in scores the group's value is
    };

    std::int32_t group_of(std::int64_t query) const {
        return asked_.group[std::size_t(queries_[std::size_t(query)].row)];
    }

    void load_targets(std::int64_t begin, std::int64_t end, Worker& w) const {
        float raised;
        w.begin = begin, w.end = end;
        for (std::int64_t t = begin; t < end; ++t) {
            const std::int64_t at = t - begin;
            const std::int32_t row = targets_[std::size_t(t)].row;
            query_panels_.fill(row, w.left.data() + at * panels_.stride(), &w.left_offsets[std::size_t(at)], &raised,
                               w.row.data());
            from_.read(row, w.values.data() + at * rows_.cols());
        }
    }

    void one_panel(std::int64_t begin, std::int64_t end, Worker& w) const {
        const std::int64_t stride = panels_.stride(), cols = end - begin, width = (cols + 15) / 16 * 16;
        float raised;
        for (std::int64_t j = begin; j < end; ++j)
            panels_.fill(j, w.right.data() + (j - begin) * stride, &w.right_offsets[std::size_t(j - begin)], &raised,
                         w.row.data());
        std::fill(w.right_offsets.begin() + cols, w.right_offsets.end(), -std::numeric_limits<T>::infinity());
        blas::gemm_nt(w.end - w.begin, cols, panels_.width(), w.left.data(), stride, w.right.data(), stride,
                      w.tile.data(), kColumns);
        for (std::int64_t t = w.begin; t < w.end; ++t) {
            const Target& target = targets_[std::size_t(t)];
            const auto at = std::size_t(t - w.begin);
            const double bound = panels_.threshold(target.least);
            T cut = T(std::max(bound, double(std::numeric_limits<T>::lowest())));  // below: padding
            if (cut > bound) cut = std::nextafter(cut, std::numeric_limits<T>::lowest());
            const std::int64_t hits =
                simd().neighbors.select(w.tile.data() + std::int64_t(at) * kColumns, w.right_offsets.data(),
                                        w.left_offsets[at], cut, w.never.data(), w.sums.data(), w.hits.data(), width);
            if (hits > 0) report(target, w.values.data() + std::int64_t(at) * rows_.cols(), begin, hits, w);
        }
    }

    // Scores the hits, equal rows once, and hands each query of the target what it asked for.
    void report(const Target& target, const double* values, std::int64_t begin, std::int64_t hits, Worker& w) const {
        ++w.stamp;
        std::int64_t distinct = 0;
        for (std::int64_t h = 0; h < hits; ++h) {
            const auto row = std::int32_t(begin + (w.hits[std::size_t(h)] >> 2));
            const auto group = std::size_t(groups_.group[std::size_t(row)]);
            if (w.seen[group] != w.stamp) {
                w.seen[group] = w.stamp;
                w.place[group] = std::int32_t(distinct);
                w.asked[std::size_t(distinct++)] = row;
            }
            w.slot[std::size_t(h)] = w.place[group];
        }
        w.scored += distinct;
        rows_.score(values, w.asked.data(), distinct, w.scores.data(), w.scratch);
        for (std::int64_t q = target.begin; q < target.end; ++q) {
            const Query& query = queries_[std::size_t(order_[std::size_t(q)])];
            std::int64_t count = 0;
            for (std::int64_t h = 0; h < hits; ++h) {
                const auto row = std::int32_t(begin + (w.hits[std::size_t(h)] >> 2));
                const double s = w.scores[std::size_t(w.slot[std::size_t(h)])];
                w.others[std::size_t(count)] = row;
                w.similarities[std::size_t(count)] = s;
                count += s >= query.least && !(same_ && row == query.row);
            }
            if (count > 0) found_(order_[std::size_t(q)], w.others.data(), w.similarities.data(), count);
        }
    }

    const ExactRows &rows_, &from_;
    const RowGroups &groups_, &asked_;
    const std::vector<Query>& queries_;
    const Found& found_;
    BoundPanels<T> panels_, query_panels_;
    bool same_;
    std::vector<std::int64_t> order_;  // queries sorted by group
    std::vector<Target> targets_;
};

}  // namespace

std::int64_t threshold_search(const ExactRows& rows, const Frame& frame, const RowGroups& groups,
                              const std::vector<Query>& queries, int threads, Monitor* monitor, const Found& found,
                              const ExactRows* from, bool single) {
    if (queries.empty()) return 0;
    std::optional<RowGroups> own;
    if (from != nullptr) own.emplace(*from, threads, monitor);
    const ExactRows& asking = from == nullptr ? rows : *from;
    const RowGroups& asked = own ? *own : groups;
    if (single) return Search<float>(rows, frame, groups, queries, found, asking, asked).run(threads, monitor);
    return Search<double>(rows, frame, groups, queries, found, asking, asked).run(threads, monitor);
}

}  // namespace kernalign
