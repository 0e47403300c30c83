// Shared neighbours of subsets of the items, from lists that are long enough to hold them (lists.hpp).
#include <algorithm>
#include <string>

#include "cpu/runtime/parallel.hpp"
#include "error.hpp"
#include "lists.hpp"

namespace kernalign {
namespace {

using Word = std::uint64_t;  // one bit for each of 64 subsets

constexpr std::int64_t kBits = 64;
constexpr std::int64_t kItems = 64;  // of one task

std::int64_t bits_of(std::int64_t value) {
    std::int64_t bits = 0;
    while (value >> bits) ++bits;
    return bits;
}

// 64 counters, one for each bit: plane p holds bit p of all of them. Returns those that overflow.
Word add(std::vector<Word>& planes, Word one) {
    for (Word& plane : planes) {
        if (!one) break;
        const Word carry = plane & one;
        plane ^= one;
        one = carry;
    }
    return one;
}

struct Scratch {
    std::vector<Word> planes, among_x, among_y;
    std::vector<std::int32_t> place;    // of the current list's indices in y, from 1; 0 for the others
    std::vector<std::int64_t> numbers;  // subsets x (k + 1)
};

// Which of the subsets have each entry among their k first; returns those that have k. The counters start where the
// k-th one overflows.
Word first_members(const std::int32_t* list, std::int64_t length, std::int64_t k, const Word* members,
                   std::int64_t words, std::vector<Word>& planes, Word* among) {
    planes.resize(std::size_t(bits_of(k - 1)));
    const std::int64_t start = (std::int64_t(1) << planes.size()) - k;
    for (std::size_t p = 0; p < planes.size(); ++p) planes[p] = start >> p & 1 ? ~Word(0) : 0;
    Word full = 0;
    for (std::int64_t t = 0; t < length; ++t) {
        among[t] = members[list[t] * words] & ~full;
        full |= add(planes, among[t]);
    }
    return full;
}

}  // namespace

std::vector<std::int64_t> subset_overlaps(const Lists& a, const Lists& b, std::int64_t k, const std::uint8_t* subsets,
                                          std::int64_t count, int threads, Monitor* monitor) {
    require_same_shape(a, b);
    require(k >= 1 && k <= a.k, "k must be between 1 and " + std::to_string(a.k) + ", got " + std::to_string(k));
    const std::int64_t n = a.n, length = a.k, words = (count + kBits - 1) / kBits;
    std::vector<Word> members(std::size_t(n * words), 0);
    for (std::int64_t h = 0; h < count; ++h)
        for (std::int64_t i = 0; i < n; ++i)
            members[std::size_t(i * words + h / kBits)] |= Word(subsets[h * n + i] != 0) << (h % kBits);
    threads = resolve_threads(threads);
    std::vector<Scratch> scratches(static_cast<std::size_t>(threads));
    const std::int64_t tasks = (n + kItems - 1) / kItems;
    Progress progress(monitor, tasks);
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int worker) {
        Scratch& s = scratches[std::size_t(worker)];
        s.among_x.resize(std::size_t(length));
        s.among_y.resize(std::size_t(length));
        s.place.resize(std::size_t(n));
        s.numbers.resize(std::size_t(count * (k + 1)));
        std::vector<Word> shared(static_cast<std::size_t>(bits_of(k)));
        for (std::int64_t i = task * kItems; i < std::min(n, (task + 1) * kItems); ++i) {
            for (std::int64_t t = 0; t < length; ++t) s.place[std::size_t(b.row(i)[t])] = std::int32_t(t) + 1;
            for (std::int64_t w = 0; w < words; ++w) {
                const Word* bits = members.data() + w;
                Word counted = bits[i * words];
                counted &= first_members(a.row(i), length, k, bits, words, s.planes, s.among_x.data());
                counted &= first_members(b.row(i), length, k, bits, words, s.planes, s.among_y.data());
                std::fill(shared.begin(), shared.end(), 0);
                for (std::int64_t t = 0; t < length; ++t) {
                    const std::int32_t place = s.place[std::size_t(a.row(i)[t])];
                    if (place != 0) add(shared, s.among_x[std::size_t(t)] & s.among_y[std::size_t(place - 1)]);
                }
                for (std::int64_t h = 0; h < kBits && counted >> h; ++h) {
                    if (!(counted >> h & 1)) continue;
                    std::int64_t number = 0;
                    for (std::size_t p = 0; p < shared.size(); ++p) number |= std::int64_t(shared[p] >> h & 1) << p;
                    ++s.numbers[std::size_t((w * kBits + h) * (k + 1) + number)];
                }
            }
            for (std::int64_t t = 0; t < length; ++t) s.place[std::size_t(b.row(i)[t])] = 0;
        }
    });
    std::vector<std::int64_t> numbers(std::size_t(count * (k + 1)), 0);
    for (const Scratch& s : scratches)
        for (std::size_t e = 0; e < s.numbers.size(); ++e) numbers[e] += s.numbers[e];
    return numbers;
}

std::vector<std::int64_t> overlaps_without_one(const Lists& a, const Lists& b, Monitor* monitor) {
    require_same_shape(a, b);
    const std::int64_t k = a.k - 1;
    require(k >= 1, "lists must hold one index more than k, got " + std::to_string(a.k));
    std::vector<std::int64_t> without(std::size_t(a.n), 0);
    std::vector<std::int32_t> place(std::size_t(a.n), 0);
    std::int64_t total = 0;
    Progress progress(monitor, 0);
    for (std::int64_t i = 0; i < a.n; ++i) {
        if (i % kItems == 0) progress.poll();
        const std::int32_t *x = a.row(i), *y = b.row(i);
        for (std::int64_t t = 0; t <= k; ++t) place[std::size_t(y[t])] = std::int32_t(t) + 1;
        const auto near = [&](std::int32_t j) { return place[std::size_t(j)] != 0 && place[std::size_t(j)] <= k; };
        std::int64_t shared = 0;
        for (std::int64_t t = 0; t < k; ++t) shared += near(x[t]);
        const bool enters_x = near(x[k]), enters_y = std::find(x, x + k, y[k]) != x + k, both = x[k] == y[k];
        for (std::int64_t t = 0; t < k; ++t) {
            if (near(x[t])) without[std::size_t(x[t])] += std::int64_t(both) - 1;
            without[std::size_t(x[t])] += enters_x;
            without[std::size_t(y[t])] += enters_y;
        }
        without[std::size_t(i)] -= shared;
        total += shared;
        for (std::int64_t t = 0; t <= k; ++t) place[std::size_t(y[t])] = 0;
    }
    for (std::int64_t& value : without) value += total;
    return without;
}

}  // namespace kernalign
