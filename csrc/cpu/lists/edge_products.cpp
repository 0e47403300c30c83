// Inner products of centred rows along the edges of a neighbour graph (lists.hpp).
#include <algorithm>

#include "cpu/neighbors/exact_rows.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"
#include "error.hpp"
#include "lists.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kBlock = 64;

// The mean row; blocks are summed apart and added in order, whatever the threads.
std::vector<double> mean_row(const ExactRows& rows, int threads, Monitor* monitor) {
    const std::int64_t n = rows.count(), d = rows.cols(), tasks = (n + 1023) / 1024;
    std::vector<std::vector<double>> sums(static_cast<std::size_t>(tasks));
    Progress progress(monitor, tasks);
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int) {
        std::vector<double> row(static_cast<std::size_t>(d)), &sum = sums[std::size_t(task)];
        sum.assign(std::size_t(d), 0.0);
        for (std::int64_t i = task * 1024; i < std::min(n, (task + 1) * 1024); ++i) {
            rows.read(i, row.data());
            for (std::int64_t f = 0; f < d; ++f) sum[std::size_t(f)] += row[std::size_t(f)];
        }
    });
    std::vector<double> mean(std::size_t(d), 0.0);
    for (const auto& sum : sums)
        for (std::int64_t f = 0; f < d; ++f) mean[std::size_t(f)] += sum[std::size_t(f)] / double(n);
    return mean;
}

}  // namespace

EdgeProducts edge_products(const Rows& x, const Lists& lists, int threads, Monitor* monitor) {
    require_same_rows(x.rows(), lists.n);
    threads = resolve_threads(threads);
    const ExactRows rows(x, Similarity::dot, threads, monitor);
    const std::int64_t n = rows.count(), d = rows.cols(), k = lists.k;
    const std::vector<double> mean = mean_row(rows, threads, monitor);
    EdgeProducts out;
    out.edge.resize(std::size_t(n * k));
    out.square.resize(std::size_t(n));
    out.projection.resize(std::size_t(n));
    out.mean_square = simd().dot(mean.data(), mean.data(), d);
    const std::int64_t tasks = (n + kBlock - 1) / kBlock;
    Progress progress(monitor, tasks);
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int) {
        std::vector<double> own(static_cast<std::size_t>(d)), other(static_cast<std::size_t>(d));
        const auto read = [&](std::int64_t row, std::vector<double>& into) {
            rows.read(row, into.data());
            for (std::int64_t f = 0; f < d; ++f) into[std::size_t(f)] -= mean[std::size_t(f)];
        };
        for (std::int64_t i = task * kBlock; i < std::min(n, (task + 1) * kBlock); ++i) {
            read(i, own);
            out.square[std::size_t(i)] = simd().dot(own.data(), own.data(), d);
            out.projection[std::size_t(i)] = simd().dot(own.data(), mean.data(), d);
            for (std::int64_t t = 0; t < k; ++t) {
                read(lists.row(i)[t], other);
                out.edge[std::size_t(i * k + t)] = simd().dot(own.data(), other.data(), d);
            }
        }
    });
    return out;
}

}  // namespace kernalign
