// Overlap of two neighbour graphs in which rows tied at the k-th place share it (neighbors.hpp).
#include <algorithm>
#include <cmath>
#include <memory>

#include "cpu/neighbors/threshold_search.hpp"
#include "cpu/runtime/parallel.hpp"
#include "error.hpp"
#include "neighbors.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kBitmapBytes = 8 << 20;  // for one side's bitmaps of tied rows

enum Known : std::uint8_t { kLater, kNow, kBefore };  // when a row's share is computed, chunk by chunk

// One side: lists, shares, and bitmaps of who is tied at the k-th place of a chunk of rows.
class Side {
  public:
    Side(const Rows& rows, Neighbors lists, Similarity similarity, int threads, Monitor* monitor)
        : lists_(std::move(lists)),
          threads_(threads),
          monitor_(monitor),
          share_(std::size_t(lists_.n), 1.0),
          degree_(std::size_t(lists_.n), 0.0),
          strict_(std::size_t(lists_.n), lists_.k),
          words_((lists_.n + 63) / 64) {
        const bool unscored =
            std::any_of(lists_.similarity.begin(), lists_.similarity.end(), [](double s) { return std::isnan(s); });
        if (unscored) {
            rows_ = std::make_unique<ExactRows>(rows, similarity, threads, monitor);
            score_lists();
        }
        bool any = false;
        for (std::int64_t i = 0; i < lists_.n; ++i) {
            if (!tied(i)) continue;
            any = true;
            while (strict_[std::size_t(i)] > 0 && similarity_at(i, strict_[std::size_t(i)] - 1) == last(i))
                --strict_[std::size_t(i)];
        }
        if (!any) return;
        if (!rows_) rows_ = std::make_unique<ExactRows>(rows, similarity, threads, monitor);
        frame_ = std::make_unique<Frame>(*rows_, threads, monitor);
        groups_ = std::make_unique<RowGroups>(*rows_, threads, monitor);
    }

    bool tied(std::int64_t row) const { return lists_.tie[std::size_t(row)] != 0; }
    double share(std::int64_t row) const { return share_[std::size_t(row)]; }
    std::int64_t strict(std::int64_t row) const { return strict_[std::size_t(row)]; }
    const std::int32_t* list(std::int64_t row) const { return lists_.index.data() + row * lists_.k; }
    const std::uint64_t* bits(std::int64_t slot) const { return bits_.data() + slot * words_; }
    std::int64_t words() const { return words_; }

    // Finds everybody at the k-th value of the chunk's tied rows, and these rows' shares.
    void search(const std::vector<std::int32_t>& chunk) {
        bits_.assign(std::size_t(std::int64_t(chunk.size()) * words_), 0);
        std::vector<Query> queries;
        std::vector<std::int64_t> slots;
        for (std::size_t slot = 0; slot < chunk.size(); ++slot)
            if (tied(chunk[slot])) {
                queries.push_back({chunk[slot], last(chunk[slot])});
                slots.push_back(std::int64_t(slot));
            }
        if (queries.empty()) return;
        std::vector<std::int64_t> tied_count(queries.size(), 0);
        threshold_search(
            *rows_, *frame_, *groups_, queries, threads_, monitor_,
            [&](std::int64_t q, const std::int32_t* others, const double* similarities, std::int64_t count) {
                std::uint64_t* row = bits_.data() + slots[std::size_t(q)] * words_;
                for (std::int64_t c = 0; c < count; ++c) {
                    if (similarities[c] != queries[std::size_t(q)].least) continue;
                    row[others[c] / 64] |= std::uint64_t(1) << (others[c] % 64);
                    ++tied_count[std::size_t(q)];
                }
            });
        for (std::size_t q = 0; q < queries.size(); ++q) {
            const std::int64_t row = queries[q].row;
            require_unchanged(tied_count[q] > 0, rows_->name());
            share_[std::size_t(row)] = double(lists_.k - strict(row)) / double(tied_count[q]);
            sums_.square += double(tied_count[q]) * share(row) * share(row);
        }
    }

    // Adds the tied rows of the chunk to the degrees and the reciprocal sum.
    void add_tied(const std::vector<std::int32_t>& chunk, const std::vector<Known>& known) {
        for (std::size_t slot = 0; slot < chunk.size(); ++slot) {
            const std::int64_t i = chunk[slot];
            if (!tied(i)) continue;
            const std::uint64_t* row = bits(std::int64_t(slot));
            double reciprocal = 0;
            for (std::int64_t w = 0; w < words_; ++w)
                for (std::uint64_t rest = row[w]; rest != 0; rest &= rest - 1) {
                    const std::int64_t j = w * 64 + __builtin_ctzll(rest);
                    degree_[std::size_t(j)] += share(i);
                    reciprocal += weight_back(i, j, known);
                }
            sums_.reciprocal += share(i) * reciprocal;
            if (monitor_ && slot % 64 == 0) monitor_->poll(std::int64_t(slot), std::int64_t(chunk.size()));
        }
    }

    GraphSums finish() {
        for (std::int64_t i = 0; i < lists_.n; ++i)
            for (std::int64_t t = 0; t < strict(i); ++t) {
                const std::int64_t j = list(i)[t];
                const double s = similarity_at(i, t);
                degree_[std::size_t(j)] += 1;
                sums_.square += 1;
                sums_.reciprocal += s > last(j) ? 1 : s == last(j) ? share(j) : 0;
            }
        for (const double degree : degree_) sums_.degree_square += degree * degree;
        return sums_;
    }

  private:
    double similarity_at(std::int64_t row, std::int64_t t) const {
        return lists_.similarity[std::size_t(row * lists_.k + t)];
    }
    double last(std::int64_t row) const { return similarity_at(row, lists_.k - 1); }

    // Scores the lists that the search left unscored; their rows have no boundary tie.
    void score_lists() {
        constexpr std::int64_t kBlock = 64;
        const std::int64_t tasks = (lists_.n + kBlock - 1) / kBlock, k = lists_.k;
        Progress progress(monitor_, tasks);
        parallel_for(tasks, threads_, progress, [&](std::int64_t task, int) {
            std::vector<double> values(std::size_t(rows_->cols())), scratch;
            for (std::int64_t i = task * kBlock; i < std::min(lists_.n, (task + 1) * kBlock); ++i) {
                if (!std::isnan(similarity_at(i, 0))) continue;
                double* scores = lists_.similarity.data() + i * k;
                rows_->read(i, values.data());
                rows_->score(values.data(), list(i), k, scores, scratch);
                const std::int64_t worst = std::min_element(scores, scores + k) - scores;
                std::swap(scores[k - 1], scores[worst]);
                std::swap(lists_.index[std::size_t(i * k + k - 1)], lists_.index[std::size_t(i * k + worst)]);
            }
        });
    }

    // Weight of i among the neighbours of j, for j tied at the k-th place of i (s_ij = s_ji is i's k-th value). When
    // both are tied at each other's, the later of the two rows counts for both.
    double weight_back(std::int64_t i, std::int64_t j, const std::vector<Known>& known) const {
        if (last(i) != last(j)) return last(i) > last(j) ? 1 : 0;
        if (!tied(j)) return 1;
        const Known when = known[std::size_t(j)];
        return when == kNow ? share(j) : when == kBefore ? 2 * share(j) : 0;
    }

    Neighbors lists_;
    int threads_;
    Monitor* monitor_;
    std::unique_ptr<ExactRows> rows_;
    std::unique_ptr<Frame> frame_;
    std::unique_ptr<RowGroups> groups_;
    std::vector<double> share_;         // weight of an index tied at the k-th place
    std::vector<double> degree_;        // sum over i of w_ij
    std::vector<std::int64_t> strict_;  // places of the list that are not tied at the k-th
    std::int64_t words_;
    std::vector<std::uint64_t> bits_;
    GraphSums sums_;
};

bool has(const std::uint64_t* bits, std::int32_t j) { return bits[j / 64] >> (j % 64) & 1; }

// sum over j of w_ij w'_ij of one row; `slot` is its place in the chunk, `seen` scratch of n marks (never i).
double row_overlap(const Side& x, const Side& y, std::int64_t i, std::int64_t slot, std::vector<std::int32_t>& seen) {
    const bool tied_x = x.tied(i), tied_y = y.tied(i);
    std::int64_t both = 0, strict_tied = 0, tied_strict = 0, tied_tied = 0;
    for (std::int64_t t = 0; t < y.strict(i); ++t) {
        seen[std::size_t(y.list(i)[t])] = std::int32_t(i);
        if (tied_x) tied_strict += has(x.bits(slot), y.list(i)[t]);
    }
    for (std::int64_t t = 0; t < x.strict(i); ++t) {
        both += seen[std::size_t(x.list(i)[t])] == std::int32_t(i);
        if (tied_y) strict_tied += has(y.bits(slot), x.list(i)[t]);
    }
    if (tied_x && tied_y)
        for (std::int64_t w = 0; w < x.words(); ++w)
            tied_tied += __builtin_popcountll(x.bits(slot)[w] & y.bits(slot)[w]);
    return double(both) + double(strict_tied) * y.share(i) + double(tied_strict) * x.share(i) +
           double(tied_tied) * x.share(i) * y.share(i);
}

}  // namespace

Overlap fractional_overlap(const Rows& x, Neighbors a, const Rows& y, Neighbors b, Similarity similarity, int threads,
                           Monitor* monitor) {
    require_same_rows(a.n, b.n);
    threads = resolve_threads(threads);
    const std::int64_t n = a.n;
    Side left(x, std::move(a), similarity, threads, monitor), right(y, std::move(b), similarity, threads, monitor);
    Overlap out;
    out.item.resize(std::size_t(n));
    std::vector<std::int32_t> seen(std::size_t(n), -1), tied;
    for (std::int64_t i = 0; i < n; ++i) {
        if (left.tied(i) || right.tied(i))
            tied.push_back(std::int32_t(i));
        else
            out.item[std::size_t(i)] = row_overlap(left, right, i, 0, seen);
    }
    std::vector<Known> known(std::size_t(n), kLater);
    const auto size = std::size_t(std::max<std::int64_t>(1, kBitmapBytes / (left.words() * 8)));
    for (std::size_t begin = 0; begin < tied.size(); begin += size) {
        const std::vector<std::int32_t> chunk(tied.begin() + std::ptrdiff_t(begin),
                                              tied.begin() + std::ptrdiff_t(std::min(tied.size(), begin + size)));
        left.search(chunk);
        right.search(chunk);
        for (const std::int32_t i : chunk) known[std::size_t(i)] = kNow;
        left.add_tied(chunk, known);
        right.add_tied(chunk, known);
        for (std::size_t slot = 0; slot < chunk.size(); ++slot)
            out.item[std::size_t(chunk[slot])] = row_overlap(left, right, chunk[slot], std::int64_t(slot), seen);
        for (const std::int32_t i : chunk) known[std::size_t(i)] = kBefore;
    }
    out.x = left.finish();
    out.y = right.finish();
    return out;
}

}  // namespace kernalign
