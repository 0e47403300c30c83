// One representation in a device's memory as the tiles of its Gram matrix see it.
#include "cuda/tile_side.hpp"

#include <algorithm>
#include <cmath>

#include "cuda/centred_rows.hpp"
#include "cuda/tile_kernels.hpp"
#include "error.hpp"

namespace kernalign::cuda {
namespace {

constexpr std::int64_t kPilotRows = 128, kLevelRows = 15;
constexpr double kHigh = 100;  // of the usual level, as on the CPU

// The upper one of two in the middle; reorders the values.
double median_of(std::vector<double>& values) {
    if (values.empty()) return 0;
    std::nth_element(values.begin(), values.begin() + std::ptrdiff_t(values.size() / 2), values.end());
    return values[values.size() / 2];
}

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

TileSide::TileSide(Queue& queue, const DeviceSource& source, bool centred, Monitor* monitor)
    : queue_(queue),
      kernel_(source.kernel),
      n_(source.rows.rows()),
      cols_(source.rows.cols()),
      by_distance_(source.kernel.form != KernelForm::linear && source.kernel.form != KernelForm::polynomial) {
    const PreparedRows prepared(*source.queue, source.rows, Similarity::dot, monitor);
    const AnyRows rows = prepared.any();
    std::vector<double> shift(std::size_t(cols_), 0.0);
    double largest = prepared.largest();
    if (by_distance_ || (centred && kernel_.form == KernelForm::linear)) {
        Spread spread = spread_of(queue, rows);
        shift = std::move(spread.mean);
        largest = spread.largest;
    }
    require(std::isfinite(largest), source.rows.name + " must have differences that float64 can hold");
    if (largest > 0) rows_exponent_ = std::clamp(std::ilogb(largest), -1000, 1000);
    const Buffer<double> shift_there(queue, shift);
    CentredRows made = centred_rows(queue, rows, shift_there.get(), std::ldexp(1.0, -rows_exponent_));
    points_ = std::move(made.points);
    norms_ = std::move(made.norms);
    queue.wait(monitor);  // then nothing reads the given rows any more
    squares_ = norms_.values();
    sums_ = Buffer<double>(queue, n_);
    sums_.clear();
    scaled_ = scaled_kernel(kernel_, rows_exponent_, -1e300);
    if (kernel_.form == KernelForm::polynomial) {
        if (centred) take_base(scaled_, rows_exponent_, mean_of_sample(GramFunction()));
        plain_ = kernel_value(scaled_.function, 0);
        return;
    }
    if (centred && kernel_.form != KernelForm::linear) scaled_.function.pilot = mean_of_sample(scaled_.function);
    plain_ = (exponential(kernel_) ? 1.0 : 0.0) - scaled_.function.pilot;
    if (centred && kernel_.levelled && kernel_.form == KernelForm::euclidean) set_levels();
}

// As on the CPU, from distances that need not be exact: any level is taken out without a trace.
void TileSide::set_levels() {
    const std::int64_t count = std::min(n_, kLevelRows);
    const Buffer<double> chosen(queue_, sample(count)), products(queue_, n_ * count);
    Products(queue_).multiply(n_, count, cols_, points_.get(), cols_, chosen.get(), cols_, products.get(), count);
    const std::vector<double> product = products.values();
    std::vector<double> levels, away;
    for (std::int64_t i = 0; i < n_; ++i) {
        away.clear();
        for (std::int64_t c = 0; c < count; ++c) {
            if (sampled_row(c, count) == i) continue;
            const double both = squares_[std::size_t(i)] + squares_[std::size_t(sampled_row(c, count))];
            away.push_back(std::sqrt(std::max(0.0, both - 2 * product[std::size_t(i * count + c)])));
        }
        levels.push_back(median_of(away));
    }
    std::vector<double> sorted = levels;
    const double usual = median_of(sorted), highest = *std::max_element(levels.begin(), levels.end());
    if (!(highest > kHigh * usual)) return;
    double sum = 0, squares = 0;
    for (double& level : levels) {
        level -= usual / 2;
        sum += level;
        squares += level * level;
    }
    const double n = double(n_);
    scaled_.function.pilot = 0;
    taken_ = std::sqrt(2 * squares / n + 2 * (sum / n) * (sum / n));
    plain_ = -taken_;
    levels_there_ = Buffer<double>(queue_, levels);
    levels_ = std::move(levels);
}

void TileSide::add_tile(const Tile& tile, std::int64_t size, Products& products, double* to) {
    if (!by_row_.get()) {
        by_row_ = Buffer<double>(queue_, TileValues::across(size) * size);
        by_column_ = Buffer<double>(queue_, TileValues::down(size) * size);
    }
    products.multiply(tile.rows, tile.cols, cols_, points_.get() + tile.row0 * cols_, cols_,
                      points_.get() + tile.col0 * cols_, cols_, to, tile.cols);
    values(tile, scaled_.function, by_distance_, size, to, true);
    AddUp rows{by_row_.get(), TileValues::across(tile.cols), tile.rows, size, Written<double>(sums_.get() + tile.row0)};
    launch(queue_, AddUp::blocks(tile.rows), rows);
    AddUp columns{by_column_.get(), TileValues::down(tile.rows), tile.cols, size,
                  Written<double>(sums_.get() + tile.col0)};
    launch(queue_, AddUp::blocks(tile.cols), columns);
}

void TileSide::distances(const Tile& tile, Products& products, double* to) {
    const std::int64_t line = std::max(tile.rows, tile.cols);
    if (!by_row_.get()) {
        by_row_ = Buffer<double>(queue_, TileValues::across(line) * line);
        by_column_ = Buffer<double>(queue_, TileValues::down(line) * line);
    }
    products.multiply(tile.rows, tile.cols, cols_, points_.get() + tile.row0 * cols_, cols_,
                      points_.get() + tile.col0 * cols_, cols_, to, tile.cols);
    GramFunction squared;
    squared.form = KernelForm::sqeuclidean;
    values(tile, squared, true, line, to, false);
}

void TileSide::values(const Tile& tile, const GramFunction& function, bool distance, std::int64_t line, double* to,
                      bool levelled) {
    TileValues kernel;
    kernel.function = function;
    kernel.distance = distance;
    kernel.row0 = tile.row0;
    kernel.col0 = tile.col0;
    kernel.rows = tile.rows;
    kernel.cols = kernel.ld = tile.cols;
    kernel.points = points_.get();
    kernel.norms = norms_.get();
    kernel.levels = levelled ? levels_there_.get() : nullptr;
    kernel.width = cols_;
    kernel.tile = Written<double>(to);
    kernel.by_row = Written<double>(by_row_.get());
    kernel.by_column = Written<double>(by_column_.get());
    kernel.line = line;
    launch(queue_, TileValues::across(tile.cols) * TileValues::down(tile.rows), kernel);
}

std::vector<double> TileSide::sample(std::int64_t count) const {
    std::vector<std::int64_t> listed;
    for (std::int64_t i = 0; i < count; ++i) listed.push_back(sampled_row(i, count));
    std::vector<double> rows(std::size_t(count * cols_));
    gather(queue_, {Element::f64, points_.get(), n_, cols_, cols_}, listed, rows.data());
    return rows;
}

std::vector<double> TileSide::sampled_distances(std::int64_t most) const {
    const std::int64_t count = std::min(n_, most);
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
        for (const double square : sampled_distances(count)) sum += kernel_value(function, square);
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
