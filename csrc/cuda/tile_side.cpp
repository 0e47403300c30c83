// One representation in a device's memory as the tiles of its Gram matrix see it.
#include "cuda/tile_side.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <type_traits>

#include "cuda/centred_rows.hpp"
#include "cuda/tile_kernels.hpp"
#include "error.hpp"
#include "outlier.hpp"

namespace kernalign::cuda {
namespace {

constexpr std::int64_t kTileNumbers = 1 << 27, kMostInFlight = 4;  // of the tiles of all sides; tiles

constexpr auto kAcross = TileValues<double>::across, kDown = TileValues<double>::down;  // blocks, of either type

bool exponential(const Kernel& kernel) {
    return kernel.form == KernelForm::rbf || kernel.form == KernelForm::laplacian;
}

}  // namespace

std::vector<Tile> upper_tiles(std::int64_t n, std::int64_t size) {
    std::vector<Tile> tiles;
    for (std::int64_t i = 0; i < n; i += size)
        for (std::int64_t j = i; j < n; j += size)
            tiles.push_back({i, std::min(size, n - i), j, std::min(size, n - j)});
    return tiles;
}

Tiling::Tiling(Queue& queue, const std::vector<DeviceSource>& sides, std::int64_t most) {
    const auto count = std::int64_t(sides.size());
    double cols = 0;
    for (const DeviceSource& side : sides) cols += double(side.rows.cols());
    const auto fits = std::int64_t(std::sqrt(double(kTileNumbers / count)));
    const auto soon = std::int64_t(std::sqrt(queue.work() * double(count) / cols));  // that no product takes long
    size = std::min({sides.front().rows.rows(), most, std::max<std::int64_t>(1, fits > 128 ? fits / 128 * 128 : fits),
                     std::max<std::int64_t>(512, soon / 128 * 128)});
    values = squares_that_fit<double>(queue, count, size);
    in_flight = std::clamp<std::int64_t>(std::int64_t(queue.work() / (double(size * size) * cols)), 1, kMostInFlight);
}

TileSide::TileSide(Queue& queue, const DeviceSource& source, bool centred, Monitor* monitor)
    : queue_(queue),
      kernel_(source.kernel),
      n_(source.rows.rows()),
      cols_(source.rows.cols()),
      by_distance_(source.kernel.form != KernelForm::linear && source.kernel.form != KernelForm::polynomial) {
    const PreparedRows prepared(*source.queue, source.rows, Similarity::dot, monitor);
    const Settled settled{queue};  // it reads what is given back in the order of another one
    const AnyRows rows = prepared.any();
    std::vector<double> shift(std::size_t(cols_), 0.0);
    double largest = prepared.largest(), mean_square = 0;
    const bool narrow = source.precision == Precision::f32 && !kernel_.takes_root();
    if (narrow && kernel_.form == KernelForm::polynomial)
        for (const double m : spread_of(queue, rows).mean) mean_square += m * m;
    if (by_distance_ || (centred && kernel_.form == KernelForm::linear)) {
        Spread spread = spread_of(queue, rows);
        shift = std::move(spread.mean);
        largest = spread.largest;
    }
    require(std::isfinite(largest), source.rows.name + " must have differences that float64 can hold");
    if (largest > 0) rows_exponent_ = std::clamp(std::ilogb(largest), -1000, 1000);
    place(rows, shift, narrow, monitor);
    if (narrow && needs_double(kernel_, squares_, std::ldexp(mean_square, -2 * rows_exponent_), rows_exponent_))
        place(rows, shift, false, monitor);
    widened_ = source.precision == Precision::f32 && !this->narrow();
    sums_ = Buffer<double>(queue, n_);
    sums_.clear();
    scaled_ = scaled_kernel(kernel_, rows_exponent_, this->narrow() ? -1e30 : -1e300);
    if (kernel_.form == KernelForm::polynomial) {
        if (centred) take_base(scaled_, rows_exponent_, mean_of_sample(GramFunction()));
        plain_ = kernel_value(scaled_.function, 0.0);
        return;
    }
    if (centred && kernel_.form != KernelForm::linear) scaled_.function.pilot = mean_of_sample(scaled_.function);
    plain_ = (exponential(kernel_) ? 1.0 : 0.0) - scaled_.function.pilot;
    if (centred && kernel_.levelled && kernel_.form == KernelForm::euclidean) set_levels();
}

void TileSide::place(const AnyRows& rows, const std::vector<double>& shift, bool narrow, Monitor* monitor) {
    const Buffer<double> shift_there(queue_, shift);
    const double factor = std::ldexp(1.0, -rows_exponent_);
    narrow_ = Buffer<float>();
    if (narrow) {
        CentredRows<float> made = centred_rows<float>(queue_, rows, shift_there.get(), factor);
        narrow_ = std::move(made.points);
        norms_ = std::move(made.norms);
    } else {
        CentredRows<double> made = centred_rows<double>(queue_, rows, shift_there.get(), factor);
        points_ = std::move(made.points);
        norms_ = std::move(made.norms);
    }
    queue_.wait(monitor);
    squares_ = norms_.values();
}

// As on the CPU, from distances that need not be exact: any level is taken out without a trace.
void TileSide::set_levels() {
    const std::int64_t count = std::min(n_, kLevelRows);
    const Buffer<double> chosen(queue_, sample(count)), products(queue_, n_ * count);
    Products(queue_).multiply(n_, count, cols_, points_.get(), cols_, chosen.get(), cols_, products.get(), count);
    const std::vector<double> product = products.values();
    std::vector<double> medians, away;
    for (std::int64_t i = 0; i < n_; ++i) {
        away.clear();
        for (std::int64_t c = 0; c < count; ++c) {
            const std::int64_t other = sampled_row(c, count, n_);
            if (other == i) continue;
            const double both = squares_[std::size_t(i)] + squares_[std::size_t(other)];
            away.push_back(std::sqrt(std::max(0.0, both - 2 * product[std::size_t(i * count + c)])));
        }
        medians.push_back(median_of(away));
    }
    std::optional<Levels> found = levels_of(std::move(medians));
    if (!found) return;
    scaled_.function.pilot = 0;
    taken_ = found->taken;
    plain_ = -taken_;
    levels_there_ = Buffer<double>(queue_, found->of_rows);
    levels_ = std::move(found->of_rows);
}

void TileSide::add_tile(const Tile& tile, std::int64_t size, Products& products, double* to, float* narrow) {
    values(tile, scaled_.function, by_distance_, size, products, to, narrow, true);
    AddUp rows{by_row_.get(), kAcross(tile.cols), tile.rows, size, Written<double>(sums_.get() + tile.row0)};
    launch(queue_, AddUp::blocks(tile.rows), rows);
    AddUp columns{by_column_.get(), kDown(tile.rows), tile.cols, size, Written<double>(sums_.get() + tile.col0)};
    launch(queue_, AddUp::blocks(tile.cols), columns);
}

void TileSide::distances(const Tile& tile, Products& products, double* to, float* narrow) {
    GramFunction squared;
    squared.form = KernelForm::sqeuclidean;
    values(tile, squared, true, std::max(tile.rows, tile.cols), products, to, narrow, false);
}

void TileSide::values(const Tile& tile, const GramFunction& function, bool distance, std::int64_t line,
                      Products& products, double* to, float* narrow, bool levelled) {
    if (!by_row_.get()) {
        by_row_ = Buffer<double>(queue_, kAcross(line) * line);
        by_column_ = Buffer<double>(queue_, kDown(line) * line);
    }
    with_points([&](const auto* points) {
        using T = std::decay_t<decltype(*points)>;
        T* out = nullptr;
        if constexpr (std::is_same_v<T, float>)
            out = narrow;
        else
            out = to;
        products.multiply(tile.rows, tile.cols, cols_, points + tile.row0 * cols_, cols_, points + tile.col0 * cols_,
                          cols_, out, tile.cols);
        TileValues<T> kernel;
        kernel.function = function;
        kernel.distance = distance;
        kernel.row0 = tile.row0;
        kernel.col0 = tile.col0;
        kernel.rows = tile.rows;
        kernel.cols = kernel.ld = tile.cols;
        kernel.products = out;
        kernel.points = points;
        kernel.norms = norms_.get();
        kernel.levels = levelled ? levels_there_.get() : nullptr;
        kernel.width = cols_;
        kernel.tile = Written<double>(to);
        kernel.by_row = Written<double>(by_row_.get());
        kernel.by_column = Written<double>(by_column_.get());
        kernel.line = line;
        launch(queue_, kAcross(tile.cols) * kDown(tile.rows), kernel);
    });
}

std::vector<double> TileSide::sample(std::int64_t count) const {
    std::vector<std::int64_t> listed;
    for (std::int64_t i = 0; i < count; ++i) listed.push_back(sampled_row(i, count, n_));
    return with_points([&](const auto* points) {
        using T = std::decay_t<decltype(*points)>;
        std::vector<T> rows(std::size_t(count * cols_));
        const Element element = std::is_same_v<T, float> ? Element::f32 : Element::f64;
        gather(queue_, {element, points, n_, cols_, cols_}, listed, rows.data());
        return std::vector<double>(rows.begin(), rows.end());
    });
}

// Each row with the next few in an order by chance: all rows as often, so that what is sampled is the pairs alone.
Buffer<double> TileSide::sampled_pairs(std::int64_t least) const {
    std::vector<std::int32_t> order(static_cast<std::size_t>(n_));
    std::iota(order.begin(), order.end(), 0);
    std::mt19937_64 random(0);
    for (std::size_t at = order.size() - 1; at > 0; --at) std::swap(order[at], order[random() % (at + 1)]);
    const Buffer<std::int32_t> there(queue_, order);
    const std::int64_t partners = std::clamp<std::int64_t>(least / n_, 1, std::max<std::int64_t>(1, (n_ - 1) / 2));
    Buffer<double> found(queue_, n_ * partners);
    with_points([&](const auto* points) {
        SampledPairs<std::decay_t<decltype(*points)>> kernel;
        kernel.points = points;
        kernel.order = there.get();
        kernel.count = n_;
        kernel.width = cols_;
        kernel.partners = partners;
        kernel.out = Written<double>(found.get());
        launch(queue_, kernel.blocks(found.size()), kernel);
    });
    return found;
}

std::vector<double> TileSide::distances_of_sample(std::int64_t count) const {
    const std::vector<double> rows = sample(count);
    std::vector<double> found;
    for (std::int64_t i = 0; i < count; ++i)
        for (std::int64_t j = 0; j < i; ++j) {
            double sum = 0;
            for (std::int64_t f = 0; f < cols_; ++f) {
                const double gap = rows[std::size_t(i * cols_ + f)] - rows[std::size_t(j * cols_ + f)];
                sum += gap * gap;
            }
            found.push_back(sum);
        }
    return found;
}

// About the mean of the values off the diagonal, as a float32 number.
double TileSide::mean_of_sample(const GramFunction& function) const {
    const std::int64_t count = std::min(n_, kPilotRows);
    if (count < 2) return 0;
    double sum = 0;
    if (by_distance_) {
        for (const double square : distances_of_sample(count)) sum += kernel_value(function, square);
    } else {
        const std::vector<double> rows = sample(count);
        for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t j = 0; j < i; ++j) {
                double product = 0;
                for (std::int64_t f = 0; f < cols_; ++f)
                    product += rows[std::size_t(i * cols_ + f)] * rows[std::size_t(j * cols_ + f)];
                sum += kernel_value(function, product);
            }
    }
    const auto mean = float(2 * sum / double(count * (count - 1)));
    return std::isfinite(mean) ? double(mean) : 0.0;
}

GramSums::Side TileSide::finish() const {
    GramSums::Side side;
    side.exponent = scaled_.exponent;
    side.pilot = levels_.empty() ? scaled_.function.pilot : taken_;
    side.plain = plain_;
    side.widened = widened_;
    side.hollow = sums_.values();
    side.diagonal.assign(std::size_t(n_), plain_);
    if (!by_distance_)
        for (std::size_t i = 0; i < squares_.size(); ++i)
            side.diagonal[i] = kernel_value(scaled_.function, squares_[i]);
    for (std::size_t i = 0; i < levels_.size(); ++i) side.diagonal[i] = -2 * levels_[i];
    for (std::size_t i = 0; i < side.hollow.size(); ++i) {
        side.sums.push_back(side.hollow[i] + side.diagonal[i]);
        side.total += side.sums.back();
    }
    return side;
}

}  // namespace kernalign::cuda
