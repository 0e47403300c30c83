// Searches, scores and certifies the nearest neighbours of every row (neighbors.hpp).
#include "neighbors.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "cpu/neighbors/narrow_search.hpp"
#include "cpu/neighbors/query_search.hpp"
#include "cpu/neighbors/symmetric_search.hpp"
#include "cpu/neighbors/wide_search.hpp"
#include "cpu/runtime/ordering.hpp"
#include "cpu/runtime/parallel.hpp"
#include "error.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kNarrowRows = 256;  // below these, preparing bfloat16 panels costs more than it saves
constexpr std::int64_t kNarrowColumns = 32;

struct Scratch {
    std::vector<double> row, values, score, best;
    std::vector<float> rounded;
    std::vector<std::int32_t> others;
    std::vector<Scored> scored;
};

// True when the bounds alone prove which k are nearest (in some order), without a tie at the k-th place.
bool certify_set(const ExactRows& rows, const Slack& slack, Candidates& candidates, std::int64_t row, Neighbors& out) {
    std::int64_t size = 0;
    float others = 0;
    const std::uint64_t* best = candidates.sorted(row, &size, &others);
    require_unchanged(size >= out.k, rows.name());
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t t = 0; t < out.k; ++t) {
        const Candidate candidate(best[t]);
        least = std::min(least, double(candidate.bound()) - slack.at(row, candidate.index()));
        out.index[std::size_t(row * out.k + t)] = candidate.index();
    }
    return double(size > out.k ? Candidate(best[out.k]).bound() : others) < least;
}

// True when the row's candidates prove its neighbours; else *least is a lower bound of the k-th similarity.
bool certify(const ExactRows& rows, const BoundPanels<float>& panels, Candidates& candidates, std::int64_t row,
             Neighbors& out, Scratch& s, double* least) {
    std::int64_t size = 0;
    float others = 0;
    const std::uint64_t* best = candidates.sorted(row, &size, &others);
    require_unchanged(size >= out.k, rows.name());
    s.others.resize(std::size_t(size));
    s.score.resize(std::size_t(size));
    for (std::int64_t c = 0; c < size; ++c) s.others[std::size_t(c)] = Candidate(best[c]).index();
    rows.read(row, s.values.data());
    std::int64_t used = std::min(size, (out.k + 3) / 4 * 4);  // rows are scored four at a time
    rows.score(s.values.data(), s.others.data(), used, s.score.data(), s.row);
    *least = *std::min_element(s.score.begin(), s.score.begin() + out.k);
    const double cut = panels.threshold(*least);
    const std::int64_t done = used;
    while (used < size && double(Candidate(best[used]).bound()) >= cut) ++used;
    rows.score(s.values.data(), s.others.data() + done, used - done, s.score.data() + done, s.row);
    s.scored.clear();
    for (std::int64_t c = 0; c < used; ++c) s.scored.push_back({s.score[std::size_t(c)], s.others[std::size_t(c)]});
    std::sort(s.scored.begin(), s.scored.end(), before);
    write_row(s.scored, row, out);
    *least = s.scored[std::size_t(out.k - 1)].similarity;
    return double(others) < panels.threshold(*least);
}

// The same for candidates of the narrow bound, of which there are more than can be wanted: rough scores say which few
// deserve exact ones, and with sets usually that none does.
bool certify_narrow(const ExactRows& rows, const BoundPanels<float>& panels, Candidates& candidates, std::int64_t row,
                    Detail detail, Neighbors& out, Scratch& s, double* least) {
    std::int64_t size = 0;
    float others = 0;
    std::uint64_t* keys = candidates.all(row, &size, &others);
    const std::int64_t k = out.k;
    require_unchanged(size >= k, rows.name());
    std::nth_element(keys, keys + k - 1, keys + size, std::greater<>());
    s.others.resize(std::size_t(size));
    s.score.resize(std::size_t(size));
    for (std::int64_t c = 0; c < k; ++c) s.others[std::size_t(c)] = Candidate(keys[c]).index();
    rows.read(row, s.values.data());
    const double error = rows.rough_error();
    rows.rough_score(s.values.data(), s.others.data(), k, s.score.data(), s.row, s.rounded);
    *least = *std::min_element(s.score.begin(), s.score.begin() + k) - error;
    const double cut = panels.threshold(*least);
    std::int64_t used = k;
    for (std::int64_t c = k; c < size; ++c)
        if (double(Candidate(keys[c]).bound()) >= cut) s.others[std::size_t(used++)] = Candidate(keys[c]).index();
    rows.rough_score(s.values.data(), s.others.data() + k, used - k, s.score.data() + k, s.row, s.rounded);
    s.best.assign(s.score.begin(), s.score.begin() + used);
    std::nth_element(s.best.begin(), s.best.begin() + k - 1, s.best.end(), Descending());
    const double last = s.best[std::size_t(k - 1)];
    *least = last - error;
    if (double(others) >= panels.threshold(*least)) return false;
    std::int64_t count = 0;
    for (std::int64_t c = 0; c < used; ++c)
        if (s.score[std::size_t(c)] >= last - 2 * error) s.others[std::size_t(count++)] = s.others[std::size_t(c)];
    if (detail == Detail::sets && count == k) {
        std::copy_n(s.others.begin(), k, out.index.begin() + row * k);
        return true;
    }
    rows.score(s.values.data(), s.others.data(), count, s.score.data(), s.row);
    s.scored.clear();
    for (std::int64_t c = 0; c < count; ++c) s.scored.push_back({s.score[std::size_t(c)], s.others[std::size_t(c)]});
    std::sort(s.scored.begin(), s.scored.end(), before);
    write_row(s.scored, row, out);
    return true;
}

}  // namespace

Neighbors nearest_neighbors(const Rows& x, std::int64_t k, Similarity similarity, Detail detail, int threads,
                            Monitor* monitor) {
    const std::int64_t n = x.rows();
    require(1 <= k && k < n, "k must be between 1 and n - 1 = " + std::to_string(n - 1) + ", got " + std::to_string(k));
    require(x.cols() <= std::int64_t(1) << 21,
            x.name + " must have at most 2097152 columns, got " + std::to_string(x.cols()));
    require(n < std::int64_t(1) << 31, x.name + " must have fewer than 2147483648 rows, got " + std::to_string(n));
    threads = resolve_threads(threads, 0.5 * double(n) * double(n) * double(x.cols()));
    const ExactRows rows(x, similarity, threads, monitor);
    Neighbors out{n, k, {}, {}, {}, 0};
    out.index.resize(std::size_t(n * k));
    out.similarity.assign(std::size_t(n * k), std::numeric_limits<double>::quiet_NaN());
    out.tie.resize(std::size_t(n));
    if (are_wide(rows)) {
        wide_search(rows, threads, monitor, out);
        return out;
    }
    const Frame frame(rows, threads, monitor);
    const BoundPanels<float> panels(rows, frame);
    const auto every_row = [&](const auto& certified) {  // returns the rows that are not, with what is known of them
        constexpr std::int64_t kBlock = 64;
        const std::int64_t tasks = (n + kBlock - 1) / kBlock;
        std::vector<std::vector<Query>> again(static_cast<std::size_t>(tasks));
        Progress progress(monitor, tasks);
        parallel_for(tasks, threads, progress, [&](std::int64_t task, int) {
            Scratch scratch;
            scratch.values.resize(std::size_t(rows.cols()));
            for (std::int64_t i = task * kBlock; i < std::min(n, (task + 1) * kBlock); ++i) {
                double least = 0;
                if (!certified(i, scratch, &least)) again[std::size_t(task)].push_back({std::int32_t(i), least});
            }
        });
        std::vector<Query> queries;
        for (const auto& some : again) queries.insert(queries.end(), some.begin(), some.end());
        return queries;
    };

    std::vector<Query> queries;
    bool done = false;
    if (bfloat::available() && n >= kNarrowRows && x.cols() >= kNarrowColumns) {
        const NarrowPanels narrow(rows, frame);
        if (const auto candidates = narrow_search(narrow, n, k, threads, monitor)) {
            queries = every_row([&](std::int64_t i, Scratch& scratch, double* least) {
                return certify_narrow(rows, panels, *candidates, i, detail, out, scratch, least);
            });
            done = std::int64_t(queries.size()) <= n / 16;  // else the sample misled
        }
    }
    if (!done) {
        Slack slack;
        const auto candidates = symmetric_search(panels, n, k, threads, monitor, &slack);
        std::fill(out.similarity.begin(), out.similarity.end(), std::numeric_limits<double>::quiet_NaN());
        std::fill(out.tie.begin(), out.tie.end(), std::uint8_t(0));
        queries = every_row([&](std::int64_t i, Scratch& scratch, double* least) {
            return (detail == Detail::sets && certify_set(rows, slack, *candidates, i, out)) ||
                   certify(rows, panels, *candidates, i, out, scratch, least);
        });
    }
    out.repeated = std::int64_t(queries.size());
    std::vector<std::int64_t> places;
    for (const Query& query : queries) places.push_back(query.row);
    if (!queries.empty())
        search_queries(rows, frame, RowGroups(rows, threads, monitor), queries, places, threads, monitor, out);
    return out;
}

}  // namespace kernalign
