// Neighbour lists and graphs whose items change places (permuted.hpp).
#include <algorithm>
#include <stdexcept>
#include <string>

#include "cpu/runtime/parallel.hpp"
#include "permuted.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kItems = 64;  // of one task

struct Scratch {
    std::vector<std::int32_t> owner;  // the last item that was seen to point here
    std::vector<double> weight;       // with which it did
};

// What item i shares under every order; weights of 1 are not read.
template <bool weighted>
void share(const Graph a, const Graph b, const Orders& orders, const std::int32_t* inverse, std::int64_t i, Scratch& s,
           double* shared) {
    const auto self = std::int32_t(i);
    std::int32_t* const owner = s.owner.data();
    double* const weight = s.weight.data();
    for (std::int64_t e = a.begin[i], end = a.begin[i + 1]; e < end; ++e) {
        owner[a.index[e]] = self;
        if (weighted) weight[a.index[e]] = a.weight ? a.weight[e] : 1.0;
    }
    for (std::int64_t o = 0; o < orders.count; ++o, inverse += orders.n) {
        const std::int32_t row = orders.row(o)[i];
        double sum = 0;
        std::int64_t count = 0;
        for (std::int64_t e = b.begin[row], end = b.begin[row + 1]; e < end; ++e) {
            const std::int32_t j = inverse[b.index[e]];
            if (!weighted)
                count += owner[j] == self;
            else if (owner[j] == self)
                sum += weight[j] * (b.weight ? b.weight[e] : 1.0);
        }
        shared[o * orders.n + i] = weighted ? sum : double(count);
    }
}

}  // namespace

void check_orders(const Orders& orders) {
    std::vector<std::int64_t> seen(std::size_t(orders.n), -1);
    for (std::int64_t b = 0; b < orders.count; ++b)
        for (std::int64_t i = 0; i < orders.n; ++i) {
            const std::int32_t j = orders.row(b)[i];
            if (j < 0 || j >= orders.n || seen[std::size_t(j)] == b)
                throw std::invalid_argument("every order must hold 0 to n - 1 = " + std::to_string(orders.n - 1) +
                                            ", each once, got " + std::to_string(j) + " at " + std::to_string(i));
            seen[std::size_t(j)] = b;
        }
}

std::vector<std::int32_t> renamed_lists(const Lists& lists, const Orders& order) {
    const std::int32_t* const moved = order.row(0);
    std::vector<std::int32_t> place(std::size_t(lists.n)), renamed(std::size_t(lists.n * lists.k));
    for (std::int64_t i = 0; i < lists.n; ++i) place[std::size_t(moved[i])] = std::int32_t(i);
    for (std::int64_t i = 0; i < lists.n; ++i)
        for (std::int64_t t = 0; t < lists.k; ++t)
            renamed[std::size_t(i * lists.k + t)] = place[std::size_t(lists.row(moved[i])[t])];
    return renamed;
}

std::vector<double> permuted_overlaps(const Graph& a, const Graph& b, const Orders& orders, int threads,
                                      Monitor* monitor) {
    const std::int64_t n = orders.n, tasks = (n + kItems - 1) / kItems;
    const bool weighted = a.weight || b.weight;
    threads = int(std::min<std::int64_t>(resolve_threads(threads), tasks));
    std::vector<std::int32_t> inverse(static_cast<std::size_t>(orders.count * n));
    for (std::int64_t o = 0; o < orders.count; ++o)
        for (std::int64_t i = 0; i < n; ++i) inverse[std::size_t(o * n + orders.row(o)[i])] = std::int32_t(i);
    std::vector<Scratch> scratches(std::size_t(std::max(1, threads)));
    std::vector<double> shared(std::size_t(orders.count * n));
    Progress progress(monitor, 0);  // the caller knows how many orders there are in all
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int worker) {
        Scratch& s = scratches[std::size_t(worker)];
        s.owner.resize(std::size_t(n), -1);
        if (weighted) s.weight.resize(std::size_t(n));
        for (std::int64_t i = task * kItems; i < std::min(n, (task + 1) * kItems); ++i)
            (weighted ? share<true> : share<false>)(a, b, orders, inverse.data(), i, s, shared.data());
    });
    return shared;
}

}  // namespace kernalign
