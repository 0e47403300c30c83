// Protects decompositions: what they give back, and that a stop ends the wait while LAPACK works on with its own
// memory.
#include "decompositions.hpp"

#include <cmath>

#include "check.hpp"
#include "error.hpp"

using namespace kernalign;

namespace {

Dense wave(std::int64_t rows, std::int64_t columns) {
    Dense a(rows * columns);
    for (std::int64_t i = 0; i < rows * columns; ++i) a[i] = std::sin(double(i) * double(i % 97));
    return a;
}

struct StopAtOnce : Monitor {
    void poll(std::int64_t, std::int64_t) override { throw Stopped(); }
};

struct Patient : Monitor {
    void poll(std::int64_t, std::int64_t) override {}
};

}  // namespace

TEST(singular_vectors_give_the_matrix_back) {
    for (const bool careful : {false, true}) {
        const std::int64_t m = 7, n = 4;
        const Dense a = wave(m, n);
        const auto found = singular(a, m, n, Vectors::thin, careful, nullptr);
        CHECK(found.has_value());
        for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t j = 0; j < n; ++j) {
                double sum = 0;
                for (std::int64_t k = 0; k < n; ++k)
                    sum += found->u[i * n + k] * found->values[k] * found->vt[k * n + j];
                CHECK_NEAR(sum, a[i * n + j], 1e-13);
            }
    }
}

TEST(what_is_not_finite_is_refused) {
    Dense a = wave(3, 3);
    a[4] = NAN;
    CHECK_THROWS(singular(a, 3, 3, Vectors::none, false, nullptr), std::invalid_argument, "must be finite");
    CHECK_THROWS(symmetric_eigen(a, 3, 3, true, false, nullptr), std::invalid_argument, "must be finite");
}

TEST(work_apart_gives_the_same_bits) {
    Patient patient;
    const std::int64_t n = 260;
    const auto here = singular(wave(n, n), n, n, Vectors::thin, false, nullptr);
    const auto apart = singular(wave(n, n), n, n, Vectors::thin, false, &patient);
    CHECK(here->u == apart->u);
    CHECK(here->values == apart->values);
}

TEST(a_stop_ends_the_wait) {
    StopAtOnce stop;
    const std::int64_t n = 600;
    CHECK_THROWS(singular(wave(n, n), n, n, Vectors::thin, false, &stop), Stopped, "");
    CHECK_THROWS(symmetric_eigen(wave(n, n), n, n, true, false, &stop), Stopped, "");
    CHECK(singular(wave(5, 5), 5, 5, Vectors::none, false, &stop).has_value());  // the others still work
}
