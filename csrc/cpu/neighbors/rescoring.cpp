// Scores given candidates in float64 and keeps the best of each row (rescoring.hpp).
#include "rescoring.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "cpu/neighbors/exact_rows.hpp"
#include "cpu/runtime/parallel.hpp"
#include "error.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kBlock = 64;

struct Scratch {
    std::vector<double> own, score, rows;
    std::vector<std::int32_t> others;
    std::vector<std::pair<double, std::int32_t>> order;  // minus the similarity, index
};

}  // namespace

Neighbors best_candidates(const ExactRows& rows, const std::int32_t* queries, std::int64_t q,
                          const std::int32_t* candidates, std::int64_t c, std::int64_t k, int threads, Monitor* monitor,
                          const ExactRows* from, bool shared) {
    const ExactRows& asking = from == nullptr ? rows : *from;
    const std::int64_t n = rows.count(), own = asking.count(), stride = shared ? 0 : c;
    const auto inside = [n](std::int32_t j) { return j < n; };
    require(std::all_of(queries, queries + q, [own](std::int32_t i) { return i >= 0 && i < own; }) &&
                std::all_of(candidates, candidates + (shared ? c : q * c), inside),
            "queries and candidates must be rows of an array of " + std::to_string(n));
    require(k >= 1, "k must be at least 1, got " + std::to_string(k));
    Neighbors out{q, k, {}, {}, {}, 0};
    out.index.assign(std::size_t(q * k), -1);
    out.similarity.assign(std::size_t(q * k), -std::numeric_limits<double>::infinity());
    out.tie.assign(std::size_t(q), 0);
    threads = resolve_threads(threads);
    std::vector<Scratch> scratches(static_cast<std::size_t>(threads));
    const std::int64_t tasks = (q + kBlock - 1) / kBlock;
    Progress progress(monitor, 0);  // the caller knows how much there is in all
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int worker) {
        Scratch& s = scratches[std::size_t(worker)];
        s.own.resize(std::size_t(rows.cols()));
        for (std::int64_t i = task * kBlock; i < std::min(q, (task + 1) * kBlock); ++i) {
            s.others.assign(candidates + i * stride, candidates + i * stride + c);
            std::sort(s.others.begin(), s.others.end());
            s.others.erase(std::unique(s.others.begin(), s.others.end()), s.others.end());
            const std::int32_t self = from == nullptr ? queries[i] : -1;
            s.others.erase(
                std::remove_if(s.others.begin(), s.others.end(), [self](std::int32_t j) { return j < 0 || j == self; }),
                s.others.end());
            const std::size_t count = s.others.size();
            s.score.resize(count);
            asking.read(queries[i], s.own.data());
            rows.score(s.own.data(), s.others.data(), std::int64_t(count), s.score.data(), s.rows);
            s.order.clear();
            for (std::size_t j = 0; j < count; ++j) s.order.emplace_back(-s.score[j], s.others[j]);
            const std::size_t wanted = std::min(count, std::size_t(k) + 1);
            std::partial_sort(s.order.begin(), s.order.begin() + std::ptrdiff_t(wanted), s.order.end());
            for (std::size_t j = 0; j < std::min(count, std::size_t(k)); ++j) {
                out.index[std::size_t(i * k) + j] = s.order[j].second;
                out.similarity[std::size_t(i * k) + j] = -s.order[j].first;
            }
            const std::size_t last = std::size_t(k);
            out.tie[std::size_t(i)] = count > last && s.order[last].first == s.order[last - 1].first;
        }
    });
    return out;
}

}  // namespace kernalign
