// Fuzzes neighbour searches over rows of any bits, and rescoring of any candidates: whole lists or a clear refusal.
#include <cmath>
#include <set>
#include <stdexcept>

#include "bytes.hpp"
#include "cpu/neighbors/exact_rows.hpp"
#include "rescoring.hpp"

using namespace kernalign;

namespace {

constexpr struct {
    DType dtype;
    std::int64_t size;
} kElements[] = {{DType::f16, 2}, {DType::bf16, 2}, {DType::f32, 4}, {DType::f64, 8}, {DType::i8, 1}, {DType::u64, 8}};

void check_lists(const Neighbors& found, std::int64_t rows, bool whole) {
    for (std::int64_t i = 0; i < found.n; ++i) {
        std::set<std::int32_t> seen;
        for (std::int64_t r = 0; r < found.k; ++r) {
            const std::int32_t j = found.index[std::size_t(i * found.k + r)];
            if (j < 0 && !whole) continue;
            fuzz::promise(j >= 0 && j < rows && seen.insert(j).second);
            const double own = found.similarity[std::size_t(i * found.k + r)];
            fuzz::promise(!std::isnan(own) && (r == 0 || own <= found.similarity[std::size_t(i * found.k + r - 1)]));
        }
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Bytes input(data, size);
    const auto element = kElements[input.between(0, 5)];
    const auto similarity = Similarity(input.between(0, 2));
    const std::int64_t n = input.between(2, 40), d = input.between(1, 9), k = input.between(1, n - 1);
    const std::int64_t q = input.between(0, 5), c = input.between(0, 9), gap = input.between(0, 3);
    const std::vector<std::int32_t> queries = input.many<std::int32_t>(std::size_t(q)),
                                    candidates = input.many<std::int32_t>(std::size_t(q * c));
    const std::vector<char> held = input.many<char>(std::size_t(n * (d * element.size + gap)));
    Rows x;
    x.view = {held.data(), n, d, d * element.size + gap, element.size, element.dtype};
    x.zero_mean = input.between(0, 3) == 0;
    x.unit_norm = input.between(0, 3) == 0;
    try {
        const Neighbors lists = nearest_neighbors(x, k, similarity, Detail::lists, 1, nullptr);
        check_lists(lists, n, true);
        const Overlap overlap = fractional_overlap(x, lists, x, lists, similarity, 1, nullptr);
        for (const double item : overlap.item) fuzz::promise(item >= 0 && item <= double(k) * (1 + 1e-12));
        const ExactRows rows(x, similarity, 1, nullptr);
        check_lists(best_candidates(rows, queries.data(), q, candidates.data(), c, k, 1, nullptr), n, false);
    } catch (const std::invalid_argument&) {
        return 0;
    }
    return 0;
}
