// The few LAPACK calls that the decompositions make: column-major, single-threaded; each returns LAPACK's info.
#include "cpu/runtime/lapack.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <stdexcept>

#include "cpu/runtime/blas.hpp"
#include "memory.hpp"

using integer = int;  // of a LAPACK whose integers have 32 bits
using length = std::size_t;

extern "C" {
void scipy_dgesdd_(const char*, const integer*, const integer*, double*, const integer*, double*, double*,
                   const integer*, double*, const integer*, double*, const integer*, integer*, integer*, length);
void scipy_dgesvd_(const char*, const char*, const integer*, const integer*, double*, const integer*, double*, double*,
                   const integer*, double*, const integer*, double*, const integer*, integer*, length, length);
void scipy_dsyevd_(const char*, const char*, const integer*, double*, const integer*, double*, double*, const integer*,
                   integer*, const integer*, integer*, length, length);
void scipy_dsyev_(const char*, const char*, const integer*, double*, const integer*, double*, double*, const integer*,
                  integer*, length, length);
void scipy_dsyevr_(const char*, const char*, const char*, const integer*, double*, const integer*, const double*,
                   const double*, const integer*, const integer*, const double*, integer*, double*, double*,
                   const integer*, integer*, double*, const integer*, integer*, const integer*, integer*, length,
                   length, length);
void scipy_dpotrf_(const char*, const integer*, double*, const integer*, integer*, length);
void scipy_dpocon_(const char*, const integer*, const double*, const integer*, const double*, double*, double*,
                   integer*, integer*, length);
void scipy_dgeqrf_(const integer*, const integer*, double*, const integer*, double*, double*, const integer*, integer*);
void scipy_dtpqrt_(const integer*, const integer*, const integer*, const integer*, double*, const integer*, double*,
                   const integer*, double*, const integer*, double*, integer*);
}

namespace kernalign::lapack {
namespace {

constexpr std::int64_t kPanel = 32;  // columns of a Householder panel; 64 and 128 are as fast

integer whole(double value) {
    if (value > std::numeric_limits<integer>::max())
        throw std::length_error("the matrix is too large for LAPACK, whose integers have 32 bits");
    return integer(value);
}

integer leading(std::int64_t extent) { return std::max(1, whole(double(extent))); }

template <class T>
LargeVector<T> room(double size) {
    return LargeVector<T>(std::size_t(whole(size)));
}

}  // namespace

int gesdd(char job, std::int64_t m, std::int64_t n, double* a, double* s, double* u, double* vt) {
    const integer rows = leading(m), columns = leading(n), least = std::min(rows, columns), ask = -1;
    const integer of_vt = job == 'A' ? columns : least;
    auto places = room<integer>(8.0 * least);
    integer info = 0;
    double best = 0;
    scipy_dgesdd_(&job, &rows, &columns, a, &rows, s, u, &rows, vt, &of_vt, &best, &ask, places.data(), &info, 1);
    if (info) return info;
    auto work = room<double>(best);
    const integer size = whole(best);
    const blas::Buffer buffer;
    scipy_dgesdd_(&job, &rows, &columns, a, &rows, s, u, &rows, vt, &of_vt, work.data(), &size, places.data(), &info,
                  1);
    return info;
}

int gesvd(char job, std::int64_t m, std::int64_t n, double* a, double* s, double* u, double* vt) {
    const integer rows = leading(m), columns = leading(n), ask = -1;
    const integer of_vt = job == 'A' ? columns : std::min(rows, columns);
    integer info = 0;
    double best = 0;
    scipy_dgesvd_(&job, &job, &rows, &columns, a, &rows, s, u, &rows, vt, &of_vt, &best, &ask, &info, 1, 1);
    if (info) return info;
    auto work = room<double>(best);
    const integer size = whole(best);
    const blas::Buffer buffer;
    scipy_dgesvd_(&job, &job, &rows, &columns, a, &rows, s, u, &rows, vt, &of_vt, work.data(), &size, &info, 1, 1);
    return info;
}

int syevd(char job, std::int64_t n, double* a, double* values) {
    const integer order = leading(n), ask = -1;
    integer info = 0, best_places = 0;
    double best = 0;
    scipy_dsyevd_(&job, "U", &order, a, &order, values, &best, &ask, &best_places, &ask, &info, 1, 1);
    if (info) return info;
    auto work = room<double>(best);
    auto places = room<integer>(best_places);
    const integer size = whole(best);
    const blas::Buffer buffer;
    scipy_dsyevd_(&job, "U", &order, a, &order, values, work.data(), &size, places.data(), &best_places, &info, 1, 1);
    return info;
}

int syev(char job, std::int64_t n, double* a, double* values) {
    const integer order = leading(n), ask = -1;
    integer info = 0;
    double best = 0;
    scipy_dsyev_(&job, "U", &order, a, &order, values, &best, &ask, &info, 1, 1);
    if (info) return info;
    auto work = room<double>(best);
    const integer size = whole(best);
    const blas::Buffer buffer;
    scipy_dsyev_(&job, "U", &order, a, &order, values, work.data(), &size, &info, 1, 1);
    return info;
}

int syevr(char job, std::int64_t n, std::int64_t count, double* a, double* values, double* vectors) {
    const integer order = leading(n), first = order - integer(count) + 1, ask = -1;
    const char* range = count == n ? "A" : "I";
    auto support = room<integer>(2.0 * order);
    integer info = 0, found = 0, best_places = 0;
    double best = 0;
    const double none = 0;
    const auto call = [&](double* work, const integer* size, integer* places, const integer* places_size) {
        scipy_dsyevr_(&job, range, "U", &order, a, &order, &none, &none, &first, &order, &none, &found, values, vectors,
                      &order, support.data(), work, size, places, places_size, &info, 1, 1, 1);
    };
    call(&best, &ask, &best_places, &ask);
    if (info) return info;
    auto work = room<double>(best);
    auto places = room<integer>(best_places);
    const integer size = whole(best);
    const blas::Buffer buffer;
    call(work.data(), &size, places.data(), &best_places);
    return info ? info : found == count ? 0 : 1;
}

int potrf(std::int64_t n, double* a) {
    const integer order = leading(n);
    integer info = 0;
    const blas::Buffer buffer;
    scipy_dpotrf_("U", &order, a, &order, &info, 1);
    return info;
}

int pocon(std::int64_t n, const double* factor, double norm, double* reciprocal) {
    const integer order = leading(n);
    integer info = 0;
    auto work = room<double>(3.0 * order);
    auto places = room<integer>(order);
    const blas::Buffer buffer;
    scipy_dpocon_("U", &order, factor, &order, &norm, reciprocal, work.data(), places.data(), &info, 1);
    return info;
}

int geqrf(std::int64_t m, std::int64_t n, double* a) {
    const integer rows = leading(m), columns = leading(n), ask = -1;
    integer info = 0;
    double best = 0;
    auto reflectors = room<double>(std::min(rows, columns));
    scipy_dgeqrf_(&rows, &columns, a, &rows, reflectors.data(), &best, &ask, &info);
    if (info) return info;
    auto work = room<double>(best);
    const integer size = whole(best);
    const blas::Buffer buffer;
    scipy_dgeqrf_(&rows, &columns, a, &rows, reflectors.data(), work.data(), &size, &info);
    return info;
}

int tpqrt(std::int64_t m, std::int64_t n, double* t, double* a) {
    const integer rows = leading(m), columns = leading(n), none = 0, panel = leading(std::min(kPanel, n));
    integer info = 0;
    auto factors = room<double>(double(panel) * columns), work = factors;
    const blas::Buffer buffer;
    scipy_dtpqrt_(&rows, &columns, &none, &panel, t, &columns, a, &rows, factors.data(), &panel, work.data(), &info);
    return info;
}

}  // namespace kernalign::lapack
