// What two neighbour graphs share when the items of one change places (permuted.hpp).
#include <algorithm>
#include <string>

#include "cpu/runtime/parallel.hpp"
#include "error.hpp"
#include "permuted.hpp"

namespace kernalign {
namespace {

struct Scratch {
    std::vector<std::int32_t> inverse;
    std::vector<double> weight;  // of the edges of one item; 0 elsewhere
};

}  // namespace

void check_orders(const Orders& orders) {
    std::vector<std::int64_t> seen(std::size_t(orders.n), -1);
    for (std::int64_t b = 0; b < orders.count; ++b)
        for (std::int64_t i = 0; i < orders.n; ++i) {
            const std::int32_t j = orders.row(b)[i];
            require(j >= 0 && j < orders.n && seen[std::size_t(j)] != b,
                    "every order must hold 0 to n - 1 = " + std::to_string(orders.n - 1) + ", each once, got " +
                        std::to_string(j) + " at " + std::to_string(i));
            seen[std::size_t(j)] = b;
        }
}

std::vector<double> permuted_overlaps(const Graph& a, const Graph& b, const Orders& orders, int threads,
                                      Monitor* monitor) {
    const std::int64_t n = orders.n;
    threads = resolve_threads(threads);
    std::vector<Scratch> scratches(
        std::size_t(std::min<std::int64_t>(threads, std::max<std::int64_t>(1, orders.count))));
    std::vector<double> shared(std::size_t(orders.count * n));
    Progress progress(monitor, 0);  // the caller knows how many orders there are in all
    parallel_for(orders.count, threads, progress, [&](std::int64_t task, int worker) {
        Scratch& s = scratches[std::size_t(worker)];
        s.inverse.resize(std::size_t(n));
        s.weight.resize(std::size_t(n));
        const std::int32_t* order = orders.row(task);
        for (std::int64_t i = 0; i < n; ++i) s.inverse[std::size_t(order[i])] = std::int32_t(i);
        for (std::int64_t i = 0; i < n; ++i) {
            for (std::int64_t e = a.begin[i]; e < a.begin[i + 1]; ++e)
                s.weight[std::size_t(a.index[e])] = a.weight ? a.weight[e] : 1.0;
            double sum = 0;
            for (std::int64_t e = b.begin[order[i]]; e < b.begin[order[i] + 1]; ++e) {
                const double other = s.weight[std::size_t(s.inverse[std::size_t(b.index[e])])];
                sum += b.weight ? other * b.weight[e] : other;
            }
            for (std::int64_t e = a.begin[i]; e < a.begin[i + 1]; ++e) s.weight[std::size_t(a.index[e])] = 0;
            shared[std::size_t(task * n + i)] = sum;
        }
    });
    return shared;
}

}  // namespace kernalign
