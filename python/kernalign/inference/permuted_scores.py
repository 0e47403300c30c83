"""Scores of many pairings of the same items: what does not depend on the pairing is computed once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kernalign import _core
from kernalign._base.score import AlignmentWarning, Score
from kernalign._engines import lists as list_engine
from kernalign._engines import permuted
from kernalign._engines.neighbors import Neighbors
from kernalign._rows.magnitude import divided, exponent_of, power_of_two
from kernalign.metrics.record import OfGrams, OfLists

Values = NDArray[np.float64]
Orders = NDArray[np.intp]

_GRAM_BYTES = 1 << 28
_GATHER = 60  # multiply-adds in the time of one gathered entry
_TILE = 1 << 21
_TIED_EDGES = 1 << 25
_ROUNDING = 1e-13


class Permuted(Protocol):
    """Scores by metric, (orders, L_x, L_y), where row i of x is paired with row order[i] of y; nan where undefined."""

    def scores(self, orders: Orders) -> dict[str, Values]: ...


class PermutedGrams:
    """HSIC, CKA and kernel alignment of linear kernels: only <K, P L P'> and the diagonals' product change.

    Products of features, n p q multiply-adds for each pair of layers, or of stored Gram matrices, n^2 / 2 entries; the
    latter where faster and not above 256 MB, or not above the size of the features.
    """

    def __init__(
        self,
        metrics: Mapping[str, OfGrams],
        x: Sequence[_core.Rows],
        y: Sequence[_core.Rows],
        estimator: str,
        threads: int = 0,
    ) -> None:
        self._metrics, self._unbiased, self._threads = metrics, estimator == "unbiased", threads
        self._n = x[0].shape[0]
        self._centred = all(states.centred for states in metrics.values())
        (a, self._unit_x), (b, self._unit_y) = (self._dense(side) for side in (x, y))
        self._diagonal_x, self._diagonal_y = (np.stack([(v * v).sum(axis=1) for v in side]) for side in (a, b))
        self._features = None if self._gram_pays(a, b) else (a, b)
        self._condensed = (self._grams(a), self._grams(b)) if self._features is None else None
        self._norm_x, self._norm_y = (self._norms(*side) for side in ((a, self._diagonal_x), (b, self._diagonal_y)))

    def scores(self, orders: Orders) -> dict[str, Values]:
        diagonals = np.array([self._diagonal_x @ self._diagonal_y[:, order].T for order in orders])
        products = self._numerators(self._products(orders, diagonals), diagonals, self._diagonal_x, self._diagonal_y)
        found = {}
        for metric, states in self._metrics.items():
            if not states.cosine:
                n = self._n
                found[metric] = products * np.outer(self._unit_x, self._unit_y) / (n * (n - 3 * self._unbiased))
            else:
                found[metric] = np.clip(products / np.outer(self._norm_x, self._norm_y), -1.0, 1.0)
        return found

    def _dense(self, side: Sequence[_core.Rows]) -> tuple[list[Values], Values]:
        layers, units = [], []
        for rows in side:
            x = rows.dense(0, self._n)
            whole = exponent_of(x) + 1  # differences of any scale stay in range
            x = divided(x, whole)
            if self._centred:
                x = x - x[0]  # differences from a row are exactly 0 where all rows are equal
            rest = exponent_of(x)
            x = divided(x, rest)
            layers.append(x - x.mean(axis=0) if self._centred else x)
            units.append(power_of_two(2 * (whole + rest)))
        return layers, np.array(units)

    def _gram_pays(self, a: list[Values], b: list[Values]) -> bool:
        entries = self._n**2 // 2
        features = sum(v.size for v in (*a, *b))
        if entries * (len(a) + len(b)) > max(features, _GRAM_BYTES // 8):
            return False
        by_features = self._n * sum(v.shape[1] for v in a) * sum(v.shape[1] for v in b)
        return bool(entries * (len(b) * _GATHER + len(a) * len(b)) < by_features)

    def _grams(self, side: list[Values]) -> Values:
        """Strictly upper triangles, row by row."""
        n = self._n
        condensed = np.empty((len(side), n * (n - 1) // 2))
        at = np.arange(n)
        starts = at * (2 * n - at - 1) // 2
        step = max(1, _TILE // n)
        for layer, x in enumerate(side):
            for begin in range(0, n, step):
                tile = x[begin : begin + step] @ x.T
                for row in range(begin, min(n, begin + step)):
                    condensed[layer, starts[row] : starts[row] + n - 1 - row] = tile[row - begin, row + 1 :]
        return condensed

    def _norms(self, side: list[Values], diagonal: Values) -> Values:
        """Square roots of the self-products, nan where there is no structure."""
        full = np.array([(self._square(v) ** 2).sum() for v in side])
        own = np.array(
            [
                float(self._numerators(np.array([[f]]), np.array([[d @ d]]), d[None], d[None])[0, 0])
                for f, d in zip(full, diagonal, strict=True)
            ]
        )
        known = own > (_ROUNDING if self._unbiased else 0.0) * full
        return np.sqrt(np.where(known, own, np.nan))

    def _square(self, x: Values) -> Values:
        return np.asarray(x.T @ x if x.shape[1] <= self._n else x @ x.T)

    def _numerators(self, full: Values, diagonals: Values, d_x: Values, d_y: Values) -> Values:
        """<K', P L' P'> of centred, U-centred or hollow matrices from those of whole ones."""
        n = self._n
        if not self._unbiased:
            return full
        if not self._centred:
            return full - diagonals
        traces = np.outer(d_x.sum(axis=1), d_y.sum(axis=1))
        return full - diagonals * (n / (n - 2)) + traces / ((n - 1) * (n - 2))

    def _products(self, orders: Orders, diagonals: Values) -> Values:
        if self._condensed is None:
            assert self._features is not None
            return permuted.permuted_features(*self._features, orders, self._threads)
        return 2 * permuted.permuted_triangles(*self._condensed, orders, self._threads) + diagonals


class PermutedLists:
    """Metrics of neighbour lists: row i of the permuted side has the list of order[i], renamed; O(nk) per pairing."""

    def __init__(
        self,
        metrics: Mapping[str, OfLists],
        x: Sequence[NDArray[np.int32]],
        y: Sequence[NDArray[np.int32]],
        weights: tuple[Sequence[Any], Sequence[Any]] | None = None,
        threads: int = 0,
    ) -> None:
        """``weights``: sparse graphs in which tied neighbours share their places, for mutual_knn and jaccard_knn."""
        self._metrics, self._x, self._y, self._threads = metrics, x, y, threads
        self._graphs = tuple([list_engine.graph_of(one) for one in side] for side in weights or (x, y))

    def scores(self, orders: Orders) -> dict[str, Values]:
        found = {metric: np.empty((len(orders), len(self._x), len(self._y))) for metric in self._metrics}
        of_shared = {m: states.of_shared for m, states in self._metrics.items() if states.of_shared is not None}
        of_lists = {m: states.of_lists for m, states in self._metrics.items() if states.of_lists is not None}
        for row, own in enumerate(self._x):
            for column, lists in enumerate(self._y):
                if of_shared:
                    graphs = self._graphs[0][row], self._graphs[1][column]
                    shared = permuted.permuted_overlaps(*graphs, orders, self._threads)
                for metric, items in of_shared.items():
                    found[metric][:, row, column] = items(shared, own.shape[1]).mean(axis=1)
                for at, order in enumerate(orders if of_lists else ()):
                    renamed = np.argsort(order).astype(np.int32)[lists[order]]
                    for metric, compare in of_lists.items():
                        found[metric][at, row, column] = compare(own, renamed, self._threads).mean()
        return found


class PermutedGraphs:
    """A metric that is the product of two sparse matrices of norm 1."""

    def __init__(self, metric: str, x: Sequence[Any], y: Sequence[Any], threads: int = 0) -> None:
        self._metric, self._threads = metric, threads
        self._x, self._y = ([list_engine.graph_of(graph) for graph in side] for side in (x, y))
        self._nan = 0 * np.array([[a.data[0] + b.data[0] for b in y] for a in x])  # or 0

    def scores(self, orders: Orders) -> dict[str, Values]:
        products = [
            [permuted.permuted_overlaps(a, b, orders, self._threads).sum(axis=1) for b in self._y] for a in self._x
        ]
        return {self._metric: np.moveaxis(np.array(products), 2, 0) + self._nan}


class PermutedCalls:
    """Any function of two arrays, called anew for every pairing; ``best`` is the maximum of its first Score."""

    def __init__(self, name: str, function: Callable[[Any, Any], Any], x: Sequence[Any], y: Sequence[Any]) -> None:
        self.name, self._function, self._x, self._y = name, function, x, y
        self.best: float | None = None
        self._called = False

    def scores(self, orders: Orders) -> dict[str, Values]:
        return {self.name: np.array([self._called_once(order) for order in orders], dtype=np.float64)}

    def _called_once(self, order: NDArray[np.intp]) -> list[list[Any]]:
        with warnings.catch_warnings():
            if self._called:
                warnings.simplefilter("ignore", AlignmentWarning)  # the given pairing has warned
            ys = [y[order] for y in self._y]
            found = [[self._function(x, y) for y in ys] for x in self._x]
        if not self._called and isinstance(found[0][0], Score):
            self.best = found[0][0]._maximum
        self._called = True
        return found


def tie_weights(rows: _core.Rows, lists: Neighbors, threads: int) -> Any:
    """Sparse graph of the k nearest where all that tie at the k-th place share what room is left (mathematics 2.12)."""
    n, k = lists.n, lists.k
    tied = np.flatnonzero(lists.tie_rows).astype(np.int32)
    single = np.flatnonzero(~lists.tie_rows)
    row_parts, column_parts = [np.repeat(single, k)], [lists.indices[single].ravel()]
    value_parts = [np.ones(len(single) * k)]
    scorer = _core.ExactRows(rows, lists.metric, threads) if len(tied) else None
    edges, step = 0, max(1, _TILE // n)
    everything = np.arange(n, dtype=np.int32)
    for begin in range(0, len(tied), step):
        queries = tied[begin : begin + step]
        assert scorer is not None
        index, value, _ = scorer.nearest(queries, np.tile(everything, (len(queries), 1)), n - 1, threads)
        kth = value[:, k - 1 : k]
        above, equal = value > kth, value == kth
        weight = above + equal * ((k - above.sum(axis=1)) / equal.sum(axis=1))[:, None]
        at = weight > 0
        edges += int(at.sum())
        if edges > _TIED_EDGES:
            raise ValueError(
                f"over {_TIED_EDGES} pairs of items tie at the k-th place; pass ties='index' or drop duplicate rows"
            )
        row_parts.append(np.repeat(queries, at.sum(axis=1)))
        column_parts.append(index[at])
        value_parts.append(weight[at])
    where = np.concatenate(row_parts), np.concatenate(column_parts)
    return sparse.csr_matrix((np.concatenate(value_parts), where), shape=(n, n))
