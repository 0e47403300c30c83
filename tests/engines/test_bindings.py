"""What the extension is given is checked before it is read, and answers of its rarer routes are those of NumPy."""

import numpy as np
import pytest
from kernalign import _core

RNG = np.random.default_rng(0)
X, TALL = RNG.normal(size=(6, 4)), RNG.normal(size=(7, 4))
LISTS = np.array([[(i + 1) % 6, (i + 2) % 6] for i in range(6)], dtype=np.int32)
ORDERS = np.stack([RNG.permutation(6) for _ in range(3)]).astype(np.int32)
TRIANGLE = RNG.normal(size=(1, 15))


def rows(x=X, **keywords):
    return _core.Rows(x, "x", **keywords)


def graph(weight=None, index=LISTS, begin=None):
    return _core.Graph(index.ravel(), 2 * np.arange(7) if begin is None else np.array(begin), weight)


def packed_grams(at, value):
    packed = _core.gram_sums([_core.GramSource([rows()], "linear")], True, 1, None).pack()
    packed[at] = value
    return packed


def sums():
    return _core.moment_sums(rows(), rows(), True, True, 1, None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rows(X[0]), "x must be 2-D, got 1-D"),
        (lambda: rows(X, shift=[1.0]), "shift must have one value per column of x"),
        (lambda: rows(X, scale=[1.0]), "scale must have one value per column of x"),
        (lambda: rows(np.broadcast_to(1.0, (2, 1 << 31))), "x must have fewer than 2\\^31 columns"),
        (lambda: rows(X.astype(complex)), "x must have a native float or integer dtype, got complex128"),
        (lambda: rows(X.astype(">f8")), "x must have a native float or integer dtype, got >f8"),
        *((lambda ends=ends: rows().dense(*ends), "row range must lie") for ends in ((-1, 2), (3, 2), (0, 7))),
        *((lambda ends=ends: rows().columns(*ends), "column range must lie") for ends in ((-1, 2), (2, 2), (0, 5))),
        (lambda: rows(unit_norm=True).columns(0, 1), "columns of rows that are changed as a whole"),
        (lambda: rows(zero_mean=True).columns(0, 1), "columns of rows that are changed as a whole"),
        (lambda: _core.GramSource([], "linear"), "a source needs rows"),
        (lambda: _core.GramSource([rows(), rows(X[:, :2])], "linear"), "parts must have the same number of columns"),
        (lambda: _core.GramSource([rows()], "cubic"), "unknown kernel form cubic"),
        (lambda: _core.gram_sums([], True, 1, None), "needs at least one source"),
        (
            lambda: _core.gram_sums([_core.GramSource([rows(a)], "linear") for a in (X, TALL)], True, 1, None),
            "rows, got 6 and 7",
        ),
        (lambda: _core.moment_sums(rows(), rows(TALL), True, True, 1, None), "same number of rows, got 6 and 7"),
        (lambda: sums().product(1, 0), "sides must be 0 and 0, 0 and 1 or 1 and 1"),
        (lambda: sums().pair(0, 2), "sides must be 0 and 0, 0 and 1 or 1 and 1"),
        (lambda: sums().mean(2), "side must be 0 or 1"),
        (lambda: _core.ExactRows(rows(), "cubic"), "metric must be 'cosine', 'dot' or 'euclidean', got 'cubic'"),
        (lambda: _core.nearest_neighbors(rows(), 6, "dot"), "k must be between 1 and n - 1 = 5, got 6"),
        (lambda: _core.nearest_neighbors(rows(), 0, "dot"), "k must be between 1 and n - 1 = 5, got 0"),
        (lambda: _core.ExactRows(rows(), "dot").search(ORDERS, 1), r"queries must be \(q,\)"),
        (lambda: _core.ExactRows(rows(), "dot").search(ORDERS[0], 9), "k must be between 1 and 5 for 6 rows, got 9"),
        (lambda: _core.ExactRows(rows(), "dot").nearest(ORDERS[0], LISTS[:2], 1), r"candidates \(q, c\)"),
        (lambda: _core.shared_counts(LISTS[0], LISTS), "x must be 2-D, got 1-D"),
        (lambda: _core.shared_counts(LISTS, LISTS[:, :1].copy()), "same length, got 2 and 1"),
        (lambda: _core.shared_counts(LISTS, np.zeros_like(LISTS)), "y must hold other rows, each once, got 0 in row 0"),
        (lambda: _core.shared_counts(LISTS + 6, LISTS), "x must hold indices from 0 to n - 1 = 5, got 7 in row 0"),
        (lambda: _core.overlap_curve(LISTS, LISTS, [2, 1]), "ks must ascend and lie between 1 and 2, got 1"),
        (lambda: _core.overlap_curve(LISTS, LISTS, [3]), "ks must ascend and lie between 1 and 2, got 3"),
        (
            lambda: _core.subset_overlaps(LISTS, LISTS, 1, np.ones((1, 5), bool)),
            "subsets must have a column for every item",
        ),
        (lambda: _core.subset_overlaps(LISTS, LISTS, 3, np.ones((1, 6), bool)), "k must be between 1 and 2, got 3"),
        (lambda: _core.overlaps_without_one(LISTS[:, :1].copy(), LISTS[:, :1].copy()), "one index more than k, got 1"),
        (lambda: graph(begin=[0, 2]), "begin must ascend"),
        (lambda: graph(begin=[1, 2, 4, 6, 8, 10, 12]), "begin must ascend"),
        (lambda: graph(begin=[0, 4, 2, 6, 8, 10, 12]), "begin must ascend"),
        (lambda: _core.Graph(LISTS.ravel(), np.zeros(0, np.int64)), "begin must ascend"),
        (lambda: graph(weight=np.ones(3)), "begin must ascend .* one weight"),
        (
            lambda: graph(index=np.zeros_like(LISTS)),
            "point to other items from 0 to n - 1 = 5, each once, got 0 in row 0",
        ),
        (lambda: graph(index=LISTS - 6), "each once, got -5 in row 0"),
        (lambda: graph(index=LISTS * 0 + 1), "each once, got 1 in row 0"),
        (lambda: _core.graph_products([graph(), _core.Graph(LISTS[:0].ravel(), np.zeros(1, np.int64))]), "same number"),
        (lambda: _core.permuted_overlaps(graph(), graph(), ORDERS[0]), "orders must be 2-D, got 1-D"),
        (lambda: _core.permuted_overlaps(graph(), graph(), ORDERS[:, :5].copy()), "orders must be of the items"),
        (
            lambda: _core.permuted_overlaps(graph(), graph(), ORDERS * 0),
            "must hold 0 to n - 1 = 5, each once, got 0 at 1",
        ),
        (lambda: _core.permuted_overlaps(graph(), graph(), ORDERS - 1), "must hold 0 to n - 1 = 5, each once, got -1"),
        (lambda: _core.permuted_overlaps(graph(), graph(), ORDERS + 1), "must hold 0 to n - 1 = 5, each once, got 6"),
        (lambda: _core.renamed_lists(LISTS, ORDERS), "a place for every row of lists"),
        (lambda: _core.renamed_lists(LISTS, ORDERS[0, :5].copy()), "a place for every row of lists"),
        (lambda: _core.permuted_triangles(TRIANGLE[:, :3].copy(), TRIANGLE, ORDERS), "x must have n \\(n - 1\\) / 2"),
        (lambda: _core.permuted_triangles(TRIANGLE, TRIANGLE[0], ORDERS), "y must have n \\(n - 1\\) / 2"),
        (lambda: _core.permuted_concordance(TRIANGLE, np.repeat(TRIANGLE, 2, 0), ORDERS), "of one layer each"),
        (lambda: _core.permuted_features([X], [TALL], ORDERS), "y must have a row for every item"),
        (lambda: _core.permuted_features([X[0]], [X], ORDERS), "x must have a row for every item"),
        (lambda: _core.svd(X[0], vectors=True), "must be a matrix"),
        (lambda: _core.svd(X * np.nan, vectors=True), "the matrix must be finite"),
        (lambda: _core.eigh(X, 1, vectors=True), "must be square"),
        (lambda: _core.cholesky(X), "must be square"),
        (lambda: _core.solve_lower(np.eye(6), TALL), "right must have as many rows as lower"),
        (lambda: _core.qr_append(np.eye(3), X), "below must have as many columns as triangle"),
        (lambda: _core.GramSums.unpack(np.zeros(1)), "packed Gram sums"),
        (lambda: _core.GramSums.unpack(packed_grams(0, -1)), "no packed Gram sums"),
        (lambda: _core.GramSums.unpack(packed_grams(1, 2.5)), "no packed Gram sums"),
        (lambda: _core.GramSums.unpack(packed_grams(0, 7)), "another length"),
        (lambda: _core.Moments.unpack(0, 3, True, np.zeros(9)), "a sensible number of columns"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


@pytest.mark.parametrize("dtype", [*"bBhHiIlL?", "f2", "f4", "f8"])
def test_every_type_of_number_is_read(dtype):
    x = np.abs(8 * X).astype(dtype)
    np.testing.assert_array_equal(rows(x).dense(0, 6), x.astype(float))


def test_some_of_changed_rows_are_changed_alike():
    changed = rows(shift=list(range(4)), scale=[1.0, 2.0, 3.0, 4.0])
    wanted = (X - np.arange(4)) * np.arange(1, 5)
    np.testing.assert_allclose(changed.columns(1, 3).dense(0, 6), wanted[:, 1:3])
    np.testing.assert_allclose(changed.offset, np.arange(4) * np.arange(1, 5))
    np.testing.assert_array_equal(changed.given.dense(0, 6), X)
    taken = rows().taken(np.array([4, 1]))
    np.testing.assert_array_equal(taken.dense(0, 2), X[[4, 1]])


@pytest.mark.parametrize("weights", [(False, False), (True, False), (False, True), (True, True)])
def test_overlaps_of_weighted_graphs(weights):
    own = [RNG.random(12) if one else None for one in weights]
    dense = np.zeros((2, 6, 6))
    for side, weight in zip(dense, own, strict=True):
        side[np.repeat(np.arange(6), 2), LISTS.ravel()] = 1 if weight is None else weight
    found = _core.permuted_overlaps(graph(own[0]), graph(own[1]), ORDERS)
    for order, shared in zip(ORDERS, found, strict=True):
        np.testing.assert_allclose(shared, (dense[0] * dense[1][np.ix_(order, order)]).sum(axis=1), atol=1e-14)


@pytest.mark.parametrize("layers", [(1, 1), (2, 4), (3, 1)])
def test_triangles_too_large_to_be_spread_out_at_once(layers):
    n = 1100
    x, y = (RNG.normal(size=(count, n * (n - 1) // 2)) for count in layers)
    orders = np.stack([np.arange(n), RNG.permutation(n)]).astype(np.int32)
    found = _core.permuted_triangles(x, y, orders, threads=1)
    upper = np.triu_indices(n, 1)
    for order, products in zip(orders, found, strict=True):
        for at, layer in enumerate(y):
            whole = np.zeros((n, n))
            whole[upper] = layer
            whole += whole.T
            np.testing.assert_allclose(products[:, at], x @ whole[order[upper[0]], order[upper[1]]], rtol=1e-9)
