// For every row a bounded queue of its best candidates by (upper bound descending, index ascending).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace kernalign {

struct Candidate {
    float bound;
    std::int32_t index;
};

inline bool better(const Candidate& a, const Candidate& b) {
    return a.bound != b.bound ? a.bound > b.bound : a.index < b.index;
}

// Not synchronised: two threads must not touch the same row.
class Candidates {
  public:
    // Keeps the `keep` best of each row; the buffer is longer so that sorting out is rare.
    Candidates(std::int64_t rows, std::int64_t keep)
        : keep_(keep),
          capacity_(keep + std::min<std::int64_t>({2 * keep, keep / 2 + 96, std::max<std::int64_t>(1, rows - 1 - keep)})),
          entries_(std::size_t(rows * capacity_)),
          sizes_(std::size_t(rows), 0),
          cuts_(std::size_t(rows + 16), std::numeric_limits<float>::lowest()),
          cut_index_(std::size_t(rows), std::numeric_limits<std::int32_t>::max()) {}

    std::int64_t keep() const { return keep_; }

    // A candidate below its row's cut cannot be among the best. Readable 16 beyond the last row.
    const float* cuts() const { return cuts_.data(); }
    float cut(std::int64_t row) const { return cuts_[std::size_t(row)]; }

    void offer(std::int64_t row, Candidate candidate) {
        const auto at = std::size_t(row);
        if (candidate.bound < cuts_[at] || (candidate.bound == cuts_[at] && candidate.index > cut_index_[at])) return;
        Candidate* first = entries_.data() + row * capacity_;
        first[sizes_[at]++] = candidate;
        if (sizes_[at] == capacity_) shrink(row);
    }

    // The row's best in order; at most keep().
    const Candidate* sorted(std::int64_t row, std::int64_t* size) {
        if (sizes_[std::size_t(row)] > keep_) shrink(row);
        Candidate* first = entries_.data() + row * capacity_;
        *size = sizes_[std::size_t(row)];
        std::sort(first, first + *size, better);
        return first;
    }

  private:
    void shrink(std::int64_t row) {
        const auto at = std::size_t(row);
        Candidate* first = entries_.data() + row * capacity_;
        Candidate* last_kept = first + keep_ - 1;
        std::nth_element(first, last_kept, first + sizes_[at], better);
        sizes_[at] = std::int32_t(keep_);
        cuts_[at] = last_kept->bound;
        cut_index_[at] = last_kept->index;
    }

    std::int64_t keep_, capacity_;
    std::vector<Candidate> entries_;
    std::vector<std::int32_t> sizes_;
    std::vector<float> cuts_;
    std::vector<std::int32_t> cut_index_;
};

}  // namespace kernalign
