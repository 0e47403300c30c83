// Orders of floating-point numbers for the standard algorithms, which read out of bounds where a comparison is not an
// order: here NaN comes last, whichever way.
#pragma once

namespace kernalign {

struct Ascending {
    template <class T>
    bool operator()(T a, T b) const {
        return a < b || (a == a && b != b);
    }
};

struct Descending {
    template <class T>
    bool operator()(T a, T b) const {
        return a > b || (a == a && b != b);
    }
};

}  // namespace kernalign
