// For every row a bounded queue of its best candidates by (upper bound descending, index ascending).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "cpu/simd/simd.hpp"

namespace kernalign {

// A candidate is one number: larger is better, so sorting needs no comparison of pairs.
struct Candidate {
    std::uint64_t key;

    Candidate() = default;
    explicit Candidate(std::uint64_t of) : key(of) {}
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
};

// Not synchronised: two threads must not touch the same row.
class Candidates {
  public:
    // Keeps the `keep` best of each row; the buffer is longer, up to `most`, so that sorting out is rare.
    Candidates(std::int64_t rows, std::int64_t keep, std::int64_t most = std::numeric_limits<std::int64_t>::max())
        : keep_(keep),
          capacity_(std::min(
              std::max(most, keep + 1),
              keep + std::min<std::int64_t>({2 * keep, keep / 2 + 96, std::max<std::int64_t>(1, rows - 1 - keep)}))),
          keys_(new std::uint64_t[std::size_t(rows * capacity_)]),
          sizes_(std::size_t(rows), 0),
          cuts_(std::size_t(rows + 16), std::numeric_limits<float>::lowest()),
          below_(std::size_t(rows), 0) {}

    // A candidate below its row's cut cannot be among the best. Readable 16 beyond the last row.
    const float* cuts() const { return cuts_.data(); }
    float cut(std::int64_t row) const { return cuts_[std::size_t(row)]; }

    bool untouched(std::int64_t row) const {
        return sizes_[std::size_t(row)] == 0 && cut(row) == std::numeric_limits<float>::lowest();
    }

    // Wants nothing below the cut, which k bounds of the row reach, from now on.
    void raise(std::int64_t row, float cut) {
        cuts_[std::size_t(row)] = cut;
        below_[std::size_t(row)] = Candidate(cut, 0xffffffff).key - 1;
    }

    void offer(std::int64_t row, Candidate candidate) {
        const auto at = std::size_t(row);
        if (candidate.key <= below_[at]) return;
        std::uint64_t* first = keys_.get() + row * capacity_;
        first[sizes_[at]++] = candidate.key;
        if (sizes_[at] < capacity_) return;
        std::uint64_t cut = 0;
        sizes_[at] = std::int32_t(simd().neighbors.shrink(first, sizes_[at], keep_, &cut));
        below_[at] = cut - 1;
        cuts_[at] = Candidate(cut).bound();
    }

    std::int64_t size(std::int64_t row) const { return sizes_[std::size_t(row)]; }
    const std::uint64_t* keys(std::int64_t row) const { return keys_.get() + row * capacity_; }

    // All that the queue still has of a row, in no order; every other row's bound is at most *others (-infinity when
    // there are none, or all other rows are among them).
    std::uint64_t* all(std::int64_t row, std::int64_t* size, float* others) {
        *size = sizes_[std::size_t(row)];
        const float cut = cuts_[std::size_t(row)];
        const bool dropped = cut > std::numeric_limits<float>::lowest();
        *others = dropped ? cut : -std::numeric_limits<float>::infinity();
        return keys_.get() + row * capacity_;
    }

    // The row's best, in order, at most keep(); *others as of all().
    const std::uint64_t* sorted(std::int64_t row, std::int64_t* size, float* others) {
        std::uint64_t* first = all(row, size, others);
        if (*size > keep_) {
            std::nth_element(first, first + keep_ - 1, first + *size, std::greater<>());
            *size = keep_;
            *others = Candidate(first[keep_ - 1]).bound();
        }
        std::sort(first, first + *size, std::greater<>());
        return first;
    }

  private:
    std::int64_t keep_, capacity_;
    std::unique_ptr<std::uint64_t[]> keys_;  // not initialised
    std::vector<std::int32_t> sizes_;
    std::vector<float> cuts_;
    std::vector<std::uint64_t> below_;  // keys up to this are not wanted
};

}  // namespace kernalign
