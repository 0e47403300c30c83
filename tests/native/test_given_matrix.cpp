// Protects Gram matrices that the caller computed: any layout is read, and what is no Gram matrix is refused.
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "data.hpp"
#include "gram_samples.hpp"
#include "grams.hpp"
#include "grams_by_hand.hpp"

using namespace kernalign;

namespace {

const Kernel kGiven = {KernelForm::precomputed, 1, 0, 1};

template <class T>
void sums_are_those_of_the_matrix(std::int64_t n, double tolerance) {
    const auto k = check::symmetric<T>(n, 1), l = check::symmetric<T>(n, 2);
    const std::vector<double> a(k.values.begin(), k.values.end()), b(l.values.begin(), l.values.end());
    for (const bool centred : {true, false}) {
        const GramSums sums = gram_sums({check::source(k, kGiven), check::source(l, kGiven)}, centred, 2, nullptr);
        const double scale = std::ldexp(1.0, sums.sides[0].exponent + sums.sides[1].exponent);
        const auto expected = check::products(n, check::pair_sums(n, a, b));
        const double size = std::sqrt(check::pair_sums(n, a, a).full) * std::sqrt(check::pair_sums(n, b, b).full);
        CHECK(std::fabs(centred_product(n, sums.pair(0, 1, false)) * scale - expected[0]) < tolerance * size);
        CHECK(std::fabs(u_centred_product(n, sums.pair(0, 1, true)) * scale - expected[1]) < tolerance * size);
        if (!centred)
            CHECK(std::fabs(off_diagonal_product(sums.pair(0, 1, false)) * scale - expected[2]) < tolerance * size);
    }
}

}  // namespace

TEST(sums_of_given_matrices) {
    for (const std::int64_t n : {4, 100, 300, 600}) {
        sums_are_those_of_the_matrix<double>(n, 1e-12);
        sums_are_those_of_the_matrix<float>(n, 1e-6);
    }
}

TEST(a_given_matrix_is_read_through_any_strides) {
    const std::int64_t n = 300;
    const auto k = check::symmetric<double>(n, 1);
    const GramSource plain = check::source(k, kGiven);
    const auto expected = condensed_gram(plain, false, 1, nullptr);
    GramSource transposed = plain, wide = plain, narrow = plain;
    std::swap(transposed.parts[0].view.row_stride, transposed.parts[0].view.col_stride);
    CHECK(condensed_gram(transposed, false, 2, nullptr) == expected);

    std::vector<double> padded(std::size_t(n * (2 * n + 3)) + 1, std::numeric_limits<double>::quiet_NaN());
    char* base = reinterpret_cast<char*>(padded.data()) + 3;  // not aligned either
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
            const double value = k(i, j);
            std::memcpy(base + (i * (2 * n + 3) + 2 * j) * 8, &value, 8);
        }
    wide.parts[0].view.data = base;
    wide.parts[0].view.row_stride = (2 * n + 3) * 8;
    wide.parts[0].view.col_stride = 16;
    CHECK(condensed_gram(wide, false, 2, nullptr) == expected);

    GramSource reversed = plain;  // entry (i, j) is that of (n - 1 - i, n - 1 - j)
    reversed.parts[0].view.data = k.values.data() + n * n - 1;
    reversed.parts[0].view.row_stride = -n * 8;
    reversed.parts[0].view.col_stride = -8;
    const auto backwards = condensed_gram(reversed, false, 2, nullptr);
    std::size_t at = 0;
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = i + 1; j < n; ++j) CHECK(backwards[at++] == k(n - 1 - i, n - 1 - j));
}

TEST(what_is_no_gram_matrix_is_refused) {
    const auto bad = [](const check::Matrix<double>& m) { gram_sums({check::source(m, kGiven)}, true, 2, nullptr); };
    auto k = check::symmetric<double>(300, 1);
    k.values[20 * 300 + 280] += 1e-3;
    CHECK_THROWS(bad(k), std::invalid_argument, "symmetric");
    CHECK_THROWS(bad(k), std::invalid_argument, "(20, 280)");
    k = check::symmetric<double>(300, 1);
    k.values[20 * 300 + 280] += 1e-14;  // rounding
    bad(k);
    k.values[7 * 300 + 290] = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS(bad(k), std::invalid_argument, "nan at row 7, column 290");
    k = check::symmetric<double>(300, 1);
    k.values[290 * 300 + 7] = std::numeric_limits<double>::infinity();  // below the diagonal
    CHECK_THROWS(bad(k), std::invalid_argument, "inf at row 290, column 7");
    CHECK_THROWS(bad(check::gaussian<double>(5, 6, 1)), std::invalid_argument, "5 x 6");
    GramSource halves = check::source(k, kGiven);
    halves.parts = {k.slice(0, 150), k.slice(150, 300)};
    CHECK_THROWS(gram_sums({halves}, true, 1, nullptr), std::invalid_argument, "one part");
}

TEST(the_diagonal_does_not_decide_the_scale) {
    for (const double size : {1e-200, 1e200}) {
        auto k = check::symmetric<double>(50, 1);
        for (std::int64_t i = 0; i < 50; ++i)
            for (std::int64_t j = 0; j < 50; ++j) k.values[std::size_t(i * 50 + j)] *= i == j ? 0 : size;
        const GramSums sums = gram_sums({check::source(k, kGiven)}, true, 1, nullptr);
        const double square = u_centred_product(50, sums.pair(0, 0, true));
        CHECK(std::isfinite(square) && square > 1);
    }
}
