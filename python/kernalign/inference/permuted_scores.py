"""Scores of many pairings of the same items, by metric: what does not depend on the pairing is computed once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kernalign._base import hazards
from kernalign._base.score import AlignmentWarning, Score
from kernalign._engines.permuted_grams import PermutedGrams, PermutedTriangles
from kernalign._engines.permuted_lists import PermutedGraphs, PermutedLists
from kernalign._statistics.pairings import Orders
from kernalign.metrics.neighbors.search import why_no_p_value
from kernalign.metrics.record import OfGrams, OfLists

Values = NDArray[np.float64]


class Permuted(Protocol):
    """Scores by metric, (orders, L_x, L_y), where row i of x is paired with row order[i] of y; nan where undefined.

    Attributes
    ----------
    refused : by metric, why its scores of pairings are no null
    """

    refused: Mapping[str, str]

    def scores(self, orders: Orders) -> dict[str, Values]: ...


@dataclass
class GramScores:
    """HSIC, CKA and kernel alignment."""

    metrics: Mapping[str, OfGrams]
    engine: PermutedGrams
    refused: Mapping[str, str] = field(default_factory=dict)

    def scores(self, orders: Orders) -> dict[str, Values]:
        made, products = self.engine, self.engine.products(orders)
        return {
            metric: made.cosines(products) if states.cosine else made.hsic(products)
            for metric, states in self.metrics.items()
        }


@dataclass
class ListScores:
    """Metrics of neighbour lists."""

    metrics: Mapping[str, OfLists]
    engine: PermutedLists
    refused: Mapping[str, str]

    def scores(self, orders: Orders) -> dict[str, Values]:
        of_shared = {m: states.of_shared for m, states in self.metrics.items() if states.of_shared is not None}
        of_lists = {m: states.of_lists for m, states in self.metrics.items() if states.of_lists is not None}
        return self.engine.scores(orders, of_shared, of_lists)


@dataclass
class GraphScores:
    """A metric that is the product of two sparse matrices of norm 1."""

    metric: str
    engine: PermutedGraphs
    refused: Mapping[str, str]

    def scores(self, orders: Orders) -> dict[str, Values]:
        return {self.metric: self.engine.products(orders)}


@dataclass
class TriangleScores:
    """A metric that is the product of two triangles of pairs of items."""

    metric: str
    engine: PermutedTriangles
    refused: Mapping[str, str] = field(default_factory=dict)

    def scores(self, orders: Orders) -> dict[str, Values]:
        return {self.metric: np.clip(self.engine.products(orders) / 2, -1.0, 1.0)}


@contextmanager
def told_of_repetition() -> Iterator[None]:
    """Calls of metrics whose caller has warned of repeated items, or knows their groups."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f".*: {hazards.ONE_THING}", AlignmentWarning)
        yield


class PermutedCalls:
    """Any function of two arrays, called anew for every pairing; ``best`` is the maximum of its first Score."""

    def __init__(
        self,
        name: str,
        function: Callable[[Any, Any], Any],
        x: Sequence[Any],
        y: Sequence[Any],
        *,
        square: bool,
    ) -> None:
        """``square``: an item is a row and a column."""
        self.name, self._function, self._x, self._y, self._square = name, function, x, y, square
        self.best: float | None = None
        self.refused: Mapping[str, str] = {}
        self._called = False

    def scores(self, orders: Orders) -> dict[str, Values]:
        return {self.name: np.array([self._called_once(order) for order in orders], dtype=np.float64)}

    def _called_once(self, order: NDArray[np.intp]) -> list[list[Any]]:
        with told_of_repetition():
            if self._called:
                warnings.simplefilter("ignore", AlignmentWarning)  # the given pairing has warned
            ys = [y[np.ix_(order, order)] if self._square else y[order] for y in self._y]
            found = [[self._function(x, y) for y in ys] for x in self._x]
        if not self._called and isinstance(found[0][0], Score):
            self.best = found[0][0]._maximum
            reasons = (why_no_p_value(one.settings) for row in found for one in row if "ties" in one.settings)
            if (reason := next(filter(None, reasons), None)) is not None:
                self.refused = {self.name: reason}
        self._called = True
        return found
