// The Moments state as a value: finished, merged, packed for a file and unpacked.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "cpu/moments/accumulator.hpp"
#include "error.hpp"

namespace kernalign {
namespace {

std::int64_t whole(double value, double least, double most) {
    require(value >= least && value <= most && value == std::floor(value),
            "a saved Moments state must hold whole numbers where it counts");
    return std::int64_t(value);
}

// Sums of scaled rows: fourth powers of numbers up to 2^50, as many as there can be (MomentSums::exponents_for).
constexpr double kLargestSum = 0x1p300;

// Refuses sums that no rows have, which a file with a good checksum may hold.
void check_sums(const MomentSums& sums) {
    const auto sound = [](bool ok) { require(ok, "a saved Moments state must hold sums of finite rows"); };
    const auto bounded = [&](const auto& values) {
        for (const double value : values) sound(std::fabs(value) < kLargestSum);
    };
    bounded(std::array{sums.norm_product});
    for (const LargeVector<double>& product : sums.products) bounded(product);
    for (std::size_t s = 0; s < 2; ++s) {
        const SideSums& side = sums.side[s];
        const LargeVector<double>& product = sums.products[2 * s];
        const auto cols = std::size_t(side.cols);
        sound(side.norm >= 0 && side.norm_square >= 0 && (sums.n > 0 || side.norm == 0));
        bounded(std::array{side.norm, side.norm_square});
        for (const std::vector<double>* v : {&side.sum, &side.own, &side.other}) bounded(*v);
        for (std::size_t i = 0; i < cols; ++i) {
            sound(product[i * cols + i] >= 0);
            for (std::size_t j = 0; j < i; ++j) sound(product[i * cols + j] == product[j * cols + i]);
        }
    }
}

}  // namespace

MomentSums Moments::finish(bool centred, int threads, Monitor* monitor) const {
    return Moments(*this).drain(centred, threads, monitor);
}

MomentSums Moments::drain(bool centred, int threads, Monitor* monitor) {
    Moments state(std::move(*this));
    *this = Moments(1, 1, state.precision_);
    Progress progress(monitor, 0);
    const double columns = double(state.cols(0) + state.cols(1));
    threads = resolve_threads(threads, 0.5 * double(kMomentsBlock) * columns * columns);
    state.complete(threads, progress);
    state.flush(threads, progress);
    MomentSums sums = std::move(state.sums_);
    sums.finish(centred);
    return sums;
}

void Moments::merge(const Moments& other) {
    for (int s = 0; s < 2; ++s)
        require(cols(s) == other.cols(s), std::string("merged states must have the same columns of ") +
                                              (s ? "y" : "x") + ", got " + std::to_string(cols(s)) + " and " +
                                              std::to_string(other.cols(s)));
    require(precision_ == other.precision_, "merged states must both be float32 or both float64 streams");
    if (other.count() == 0) return;
    if (count() == 0) {
        *this = other;
        return;
    }
    Moments right(other);
    for (Moments* state : {this, &right}) {
        state->settle();
        state->sums_.symmetrise();
    }
    sums_.merge(std::move(right.sums_));
}

void Moments::settle() {
    Progress progress(nullptr, 0);
    complete(1, progress);
    flush(1, progress);
}

MomentState Moments::state() const {
    Moments all(*this);
    Progress progress(nullptr, 0);
    all.complete(1, progress);
    all.sums_.symmetrise();
    for (std::size_t s = 0; s < 2; ++s) all.waiting_rows_[s].resize(std::size_t(waiting_ * cols(int(s))));
    return {std::move(all.sums_), waiting_, std::move(all.waiting_rows_)};
}

Moments Moments::of(MomentState state, Precision precision) {
    Moments stream(state.sums.side[0].cols, state.sums.side[1].cols, precision);
    stream.sums_ = std::move(state.sums);
    stream.waiting_ = state.waiting;
    stream.waiting_rows_ = std::move(state.rows);
    return stream;
}

std::vector<double> Moments::pack() const {
    const MomentState all = state();
    std::vector<double> packed{double(all.sums.n), double(all.waiting), all.sums.norm_product,
                               double(all.sums.widened)};
    for (const SideSums& side : all.sums.side) {
        for (double value : {double(side.exponent), double(side.scaled), side.norm, side.norm_square})
            packed.push_back(value);
        for (const std::vector<double>* v : {&side.shift, &side.sum, &side.own, &side.other})
            packed.insert(packed.end(), v->begin(), v->end());
    }
    for (const LargeVector<double>& v : all.sums.products) packed.insert(packed.end(), v.begin(), v.end());
    for (const std::vector<double>& v : all.rows) packed.insert(packed.end(), v.begin(), v.end());
    return packed;
}

Moments Moments::unpack(std::int64_t p, std::int64_t q, Precision precision, const std::vector<double>& packed) {
    constexpr std::int64_t kMost = 1 << 20;  // columns; keeps the sizes below from overflowing
    require(p >= 1 && q >= 1 && p <= kMost && q <= kMost,
            "a saved Moments state must have a sensible number of columns");
    const std::int64_t fixed = 4 + 8 + 4 * (p + q) + p * p + p * q + q * q;
    const std::int64_t size = std::int64_t(packed.size());
    const std::int64_t waiting = size > 1 ? whole(packed[1], 0, double(kMomentsBlock - 1)) : -1;
    require(waiting >= 0 && size == fixed + waiting * (p + q),
            "a saved Moments state must have the length that its sizes say");
    require(std::all_of(packed.begin(), packed.end(), [](double value) { return std::isfinite(value); }),
            "a saved Moments state must hold finite numbers");
    Moments state(p, q, precision);
    auto from = packed.begin();
    const auto next = [&] { return *from++; };
    const auto take_vector = [&](auto& v, std::int64_t length) {
        v.assign(from, from + length);
        from += length;
    };
    state.sums_.n = whole(next(), 0, 0x1p53);
    state.waiting_ = whole(next(), 0, double(kMomentsBlock - 1));
    state.sums_.norm_product = next();
    state.sums_.widened = next() != 0;
    for (SideSums& side : state.sums_.side) {
        side.exponent = int(whole(next(), -2000, 2000));
        side.scaled = next() != 0;
        side.norm = next();
        side.norm_square = next();
        for (std::vector<double>* v : {&side.shift, &side.sum, &side.own, &side.other}) take_vector(*v, side.cols);
    }
    for (LargeVector<double>& v : state.sums_.products) take_vector(v, std::int64_t(v.size()));
    for (std::size_t s = 0; s < 2; ++s) take_vector(state.waiting_rows_[s], waiting * state.cols(int(s)));
    check_sums(state.sums_);
    return state;
}

}  // namespace kernalign
