// Checks that throw standard exceptions with a sentence that names what was required and what was given.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace kernalign {

// Thrown when the caller asked to stop (Ctrl-C, or a progress callback that raised); the cause is kept by the caller.
struct Stopped : std::runtime_error {
    Stopped() : std::runtime_error("stopped by the caller") {}
};

inline void require(bool ok, const std::string& message) {
    if (!ok) throw std::invalid_argument(message);
}

// Rows belong to the caller, who may write into them while an engine reads: what every reading of the same rows would
// have held is checked where memory depends on it.
inline void require_unchanged(bool ok, const std::string& name) {
    if (!ok) throw std::invalid_argument(name + " must not change while it is read, but its values changed");
}

inline void require_same_rows(std::int64_t x_rows, std::int64_t y_rows) {
    if (x_rows != y_rows)
        throw std::invalid_argument("x and y must have the same number of rows, got " + std::to_string(x_rows) +
                                    " and " + std::to_string(y_rows));
}

}  // namespace kernalign
