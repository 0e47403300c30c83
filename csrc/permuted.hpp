// Contract of permuted products: what two structures on the same n items share when the items of the second change
// places, for many orders at a time.
//
// An order o puts item o(i) of the second structure in the place of item i. Sums are in float64, each in an order that
// depends on n alone, so results are the same bits for any number of threads. Memory: scratch of some rows for each
// thread beside the results, and 32 MB at most where triangles are small; the structures are not copied otherwise.
#pragma once

#include <cstdint>
#include <vector>

#include "lists.hpp"
#include "monitor.hpp"

namespace kernalign {

struct Orders {
    const std::int32_t* index = nullptr;
    std::int64_t count = 0;
    std::int64_t n = 0;
    const std::int32_t* row(std::int64_t at) const { return index + at * n; }
};

// Throws std::invalid_argument unless every row holds 0 .. n - 1, each once.
void check_orders(const Orders& orders);

// count x n: for every order and item i the sum over j of w_ij w'_o(i)o(j).  O(edges + n) for each order.
std::vector<double> permuted_overlaps(const Graph& a, const Graph& b, const Orders& orders, int threads,
                                      Monitor* monitor);

// n x k: the lists under one order. Row i is the list of item o(i), every item named by the place that it is put in.
std::vector<std::int32_t> renamed_lists(const Lists& lists, const Orders& order);

// Strict upper triangles of symmetric n x n matrices, row by row, one after another.
struct Triangles {
    const double* values = nullptr;
    std::int64_t layers = 0;
    std::int64_t n = 0;
    std::int64_t size() const { return n * (n - 1) / 2; }
    // Entry (i, j), i < j, of every layer is at row(i) + j; nothing is at row(i) itself.
    std::int64_t row(std::int64_t i) const { return i * (2 * n - i - 1) / 2 - i - 1; }
};

// count x layers(a) x layers(b): the sum over i < j of A_ij B_o(i)o(j). Layers of a share what is looked up of b.
std::vector<double> permuted_triangles(const Triangles& a, const Triangles& b, const Orders& orders, int threads,
                                       Monitor* monitor);

// count: of one layer of mid-ranks each (ties have their mean), the pairs of entries that both triangles order alike,
// less those that they order otherwise; a tie on either side counts as neither. Exact up to 2^53.  O(m log m) for each
// order of m entries, m < 2^31. Memory: 12 m bytes, 8 m more for each thread.
std::vector<double> permuted_concordance(const Triangles& a, const Triangles& b, const Orders& orders, int threads,
                                         Monitor* monitor);

struct Features {
    const double* values = nullptr;  // n x cols
    std::int64_t cols = 0;
};

// count x layers(a) x layers(b): the squared Frobenius norm of X^T Y, row i of Y being its row o(i).
std::vector<double> permuted_features(const std::vector<Features>& a, const std::vector<Features>& b,
                                      const Orders& orders, int threads, Monitor* monitor);

}  // namespace kernalign
