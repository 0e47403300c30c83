"""Upper tails of scores of neighbour lists under random pairing: exact moments, or pairings of the finished lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.cached import cached_property
from kernalign._engines import lists as list_engine
from kernalign._engines.neighbors import Neighbors
from kernalign._engines.permuted_lists import TIED_EDGES, PermutedLists
from kernalign._statistics import overlap_skew
from kernalign._statistics.null_tail import Law, Scores
from kernalign._statistics.pairings import Pairings, Values

FEWEST = 6  # items for a third moment
_MOST_SKEW = 2.0
_SHARED_SKEW, _SHARED_FEWEST = 1.0, 50  # of classes, scores take few values
_MOST_ENTRIES = 1_000_000  # of the lists that a pairing renames: three seconds for 999 on one core
_MOST_PATTERNS = 500_000_000  # pairs of edges of a graph that are walked for its third moment

Weights: TypeAlias = Callable[[], tuple[Any, Any]]  # sparse graphs in which tied neighbours share their places
Lists: TypeAlias = NDArray[np.int32]


@dataclass
class Overlap:
    """What the tail of a number of common neighbours is read from, given its exact moments (mathematics 3.2)."""

    x: Neighbors
    y: Neighbors
    weights: Weights | None
    mean: float
    sd: float
    threads: int

    def pairings(self) -> Pairings:
        return Pairings.of_items(self.x.n)

    @cached_property
    def _shared(self) -> tuple[Any, Any] | None:
        """The weights, smaller graph last, unless too many pairs of items tie."""
        assert self.weights is not None
        if max(int(side.tie_rows.sum()) for side in (self.x, self.y)) * self.x.n > TIED_EDGES:
            return None
        a, b = self.weights()
        return (b, a) if (b.nnz, b.indices.tobytes()) > (a.nnz, a.indices.tobytes()) else (a, b)

    def law(self) -> Law:
        n = self.x.n
        if n < FEWEST:
            return Law(None, "", False)
        if self.weights is None:
            skew = self._skew([self.x.edge_sums, self.y.edge_sums])
            return Law(skew, "exact third moment", abs(skew) <= _MOST_SKEW)
        if self._shared is None or max(map(_patterns, self._shared)) > _MOST_PATTERNS:
            return Law(None, "", False)
        skew = self._skew([list_engine.edge_sums(list_engine.graph_of(one), self.threads) for one in self._shared])
        return Law(skew, "exact third moment", n >= _SHARED_FEWEST and abs(skew) <= _SHARED_SKEW)

    def _skew(self, sums: list[Values]) -> float:
        return float(overlap_skew.skews(self.x.n, *(overlap_skew.pattern_sums([one]) for one in sums))[0, 0])

    def scores(self) -> Scores | str:
        """Standardised numbers of common neighbours of pairings."""
        if self.weights is None:
            entries, given = self.x.indices.size, _in_order(self.x.indices, self.y.indices)
        elif self._shared is not None:
            entries, given = self._shared[1].nnz, self._shared
        else:
            return "none: too many pairs of items tie at the k-th place"
        if reason := too_long(entries):
            return reason
        x, y = (list_engine.graph_of(one) for one in given)
        return lambda orders: (
            (list_engine.permuted_overlaps(x, y, orders, self.threads).sum(axis=1) - self.mean) / self.sd
        )


def _patterns(graph: Any) -> int:
    return int(np.diff(graph.indptr)[graph.indices].sum(dtype=np.int64))


def scores_of_lists(
    x: Neighbors,
    y: Neighbors,
    weights: Weights | None,
    threads: int,
    *,
    of_shared: Any = None,
    of_lists: Any = None,
    symmetric: bool = True,
) -> Scores | str:
    """What scores pairings by the mean over items of either function, or why they are not scored."""
    if reason := too_long(x.indices.size):
        return reason
    shared = {} if of_shared is None else {"": of_shared}
    ordered = {} if of_lists is None else {"": of_lists}

    @cache
    def lists() -> PermutedLists:
        a, b = _in_order(x.indices, y.indices) if symmetric else (x.indices, y.indices)
        if weights is None:
            return PermutedLists([a], [b], None, threads)
        graph, other = weights()
        return PermutedLists([a], [b], ([graph], [other]), threads)

    return lambda orders: lists().scores(orders, shared, ordered)[""][:, 0, 0]


def too_long(entries: int) -> str | None:
    """Why pairings of lists with so many entries are not scored; None if they are."""
    if entries <= _MOST_ENTRIES:
        return None
    return "none: pairings of so many neighbours take long; permutation_test scores them"


def _in_order(x: Lists, y: Lists) -> tuple[Lists, Lists]:
    """Both sides, in an order that does not depend on which is x: random pairings then give both calls the same p."""
    return (y, x) if y.tobytes() < x.tobytes() else (x, y)
