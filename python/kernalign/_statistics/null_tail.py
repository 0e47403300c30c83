"""Skewness, p-value and quantiles of a score under random pairing, found when they are read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from kernalign._base.cached import cached_property
from kernalign._base.score import Fixed, Null
from kernalign._engines.permuted_grams import PermutedGrams
from kernalign._rows.magnitude import divided, exponent_of
from kernalign._statistics.calibration import order_statistic
from kernalign._statistics.pairings import Labels, Orders, Pairings, Values, null_scores, share
from kernalign._statistics.tails import pearson3_quantile, pearson3_tail

COST = 100_000_000  # multiply-adds, or the time of so many, that a pairing may take: four seconds for 999 on one core
LONG = "pairings of so many items and features take long: permutation_test scores them"
CHANGED = "none: the rows changed since they were scored"
ROUNDING = 1e-5  # of cosines; float32 products are measured to be wrong by less than 1e-6

Scores: TypeAlias = Callable[[Orders], Values]


class Law(NamedTuple):
    """Skewness of a standardised score, how it was found, and whether its Pearson III law is right in the tail."""

    skew: float | None
    method: str
    holds: bool


class Tail:
    """Upper tail of a standardised score: Pearson III where it holds, otherwise the scores of pairings.

    ``z``: the score; ``pairings``, ``law``: what they say; ``scores``: makes what scores pairings in the units of z, or
    their scores and how they were chosen, or says why it cannot. All three are called once, and let go when the tail is
    known. A pickled tail is.
    """

    def __init__(
        self,
        z: float,
        pairings: Callable[[], Pairings],
        law: Callable[[], Law],
        scores: Callable[[], Scores | tuple[Values, str] | str],
    ) -> None:
        self._z = z
        self._given: Any = pairings, law, scores

    def skew(self) -> tuple[float | None, str]:
        law = self._law
        if law.holds:
            _ = self._found  # which costs nothing now
        return law.skew, law.method

    def p_value(self) -> tuple[float | None, str]:
        """None and why, where Pearson III does not hold and pairings cannot be scored."""
        return self._found[:2]

    def quantile(self, alpha: float) -> float | None:
        """What the standardised score exceeds with probability alpha."""
        p, _, drawn = self._found
        if drawn is not None:
            return order_statistic(drawn, alpha)
        return None if p is None else pearson3_quantile(alpha, self._law.skew or 0.0)

    @cached_property
    def _law(self) -> Law:
        found: Law = self._given[1]()
        return found

    @cached_property
    def _found(self) -> tuple[float | None, str, Values | None]:
        pairings, law, z = self._given[0](), self._law, self._z
        if law.holds and not pairings.few and (law.skew is None or law.skew >= 0 or z < -2 / law.skew):
            p = max(pearson3_tail(z, law.skew or 0.0), pairings.least)
            return self._settled(p, f"Pearson III, {law.method}", None)
        scores = self._given[2]()
        if isinstance(scores, str):
            return self._settled(None, scores, None)
        drawn, method = scores if isinstance(scores, tuple) else null_scores(pairings, scores)
        return self._settled(share(drawn, drawn), method, drawn)

    def _settled(self, p: float | None, method: str, drawn: Values | None) -> tuple[float | None, str, Values | None]:
        self._given = None
        return p, method, drawn

    def __getstate__(self) -> dict[str, Any]:
        return {"_z": self._z, "_law": self._law, "_found": self._found, "_given": None}


class DrawnTail:
    """Spread and upper tail of a score, and its mean unless that is known, from the scores of pairings."""

    def __init__(
        self,
        pairings: Pairings,
        mean: float | None,
        scores: Scores | str,
        of: Callable[[Values], Values] | None = None,
        value: float | None = None,
    ) -> None:
        """``scores``: what scores pairings, or why they are not scored; ``of`` makes distances of them, which fall as
        they grow: p is the share of pairings that are no farther apart, and there is no upper quantile. ``value``: what
        the given pairing scored, of order 1; where it no longer does, the rows are others and nothing is known."""
        self._given: Any = pairings, scores, of, value
        self._first = 0 if pairings.few else 1  # the given pairing is none of the random ones
        self._falls = of is not None
        self._mean = mean

    def mean(self) -> float | None:
        if self._mean is not None:
            return self._mean
        drawn = self._found[2]
        return None if drawn is None else _in_range(np.mean, drawn[self._first :])

    def sd(self) -> float | None:
        drawn, mean = self._found[2], self.mean()
        if drawn is None or mean is None:
            return None
        return _in_range(lambda apart: np.sqrt(np.mean(apart**2)), drawn[self._first :] - mean)

    def p_value(self) -> tuple[float | None, str]:
        return self._found[:2]

    def quantile(self, alpha: float) -> float | None:
        """What the standardised score exceeds with probability alpha."""
        if self._falls:
            return None
        drawn, mean, sd = self._found[2], self.mean(), self.sd()
        return None if drawn is None or mean is None or not sd else (order_statistic(drawn, alpha) - mean) / sd

    @cached_property
    def _found(self) -> tuple[float | None, str, Values | None]:
        pairings, scores, of, value = self._given
        if isinstance(scores, str):
            return None, scores, None
        self._given = None
        if value is not None and not abs(of_given(pairings.n, scores) - value) <= ROUNDING * max(1.0, abs(value)):
            return None, CHANGED, None
        drawn, method = null_scores(pairings, scores)
        if np.isnan(drawn).any():
            return None, "none: under some pairings there is no score", None
        return share(drawn, drawn), method, drawn if of is None else of(drawn)

    def null(self) -> Null:
        return Null(self.mean, self.sd, None, self.p_value, self.quantile)

    def __getstate__(self) -> dict[str, Any]:
        known = {"_mean": self._mean, "_first": self._first, "_falls": self._falls}
        return {**known, "_found": self._found, "_given": None}


def _in_range(of: Callable[[Values], Any], values: Values) -> float:
    """What is in the unit of the values, from values whose sums and squares fit."""
    unit = exponent_of(values)
    return float(np.ldexp(of(divided(values, unit)), unit))


def of_given(n: int, scores: Scores) -> float:
    """What the given pairing scores now; nan of rows that are no longer finite, which are refused."""
    try:
        return float(scores(np.arange(n, dtype=np.int32)[None])[0])
    except ValueError:
        return math.nan


def exchange_null(labels: Labels, made: PermutedGrams, scale: float, refused: str | None, less: float = 0.0) -> Null:
    """Null of scale * (product of both sides) - less when whole groups change places: its exact mean, the rest from
    pairings.

    ``refused``: why pairings are not scored.
    """
    pairings = Pairings.of_groups(labels)
    mean = scale * made.mean_product(pairings.classes) - less
    tail = DrawnTail(pairings, mean, refused or (lambda orders: scale * made.products(orders)[:, 0, 0] - less))
    return tail.null()


def refused_null(mean: float | None, sd: float | None, reason: str) -> Null:
    """A null of which the moments are known, but no tail: ``reason`` stands in the place of its method."""
    return Null(mean, sd, None, Fixed(None, reason), unknown)


def unknown(alpha: float) -> None:
    """The quantile of a null that is not known."""
