"""Pairings that are equally likely if x and y have nothing to do with each other, and p-values among them."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.cached import cached_property
from kernalign._rows.blocks import spans

Values: TypeAlias = NDArray[np.float64]
Orders: TypeAlias = NDArray[np.int32]  # of every pairing one row: item order[i] of y is paired with item i of x
Labels: TypeAlias = NDArray[np.intp]  # numbers from 0

FEW = 40_320  # pairings that are all scored: those of 8 items
DRAWN = 999  # otherwise, with seed 0
_MOST = 1 << 20  # places at a time
_KEPT = 1 << 22  # places that are kept: 16 MB


@dataclass(frozen=True, eq=False)
class Pairings:
    """What may change places: the units of a class among themselves, each with its rows in their order.

    Attributes
    ----------
    n : items
    classes : (units, rows) places of the items, for every class
    what : the units, in the plural
    """

    n: int
    classes: tuple[NDArray[np.intp], ...]
    what: str = ""

    @classmethod
    def of_items(cls, n: int) -> Pairings:
        """All n! pairings."""
        return _of_items(n)

    @classmethod
    def of_groups(cls, labels: Labels) -> Pairings:
        """Whole groups change places with groups of their size."""
        return _of_groups(np.asarray(labels, dtype=np.intp).tobytes())

    @classmethod
    def within(cls, labels: Labels) -> Pairings:
        """Items change places inside their block."""
        order = np.argsort(labels, kind="stable")
        return cls(len(labels), tuple(part[:, None] for part in np.split(order, np.cumsum(np.bincount(labels))[:-1])))

    @property
    def least(self) -> float:
        """One over the number of pairings, or the least number where that is less: no p-value is smaller, none is 0."""
        number = sum(math.lgamma(len(units) + 1) for units in self.classes)
        return max(math.exp(-number), sys.float_info.min)

    @property
    def few(self) -> bool:
        return self.least * FEW > 1 - 1e-9

    def all(self) -> Iterator[Orders]:
        """Every pairing, the given one first, some at a time."""
        orders = [_permutations(len(units)) for units in self.classes]
        counts = [len(one) for one in orders]
        for begin, end in spans(math.prod(counts), self.n, elements=_MOST):
            places = np.unravel_index(np.arange(begin, end), counts)
            yield self._placed(end - begin, (own[at] for own, at in zip(orders, places, strict=True)))

    def drawn(self, number: int, seed: int = 0, most: int = FEW) -> Iterator[Orders]:
        """Random pairings, some at a time; the same ones are wanted for every pair, and kept where they are small."""
        asked = number, seed, most
        found = self._kept.get(asked)  # at once: another thread may change what is kept
        if found is not None:
            yield from found
            return
        batches = []
        rng = np.random.default_rng(seed)
        for begin, end in spans(number, self.n, elements=min(most * self.n, _MOST)):
            random = [[rng.permutation(len(units)) for units in self.classes] for _ in range(begin, end)]
            batches.append(self._placed(end - begin, map(np.array, zip(*random, strict=True))))
            yield batches[-1]
            if number * self.n > _KEPT:
                batches.clear()
        if batches:
            self._kept.clear()
            self._kept[asked] = batches

    @cached_property
    def _kept(self) -> dict[tuple[int, int, int], list[Orders]]:
        return {}

    def _placed(self, number: int, orders: Iterable[NDArray[Any]]) -> Orders:
        placed = np.empty((number, self.n), dtype=np.int32)
        for units, order in zip(self.classes, orders, strict=True):
            placed[:, units] = units[order]
        return placed


# The last ones are at hand, with what was drawn of them, for the next pair of the same items.
@lru_cache(maxsize=1)
def _of_items(n: int) -> Pairings:
    return Pairings(n, (np.arange(n)[:, None],))


@lru_cache(maxsize=1)
def _of_groups(labels: bytes) -> Pairings:
    numbers = np.frombuffer(labels, dtype=np.intp)
    order, sizes = np.argsort(numbers, kind="stable"), np.bincount(numbers)
    starts = np.cumsum(sizes) - sizes
    classes = (order[starts[sizes == size][:, None] + np.arange(size)] for size in np.unique(sizes))
    return Pairings(len(numbers), tuple(classes), "groups")


@lru_cache(maxsize=8)
def _permutations(m: int) -> NDArray[np.intp]:
    return np.array(list(itertools.permutations(range(m))))


def null_scores(pairings: Pairings, scores: Callable[[Orders], Values], number: int = DRAWN) -> tuple[Values, str]:
    """Scores of all pairings, or of the given and random ones, the given one's first; and how they were chosen."""
    given = np.arange(pairings.n, dtype=np.int32)[None]
    orders = pairings.all() if pairings.few else itertools.chain([given], pairings.drawn(number))
    pool = np.concatenate([scores(batch) for batch in orders])
    method = f"all {len(pool)} pairings" if pairings.few else f"{number} random pairings, seed 0"
    return pool, f"{method} of {pairings.what}" if pairings.what else method


def share(pool: Values, values: Values) -> float:
    """Share of the pool, which begins with the score of the given pairing, that reaches the first of the values."""
    if math.isnan(values[0]):
        return math.nan
    slack = 1e-12 * float(np.abs(pool).max())  # equal scores may differ by rounding
    return float((pool >= values[0] - slack).mean())
