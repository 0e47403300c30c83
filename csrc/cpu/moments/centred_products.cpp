// Products of rows about known means: chunks are centred by blocks, then multiplied by tiles.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "cpu/moments/product_tiles.hpp"
#include "cpu/runtime/load.hpp"
#include "cpu/runtime/parallel.hpp"
#include "cpu/simd/simd.hpp"
#include "error.hpp"
#include "moments.hpp"

namespace kernalign {
namespace {

constexpr double kLargestSquare = 1e30;
constexpr std::int64_t kScratch = 32 << 20;   // bytes of centred rows
constexpr std::int64_t kPiece = 1 << 14;      // elements that stay in a core's cache while they are centred
constexpr std::int64_t kSlices = 64;          // of the rows whose mean is found
constexpr std::int64_t kFewestSliced = 1024;  // rows

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// use(row, i) for each row i of [begin, end) that is not omitted, as float64.
template <class F>
void visit_rows(const Rows& rows, std::int64_t begin, std::int64_t end, Omitted omitted, F&& use) {
    const std::int64_t cols = rows.cols(), step = std::max<std::int64_t>(1, kPiece / cols);
    std::vector<double> copy;
    const std::int64_t *next = omitted.rows + omitted.before(begin), *last = omitted.rows + omitted.count;
    for (std::int64_t from = begin; from < end; from += step) {
        const std::int64_t to = std::min(end, from + step);
        copy.resize(std::size_t((to - from) * cols));
        load_rows(rows, from, to, copy.data(), cols);
        for (std::int64_t i = from; i < to; ++i)
            if (next != last && *next == i)
                ++next;
            else
                use(copy.data() + (i - from) * cols);
    }
}

// f(first number, numbers from row to row) where rows lie dense as float32 or float64 and need no preparation; false
// where they do not, or f says so.
template <class F>
bool in_place(const Rows& rows, F&& f) {
    const auto as = [&](const auto* data) { return f(data, rows.view.row_stride / std::ptrdiff_t(sizeof(*data))); };
    if (dense_as<float>(rows)) return as(static_cast<const float*>(rows.view.data));
    return dense_as<double>(rows) && as(static_cast<const double*>(rows.view.data));
}

// Writes centred, scaled rows to out and adds their squares.
template <class T>
void centre_rows(const Rows& rows, std::int64_t begin, std::int64_t end, const Centre& centre, Omitted omitted, T* out,
                 double* squares) {
    const std::int64_t cols = rows.cols();
    const double factor = std::ldexp(1.0, -centre.exponent), *mean = centre.mean.data(), *rest = centre.rest.data();
    const auto dense = [&](const auto* given, std::int64_t stride) {  // what is not finite shows in the squares
        const std::int64_t step = std::max<std::int64_t>(1, kPiece / cols);
        if constexpr (std::is_same_v<T, double> || std::is_same_v<decltype(given), const float*>)
            for (std::int64_t from = begin; from < end; from += step, out += step * cols)
                simd().centre_rows(given + from * stride, stride, std::min(step, end - from), mean, rest, factor, out,
                                   squares, cols);
        return std::is_same_v<T, double> || std::is_same_v<decltype(given), const float*>;
    };
    if (omitted.count == 0 && in_place(rows, dense)) return;
    visit_rows(rows, begin, end, omitted, [&](const double* row) {
        for (std::int64_t j = 0; j < cols; ++j) {
            const double value = ((row[j] - mean[j]) - rest[j]) * factor;
            squares[j] += value * value;
            out[j] = T(value);
        }
        out += cols;
    });
}

// What one thread multiplies with.
template <class T>
struct Scratch {
    LargeVector<T> product;
    ProductScratch panels;
};

// Adds the products of some rows, each tile by one thread; float32 sums are of one block.
template <class T>
void add_tiles(const std::vector<ProductTile>& tiles, const std::array<const T*, 2>& data,
               const std::array<std::int64_t, 2>& cols, std::int64_t rows, std::array<LargeVector<double>, 3>& products,
               std::vector<Scratch<T>>& scratch, Progress& progress) {
    parallel_for(std::int64_t(tiles.size()), int(scratch.size()), progress, [&](std::int64_t task, int worker) {
        const ProductTile& tile = tiles[std::size_t(task)];
        const std::size_t a = std::size_t(tile.a), b = std::size_t(tile.b);
        auto& [product, panels] = scratch[std::size_t(worker)];
        product.resize(std::max(product.size(), std::size_t(tile.rows * tile.cols)));
        const std::int64_t depth = sizeof(T) == sizeof(float) ? kMomentsBlock : rows;
        for (std::int64_t row = 0; row < rows; row += depth) {
            multiply_tile(tile, std::min(depth, rows - row), data[a] + row * cols[a], cols[a], data[b] + row * cols[b],
                          cols[b], product.data(), panels);
            double* total = products[a + b].data() + tile.i * cols[b] + tile.j;
            for (std::int64_t i = 0; i < tile.rows; ++i, total += cols[b])
                for (std::int64_t j = tile.diagonal ? i : 0; j < tile.cols; ++j)
                    total[j] += double(product[std::size_t(i * tile.cols + j)]);
        }
    });
}

std::vector<ProductTile> wanted_tiles(const std::array<std::int64_t, 2>& cols, const std::array<bool, 3>& wanted) {
    std::vector<ProductTile> tiles = product_tiles(cols[0], cols[1]);
    tiles.erase(std::remove_if(tiles.begin(), tiles.end(),
                               [&](const ProductTile& tile) { return !wanted[std::size_t(tile.a + tile.b)]; }),
                tiles.end());
    return tiles;
}

template <class T>
CentredProducts multiply_centred(const std::array<const Rows*, 2>& sides, const std::array<Centre, 2>& centres,
                                 const std::array<bool, 3>& wanted, Omitted omitted, int threads, Monitor* monitor) {
    const std::int64_t n = sides[0]->rows();
    const std::array<std::int64_t, 2> cols{sides[0]->cols(), sides[1]->cols()};
    const std::int64_t row_bytes = (cols[0] + cols[1]) * std::int64_t(sizeof(T));
    const std::int64_t chunk = std::max<std::int64_t>(1, kScratch / (kMomentsBlock * row_bytes)) * kMomentsBlock;
    const std::vector<ProductTile> tiles = wanted_tiles(cols, wanted);
    CentredProducts result;
    for (std::size_t k = 0; k < 3; ++k)
        if (wanted[k]) result.products[k].assign(std::size_t(cols[k / 2] * cols[(k + 1) / 2]), 0.0);
    for (std::size_t s = 0; s < 2; ++s) result.squares[s].assign(std::size_t(cols[s]), 0.0);

    std::array<LargeVector<T>, 2> data;
    std::vector<Scratch<T>> scratch(static_cast<std::size_t>(threads));
    Progress progress(monitor, 2 * ceil_divide(n, kMomentsBlock) + ceil_divide(n, chunk) * std::int64_t(tiles.size()));
    for (std::int64_t begin = 0; begin < n; begin += chunk) {
        const std::int64_t end = std::min(n, begin + chunk), blocks = ceil_divide(end - begin, kMomentsBlock);
        const std::int64_t skipped = omitted.before(begin), kept = end - begin - (omitted.before(end) - skipped);
        std::vector<std::vector<double>> squares(static_cast<std::size_t>(2 * blocks));
        for (std::size_t s = 0; s < 2; ++s) data[s].resize(std::size_t(kept * cols[s]));
        parallel_for(2 * blocks, threads, progress, [&](std::int64_t task, int) {
            const std::size_t s = std::size_t(task % 2);
            const std::int64_t from = begin + task / 2 * kMomentsBlock, to = std::min(end, from + kMomentsBlock);
            const std::int64_t place = from - begin - (omitted.before(from) - skipped);
            squares[std::size_t(task)].assign(std::size_t(cols[s]), 0.0);
            centre_rows(*sides[s], from, to, centres[s], omitted, data[s].data() + place * cols[s],
                        squares[std::size_t(task)].data());
        });
        for (std::size_t task = 0; task < squares.size(); ++task)
            for (std::size_t j = 0; j < squares[task].size(); ++j) result.squares[task % 2][j] += squares[task][j];
        add_tiles<T>(tiles, {data[0].data(), data[1].data()}, cols, kept, result.products, scratch, progress);
    }
    for (std::size_t s = 0; s < 2; ++s)
        if (wanted[2 * s]) mirror_upper(result.products[2 * s], cols[s]);
    return result;
}

}  // namespace

Centre find_centre(const Rows& rows, bool centred, Omitted omitted, int threads, Monitor* monitor) {
    const std::int64_t n = rows.rows(), cols = rows.cols();
    const double share = 1 / double(n - omitted.before(n));
    Centre result;
    for (std::vector<double>* v : {&result.mean, &result.rest}) v->assign(std::size_t(cols), 0.0);
    std::vector<double> first(static_cast<std::size_t>(cols), 0.0);
    if (centred) {  // differences from one row are exactly 0 in a constant column, and so is what is left of it
        std::int64_t start = 0;
        while (omitted.holds(start)) ++start;
        load_rows(rows, start, start + 1, first.data(), cols);
    }
    const std::int64_t step = std::max(kFewestSliced, ceil_divide(n, kSlices)), slices = ceil_divide(n, step);
    std::vector<std::vector<double>> totals(static_cast<std::size_t>(slices));
    std::vector<double> largest(static_cast<std::size_t>(slices), 0.0);
    Progress progress(monitor, 0);
    parallel_for(slices, resolve_threads(threads), progress, [&](std::int64_t task, int) {
        std::vector<double> total(static_cast<std::size_t>(cols), 0.0), furthest(static_cast<std::size_t>(cols), 0.0);
        const std::int64_t begin = task * step, end = std::min(n, begin + step);
        const auto dense = [&](const auto* given, std::int64_t stride) {
            const std::int64_t some = std::max<std::int64_t>(1, kPiece / cols);
            for (std::int64_t from = begin; from < end; from += some)
                simd().add_shares(given + from * stride, stride, std::min(some, end - from), first.data(), share,
                                  total.data(), furthest.data(), cols);
            return std::all_of(total.begin(), total.end(), [](double v) { return std::isfinite(v); });
        };
        if (omitted.count != 0 || !in_place(rows, dense)) {  // which says what is not finite
            std::fill(total.begin(), total.end(), 0.0);
            std::fill(furthest.begin(), furthest.end(), 0.0);
            visit_rows(rows, begin, end, omitted, [&](const double* row) {
                for (std::size_t j = 0; j < total.size(); ++j) {
                    const double difference = row[j] - first[j], size = std::fabs(difference);
                    total[j] += difference * share;
                    furthest[j] = furthest[j] > size ? furthest[j] : size;
                }
            });
        }
        largest[std::size_t(task)] = *std::max_element(furthest.begin(), furthest.end());
        totals[std::size_t(task)] = std::move(total);
    });
    result.largest = *std::max_element(largest.begin(), largest.end());
    if (!centred) return result;
    for (std::size_t j = 0; j < first.size(); ++j) {
        double total = 0;
        for (const std::vector<double>& part : totals) total += part[j];
        const double mean = first[j] + total, moved = mean - first[j];  // and what that sum rounded off (Knuth's)
        result.mean[j] = mean;
        result.rest[j] = (first[j] - (mean - moved)) + (total - moved);
    }
    return result;
}

CentredProducts centred_products(const Rows& x, const Rows& y, const std::array<Centre, 2>& centres,
                                 const std::array<bool, 3>& wanted, Omitted omitted, Precision precision, int threads,
                                 Monitor* monitor) {
    require_same_rows(x.rows(), y.rows());
    threads = resolve_threads(threads);
    CentredProducts result = precision == Precision::f32
                                 ? multiply_centred<float>({&x, &y}, centres, wanted, omitted, threads, monitor)
                                 : multiply_centred<double>({&x, &y}, centres, wanted, omitted, threads, monitor);
    for (std::size_t s = 0; s < 2; ++s)
        for (const double square : result.squares[s])  // of rows brought to unit size: their products are finite
            require_unchanged(square < kLargestSquare, (s ? y : x).name);
    return result;
}

LargeVector<double> self_product(const double* rows, std::int64_t n, std::int64_t cols, int threads, Monitor* monitor) {
    std::array<LargeVector<double>, 3> products;
    products[0].assign(std::size_t(cols * cols), 0.0);
    const std::vector<ProductTile> tiles = wanted_tiles({cols, 0}, {true, false, false});
    std::vector<Scratch<double>> scratch(static_cast<std::size_t>(resolve_threads(threads)));
    Progress progress(monitor, std::int64_t(tiles.size()));
    add_tiles<double>(tiles, {rows, rows}, {cols, 0}, n, products, scratch, progress);
    mirror_upper(products[0], cols);
    return std::move(products[0]);
}

}  // namespace kernalign
