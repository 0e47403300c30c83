// Fuzzes neighbour lists of any integers: those that are none are refused, of the others all counts are in range.
#include <numeric>
#include <stdexcept>

#include "bytes.hpp"
#include "lists.hpp"

using namespace kernalign;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes input(data, size);
    const std::int64_t n = input.between(2, 20), k = input.between(1, n - 1), most = input.between(1, k);
    const bool raw = input.between(0, 1);  // else small enough to be lists now and then
    std::vector<std::int32_t> index[2];
    for (auto& side : index) {
        side.resize(std::size_t(n * k));
        for (std::int32_t& value : side) value = raw ? input.take<std::int32_t>() : input.take<std::int8_t>();
    }
    const std::int64_t count = input.between(1, 130);
    const std::vector<std::uint8_t> subset = input.many<std::uint8_t>(std::size_t(n));
    std::vector<std::uint8_t> subsets;  // the same from another item on
    for (std::int64_t h = 0; h < count; ++h)
        for (std::int64_t i = 0; i < n; ++i) subsets.push_back(subset[std::size_t((h + i) % n)]);
    const Lists a{index[0].data(), n, k}, b{index[1].data(), n, k};
    try {
        check_lists(a, "a", nullptr);
        check_lists(b, "b", nullptr);
    } catch (const std::invalid_argument&) {
        return 0;
    }
    const auto shared = shared_counts(a, b, 1, nullptr), common = common_subsequences(a, b, 1, nullptr),
               distance = edit_distances(a, b, 1, nullptr);
    const auto ranks = rank_similarities(a, b, 1, nullptr);
    for (std::size_t i = 0; i < std::size_t(n); ++i) {
        fuzz::promise(0 <= common[i] && common[i] <= shared[i] && shared[i] <= k);
        fuzz::promise(k - shared[i] <= distance[i] && distance[i] <= k && distance[i] <= 2 * (k - common[i]));
        fuzz::promise(ranks[i] >= 0 && ranks[i] <= 1 + 1e-12);
    }
    fuzz::promise(std::int64_t(cycles(a, b, 1, nullptr).size()) == n);
    fuzz::promise(graph_sums(a, nullptr).square == double(n * k));
    overlap_curve(a, b, most < k ? std::vector<std::int64_t>{most, k} : std::vector<std::int64_t>{k});
    const auto overlaps = subset_overlaps(a, b, most, subsets.data(), count, 1, nullptr);
    for (std::int64_t h = 0; h < count; ++h) {
        const auto own = overlaps.begin() + h * (most + 1);
        fuzz::promise(std::accumulate(own, own + most + 1, std::int64_t(0)) <= n);
    }
    if (most < k) overlaps_without_one(a, b, nullptr);
    return 0;
}
