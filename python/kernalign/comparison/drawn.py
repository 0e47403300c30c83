"""P-values of scores in a comparison: their own or, where a metric has no null, those of random pairings."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from kernalign._base.score import AlignmentWarning, Score
from kernalign._rows.layered import Layer
from kernalign._statistics.pairings import Orders, Pairings, Values, null_scores, share
from kernalign._statistics.tails import pearson3_log10_tail
from kernalign.comparison.families.base import Family, Workshop
from kernalign.comparison.tables import Array

_LEAST = 1e-290  # below, logarithms are found without the number


class Tail(NamedTuple):
    """A p-value, its decimal logarithm (which goes on where numbers end), and how it was found; nan and "": none."""

    p_value: float
    log10_p: float
    method: str


class Tails(NamedTuple):
    """The same of all pairs of layers, as arrays (L_x, L_y)."""

    p_value: Array
    log10_p: Array
    method: Array


NONE = Tail(math.nan, math.nan, "")
Place: TypeAlias = tuple[int, ...]  # of the layer of x and of that of y
Draw: TypeAlias = Callable[[Place], Tail]


def tail_of(score: Score, draw: Draw | None, at: Place) -> Tail:
    """What a score knows of its tail; drawn where its metric knows none."""
    p = score.p_value
    method = score.settings.get("p_method", "")
    if draw is not None and not method and not math.isnan(score):
        return draw(at)
    if p is None or math.isnan(p):
        return Tail(math.nan, math.nan, method)
    if p >= _LEAST:
        return Tail(p, math.log10(p), method)
    least = -math.lgamma(score.n + 1) / math.log(10)
    return Tail(p, max(pearson3_log10_tail(score.z or 0.0, score.chance_skew or 0.0), least), method)


def tails(entries: Array | None, shape: tuple[int, int], draw: Draw | None) -> Tails:
    """Of all pairs of layers; an entry is a score, what makes it, a tail that is known, or None."""
    found = Tails(np.full(shape, math.nan), np.full(shape, math.nan), np.full(shape, "", dtype=object))
    for at in np.ndindex(shape) if entries is not None else ():
        entry = entries[at]  # type: ignore[index]
        one = entry() if isinstance(entry, partial) else entry
        tail = tail_of(one, draw, at) if isinstance(one, Score) else one or NONE
        for table, value in zip(found, tail, strict=True):
            table[at] = value
    return found


@dataclass(frozen=True)
class Drawn:
    """Tails from random pairings, the same ones for all pairs and metrics."""

    family: Family
    metric: str
    layers: tuple[Sequence[Any], Sequence[Any]]
    shop: Workshop
    pairings: Pairings
    permutations: int

    def __call__(self, at: Place) -> Tail:
        x, y = self.layers[0][at[0]], self.layers[1][at[1]]
        assert isinstance(x, Layer)
        assert isinstance(y, Layer)
        record = self.family.asked.record(self.metric)
        if not record.paired:
            return NONE
        sign = 1.0 if record.larger_is_closer else -1.0
        made = self.family.permuted(self.metric, x, y, self.shop)

        def scores(orders: Orders) -> Values:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AlignmentWarning)  # the given pairing has warned
                return sign * made(orders)

        pool, method = null_scores(self.pairings, scores, self.permutations)
        if np.isnan(pool).any():
            return Tail(math.nan, math.nan, "none: the score of some random pairing is undefined")
        p = share(pool, pool)
        return Tail(p, math.log10(p), method)
