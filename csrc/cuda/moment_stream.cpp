// Streams rows in device memory into the Moments state: blocks of 1024 rows, squared.
#include "cuda/moment_stream.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "cuda/moment_kernels.hpp"
#include "cuda/row_kernels.hpp"
#include "error.hpp"
#include "outlier.hpp"

namespace kernalign::cuda {
namespace {

constexpr std::int64_t kPadding = 16;        // columns; rows then start where vectors are loaded whole
constexpr std::int64_t kInFlight = 64;       // blocks, at most
constexpr int kRoom = 50, kMost = 1000;      // as on the CPU
constexpr std::int64_t kOne = 0, kNorm = 1;  // columns behind those of x and y: 1, |x'|^2, |y'|^2

}  // namespace

DeviceMoments::DeviceMoments(int device, std::int64_t p, std::int64_t q, Precision precision)
    : precision_(precision), queue_(std::make_unique<Queue>(device)) {
    require(p >= 1 && q >= 1, "x and y must have at least one column");
    require_products();
    products_ = std::make_unique<Products>(*queue_);
    blocks_ = make_blocks(p, q);
    for (std::size_t s = 0; s < 2; ++s)
        waiting_rows_[s] = Buffer<double>(*queue_, kMomentsBlock * blocks_.side[s].cols);
}

DeviceMoments::DeviceMoments(int device, const MomentState& begun, Precision precision)
    : DeviceMoments(device, begun.sums.side[0].cols, begun.sums.side[1].cols, precision) {
    waiting_ = begun.waiting;
    for (std::size_t s = 0; s < 2; ++s) {
        queue_->upload(waiting_rows_[s].get(), begun.rows[s].data(), begun.rows[s].size() * sizeof(double));
        for (const double value : begun.rows[s]) largest_[s] = std::max(largest_[s], std::fabs(value));
    }
    upload(begun.sums, blocks_);
}

DeviceMoments::Blocks DeviceMoments::make_blocks(std::int64_t p, std::int64_t q) const {
    Blocks made;
    made.side[0].cols = p;
    made.side[1].cols = q;
    made.width = (p + q + 3 + kPadding - 1) / kPadding * kPadding;
    made.sums = Buffer<double>(*queue_, made.width * made.width);
    made.sums.clear();
    made.rows = Buffer<double>(*queue_, kMomentsBlock * made.width);
    made.rows.clear();
    if (precision_ == Precision::f64) return made;
    made.means = Buffer<double>(*queue_, p + q);
    made.narrow = Buffer<float>(*queue_, kMomentsBlock * made.width);
    made.products = Buffer<float>(*queue_, made.width * made.width);
    return made;
}

void DeviceMoments::update(Queue& x_queue, const Rows& x, Queue& y_queue, const Rows& y, Monitor* monitor) {
    require_same_rows(x.rows(), y.rows());
    const std::array<PreparedRows, 2> sides{PreparedRows(x_queue, x, Similarity::dot, monitor),
                                            PreparedRows(y_queue, y, Similarity::dot, monitor)};
    const std::array<AnyRows, 2> rows{sides[0].any(), sides[1].any()};
    for (std::size_t s = 0; s < 2; ++s) {
        require(rows[s].cols == cols(int(s)), std::string(s ? "y" : "x") + " must have the " +
                                                  std::to_string(cols(int(s))) + " columns of the stream, got " +
                                                  std::to_string(rows[s].cols));
        largest_[s] = std::max(largest_[s], sides[s].largest());
    }
    const Settled settled{*queue_};  // nobody may overwrite rows that are still to be read
    const double block = double(kMomentsBlock) * double(blocks_.width) * double(blocks_.width);
    const auto most = std::clamp<std::int64_t>(std::int64_t(queue_->work() / block), 1, kInFlight);
    std::int64_t position = 0, in_flight = 0;
    std::vector<char> wide;  // of the next blocks
    while (position < x.rows()) {
        const std::int64_t count = std::min(kMomentsBlock - waiting_, x.rows() - position);
        if (count == kMomentsBlock) {
            if (wide.empty()) {
                const std::int64_t whole = std::min((x.rows() - position) / kMomentsBlock, kInFlight);
                wide = wide_blocks(blocks_, rows, position, whole * kMomentsBlock);
            }
            add(blocks_, rows, position, count, wide.front() != 0);
            wide.erase(wide.begin());
        } else {
            for (std::size_t s = 0; s < 2; ++s)
                rows[s].with(position, count, [&](auto some) {
                    Widen<typename decltype(some)::Element> kernel;
                    kernel.x = some;
                    kernel.out = Written<double>(waiting_rows_[s].get() + waiting_ * cols(int(s)));
                    launch(*queue_, count, kernel);
                });
            waiting_ += count;
            if (waiting_ == kMomentsBlock) {
                waiting_ = 0;  // counted once: as a block, or not at all
                add(blocks_, waiting_rows(), 0, kMomentsBlock,
                    wide_blocks(blocks_, waiting_rows(), 0, kMomentsBlock).front() != 0);
            }
        }
        position += count;
        if (++in_flight % most == 0) queue_->wait(monitor, position, x.rows());
    }
    queue_->wait(monitor, position, x.rows());
}

std::array<AnyRows, 2> DeviceMoments::waiting_rows() const {
    std::array<AnyRows, 2> rows;
    for (std::size_t s = 0; s < 2; ++s)
        rows[s] = {Element::f64, waiting_rows_[s].get(), kMomentsBlock, cols(int(s)), cols(int(s))};
    return rows;
}

std::vector<char> DeviceMoments::wide_blocks(Blocks& blocks, const std::array<AnyRows, 2>& rows, std::int64_t begin,
                                             std::int64_t count) const {
    std::vector<char> wide(std::size_t((count + kMomentsBlock - 1) / kMomentsBlock), precision_ == Precision::f64);
    if (precision_ == Precision::f64) return wide;
    for (std::size_t s = 0; s < 2; ++s) {
        if (blocks.side[s].shift.empty()) start(blocks, rows, begin, std::min(count, kMomentsBlock));
        const Buffer<double> squares(*queue_, count), largest(*queue_, count);
        rows[s].with(begin, count, [&](auto some) {
            Squares<typename decltype(some)::Element> kernel;
            kernel.x = some;
            kernel.squares = Written<double>(squares.get());
            kernel.largest = Written<double>(largest.get());
            kernel.centre = blocks.side[s].shift_there.get();
            launch(*queue_, kernel.blocks(count), kernel);
        });
        const std::vector<double> square = squares.values();
        for (std::size_t b = 0; b < wide.size(); ++b) {
            const auto from = square.begin() + std::int64_t(b) * kMomentsBlock;
            const std::int64_t rest = count - std::int64_t(b) * kMomentsBlock;
            if (has_outlier({from, from + std::min(kMomentsBlock, rest)})) wide[b] = 1;
        }
    }
    return wide;
}

void DeviceMoments::add(Blocks& blocks, const std::array<AnyRows, 2>& rows, std::int64_t begin, std::int64_t count,
                        bool wide) const {
    if (!blocks.side[0].scaled || !blocks.side[1].scaled) start(blocks, rows, begin, count);
    make_room(blocks);
    const std::int64_t last = cols(0) + cols(1);
    for (std::size_t s = 0; s < 2; ++s)
        rows[s].with(begin, count, [&](auto some) {
            Centred<typename decltype(some)::Element> kernel;
            kernel.x = some;
            kernel.shift = blocks.side[s].shift_there.get();
            kernel.factor = std::ldexp(1.0, -blocks.side[s].exponent);
            kernel.out = Written<double>(blocks.rows.get() + (s ? cols(0) : 0));
            kernel.norms = Written<double>(blocks.rows.get() + last + kNorm + std::int64_t(s));
            kernel.width = kernel.apart = blocks.width;
            kernel.one = s ? cols(1) + kOne : -1;
            launch(*queue_, kernel.blocks(count), kernel);
        });
    if (wide) {
        products_->add_square(count, blocks.width, blocks.rows.get(), blocks.sums.get());
        blocks.widened = blocks.widened || precision_ == Precision::f32;
    } else {
        add_narrow(blocks, count);
    }
    blocks.n += count;
}

// The same of the prepared rows, whose products with each other are made in float32.
void DeviceMoments::add_narrow(const Blocks& blocks, std::int64_t count) const {
    const std::int64_t width = blocks.width, last = cols(0) + cols(1);
    const Borders borders{
        blocks.rows.get(), count, width, last, Written<double>(blocks.sums.get()), Written<double>(blocks.means.get())};
    launch(*queue_, Borders::blocks(last), borders);
    const Narrowed narrowed{
        blocks.rows.get(), blocks.means.get(), count, width, last, Written<float>(blocks.narrow.get())};
    launch(*queue_, count, narrowed);
    products_->square(count, width, blocks.narrow.get(), blocks.products.get());
    const AddNarrow sum{
        blocks.products.get(), blocks.means.get(), count, width, last, Written<double>(blocks.sums.get())};
    launch(*queue_, last, sum);
}

// Sets the shift from the first block, and the scale from the first block whose rows deviate from the shift.
void DeviceMoments::start(Blocks& blocks, const std::array<AnyRows, 2>& rows, std::int64_t begin,
                          std::int64_t count) const {
    for (std::size_t s = 0; s < 2; ++s) {
        Frame& side = blocks.side[s];
        if (side.scaled) continue;
        const bool first_block = side.shift.empty();
        const Buffer<double> sums(*queue_, side.cols), largest(*queue_, side.cols), first(*queue_, side.cols);
        rows[s].with(begin, count, [&](auto some) {
            Columns<typename decltype(some)::Element> kernel;
            kernel.x = some;
            kernel.base = side.shift_there.get();
            kernel.sums = Written<double>(sums.get());
            kernel.largest = Written<double>(largest.get());
            kernel.first = Written<double>(first.get());
            launch(*queue_, kernel.blocks(count, side.cols), kernel);
        });
        const std::vector<double> most = largest.values();
        if (first_block) {
            const std::vector<double> sum = sums.values();
            std::vector<double> mean = first.values();
            for (std::size_t j = 0; j < sum.size(); ++j) mean[j] += sum[j] / double(count);
            set_shift(side, std::move(mean));
        }
        const double peak = *std::max_element(most.begin(), most.end());
        require(std::isfinite(peak), std::string(s ? "y" : "x") + " must have differences that float64 can hold");
        if (!(peak > 0)) continue;
        side.exponent = std::clamp(std::ilogb(peak), -kMost, kMost);
        side.scaled = true;
    }
}

void DeviceMoments::set_shift(Frame& side, std::vector<double> shift) const {
    side.shift_there = Buffer<double>(*queue_, shift);
    side.furthest = 0;
    for (const double m : shift) side.furthest = std::max(side.furthest, std::fabs(m));
    side.shift = std::move(shift);
}

// Raises the scale where fourth powers of what was seen would leave the range.
void DeviceMoments::make_room(Blocks& blocks) const {
    std::array<int, 2> wanted;
    bool raised = false;
    for (std::size_t s = 0; s < 2; ++s) {
        const Frame& side = blocks.side[s];
        const double half = largest_[s] / 2 + side.furthest / 2;  // of what rows may be off by
        wanted[s] = side.exponent;
        if (!side.scaled || !(half > 0) || std::ilogb(half) < side.exponent + kRoom) continue;
        wanted[s] = std::min(std::ilogb(half) + 1, kMost);
        raised = raised || wanted[s] != side.exponent;
    }
    if (!raised) return;
    MomentSums sums = download(blocks);
    sums.rescale(wanted[0], wanted[1]);
    upload(sums, blocks);
}

// The upper triangles of the products, and all other sums.
MomentSums DeviceMoments::download(const Blocks& blocks) const {
    const std::int64_t p = cols(0), q = cols(1), w = blocks.width, last = p + q;
    const std::vector<double> all = blocks.sums.values();
    const auto at = [&](std::int64_t i, std::int64_t j) {
        return all[std::size_t(std::min(i, j) * w + std::max(i, j))];
    };
    MomentSums sums(p, q);
    sums.n = blocks.n;
    sums.widened = blocks.widened;
    for (std::size_t s = 0; s < 2; ++s) {
        SideSums& side = sums.side[s];
        const Frame& frame = blocks.side[s];
        const std::int64_t own = last + kNorm + std::int64_t(s), other = last + kNorm + std::int64_t(1 - s);
        side.exponent = frame.exponent;
        side.scaled = frame.scaled;
        if (!frame.shift.empty()) side.shift = frame.shift;
        for (std::int64_t j = 0; j < side.cols; ++j) {
            const std::int64_t column = (s ? p : 0) + j;
            side.sum[std::size_t(j)] = at(column, last + kOne);
            side.own[std::size_t(j)] = at(column, own);
            side.other[std::size_t(j)] = at(column, other);
        }
        side.norm = at(last + kOne, own);
        side.norm_square = at(own, own);
    }
    sums.norm_product = at(last + kNorm, last + kNorm + 1);
    for (std::int64_t i = 0; i < last; ++i) {
        const double* row = all.data() + i * w;
        if (i < p) {
            std::copy(row + i, row + p, sums.products[0].data() + i * p + i);
            std::copy(row + p, row + last, sums.products[1].data() + i * q);
        } else {
            std::copy(row + i, row + last, sums.products[2].data() + (i - p) * q + (i - p));
        }
    }
    return sums;
}

void DeviceMoments::upload(const MomentSums& sums, Blocks& blocks) const {
    const std::int64_t p = cols(0), q = cols(1), w = blocks.width, last = p + q;
    std::vector<double> all(std::size_t(w * w), 0.0);
    const auto at = [&](std::int64_t i, std::int64_t j) -> double& {
        return all[std::size_t(std::min(i, j) * w + std::max(i, j))];
    };
    blocks.n = sums.n;
    blocks.widened = sums.widened;
    at(last + kOne, last + kOne) = double(sums.n);
    for (std::size_t s = 0; s < 2; ++s) {
        const SideSums& side = sums.side[s];
        Frame& frame = blocks.side[s];
        const std::int64_t own = last + kNorm + std::int64_t(s), other = last + kNorm + std::int64_t(1 - s);
        frame.exponent = side.exponent;
        frame.scaled = side.scaled;
        if (sums.n > 0) set_shift(frame, side.shift);
        for (std::int64_t j = 0; j < side.cols; ++j) {
            const std::int64_t column = (s ? p : 0) + j;
            at(column, last + kOne) = side.sum[std::size_t(j)];
            at(column, own) = side.own[std::size_t(j)];
            at(column, other) = side.other[std::size_t(j)];
        }
        at(last + kOne, own) = side.norm;
        at(own, own) = side.norm_square;
    }
    at(last + kNorm, last + kNorm + 1) = sums.norm_product;
    for (std::int64_t i = 0; i < last; ++i) {
        double* row = all.data() + i * w;
        if (i < p) {
            std::copy_n(sums.products[0].data() + i * p + i, p - i, row + i);
            std::copy_n(sums.products[1].data() + i * q, q, row + p);
        } else {
            std::copy_n(sums.products[2].data() + (i - p) * q + (i - p), last - i, row + i);
        }
    }
    queue_->upload(blocks.sums.get(), all.data(), all.size() * sizeof(double));
}

MomentSums DeviceMoments::finish(bool centred, Monitor* monitor) const {
    MomentSums all = download(blocks_);
    if (waiting_ > 0) {
        Blocks rest = make_blocks(cols(0), cols(1));
        for (std::size_t s = 0; s < 2; ++s) {
            const Frame& side = blocks_.side[s];
            rest.side[s].exponent = side.exponent;
            rest.side[s].scaled = side.scaled;
            if (!side.shift.empty()) set_shift(rest.side[s], side.shift);
        }
        add(rest, waiting_rows(), 0, waiting_, wide_blocks(rest, waiting_rows(), 0, waiting_).front() != 0);
        queue_->wait(monitor);
        MomentSums last = download(rest);
        all.rescale(last.side[0].exponent, last.side[1].exponent);
        for (std::size_t s = 0; s < 2; ++s) all.side[s].shift = last.side[s].shift;
        all.add(last);
    }
    all.finish(centred);
    return all;
}

MomentState DeviceMoments::state(Monitor* monitor) const {
    queue_->wait(monitor);
    MomentSums sums = download(blocks_);
    sums.symmetrise();
    std::array<std::vector<double>, 2> rows;
    for (std::size_t s = 0; s < 2; ++s) {
        rows[s].resize(std::size_t(waiting_ * cols(int(s))));
        queue_->download(rows[s].data(), waiting_rows_[s].get(), rows[s].size() * sizeof(double));
    }
    return {std::move(sums), waiting_, std::move(rows)};
}

}  // namespace kernalign::cuda
