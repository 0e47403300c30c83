// Finds the neighbours of few, very long rows without a copy of them.
#include "cpu/neighbors/wide_search.hpp"

#include <algorithm>
#include <functional>

#include "cpu/neighbors/query_search.hpp"
#include "cpu/runtime/blas.hpp"
#include "cpu/runtime/parallel.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kLong = 1 << 16;     // columns
constexpr std::int64_t kColumns = 2048;     // multiplied at a time
constexpr std::int64_t kRows = 64;          // of a tile
constexpr std::int64_t kColumnsOfRow = 16;  // times as many as rows, at least: products are an eighth of float32 rows

struct Scratch {
    std::vector<double> left, right, part;
};

// Columns [begin, begin + width) of some rows, before their factors.
void load(const ExactRows& rows, std::int64_t first, std::int64_t count, std::int64_t begin, std::int64_t width,
          double* out) {
    for (std::int64_t r = 0; r < count; ++r, out += width) {
        const ExactRows::Raw raw = rows.raw(first + r, nullptr);
        if (raw.f32 != nullptr)
            for (std::int64_t f = 0; f < width; ++f) out[f] = double(raw.f32[begin + f]);
        else
            std::copy_n(raw.f64 + begin, width, out);
    }
}

// X X^T, whole.
std::vector<double> products_of(const ExactRows& rows, int threads, Monitor* monitor) {
    const std::int64_t n = rows.count(), d = rows.cols(), wide = (n + kRows - 1) / kRows;
    std::vector<double> products(std::size_t(n * n), 0.0);
    std::vector<std::pair<std::int64_t, std::int64_t>> tiles;
    for (std::int64_t i = 0; i < wide; ++i)
        for (std::int64_t j = i; j < wide; ++j) tiles.emplace_back(i * kRows, j * kRows);
    std::vector<Scratch> scratches(static_cast<std::size_t>(threads));
    Progress progress(monitor, std::int64_t(tiles.size()));
    parallel_for(std::int64_t(tiles.size()), threads, progress, [&](std::int64_t task, int worker) {
        const auto [i, j] = tiles[std::size_t(task)];
        const std::int64_t high = std::min(kRows, n - i), across = std::min(kRows, n - j);
        Scratch& s = scratches[std::size_t(worker)];
        s.left.resize(std::size_t(kRows * kColumns));
        s.right.resize(std::size_t(kRows * kColumns));
        s.part.resize(std::size_t(kRows * kRows));
        for (std::int64_t begin = 0; begin < d; begin += kColumns) {
            const std::int64_t width = std::min(kColumns, d - begin);
            load(rows, i, high, begin, width, s.left.data());
            if (i != j) load(rows, j, across, begin, width, s.right.data());
            const double* other = i == j ? s.left.data() : s.right.data();
            blas::gemm_nt(high, across, width, s.left.data(), width, other, width, s.part.data(), across);
            for (std::int64_t a = 0; a < high; ++a)
                for (std::int64_t b = 0; b < across; ++b)
                    products[std::size_t((i + a) * n + j + b)] += s.part[std::size_t(a * across + b)];
        }
        for (std::int64_t a = 0; a < high && i != j; ++a)
            for (std::int64_t b = 0; b < across; ++b)
                products[std::size_t((j + b) * n + i + a)] = products[std::size_t((i + a) * n + j + b)];
    });
    return products;
}

// How far a similarity made of these products can be from the exact score: both are sums of d terms in float64, each
// rounded at most d + 2 times, of rows whose squares are at most so large; the inputs and what is made of the sums are
// rounded a few times more.
double error_of(const ExactRows& rows, double largest_square) {
    const double d = double(rows.cols()), rounding = (d + 8) * 0x1p-53 / (1 - (d + 8) * 0x1p-53);
    const bool cosine = rows.similarity() == Similarity::cosine;
    const double terms = rows.similarity() == Similarity::euclidean ? 4 : 1;
    return 2.01 * terms * rounding * (cosine ? 1.0 : largest_square) + d * (cosine ? 0x1p-160 : 0x1p-1060);
}

}  // namespace

bool are_wide(const ExactRows& rows) {
    return rows.dense() && rows.cols() >= kLong && rows.count() * kColumnsOfRow <= rows.cols();
}

void wide_search(const ExactRows& rows, int threads, Monitor* monitor, Neighbors& out) {
    const std::int64_t n = rows.count(), k = out.k;
    const std::vector<double> products = products_of(rows, threads, monitor);
    double largest = 0;
    for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, products[std::size_t(i * n + i)]);
    const double error = error_of(rows, largest * (1 + 0x1p-20));
    const auto similarity = [&](std::int64_t i, std::int64_t j) {
        const double product = products[std::size_t(i * n + j)];
        if (rows.similarity() != Similarity::euclidean) return product * rows.factor(i) * rows.factor(j);
        return 2 * product - products[std::size_t(i * n + i)] - products[std::size_t(j * n + j)];
    };
    Progress progress(monitor, n);
    parallel_for(n, threads, progress, [&](std::int64_t i, int) {
        std::vector<double> rough, values(std::size_t(rows.cols())), score, scratch;
        std::vector<std::int32_t> others;
        std::vector<Scored> scored;
        for (std::int64_t j = 0; j < n; ++j)
            if (j != i) rough.push_back(similarity(i, j));
        std::nth_element(rough.begin(), rough.begin() + k - 1, rough.end(), std::greater<>());
        const double cut = rough[std::size_t(k - 1)] - 2 * error;
        for (std::int64_t j = 0; j < n; ++j)
            if (j != i && !(similarity(i, j) < cut)) others.push_back(std::int32_t(j));
        score.resize(others.size());
        rows.read(i, values.data());
        rows.score(values.data(), others.data(), std::int64_t(others.size()), score.data(), scratch);
        for (std::size_t c = 0; c < others.size(); ++c) scored.push_back({score[c], others[c]});
        std::sort(scored.begin(), scored.end(), before);
        write_row(scored, i, out);
    });
}

}  // namespace kernalign
