// Closed forms in float64 over small sums: estimators and exact permutation-null moments; no loop over rows.
#include "statistics.hpp"

namespace kernalign {
namespace {

double falling(double n, int terms) {
    double product = 1;
    for (int t = 0; t < terms; ++t) product *= n - t;
    return product;
}

}  // namespace

double centred_product(std::int64_t count, const PairSums& s) {
    const double n = double(count);
    return s.full - 2 * s.rows / n + s.total_x * s.total_y / (n * n);
}

double u_centred_product(std::int64_t count, const PairSums& s) {
    const double n = double(count);
    const double off_x = s.total_x - s.trace_x;
    const double off_y = s.total_y - s.trace_y;
    const double off_rows = s.rows - s.rows_diagonal - s.diagonal_rows + s.diagonal;
    return s.full - s.diagonal + off_x * off_y / ((n - 1) * (n - 2)) - 2 * off_rows / (n - 2);
}

double off_diagonal_product(const PairSums& s) { return s.full - s.diagonal; }

double u_centred_third_moment(std::int64_t count, double t1, double d1, double t2, double d2) {
    const double n = double(count);
    const double f2 = falling(n, 2), f3 = falling(n, 3), f4 = falling(n, 4), f5 = falling(n, 5), f6 = falling(n, 6);
    return t1 * t2 * (4 / f2 + 24 / f3 + 56 / f4) + 8 * d1 * d2 / f3 + 24 * (t1 - d1) * (t2 - d2) / f4 +
           12 * (2 * d1 - 4 * t1) * (2 * d2 - 4 * t2) / f5 + (16 * t1 - 8 * d1) * (16 * t2 - 8 * d2) / f6;
}

double centred_variance(std::int64_t count, double t, double t2, double t3, double s, double s2, double s3) {
    const double n = double(count);
    const double off = 2 * ((n - 1) * t2 - t * t) * ((n - 1) * s2 - s * s) / ((n - 1) * (n - 1) * (n + 1) * (n - 2));
    const double x = n * (n + 1) * t3 - (n - 1) * (t * t + 2 * t2);
    const double y = n * (n + 1) * s3 - (n - 1) * (s * s + 2 * s2);
    return off + x * y / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3));
}

double knn_overlap_variance(std::int64_t count, const NeighborGraph& x, const NeighborGraph& y) {
    const double n = double(count);
    // Ordered pairs of edges by what they share: all, reversed, source, target, a chain, nothing.
    const auto classes = [n](const NeighborGraph& g, double* a) {
        a[0] = g.square;
        a[1] = g.reciprocal;
        a[2] = n * g.k * g.k - a[0];
        a[3] = g.degree_square - a[0];
        a[4] = n * g.k * g.k - a[1];
        a[5] = n * n * g.k * g.k - a[0] - a[1] - a[2] - a[3] - 2 * a[4];
    };
    double a[6], b[6];
    classes(x, a);
    classes(y, b);
    double second = (a[0] * b[0] + a[1] * b[1]) / falling(n, 2);
    if (count >= 3) second += (a[2] * b[2] + a[3] * b[3] + 2 * a[4] * b[4]) / falling(n, 3);
    if (count >= 4) second += a[5] * b[5] / falling(n, 4);
    const double mean = n * x.k * y.k / (n - 1);
    return second > mean * mean ? second - mean * mean : 0;
}

}  // namespace kernalign
