// Streams rows into the Moments value: blocks, float32 or float64 products per block, float64 sums.
#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <utility>

#include "cpu/moments/accumulator.hpp"
#include "cpu/runtime/load.hpp"
#include "cpu/simd/simd.hpp"
#include "error.hpp"
#include "outlier.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kScratch = 32 << 20;  // bytes of prepared rows
constexpr double kLargestNorm = 0x1p100;     // of a block's rows together: float32 sums of squares stay finite
constexpr double kOverflow = 0x1p1000;
constexpr int kExponentLimit = 1000;  // keeps 2^-e a normal number

// Mean of a block's rows, rounded to T. Differences from the first row are exactly zero in a constant column.
template <class T>
std::vector<T> block_mean(const T* data, std::int64_t stride, std::int64_t rows, std::int64_t cols) {
    std::vector<double> sum(std::size_t(cols), 0.0);
    for (std::int64_t i = 1; i < rows; ++i) simd().add_difference(data + i * stride, data, sum.data(), cols);
    std::vector<T> mean(static_cast<std::size_t>(cols));
    for (std::size_t j = 0; j < mean.size(); ++j) mean[j] = T(double(data[j]) + sum[j] / double(rows));
    return mean;
}

// Throws what load_rows would if a row read in place holds a bad value.
template <class T>
void check_block(const Rows& rows, std::int64_t begin, std::int64_t end, const T* source, std::int64_t stride) {
    for (std::int64_t i = begin; i < end; ++i, source += stride) {
        if (simd().all_finite(source, rows.cols())) continue;
        std::vector<T> row(static_cast<std::size_t>(rows.cols()));
        load_rows(rows, i, i + 1, row.data(), rows.cols());
    }
}

// Copies to float32, and says whether that lost nothing.
bool narrowed(const double* from, std::int64_t count, float* to) {
    std::int64_t inexact = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        to[i] = float(from[i]);
        inexact += double(to[i]) != from[i];
    }
    return inexact == 0;
}

}  // namespace

template <class T>
template <class F>
void Moments::Source<T>::visit(F&& f) const {
    if (wide)
        f(wide);
    else
        f(rows);
}

Moments::Moments(std::int64_t p, std::int64_t q, Precision precision) : precision_(precision), sums_(p, q) {
    require(p >= 1 && q >= 1, "x and y must have at least one column");
}

std::int64_t Moments::count() const {
    std::int64_t rows = sums_.n + waiting_;
    for (const Block& block : chunk_.blocks) rows += block.rows;
    return rows;
}

std::int64_t Moments::blocks_per_chunk() const {
    // The block that sets shift and scale goes alone, also after a call that was stopped when they were set.
    if (sums_.n == 0 || !(sums_.side[0].scaled && sums_.side[1].scaled)) return 1;
    const std::int64_t width = precision_ == Precision::f32 ? sizeof(float) : sizeof(double);
    return std::max<std::int64_t>(1, kScratch / (kMomentsBlock * (cols(0) + cols(1)) * width));
}

void Moments::update(const Rows& x, const Rows& y, int threads, Monitor* monitor) {
    update(x, y, false, threads, monitor);
}

MomentSums moment_sums(const Rows& x, const Rows& y, Precision precision, bool centred, int threads, Monitor* monitor) {
    Moments state(x.cols(), y.cols(), precision);
    state.update(x, y, true, threads, monitor);
    return state.drain(centred, threads, monitor);
}

void Moments::update(const Rows& x, const Rows& y, bool last, int threads, Monitor* monitor) {
    require_same_rows(x.rows(), y.rows());
    const std::array<const Rows*, 2> sides{&x, &y};
    for (int s = 0; s < 2; ++s)
        require(sides[std::size_t(s)]->cols() == cols(s), std::string(s ? "y" : "x") + " must have the " +
                                                              std::to_string(cols(s)) + " columns of the stream, got " +
                                                              std::to_string(sides[std::size_t(s)]->cols()));
    const double columns = double(cols(0) + cols(1));
    threads = resolve_threads(threads, 0.5 * double(waiting_ + x.rows()) * columns * columns);
    const std::int64_t blocks = (waiting_ + x.rows() + (last ? kMomentsBlock - 1 : 0)) / kMomentsBlock;
    Progress progress(monitor, blocks * (1 + tiles_per_chunk()));
    complete(threads, progress);
    if (precision_ == Precision::f32)
        take<float>(x, y, last, threads, progress);
    else
        take<double>(x, y, last, threads, progress);
}

template <class T>
void Moments::take(const Rows& x, const Rows& y, bool last, int threads, Progress& progress) {
    const std::array<const Rows*, 2> sides{&x, &y};
    std::int64_t position = 0;
    const auto wait = [&](std::int64_t rows) {
        for (std::size_t s = 0; s < 2; ++s) {
            waiting_rows_[s].resize(std::size_t((waiting_ + rows) * cols(int(s))));
            load_rows(*sides[s], position, position + rows, waiting_rows_[s].data() + waiting_ * cols(int(s)),
                      cols(int(s)));
        }
        waiting_ += rows;
        position += rows;
    };
    if (waiting_ > 0) {
        wait(std::min(kMomentsBlock - waiting_, x.rows()));
        if (waiting_ == kMomentsBlock) flush(threads, progress);
    }
    while (x.rows() - position >= (last ? 1 : kMomentsBlock)) {
        const std::int64_t left = x.rows() - position;
        const std::int64_t blocks =
            std::min(blocks_per_chunk(), (left + (last ? kMomentsBlock - 1 : 0)) / kMomentsBlock);
        const std::int64_t taken = std::min(left, blocks * kMomentsBlock);
        std::vector<Block> prepared(static_cast<std::size_t>(blocks));
        auto& data = buffers<T>(chunk_);
        for (std::size_t s = 0; s < 2; ++s) data[s].resize(std::size_t(taken * cols(int(s))));
        parallel_for(blocks, threads, progress, [&](std::int64_t b, int) {
            std::array<T*, 2> out;
            std::array<Source<T>, 2> source;
            std::array<std::vector<double>, 2> wide;
            const std::int64_t begin = position + b * kMomentsBlock, end = std::min(x.rows(), begin + kMomentsBlock);
            for (std::size_t s = 0; s < 2; ++s) {
                const std::int64_t p = source[s].stride = cols(int(s));
                source[s].rows = out[s] = data[s].data() + b * kMomentsBlock * p;
                if (dense_as<T>(*sides[s])) {  // read in place
                    source[s].stride = sides[s]->view.row_stride / std::ptrdiff_t(sizeof(T));
                    source[s].rows = static_cast<const T*>(sides[s]->view.data) + begin * source[s].stride;
                    check_block(*sides[s], begin, end, source[s].rows, source[s].stride);
                    continue;
                }
                if constexpr (std::is_same_v<T, float>) {
                    if (!sides[s]->plain()) {
                        wide[s].resize(std::size_t((end - begin) * p));
                        load_rows(*sides[s], begin, end, wide[s].data(), p);
                        if (!narrowed(wide[s].data(), (end - begin) * p, out[s])) source[s].wide = wide[s].data();
                        continue;
                    }
                }
                load_rows(*sides[s], begin, end, out[s], p);
            }
            Block& block = prepared[std::size_t(b)];
            block.rows = end - begin;
            if (blocks_per_chunk() == 1) start<T>(source, block.rows);
            prepare<T>(block, source, out);
        });
        if (!fits(prepared)) continue;  // again, with the larger scale
        chunk_.blocks = std::move(prepared);
        position += taken;
        commit<T>(threads, progress);
    }
    if (position < x.rows()) wait(x.rows() - position);
    Chunk().swap(chunk_);
}

// Turns the waiting rows, a whole block or what is left at the end, into sums.
void Moments::flush(int threads, Progress& progress) {
    if (waiting_ == 0) return;
    const auto fill = [&](auto element) {
        using T = decltype(element);
        std::vector<Block> prepared;
        do {
            prepared.clear();
            prepared.resize(1);
            prepared[0].rows = waiting_;
            std::array<T*, 2> out;
            std::array<Source<T>, 2> source;
            for (std::size_t s = 0; s < 2; ++s) {
                LargeVector<T>& data = buffers<T>(chunk_)[s];
                const double* rows = waiting_rows_[s].data();
                const std::int64_t count = waiting_ * cols(int(s));
                data.resize(std::size_t(count));
                source[s].stride = cols(int(s));
                source[s].rows = out[s] = data.data();
                if constexpr (std::is_same_v<T, float>) {
                    if (!narrowed(rows, count, out[s])) source[s].wide = rows;
                } else {
                    std::copy_n(rows, count, out[s]);
                }
            }
            start<T>(source, waiting_);
            prepare<T>(prepared[0], source, out);
        } while (!fits(prepared));
        chunk_.blocks = std::move(prepared);
        progress.add(1);
        waiting_ = 0;
        commit<T>(threads, progress);
    };
    if (precision_ == Precision::f32)
        fill(float{});
    else
        fill(double{});
}

// Sets the shift from the first block, and the scale from the first block whose rows deviate from the shift.
template <class T>
void Moments::start(const std::array<Source<T>, 2>& source, std::int64_t rows) {
    for (std::size_t s = 0; s < 2; ++s) {
        SideSums& side = sums_.side[s];
        const std::int64_t stride = source[s].stride;
        if (sums_.n == 0) {
            source[s].visit([&](const auto* data) {
                const auto mean = block_mean(data, stride, rows, side.cols);
                side.shift.assign(mean.begin(), mean.end());
            });
            side.scaled = false;
            side.exponent = 0;
        }
        if (side.scaled) continue;
        std::vector<double> furthest(std::size_t(side.cols), 0.0);  // by columns, which the compiler can vectorise
        source[s].visit([&](const auto* data) {
            for (std::int64_t i = 0; i < rows; ++i)
                for (std::size_t j = 0; j < furthest.size(); ++j) {
                    const double size = std::fabs(double(data[i * stride + std::int64_t(j)]) - side.shift[j]);
                    furthest[j] = furthest[j] > size ? furthest[j] : size;
                }
        });
        const double largest = *std::max_element(furthest.begin(), furthest.end());
        require(std::isfinite(largest), std::string(s ? "y" : "x") + " must have differences that float64 can hold");
        if (largest > 0) {
            side.exponent = std::clamp(std::ilogb(largest), -kExponentLimit, kExponentLimit);
            side.scaled = true;
        }
    }
}

// Sums of one block about the common shift; out receives the rows centred on the block's own mean, and scaled.
template <class T>
void Moments::prepare(Block& block, const std::array<Source<T>, 2>& source, const std::array<T*, 2>& out) const {
    const double rows = double(block.rows);
    std::array<std::vector<double>, 2> norms;
    std::array<std::vector<double>, 2> centre;  // in the rows' own precision
    std::array<double, 2> factor;
    for (std::size_t s = 0; s < 2; ++s) {
        const SideSums& side = sums_.side[s];
        SideSums& sums = block.side[s];
        for (std::vector<double>* v : {&sums.sum, &sums.own, &sums.other}) v->assign(std::size_t(side.cols), 0.0);
        factor[s] = std::ldexp(1.0, -side.exponent);
        norms[s].resize(std::size_t(block.rows));
        source[s].visit([&](const auto* data) {
            const std::int64_t stride = source[s].stride;
            if (sums_.n == 0) {
                centre[s] = side.shift;  // the mean of this block, the first
            } else {
                const auto mean = block_mean(data, stride, block.rows, side.cols);
                centre[s].assign(mean.begin(), mean.end());
            }
            for (std::int64_t i = 0; i < block.rows; ++i) {
                const double norm = simd().squared_norm(data + i * stride, side.shift.data(), factor[s], side.cols);
                norms[s][std::size_t(i)] = norm;
                sums.norm += norm;
                sums.norm_square += norm * norm;
            }
        });
    }
    for (std::size_t i = 0; i < std::size_t(block.rows); ++i) block.norm_product += norms[0][i] * norms[1][i];
    bool widen = false;
    if constexpr (std::is_same_v<T, float>) widen = has_outlier(norms[0]) || has_outlier(norms[1]);
    for (std::size_t s = 0; s < 2; ++s) {
        const SideSums& side = sums_.side[s];
        SideSums& sums = block.side[s];
        source[s].visit([&](const auto* data) {
            using Element = std::decay_t<decltype(*data)>;
            const std::int64_t stride = source[s].stride;
            if (widen) {
                block.wide[s].resize(std::size_t(block.rows * side.cols));
                double* wide = block.wide[s].data();
                for (std::int64_t i = 0; i < block.rows; ++i)
                    for (std::int64_t j = 0; j < side.cols; ++j)
                        *wide++ = (double(data[i * stride + j]) - centre[s][std::size_t(j)]) * factor[s];
            }
            const std::vector<Element> middle(centre[s].begin(), centre[s].end());
            std::vector<Element> row(std::is_same_v<Element, T> ? 0 : std::size_t(side.cols));
            for (std::int64_t i = 0; i < block.rows; ++i) {
                T* const to = out[s] + i * side.cols;
                Element* target = row.data();
                if constexpr (std::is_same_v<Element, T>) target = to;
                simd().accumulate_row(data + i * stride, target, side.shift.data(), middle.data(), factor[s],
                                      norms[s][std::size_t(i)], norms[1 - s][std::size_t(i)], sums.sum.data(),
                                      sums.own.data(), sums.other.data(), side.cols);
                if constexpr (!std::is_same_v<Element, T>) std::copy(row.begin(), row.end(), to);
            }
        });
        block.delta[s].resize(std::size_t(side.cols));
        block.residual[s].resize(std::size_t(side.cols));
        for (std::size_t j = 0; j < std::size_t(side.cols); ++j) {
            block.delta[s][j] = (centre[s][j] - side.shift[j]) * factor[s];
            block.residual[s][j] = sums.sum[j] - rows * block.delta[s][j];
        }
    }
}

// Whether the blocks' fourth powers can be summed at the present scale; if not, raises the scale.
bool Moments::fits(const std::vector<Block>& blocks) {
    std::array<int, 2> exponents{sums_.side[0].exponent, sums_.side[1].exponent};
    bool fit = true;
    for (std::size_t s = 0; s < 2; ++s) {
        double largest = 0;
        for (const Block& block : blocks) {
            require_unchanged(!std::isnan(block.side[s].norm), s ? "y" : "x");
            largest = std::isfinite(block.side[s].norm) ? std::max(largest, block.side[s].norm) : kOverflow;
        }
        require(largest < kOverflow || exponents[s] < kExponentLimit,
                std::string(s ? "y" : "x") + " must have differences that float64 can hold");
        if (largest < kLargestNorm || exponents[s] >= kExponentLimit) continue;
        exponents[s] = std::min(exponents[s] + std::ilogb(largest) / 2, kExponentLimit);
        fit = false;
    }
    if (!fit) sums_.rescale(exponents[0], exponents[1]);
    return fit;
}

}  // namespace kernalign
