// For every row a bounded queue of its best candidates by (upper bound descending, index ascending).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

namespace kernalign {

// A candidate is one number: larger is better, so sorting needs no comparison of pairs.
struct Candidate {
    std::uint64_t key;

    Candidate() = default;
    Candidate(float bound, std::int64_t index) {
        std::uint32_t bits;
        std::memcpy(&bits, &bound, sizeof bits);
        bits ^= bits >> 31 ? 0xffffffffu : 0x80000000u;  // now the bits order like the numbers
        key = std::uint64_t(bits) << 32 | (0xffffffffu - std::uint32_t(index));
    }
    std::int32_t index() const { return std::int32_t(0xffffffffu - std::uint32_t(key)); }
    float bound() const {
        auto bits = std::uint32_t(key >> 32);
        bits ^= bits >> 31 ? 0x80000000u : 0xffffffffu;
        float value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
    }
    friend bool operator<(const Candidate& a, const Candidate& b) { return a.key > b.key; }  // the better one first
};

// Not synchronised: two threads must not touch the same row.
class Candidates {
  public:
    // Keeps the `keep` best of each row; the buffer is longer so that sorting out is rare.
    Candidates(std::int64_t rows, std::int64_t keep)
        : keep_(keep),
          capacity_(keep +
                    std::min<std::int64_t>({2 * keep, keep / 2 + 96, std::max<std::int64_t>(1, rows - 1 - keep)})),
          entries_(new Candidate[std::size_t(rows * capacity_)]),
          sizes_(std::size_t(rows), 0),
          cuts_(std::size_t(rows + 16), std::numeric_limits<float>::lowest()),
          cut_keys_(std::size_t(rows), 0) {}

    std::int64_t keep() const { return keep_; }

    // A candidate below its row's cut cannot be among the best. Readable 16 beyond the last row.
    const float* cuts() const { return cuts_.data(); }
    float cut(std::int64_t row) const { return cuts_[std::size_t(row)]; }

    void offer(std::int64_t row, Candidate candidate) {
        const auto at = std::size_t(row);
        if (candidate.key <= cut_keys_[at]) return;
        Candidate* first = entries_.get() + row * capacity_;
        first[sizes_[at]++] = candidate;
        if (sizes_[at] == capacity_) shrink(row);
    }

    // The row's best in order; at most keep().
    const Candidate* sorted(std::int64_t row, std::int64_t* size) {
        if (sizes_[std::size_t(row)] > keep_) shrink(row);
        Candidate* first = entries_.get() + row * capacity_;
        *size = sizes_[std::size_t(row)];
        std::sort(first, first + *size);
        return first;
    }

  private:
    void shrink(std::int64_t row) {
        const auto at = std::size_t(row);
        Candidate* first = entries_.get() + row * capacity_;
        Candidate* last_kept = first + keep_ - 1;
        std::nth_element(first, last_kept, first + sizes_[at]);
        sizes_[at] = std::int32_t(keep_);
        cuts_[at] = last_kept->bound();
        cut_keys_[at] = last_kept->key;
    }

    std::int64_t keep_, capacity_;
    std::unique_ptr<Candidate[]> entries_;  // not initialised
    std::vector<std::int32_t> sizes_;
    std::vector<float> cuts_;
    std::vector<std::uint64_t> cut_keys_;
};

}  // namespace kernalign
