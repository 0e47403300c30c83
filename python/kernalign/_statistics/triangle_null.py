"""Nulls of what two triangles of pairs of items have in common, when the items of one change places."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.score import Fixed, Null
from kernalign._engines.gram_source import SAMPLED_ROWS
from kernalign._engines.permuted_grams import PermutedTriangles
from kernalign._engines.permuted_ranks import concordance
from kernalign._statistics.null_tail import COST, LONG, DrawnTail, Law, Scores, Tail, exchange_null, unknown
from kernalign._statistics.pairings import Labels, Orders, Pairings, Values, null_scores, share

Vector: TypeAlias = NDArray[np.float64]

_CONCORDANCE = 100  # multiply-adds that take as long as one comparison while entries are sorted
_HELD = 1 << 27  # bytes of triangles that are multiplied together
_SOLVED = 4  # products of n x n matrices, or the time of so many, that a whitened score takes


class Asked:
    """Two sides that wait for the products that their triangles have under pairings, or these and how pairings were
    chosen."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y
        self.pool: tuple[Values, str] | None = None


class Together:
    """Products of the triangles of several sides of n items under the same pairings, found when one of them is asked
    for: those of some x with one y together, so that what is looked up of y serves all. The same as alone.

    ``triangle`` makes the strict upper triangle of a side. Those of 128 MB of x are held meanwhile.
    """

    def __init__(self, n: int, triangle: Callable[[Any], Vector], threads: int = 0) -> None:
        self.triangle, self._n, self._threads = triangle, n, threads
        self._waiting: dict[int, list[Asked]] = {}
        self._lock = Lock()

    def ask(self, x: Any, y: Any) -> Asked:
        asked = Asked(x, y)
        with self._lock:
            self._waiting.setdefault(id(y), []).append(asked)
        return asked

    def pool(self, asked: Asked) -> tuple[Values, str]:
        with self._lock:
            while asked.pool is None:
                waiting = self._waiting[id(asked.y)]
                some = waiting[: max(1, _HELD // (4 * self._n**2))]
                pool, method = self._products(some, asked.y)
                del waiting[: len(some)]
                if not waiting:
                    del self._waiting[id(asked.y)]
                for one, own in zip(some, pool.T, strict=True):
                    one.pool, one.x, one.y = (own.copy(), method), None, None
        return asked.pool

    def _products(self, some: list[Asked], y: Any) -> tuple[Values, str]:
        own = [self.triangle(one.x) for one in some]
        x = np.stack(own) if len(own) > 1 else own[0][None]  # without a copy
        engine = PermutedTriangles(x, self.triangle(y)[None], self._n, self._threads)
        return null_scores(Pairings.of_items(self._n), lambda orders: engine.products(orders)[:, :, 0])


def product_null(
    n: int,
    groups: Labels | None,
    sides: tuple[Any, Any],
    together: Together,
    value: float,
    mean: float,
    sd: float,
    scale: float,
) -> Null:
    """Of ``scale`` times the product of the triangles of both sides under pairings, whose exact moments are known.

    Beyond `SAMPLED_ROWS` items the sides are of so many, evenly spaced, and p is that of their product.
    """
    many = n > SAMPLED_ROWS

    def made() -> PermutedTriangles:
        x, y = map(together.triangle, sides)
        return PermutedTriangles(x[None], y[None], min(n, SAMPLED_ROWS))

    if groups is not None:
        return Null(None, p_value=Fixed(None, f"none: {LONG}")) if many else exchange_null(groups, made(), scale, None)
    if not sd:
        return Null(mean)
    if many:
        engine = cache(made)
        pairings = replace(Pairings.of_items(SAMPLED_ROWS), what=f"{SAMPLED_ROWS} evenly spaced items")
        tail = DrawnTail(pairings, None, lambda orders: np.asarray(engine().products(orders)[:, 0, 0]))
        return Null(mean, sd, None, tail.p_value, unknown)

    asked = together.ask(*sides)

    def scores() -> tuple[Values, str]:
        pool, method = together.pool(asked)
        return (scale * pool - mean) / sd, method

    whole = Tail((value - mean) / sd, partial(Pairings.of_items, n), partial(Law, None, "", False), scores)
    return Null(mean, sd, None, whole.p_value, whole.quantile)


def mean_pairing_p(x: Vector, y: Vector, n: int, diagonals: tuple[Vector, Vector] | None = None) -> Vector:
    """P-value of the product of each of the triangles x with y, plus that of their diagonals, under pairings of the n
    items; nan where these take long."""
    if n > SAMPLED_ROWS:
        return np.full(len(x), np.nan)
    found = []
    for at, one in enumerate(x):
        engine = PermutedTriangles(y[None], one[None], n)

        def scores(orders: Orders, engine: Any = engine, at: int = at) -> Values:
            off: Values = engine.products(orders)[:, 0, 0] / 2
            return off if diagonals is None else off + diagonals[0][at][orders] @ diagonals[1]

        pool, _ = null_scores(Pairings.of_items(n), scores)
        found.append(share(pool, pool))
    return np.array(found)


def mean_concordance_p(x: Vector, y: Vector, n: int, weights: Vector) -> Vector:
    """The same of the mean over y of Kendall's coefficients of ranks, each with its ``weights``, (len(x), len(y))."""
    if len(x) * len(y) * _CONCORDANCE * len(x[0]) * math.log2(len(x[0])) > COST:
        return np.full(len(x), np.nan)
    found = []
    for one, own in zip(x, weights, strict=True):

        def scores(orders: Orders, one: Vector = one, own: Vector = own) -> Values:
            return own @ np.array([concordance(other, one, orders) for other in y])  # type: ignore[no-any-return]

        pool, _ = null_scores(Pairings.of_items(n), scores)
        found.append(share(pool, pool))
    return np.array(found)


def concordance_null(x: Vector, y: Vector, n: int, groups: Labels | None, threads: int) -> Null:
    """Of Kendall's coefficients: how many pairs of the ranks of both triangles are in the same order. The mean is 0
    where all items change places."""
    cost = _CONCORDANCE * len(x) * math.log2(len(x))
    return drawn_null(n, groups, cost, lambda orders: concordance(x, y, orders, threads), mean=0.0)


def whitened_null(n: int, groups: Labels | None, scores: Scores) -> Null:
    """Of a score whose norm changes with the pairing, too."""
    return drawn_null(n, groups, _SOLVED * float(n) ** 3, scores)


def drawn_null(n: int, groups: Labels | None, cost: float, scores: Scores, mean: float | None = None) -> Null:
    """A null of which no more than the ``mean``, without groups, is known before pairings are scored: when it is read.

    ``cost``: multiply-adds, or the time of so many, that a pairing takes.
    """
    pairings = Pairings.of_items(n) if groups is None else Pairings.of_groups(groups)
    tail = DrawnTail(pairings, None, f"none: {LONG}" if cost > COST else scores)
    return Null(mean if groups is None else None, None, None, tail.p_value)
