// Entries of two triangles that are ordered alike, under orders of the items (permuted.hpp).
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "cpu/runtime/parallel.hpp"
#include "permuted.hpp"

namespace kernalign {
namespace {

using Codes = std::vector<std::uint32_t>;  // twice the mid-ranks, which are whole numbers

constexpr std::size_t kInserted = 16;  // sorted by insertion

Codes codes_of(const double* ranks, std::int64_t size) {
    Codes codes(static_cast<std::size_t>(size));
    for (std::int64_t p = 0; p < size; ++p) {
        const double twice = 2 * ranks[p];
        if (!(twice >= 2 && twice <= 2 * double(size) && twice == std::floor(twice)))
            throw std::invalid_argument("mid-ranks must be multiples of 1/2 from 1 to " + std::to_string(size) +
                                        ", got " + std::to_string(ranks[p]));
        codes[std::size_t(p)] = std::uint32_t(twice);
    }
    return codes;
}

std::int64_t pairs_of(std::int64_t count) { return count * (count - 1) / 2; }

// A triangle by its order: where each entry stands in it, and where entries are tied.
struct Ordered {
    explicit Ordered(const Codes& codes) : place(codes.size()) {
        std::vector<std::uint32_t> next(2 * codes.size() + 2);
        for (const std::uint32_t code : codes) ++next[code + 1];
        std::uint32_t begin = 0;
        for (std::size_t code = 0; code + 1 < next.size(); ++code) {
            const std::uint32_t count = next[code + 1];
            if (count > 1) runs.push_back({begin, begin + count});
            tied += pairs_of(count);
            next[code] = begin;
            begin += count;
        }
        for (std::size_t p = 0; p < codes.size(); ++p) place[p] = next[codes[p]]++;
    }

    struct Run {
        std::uint32_t begin, end;
    };
    Codes place;
    std::vector<Run> runs;
    std::int64_t tied = 0;  // pairs of entries
};

// Sorts, and returns how many pairs were in the wrong order; ``heard`` is called once for each pass.
template <class F>
std::int64_t sort_counting(Codes& values, Codes& other, F&& heard) {
    const std::size_t size = values.size();
    std::int64_t wrong = 0;
    for (std::size_t begin = 0; begin < size; begin += kInserted)
        for (std::size_t at = begin + 1, end = std::min(size, begin + kInserted); at < end; ++at) {
            const std::uint32_t value = values[at];
            std::size_t to = at;
            for (; to > begin && values[to - 1] > value; --to) values[to] = values[to - 1];
            values[to] = value;
            wrong += std::int64_t(at - to);
        }
    for (std::size_t width = kInserted; width < size; width *= 2) {
        heard();
        for (std::size_t begin = 0; begin < size; begin += 2 * width) {
            const std::uint32_t *left = values.data() + begin,
                                *const middle = values.data() + std::min(size, begin + width),
                                *right = middle, *const end = values.data() + std::min(size, begin + 2 * width);
            std::uint32_t* out = other.data() + begin;
            while (left != middle && right != end) {
                const bool later = *right < *left;
                *out++ = later ? *right : *left;
                wrong += later ? middle - left : 0;
                right += later;
                left += !later;
            }
            std::copy(right, end, std::copy(left, middle, out));
        }
        values.swap(other);
    }
    return wrong;
}

}  // namespace

std::vector<double> permuted_concordance(const Triangles& a, const Triangles& b, const Orders& orders, int threads,
                                         Monitor* monitor) {
    const std::int64_t n = orders.n, size = a.size();
    if (size >= std::int64_t(1) << 31) throw std::invalid_argument("items must be at most 65536 to be ranked by pairs");
    const Codes second = codes_of(b.values, size);
    const Ordered first(codes_of(a.values, size));
    const std::int64_t decided = pairs_of(size) - first.tied - Ordered(second).tied;
    threads = int(std::max<std::int64_t>(1, std::min<std::int64_t>(resolve_threads(threads), orders.count)));
    std::vector<Codes> values(static_cast<std::size_t>(threads)), others(static_cast<std::size_t>(threads));
    std::vector<double> found(static_cast<std::size_t>(orders.count));
    Progress progress(monitor, 0);  // the caller knows how many orders there are in all
    parallel_for(orders.count, threads, progress, [&](std::int64_t task, int worker) {
        Codes &own = values[std::size_t(worker)], &other = others[std::size_t(worker)];
        own.resize(std::size_t(size));
        other.resize(std::size_t(size));
        const std::int32_t* const order = orders.row(task);
        const std::uint32_t* place = first.place.data();
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t j = i + 1; j < n; ++j) {
                const std::int64_t low = std::min(order[i], order[j]), high = std::max(order[i], order[j]);
                own[*place++] = second[std::size_t(b.row(low) + high)];
            }
        std::int64_t both = 0;  // tied in a and in b
        for (const auto& run : first.runs) {
            const auto begin = own.begin() + run.begin, end = own.begin() + run.end;
            std::sort(begin, end);
            for (auto at = begin; at != end;) {
                const auto next = std::upper_bound(at, end, *at);
                both += pairs_of(next - at);
                at = next;
            }
        }
        const std::int64_t discordant = sort_counting(own, other, [&] {
            if (worker == 0) progress.poll();
        });
        found[std::size_t(task)] = double(decided + both - 2 * discordant);
    });
    return found;
}

}  // namespace kernalign
