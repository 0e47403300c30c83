// Tells whether rows come in small groups that differ much less among themselves than from the others.
#include "cpu/runtime/near_rows.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <vector>

#include "cpu/runtime/load.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kColumns = 8, kMostRows = std::int64_t(1) << 17, kMostNear = 32;
constexpr std::int64_t kFew = 2, kMany = 32;  // rows looked at: most inputs need the few only
constexpr double kNear = 0.1;
constexpr std::int64_t kBlock = 256;
constexpr std::int64_t kMostLooked = 1 << 11;

// Columns from `first` on, as they are given.
Rows columns_of(const Rows& rows, std::int64_t first, std::int64_t count) {
    Rows some;
    some.view = rows.view;
    some.view.cols = count;
    some.view.data = static_cast<const char*>(rows.view.data) + first * rows.view.col_stride;
    return some;
}

Rows middle_columns(const Rows& rows) {
    const std::int64_t count = std::min(rows.cols(), kColumns);
    Rows middle = columns_of(rows, (rows.cols() - count) / 2, count);
    middle.view.rows = std::min(rows.rows(), kMostRows);
    return middle;
}

// Of finite numbers: a table by hash, which takes much less than to sort them.
bool has_equal(const std::vector<double>& values) {
    int bits = 2;
    while ((std::size_t(1) << bits) < 2 * values.size()) ++bits;
    const std::size_t last = (std::size_t(1) << bits) - 1;
    std::vector<double> table(last + 1, std::numeric_limits<double>::infinity());
    for (const double value : values) {
        const double positive = value + 0.0;  // -0 is 0
        std::uint64_t key;
        std::memcpy(&key, &positive, sizeof key);
        std::size_t place = std::size_t((key * 0x9E3779B97F4A7C15u) >> (64 - bits));
        while (table[place] != std::numeric_limits<double>::infinity()) {
            if (table[place] == value) return true;
            place = (place + 1) & last;
        }
        table[place] = value;
    }
    return false;
}

// One row's least distances to the others, in order.
template <class T>
struct Nearest {
    std::array<T, kColumns> own{};
    std::array<T, kMostNear + 2> distances;
    std::int64_t kept;

    Nearest(const Rows& rows, std::int64_t row) : kept(std::min(kMostNear, rows.rows() / 16) + 2) {
        load_rows(rows, row, row + 1, own.data(), kColumns);
        distances.fill(std::numeric_limits<T>::infinity());
    }

    bool whole() const {
        return std::all_of(own.begin(), own.end(), [](T value) { return value == std::trunc(value); });
    }

    void see(const T* other) {
        std::array<T, kColumns> gaps;  // added in pairs, which compilers do side by side
        for (std::size_t j = 0; j < kColumns; ++j) gaps[j] = std::fabs(other[j] - own[j]);
        for (std::size_t half = kColumns / 2; half > 0; half /= 2)
            for (std::size_t j = 0; j < half; ++j) gaps[j] += gaps[j + half];
        auto place = distances.begin() + kept - 1;
        if (!(gaps[0] < *place)) return;
        for (; place != distances.begin() && gaps[0] < place[-1]; --place) *place = place[-1];
        *place = gaps[0];
    }

    bool has_near() const {
        const auto is_near = [](T one, T next) { return next > 0 && std::isfinite(next) && one <= T(kNear) * next; };
        // The first is the row itself.
        return std::adjacent_find(distances.begin() + 1, distances.begin() + kept, is_near) != distances.begin() + kept;
    }
};

// How many of `many` evenly spaced rows have near ones; 0 if all of those are whole numbers.
template <class T>
std::int64_t with_near(const Rows& rows, std::int64_t many, Monitor* monitor) {
    std::vector<Nearest<T>> chosen;
    for (std::int64_t at = 0; at < many; ++at) chosen.emplace_back(rows, (2 * at + 1) * rows.rows() / (2 * many));
    if (std::all_of(chosen.begin(), chosen.end(), [](const Nearest<T>& one) { return one.whole(); })) return 0;
    const bool in_place = rows.cols() == kColumns && dense_as<T>(rows);
    const std::int64_t stride = in_place ? rows.view.row_stride / std::ptrdiff_t(sizeof(T)) : kColumns;
    std::array<T, kBlock * kColumns> block{};  // missing columns stay zeros: loops over them have a known length
    std::array<T, kBlock * kColumns> narrow;   // as they are, which are read together
    for (std::int64_t begin = 0; begin < rows.rows(); begin += kBlock) {
        if (monitor) monitor->poll(0, 0);
        const std::int64_t end = std::min(rows.rows(), begin + kBlock);
        if (!in_place) {
            load_rows(rows, begin, end, narrow.data(), rows.cols());
            for (std::int64_t i = 0; i < end - begin; ++i)
                std::copy_n(narrow.data() + i * rows.cols(), rows.cols(), block.data() + i * kColumns);
        }
        const T* values = in_place ? static_cast<const T*>(rows.view.data) + begin * stride : block.data();
        for (std::int64_t i = 0; i < end - begin; ++i)
            for (Nearest<T>& one : chosen) one.see(values + i * stride);
    }
    return std::count_if(chosen.begin(), chosen.end(), [](const Nearest<T>& one) { return one.has_near(); });
}

template <class T>
double share_in(const Rows& rows, Monitor* monitor) {
    if (with_near<T>(rows, kFew, monitor) == 0) return 0;
    const std::int64_t many = std::min(rows.rows(), kMany), found = with_near<T>(rows, many, monitor);
    return 3 * found > many ? double(found) / double(many) : 0;
}

}  // namespace

double share_of_near_rows(const Rows& rows, Monitor* monitor) {
    if (rows.cols() < 2 || rows.rows() < 16) return 0;
    const Rows middle = middle_columns(rows);
    try {
        return natural_precision(middle.view.dtype) == Precision::f32 ? share_in<float>(middle, monitor)
                                                                      : share_in<double>(middle, monitor);
    } catch (const std::invalid_argument&) {  // said of all columns when they are read
        return 0;
    }
}

int looks_of(const Rows& rows, Monitor* monitor) {
    const std::int64_t n = rows.rows(), last = n - 1;
    int found = n > kMostLooked ? kUnknown : 0;
    if (share_of_near_rows(rows, monitor) != 0) found |= kRepeats;
    try {
        if (n <= kMostLooked) {
            std::vector<double> column(static_cast<std::size_t>(n));
            Rows middle = columns_of(rows, rows.cols() / 2, n);
            middle.view.rows = 1;  // the column as a row, which is read much faster
            middle.view.col_stride = rows.view.row_stride;
            load_rows(middle, 0, 1, column.data(), n);
            if (has_equal(column)) found |= kRepeats;
        }
        for (const std::int64_t at : {std::int64_t(0), rows.cols() - 1}) {
            const Rows column = columns_of(rows, at, 1);
            double from, to;
            load_rows(column, 0, 1, &from, 1);
            load_rows(column, last, n, &to, 1);
            if (to - from == double(last)) found |= kCounts;
            if (at == 0 && from == 0 && n == rows.cols()) found |= kDistances;
        }
    } catch (const std::invalid_argument&) {  // said of all columns when they are read
    }
    return found;
}

}  // namespace kernalign
