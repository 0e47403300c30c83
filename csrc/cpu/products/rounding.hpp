// The arithmetic of rounding bounds.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

namespace kernalign::rounding {

constexpr double kSafe = 1 + 0x1p-20;  // covers the float64 rounding of a bound's own arithmetic

inline double gamma(double terms, double unit) { return terms * unit / (1 - terms * unit); }

// The least T that is not below value.
template <class T>
T up(double value) {
    if constexpr (std::is_same_v<T, double>) {
        return value;
    } else {
        const T near = T(value);
        return double(near) >= value ? near : std::nextafter(near, std::numeric_limits<T>::infinity());
    }
}

}  // namespace kernalign::rounding
