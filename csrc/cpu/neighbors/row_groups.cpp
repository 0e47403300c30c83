// Finds rows that are equal, so that heavily duplicated data is searched once per distinct row.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "cpu/neighbors/threshold_search.hpp"
#include "cpu/runtime/parallel.hpp"

namespace kernalign {
namespace {

std::uint64_t hash_row(const std::vector<double>& values) {
    std::uint64_t lanes[4] = {1, 2, 3, 4};
    for (std::size_t f = 0; f < values.size(); ++f) {
        const double value = values[f] + 0.0;  // -0 and 0 are the same number
        std::uint64_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        std::uint64_t& lane = lanes[f % 4];
        lane = (lane ^ bits) * 0x9e3779b97f4a7c15u;
        lane ^= lane >> 29;
    }
    return lanes[0] + 3 * lanes[1] + 5 * lanes[2] + 7 * lanes[3];
}

}  // namespace

RowGroups::RowGroups(const ExactRows& rows, int threads, Monitor* monitor) : group(std::size_t(rows.count())) {
    constexpr std::int64_t kBlock = 256;
    const std::int64_t n = rows.count(), tasks = (n + kBlock - 1) / kBlock;
    std::vector<std::uint64_t> hashes(static_cast<std::size_t>(n));
    Progress progress(monitor, tasks);
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int) {
        std::vector<double> values(std::size_t(rows.cols()));
        for (std::int64_t i = task * kBlock; i < std::min(n, (task + 1) * kBlock); ++i) {
            rows.read(i, values.data());
            hashes[std::size_t(i)] = hash_row(values);
        }
    });
    std::vector<std::int32_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        const auto x = hashes[std::size_t(a)], y = hashes[std::size_t(b)];
        return x != y ? x < y : a < b;
    });
    // Equal hashes are only a hint: rows are compared with the distinct rows seen so far under the same hash.
    std::vector<std::vector<double>> distinct;
    std::vector<double> values(std::size_t(rows.cols()));
    std::int32_t first = 0;
    for (std::size_t at = 0; at < order.size(); ++at) {
        const auto row = std::size_t(order[at]);
        const bool alone_before = at == 0 || hashes[std::size_t(order[at - 1])] != hashes[row];
        const bool alone_after = at + 1 == order.size() || hashes[std::size_t(order[at + 1])] != hashes[row];
        if (alone_before) {
            distinct.clear();
            first = count;
        }
        if (alone_before && alone_after) {
            group[row] = count++;
            continue;
        }
        rows.read(order[at], values.data());
        const auto same = std::find(distinct.begin(), distinct.end(), values);
        group[row] = first + std::int32_t(same - distinct.begin());
        if (same == distinct.end()) {
            distinct.push_back(values);
            ++count;
        }
        if (at % 4096 == 0) progress.poll();
    }
}

}  // namespace kernalign
