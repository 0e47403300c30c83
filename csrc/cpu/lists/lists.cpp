// What two sets of neighbour lists share, item by item (lists.hpp).
#include "lists.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "cpu/runtime/parallel.hpp"
#include "error.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kEntries = 1 << 16;  // of one task
constexpr std::int64_t kPolled = 1024;      // lists between two polls

// Positions (from 1) of the current list's indices; 0 for the others. Cleared by writing a new list.
class Positions {
  public:
    explicit Positions(std::int64_t n) : at_(std::size_t(n), 0) {}
    void set(const std::int32_t* list, std::int64_t k) {
        for (std::int64_t t = 0; t < size_; ++t) at_[std::size_t(list_[t])] = 0;
        for (std::int64_t t = 0; t < k; ++t) at_[std::size_t(list[t])] = std::int32_t(t) + 1;
        list_ = list;
        size_ = k;
    }
    std::int32_t operator[](std::int32_t index) const { return at_[std::size_t(index)]; }

  private:
    std::vector<std::int32_t> at_;
    const std::int32_t* list_ = nullptr;
    std::int64_t size_ = 0;
};

// Threads worth starting; as many tables of n positions take no more memory than the lists.
int workers_for(const Lists& lists, int threads) {
    const std::int64_t tasks = lists.n * lists.k / kEntries + 1;
    return int(std::min({std::int64_t(resolve_threads(threads)), tasks, std::max<std::int64_t>(1, lists.k)}));
}

// value(i, worker) of every list, in blocks of about kEntries entries.
template <class T, class Value>
std::vector<T> per_list(const Lists& a, const Lists& b, int threads, Monitor* monitor, Value&& value) {
    require_same_shape(a, b);
    std::vector<T> values(static_cast<std::size_t>(a.n));
    const std::int64_t block = std::max<std::int64_t>(1, kEntries / std::max<std::int64_t>(1, a.k));
    const std::int64_t tasks = (a.n + block - 1) / block;
    Progress progress(monitor, tasks);
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int worker) {
        for (std::int64_t i = task * block; i < std::min(a.n, (task + 1) * block); ++i)
            values[std::size_t(i)] = value(i, std::size_t(worker));
    });
    return values;
}

// Levenshtein distance of the pattern 1..k (bits of `where`, one block per 64 positions) and a text. `matches` names,
// for every symbol of the text, its position in the pattern, or 0.
class EditDistance {
  public:
    explicit EditDistance(std::int64_t k)
        : k_(k), blocks_((k + 63) / 64), plus_(std::size_t(blocks_)), minus_(std::size_t(blocks_)) {}

    template <class Text>
    std::int32_t operator()(Text position_at) {
        std::fill(plus_.begin(), plus_.end(), ~std::uint64_t(0));
        std::fill(minus_.begin(), minus_.end(), 0);
        const std::uint64_t last = std::uint64_t(1) << ((k_ - 1) % 64);
        std::int32_t distance = std::int32_t(k_);
        for (std::int64_t t = 0; t < k_; ++t) {
            const std::int64_t position = std::int64_t(position_at(t)) - 1;
            int carry = 1;  // the top row grows by one per symbol
            for (std::int64_t b = 0; b < blocks_; ++b) {
                const std::uint64_t match =
                    position >= 0 && position / 64 == b ? std::uint64_t(1) << (position % 64) : 0;
                carry = step(std::size_t(b), match, carry, b + 1 == blocks_ ? last : std::uint64_t(1) << 63);
            }
            distance += carry;
        }
        return distance;
    }

  private:
    // One column of one block: horizontal difference in and out (-1, 0, 1).
    int step(std::size_t b, std::uint64_t match, int in, std::uint64_t top) {
        const std::uint64_t plus = plus_[b], minus = minus_[b];
        const std::uint64_t vertical = match | minus;
        match |= std::uint64_t(in < 0);
        const std::uint64_t horizontal = (((match & plus) + plus) ^ plus) | match;
        std::uint64_t up = minus | ~(horizontal | plus), down = plus & horizontal;
        const int out = int((up & top) != 0) - int((down & top) != 0);
        up = up << 1 | std::uint64_t(in > 0);
        down = down << 1 | std::uint64_t(in < 0);
        plus_[b] = down | ~(vertical | up);
        minus_[b] = up & vertical;
        return out;
    }

    std::int64_t k_, blocks_;
    std::vector<std::uint64_t> plus_, minus_;  // vertical differences
};

}  // namespace

void check_lists(const Lists& lists, const char* name, Monitor* monitor) {
    Progress progress(monitor, 0);
    std::vector<std::int64_t> seen(std::size_t(lists.n), -1);
    const auto refuse = [&](const std::string& what, std::int64_t i, std::int32_t j) {
        throw std::invalid_argument(std::string(name) + " must hold " + what + ", got " + std::to_string(j) +
                                    " in row " + std::to_string(i));
    };
    for (std::int64_t i = 0; i < lists.n; ++i) {
        if (i % kPolled == 0) progress.poll();
        for (std::int64_t t = 0; t < lists.k; ++t) {
            const std::int32_t j = lists.row(i)[t];
            if (j < 0 || j >= lists.n) refuse("indices from 0 to n - 1 = " + std::to_string(lists.n - 1), i, j);
            if (j == i || seen[std::size_t(j)] == i) refuse("other rows, each once", i, j);
            seen[std::size_t(j)] = i;
        }
    }
}

void require_same_shape(const Lists& a, const Lists& b) {
    require_same_rows(a.n, b.n);
    require(a.k == b.k, "neighbour lists of x and y must have the same length, got " + std::to_string(a.k) + " and " +
                            std::to_string(b.k));
}

std::vector<std::int32_t> shared_counts(const Lists& a, const Lists& b, int threads, Monitor* monitor) {
    threads = workers_for(a, threads);
    std::vector<Positions> positions(std::size_t(threads), Positions(a.n));
    return per_list<std::int32_t>(a, b, threads, monitor, [&](std::int64_t i, std::size_t worker) {
        positions[worker].set(a.row(i), a.k);
        std::int32_t count = 0;
        for (std::int64_t t = 0; t < b.k; ++t) count += positions[worker][b.row(i)[t]] != 0;
        return count;
    });
}

std::vector<std::int32_t> common_subsequences(const Lists& a, const Lists& b, int threads, Monitor* monitor) {
    threads = workers_for(a, threads);
    std::vector<Positions> positions(std::size_t(threads), Positions(a.n));
    // tails[l]: the least position that ends an increasing subsequence of length l + 1
    std::vector<std::vector<std::int32_t>> scratches(static_cast<std::size_t>(threads));
    return per_list<std::int32_t>(a, b, threads, monitor, [&](std::int64_t i, std::size_t worker) {
        std::vector<std::int32_t>& tails = scratches[worker];
        positions[worker].set(b.row(i), b.k);
        tails.clear();
        for (std::int64_t t = 0; t < a.k; ++t) {
            const std::int32_t position = positions[worker][a.row(i)[t]];
            if (position == 0) continue;
            const auto at = std::lower_bound(tails.begin(), tails.end(), position);
            if (at == tails.end())
                tails.push_back(position);
            else
                *at = position;
        }
        return std::int32_t(tails.size());
    });
}

std::vector<double> rank_similarities(const Lists& a, const Lists& b, int threads, Monitor* monitor) {
    threads = workers_for(a, threads);
    std::vector<Positions> positions(std::size_t(threads), Positions(a.n));
    return per_list<double>(a, b, threads, monitor, [&](std::int64_t i, std::size_t worker) {
        positions[worker].set(b.row(i), b.k);
        double sum = 0, harmonic = 0;
        std::int64_t shared = 0;
        for (std::int64_t t = 0; t < a.k; ++t) {
            const std::int64_t other = positions[worker][a.row(i)[t]], own = t + 1;
            if (other == 0) continue;
            sum += 2.0 / (double(1 + std::abs(own - other)) * double(own + other));
            harmonic += 1.0 / double(++shared);
        }
        return shared == 0 ? 0.0 : sum / harmonic;
    });
}

std::vector<std::int32_t> edit_distances(const Lists& a, const Lists& b, int threads, Monitor* monitor) {
    threads = workers_for(a, threads);
    std::vector<Positions> positions(std::size_t(threads), Positions(a.n));
    std::vector<EditDistance> distances(std::size_t(threads), EditDistance(a.k));
    return per_list<std::int32_t>(a, b, threads, monitor, [&](std::int64_t i, std::size_t worker) {
        const Positions& position = positions[worker];
        positions[worker].set(a.row(i), a.k);
        const std::int32_t* text = b.row(i);
        return distances[worker]([&](std::int64_t t) { return position[text[t]]; });
    });
}

std::vector<std::uint8_t> cycles(const Lists& a, const Lists& b, int threads, Monitor* monitor) {
    std::vector<std::int32_t> sorted(a.index, a.index + a.n * a.k);
    threads = workers_for(a, threads);
    per_list<std::uint8_t>(a, b, threads, monitor, [&](std::int64_t i, std::size_t) {
        std::sort(sorted.begin() + i * a.k, sorted.begin() + (i + 1) * a.k);
        return std::uint8_t(0);
    });
    return per_list<std::uint8_t>(a, b, threads, monitor, [&](std::int64_t i, std::size_t) {
        bool closed = false;
        for (std::int64_t t = 0; t < b.k && !closed; ++t) {
            const auto begin = sorted.begin() + b.row(i)[t] * a.k;
            closed = std::binary_search(begin, begin + a.k, std::int32_t(i));
        }
        return std::uint8_t(closed);
    });
}

std::vector<std::int32_t> in_degrees(const Lists& lists) {
    std::vector<std::int32_t> degrees(std::size_t(lists.n), 0);
    for (std::int64_t e = 0; e < lists.n * lists.k; ++e) ++degrees[std::size_t(lists.index[e])];
    return degrees;
}

GraphSums graph_sums(const Lists& lists, Monitor* monitor) {
    Progress progress(monitor, 0);
    GraphSums sums;
    sums.square = double(lists.n) * double(lists.k);
    const std::vector<std::int32_t> degrees = in_degrees(lists);
    for (const std::int32_t degree : degrees) sums.degree_square += double(degree) * double(degree);
    // Edges j -> i grouped by i: i's list and the list of those who name i share the reciprocated ones.
    std::vector<std::int64_t> begin(std::size_t(lists.n) + 1, 0);
    for (std::size_t i = 0; i < degrees.size(); ++i) begin[i + 1] = begin[i] + degrees[i];
    std::vector<std::int32_t> sources(std::size_t(lists.n * lists.k));
    std::vector<std::int64_t> next(begin.begin(), begin.end() - 1);
    for (std::int64_t i = 0; i < lists.n; ++i) {
        if (i % kPolled == 0) progress.poll();
        for (std::int64_t t = 0; t < lists.k; ++t)
            sources[std::size_t(next[std::size_t(lists.row(i)[t])]++)] = std::int32_t(i);
    }
    std::int64_t reciprocal = 0;
    Positions positions(lists.n);
    for (std::int64_t i = 0; i < lists.n; ++i) {
        if (i % kPolled == 0) progress.poll();
        positions.set(lists.row(i), lists.k);
        for (std::int64_t e = begin[std::size_t(i)]; e < begin[std::size_t(i) + 1]; ++e)
            reciprocal += positions[sources[std::size_t(e)]] != 0;
    }
    sums.reciprocal = double(reciprocal);
    return sums;
}

std::vector<double> overlap_curve(const Lists& a, const Lists& b, const std::vector<std::int64_t>& ks) {
    require_same_shape(a, b);
    // An index at places s and t (from 1) is shared by every prefix of length max(s, t) or more.
    std::vector<std::int64_t> first_shared(std::size_t(a.k) + 1, 0);
    Positions positions(a.n);
    for (std::int64_t i = 0; i < a.n; ++i) {
        positions.set(a.row(i), a.k);
        for (std::int64_t t = 0; t < b.k; ++t) {
            const std::int32_t position = positions[b.row(i)[t]];
            if (position != 0) ++first_shared[std::size_t(std::max<std::int64_t>(position, t + 1))];
        }
    }
    std::vector<double> curve;
    std::int64_t shared = 0, length = 0;
    for (const std::int64_t k : ks) {
        require(length < k && k <= a.k,
                "ks must ascend and lie between 1 and " + std::to_string(a.k) + ", got " + std::to_string(k));
        while (length < k) shared += first_shared[std::size_t(++length)];
        curve.push_back(double(shared) / double(k));
    }
    return curve;
}

}  // namespace kernalign
