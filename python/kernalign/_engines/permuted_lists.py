"""Neighbour lists and graphs under many pairings of the same items: found once, then renamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kernalign import _core
from kernalign._engines import lists as list_engine
from kernalign._engines.neighbors import Neighbors
from kernalign._rows.blocks import spans

Values = NDArray[np.float64]
Orders = NDArray[np.int32]
OfShared: TypeAlias = Callable[[Values, int], Values]  # (shared weight of every item, k)
OfIndices: TypeAlias = Callable[[NDArray[np.int32], NDArray[np.int32], int], Values]  # (lists, lists, threads)

_TILE = 1 << 21
TIED_EDGES = 1 << 25


class PermutedLists:
    """Row i of the permuted side has the list of order[i], renamed; O(nk) per pairing."""

    def __init__(
        self,
        x: Sequence[NDArray[np.int32]],
        y: Sequence[NDArray[np.int32]],
        weights: tuple[Sequence[Any], Sequence[Any]] | None = None,
        threads: int = 0,
    ) -> None:
        """``weights``: sparse graphs in which tied neighbours share their places, for what sees shared weights only."""
        self._x, self._y, self._threads = x, y, threads
        self._graphs = tuple([list_engine.graph_of(one) for one in side] for side in weights or (x, y))

    def scores(
        self, orders: Orders, of_shared: Mapping[str, OfShared], of_lists: Mapping[str, OfIndices]
    ) -> dict[str, Values]:
        """Means over the items, (pairings, L_x, L_y), of what either kind of function gives for every item."""
        found = {name: np.empty((len(orders), len(self._x), len(self._y))) for name in (*of_shared, *of_lists)}
        for row, own in enumerate(self._x):
            for column, lists in enumerate(self._y):
                if of_shared:
                    graphs = self._graphs[0][row], self._graphs[1][column]
                    shared = _core.permuted_overlaps(*graphs, orders, self._threads)
                for name, items in of_shared.items():
                    found[name][:, row, column] = items(shared, own.shape[1]).mean(axis=1)
                for at, order in enumerate(orders if of_lists else ()):
                    renamed = _core.renamed_lists(lists, order)
                    for name, compare in of_lists.items():
                        found[name][at, row, column] = compare(own, renamed, self._threads).mean()
        return found


class PermutedGraphs:
    """Products of sparse matrices."""

    def __init__(self, x: Sequence[Any], y: Sequence[Any], threads: int = 0) -> None:
        self._threads = threads
        self._x, self._y = ([list_engine.graph_of(graph) for graph in side] for side in (x, y))
        self._nan = 0 * np.array([[a.data[0] + b.data[0] for b in y] for a in x])  # or 0

    def products(self, orders: Orders) -> Values:
        """(pairings, L_x, L_y)."""
        found = [[_core.permuted_overlaps(a, b, orders, self._threads).sum(axis=1) for b in self._y] for a in self._x]
        return np.asarray(np.moveaxis(np.array(found), 2, 0) + self._nan)


def tie_weights(rows: _core.Rows, lists: Neighbors, threads: int, labels: NDArray[Any] | None = None) -> Any:
    """Sparse graph of the k nearest where all that tie at the k-th place share what room is left (mathematics 2.12).

    With ``labels`` the k nearest are those of other groups.
    """
    n, k = lists.n, lists.k
    tied = np.flatnonzero(lists.tie_rows).astype(np.int32)
    single = np.flatnonzero(~lists.tie_rows)
    row_parts, column_parts = [np.repeat(single, k)], [lists.indices[single].ravel()]
    value_parts = [np.ones(len(single) * k)]
    scorer = _core.ExactRows(rows, lists.metric, threads) if len(tied) else None
    edges = 0
    everything = np.arange(n, dtype=np.int32)
    for begin, end in spans(len(tied), n, elements=_TILE):
        queries = tied[begin:end]
        assert scorer is not None
        index, value, _ = scorer.nearest(queries, np.tile(everything, (len(queries), 1)), n - 1, threads)
        kth = value[:, k - 1 : k]
        if labels is not None:
            value[labels[index] == labels[queries][:, None]] = -np.inf
            kth = lists.similarities[queries, k - 1 : k]
        above, equal = value > kth, value == kth
        weight = above + equal * ((k - above.sum(axis=1)) / equal.sum(axis=1))[:, None]
        at = weight > 0
        edges += int(at.sum())
        if edges > TIED_EDGES:
            raise ValueError(
                f"over {TIED_EDGES} pairs of items tie at the k-th place; pass ties='index' or drop duplicate rows"
            )
        row_parts.append(np.repeat(queries, at.sum(axis=1)))
        column_parts.append(index[at])
        value_parts.append(weight[at])
    where = np.concatenate(row_parts), np.concatenate(column_parts)
    return sparse.csr_matrix((np.concatenate(value_parts), where), shape=(n, n))
