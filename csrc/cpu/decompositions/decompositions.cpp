// Decompositions of dense matrices by LAPACK, apart from the caller where they take long.
#include "decompositions.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "cpu/runtime/apart.hpp"
#include "cpu/runtime/blas.hpp"
#include "cpu/runtime/lapack.hpp"
#include "error.hpp"

// LAPACK is column-major: what it is given is the transpose of what was asked for, and so is what it returns.
namespace kernalign {
namespace {

void require_finite(const Dense& a) {
    require(std::all_of(a.begin(), a.end(), [](double value) { return std::isfinite(value); }),
            "the matrix must be finite");
}

double cubic(std::int64_t a, std::int64_t b, std::int64_t c) { return double(a) * double(b) * double(c); }

}  // namespace

std::optional<Singular> singular(Dense a, std::int64_t rows, std::int64_t columns, Vectors vectors, bool careful,
                                 Monitor* monitor) {
    require_finite(a);
    const std::int64_t k = std::min(rows, columns);
    struct Work {
        Dense a;
        Singular found;
        int failed = 0;
    };
    const auto work = std::make_shared<Work>();
    work->a = std::move(a);
    work->found.values.resize(k);
    if (vectors != Vectors::none) {
        work->found.u.resize(rows * (vectors == Vectors::full ? rows : k));
        work->found.vt.resize(columns * (vectors == Vectors::full ? columns : k));
    }
    apart(10 * cubic(rows, columns, k), monitor, [=] {
        const auto decompose = careful ? lapack::gesvd : lapack::gesdd;
        const char job = vectors == Vectors::none ? 'N' : vectors == Vectors::thin ? 'S' : 'A';
        work->failed = decompose(job, columns, rows, work->a.data(), work->found.values.data(), work->found.vt.data(),
                                 work->found.u.data());
    });
    if (work->failed) return std::nullopt;
    return std::move(work->found);
}

std::optional<Eigen> symmetric_eigen(Dense a, std::int64_t n, std::int64_t count, bool vectors, bool careful,
                                     Monitor* monitor) {
    require_finite(a);
    require(0 < count && count <= n, "count must lie between 1 and n");
    struct Work {
        Dense a;
        Eigen found;
        int failed = 0;
    };
    const auto work = std::make_shared<Work>();
    work->a = std::move(a);
    apart((vectors ? 4 : 2) * cubic(n, n, n), monitor, [=] {
        Eigen& found = work->found;
        if ((careful || count == n) && (careful || vectors)) {
            found.values.resize(n);
            const auto decompose = careful ? lapack::syev : lapack::syevd;
            work->failed = decompose('V', n, work->a.data(), found.values.data());
            found.values.erase(found.values.begin(), found.values.end() - count);
            found.vectors = std::move(work->a);
            found.vectors.erase(found.vectors.begin(), found.vectors.end() - count * n);
        } else {
            found.values.resize(n);
            found.vectors.resize(vectors ? count * n : 0);
            work->failed =
                lapack::syevr(vectors ? 'V' : 'N', n, count, work->a.data(), found.values.data(), found.vectors.data());
            found.values.resize(count);
        }
    });
    if (work->failed) return std::nullopt;
    return std::move(work->found);
}

std::optional<Dense> cholesky(Dense a, std::int64_t n, Monitor* monitor) {
    const auto factor = std::make_shared<Dense>(std::move(a));
    const auto failed = std::make_shared<int>(0);
    apart(cubic(n, n, n) / 6, monitor, [=] {
        *failed = lapack::potrf(n, factor->data());
        for (std::int64_t i = 0; i < n; ++i)
            std::fill(factor->begin() + i * n + i + 1, factor->begin() + (i + 1) * n, 0.0);
    });
    if (*failed) return std::nullopt;
    return std::move(*factor);
}

double reciprocal_condition(const double* lower, std::int64_t n, double norm) {
    double reciprocal = 0;
    return lapack::pocon(n, lower, norm, &reciprocal) ? 0 : reciprocal;
}

Dense solve_lower(Dense lower, std::int64_t n, Dense b, std::int64_t columns, bool transposed, Monitor* monitor) {
    struct Work {
        Dense lower, b;
    };
    const auto work = std::make_shared<Work>(Work{std::move(lower), std::move(b)});
    apart(cubic(n, n, columns) / 2, monitor,
          [=] { blas::trsm_lower(n, columns, transposed, work->lower.data(), work->b.data()); });
    return std::move(work->b);
}

Dense qr_triangle(Dense a, std::int64_t rows, std::int64_t columns, Monitor* monitor) {
    const std::int64_t k = std::min(rows, columns);
    const auto work = std::make_shared<Dense>(std::move(a));
    apart(cubic(rows, columns, k), monitor, [=] { lapack::geqrf(rows, columns, work->data()); });
    Dense r(k * columns, 0.0);
    for (std::int64_t j = 0; j < columns; ++j)
        for (std::int64_t i = 0; i <= std::min(j, k - 1); ++i) r[j * k + i] = (*work)[j * rows + i];
    return r;
}

Dense qr_append(Dense t, Dense a, std::int64_t rows, std::int64_t columns, Monitor* monitor) {
    struct Work {
        Dense t, a;
    };
    const auto work = std::make_shared<Work>(Work{std::move(t), std::move(a)});
    apart(cubic(rows, columns, columns), monitor,
          [=] { lapack::tpqrt(rows, columns, work->t.data(), work->a.data()); });
    return std::move(work->t);
}

}  // namespace kernalign
