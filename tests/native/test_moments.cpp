// Protects the Moments engine: the right sums, the same bits however rows arrive, exact merges and resumption.
#include "cpu/moments/accumulator.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "check.hpp"
#include "cpu/runtime/load.hpp"
#include "data.hpp"
#include "error.hpp"
#include "grams_by_hand.hpp"

using namespace kernalign;

// Large arrays are made by these: the one after `allocations_left` others fails, once.
static int allocations_left = -1;
void* operator new(std::size_t bytes, std::align_val_t line) {
    if (allocations_left >= 0 && allocations_left-- == 0) throw std::bad_alloc();
    const std::size_t unit = std::size_t(line);
    if (void* memory = std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

template <class T>
struct Data {
    check::Matrix<T> x, y;
    Data(std::int64_t n, std::int64_t p, std::int64_t q, double mean = 0.5)
        : x(check::gaussian<T>(n, p, 1, mean)), y(check::gaussian<T>(n, q, 2, -mean)) {
        for (std::int64_t i = 0; i < n; ++i)  // related, so that nothing is zero by chance
            for (std::int64_t j = 0; j < std::min(p, q); ++j) y.values[std::size_t(i * q + j)] += x(i, j);
    }
    static constexpr Precision precision = sizeof(T) == 4 ? Precision::f32 : Precision::f64;

    Moments empty() const { return {x.cols, y.cols, precision}; }
    void feed(Moments& state, std::int64_t begin, std::int64_t end, int threads = 1, Monitor* monitor = nullptr) const {
        state.update(x.slice(begin, end, "x"), y.slice(begin, end, "y"), threads, monitor);
    }
    Moments batches(std::int64_t step, int threads = 1) const {
        Moments state = empty();
        for (std::int64_t begin = 0; begin < x.rows; begin += step)
            feed(state, begin, std::min(x.rows, begin + step), threads);
        return state;
    }
};

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

// HSIC-like products of the three pairs of a finished state, in the units of the input.
std::vector<double> results(const Moments& state, bool centred) {
    const MomentSums sums = state.finish(centred, 2, nullptr);
    std::vector<double> out;
    for (const auto& [a, b] : {std::pair{0, 0}, std::pair{0, 1}, std::pair{1, 1}})
        for (const double value : check::products(sums.n, sums.pair(a, b), sums.side[std::size_t(a)].exponent,
                                                  sums.side[std::size_t(b)].exponent))
            out.push_back(value);
    return out;
}

template <class T>
std::vector<double> by_hand(const Data<T>& data, bool centred) {
    const auto k = check::gram(data.x, centred), l = check::gram(data.y, centred);
    std::vector<double> out;
    for (const auto& [a, b] : {std::pair{&k, &k}, std::pair{&k, &l}, std::pair{&l, &l}})
        for (const double value : check::products(data.x.rows, check::pair_sums(data.x.rows, *a, *b)))
            out.push_back(value);
    return out;
}

// Unbiased CKA of what results() or by_hand() returned.
double cka(const std::vector<double>& products) {
    return products[4] / (std::sqrt(products[1]) * std::sqrt(products[7]));
}

struct StopAt : Monitor {
    int polls_left;
    explicit StopAt(int polls) : polls_left(polls) {}
    void poll(std::int64_t, std::int64_t) override {
        if (polls_left-- <= 0) throw Stopped();
    }
};

}  // namespace

TEST(sums_equal_those_of_whole_matrices) {
    for (const std::int64_t n : {4, 33, 300}) {
        const Data<double> wide(n, 5, 9);
        const Data<float> narrow(n, 17, 3);
        for (const bool centred : {true, false}) {
            CHECK(check::gap(results(wide.batches(n), centred), by_hand(wide, centred)) < 1e-11);
            CHECK(check::gap(results(narrow.batches(n), centred), by_hand(narrow, centred)) < 1e-5);
        }
    }
}

TEST(batches_and_threads_do_not_change_a_bit) {
    const Data<float> narrow(2500, 7, 20);
    const Data<double> wide(2500, 7, 20);
    const auto expect_narrow = narrow.batches(2500).pack(), expect_wide = wide.batches(2500).pack();
    for (const std::int64_t step : {7, 64, 211, 1024, 1025})
        for (const int threads : {1, 3}) {
            CHECK(same_bits(narrow.batches(step, threads).pack(), expect_narrow));
            CHECK(same_bits(wide.batches(step, threads).pack(), expect_wide));
        }
    CHECK(same_bits(narrow.batches(1).pack(), expect_narrow));
}

TEST(batches_of_preprocessed_rows_do_not_change_a_bit) {
    const Data<float> data(2500, 7, 20, 1e4);
    const auto read = [&](std::int64_t step, int threads) {
        Moments state = data.empty();
        for (std::int64_t begin = 0; begin < data.x.rows; begin += step) {
            const std::int64_t end = std::min(data.x.rows, begin + step);
            Rows x = data.x.slice(begin, end, "x");
            x.unit_norm = true;  // of y plain rows
            state.update(x, data.y.slice(begin, end, "y"), threads, nullptr);
        }
        return state.pack();
    };
    const auto expect = read(2500, 1);
    for (const std::int64_t step : {7, 211, 1024, 1025})
        for (const int threads : {1, 3}) CHECK(same_bits(read(step, threads), expect));
}

TEST(merges_in_any_order_agree) {
    const Data<double> data(3000, 6, 4, 30);
    const auto expected = results(data.batches(3000), true);
    const auto part = [&](std::int64_t begin, std::int64_t end) {
        Moments state = data.empty();
        if (begin < end) data.feed(state, begin, end);
        return state;
    };
    for (const std::int64_t cut : {0, 1, 5, 1024, 1500, 2999, 3000}) {
        Moments forth = part(0, cut), back = part(cut, 3000);
        forth.merge(part(cut, 3000));
        back.merge(part(0, cut));
        CHECK(forth.count() == 3000 && back.count() == 3000);
        CHECK(check::gap(results(forth, true), expected) < 1e-9);
        CHECK(check::gap(results(back, true), expected) < 1e-9);
    }
    Moments left = part(0, 700), middle = part(700, 2100);
    middle.merge(part(2100, 3000));
    left.merge(middle);
    CHECK(check::gap(results(left, true), expected) < 1e-9);
}

TEST(a_large_mean_or_a_large_first_row_does_no_harm) {
    for (const double mean : {1.0, 30.0, 1000.0}) {
        const Data<float> data(200, 8, 8, mean);
        CHECK(check::gap(results(data.batches(64), true), by_hand(data, true)) < 1e-5);
    }
    Data<float> data(200, 8, 8);
    for (std::int64_t j = 0; j < 8; ++j) data.x.values[std::size_t(j)] *= 100;
    CHECK_NEAR(cka(results(data.batches(64), true)), cka(by_hand(data, true)), 1e-5);
}

TEST(a_packed_state_comes_back_and_goes_on) {
    const Data<float> data(1500, 5, 6);
    Moments state = data.empty();
    data.feed(state, 0, 1100);
    Moments copy = Moments::unpack(5, 6, Precision::f32, state.pack());
    CHECK(copy.count() == 1100);
    data.feed(state, 1100, 1500);
    data.feed(copy, 1100, 1500);
    CHECK(same_bits(state.pack(), copy.pack()));
    std::vector<double> truncated = state.pack();
    truncated.pop_back();
    CHECK_THROWS(Moments::unpack(5, 6, Precision::f32, truncated), std::invalid_argument, "");
}

TEST(a_stopped_update_can_be_resumed_without_a_trace) {
    const Data<float> data(6000, 40, 30);
    const auto expected = data.batches(6000).pack();
    for (int polls = 0; polls < 12; ++polls) {
        Moments state = data.empty();
        StopAt monitor(polls);
        try {
            data.feed(state, 0, 6000, 2, &monitor);
        } catch (const Stopped&) {
            CHECK(state.count() <= 6000);
        }
        if (state.count() < 6000) data.feed(state, state.count(), 6000);
        Moments nothing_new = Moments::unpack(40, 30, Precision::f32, state.pack());
        CHECK(same_bits(nothing_new.pack(), expected));
    }
}

// A block with an outlier is multiplied in float64, the one after it in float32: both have scratch of their own.
TEST(an_update_that_ran_out_of_memory_can_be_resumed_without_a_trace) {
    Data<float> data(4096, 40, 30);
    data.x.values[std::size_t(1500 * 40)] = 1e4F;
    const auto expected = data.batches(4096).pack();
    int failed = 0;
    for (int allocations = 0; allocations <= failed; ++allocations) {
        Moments state = data.empty();
        allocations_left = allocations;
        try {
            data.feed(state, 0, 4096);
        } catch (const std::bad_alloc&) {
            ++failed;
        }
        allocations_left = -1;
        data.feed(state, state.count(), 4096);
        CHECK(same_bits(state.pack(), expected));
    }
    CHECK(failed > 4);
}

TEST(bad_values_are_refused_by_name) {
    Data<float> data(50, 3, 4);
    data.y.values[std::size_t(20 * 4 + 1)] = HUGE_VALF;
    Moments state = data.empty();
    CHECK_THROWS(data.feed(state, 0, 50), std::invalid_argument, "y must be finite, got inf at row 20, column 1");
    CHECK_THROWS(check_rows(data.y.all("y"), 2, nullptr), std::invalid_argument, "row 20, column 1");
}
