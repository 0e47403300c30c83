"""Agreement of the ranks of dissimilarities: Spearman's and Kendall's coefficients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.cached import cached_property
from kernalign._base.packing import packable
from kernalign._base.progress import Report
from kernalign._base.score import Null, Score, undefined
from kernalign._engines.gram_source import SAMPLED_ROWS, Side
from kernalign._engines.kernel_sums import bounded
from kernalign._engines.permuted_ranks import concordance_of
from kernalign._rows.digits import beyond_casting, row_errors
from kernalign._rows.magnitude import lengths
from kernalign._statistics import kernel_null, pair_influence
from kernalign._statistics.kernel_null import PairMatrix
from kernalign._statistics.pairings import Labels
from kernalign._statistics.triangle_null import Together, concordance_null, product_null
from kernalign.metrics.kernel.ranks import mid_ranks

Vector: TypeAlias = NDArray[np.float64]

ORDERED = ("kendall", "tau_b")  # which see the order of two dissimilarities, not their ranks


@packable
@dataclass(frozen=True)
class Ranks:
    """Mid-ranks of the dissimilarities of one representation, and what every score needs of them.

    Attributes
    ----------
    values : of the n (n - 1) / 2 pairs of items, less their mean for "spearman" and "rho_a"
    moments : of the symmetric matrix of ``values`` ("spearman", "rho_a")
    untied : pairs of dissimilarities that are not tied ("kendall", "tau_b")
    reason : why there is no score, with {} for the name of the side
    """

    n: int
    values: Vector
    moments: PairMatrix | None = None
    untied: int = 0
    reason: str | None = None

    @cached_property
    def sampled(self) -> Vector:
        """Of the pairs of `SAMPLED_ROWS` evenly spaced items, where there are more."""
        if self.n <= SAMPLED_ROWS:
            return self.values
        index = np.linspace(0, self.n - 1, SAMPLED_ROWS).astype(np.int64)  # as in `Side.sampled`
        i, j = (index[at] for at in np.triu_indices(SAMPLED_ROWS, 1))
        return np.take(self.values, i * (2 * self.n - i - 1) // 2 + j - i - 1)

    @property
    def nbytes(self) -> int:
        """What it holds now."""
        sampled = self.__dict__.get("sampled", self.values)
        return self.values.nbytes + (0 if sampled is self.values else sampled.nbytes)


def ranked(side: Side, comparison: str, report: Report) -> Ranks:
    """The ranks of one representation; up to 37 bytes for each pair of items meanwhile, 8 for the result."""
    n, equal = side.source.n, "all dissimilarities of {} are equal"
    if side.rounded:
        return Ranks(n, np.zeros(0), reason=equal + beyond_casting(side.rows[0]))
    squares = side.condensed(restored=False, report=report)
    if not math.isfinite(squares.max()):
        return Ranks(n, squares[:0], reason="{} spans more than float64 can hold")
    if side.options["form"] != "precomputed":
        _settle(squares, side)
    elif (least := squares.min()) < 0:  # an estimate that is unbiased may be
        squares -= least
    ranks = mid_ranks(squares)
    if comparison in ORDERED:
        untied = len(ranks) * (len(ranks) - 1) // 2 - _tied_pairs(ranks)
        return Ranks(n, ranks, untied=untied, reason=None if untied else equal)
    ranks -= (len(ranks) + 1) / 2
    sums = pair_influence.row_sums(ranks, n)
    moments = PairMatrix(n, 0.0, 2 * float(ranks @ ranks), float(sums @ sums))
    return Ranks(n, ranks, moments, reason=None if moments.square > 0 else equal)


def _settle(squares: Vector, side: Side) -> None:
    """Squared distances of rows that the rounding of their entries may have told apart become 0."""
    (rows,), n, place = side.rows, side.source.n, int(squares.argmax())
    if not squares[place] > 0:
        return
    begins = np.cumsum([0, *range(n - 1, 1, -1)])
    i = int(np.searchsorted(begins, place, side="right")) - 1
    j = place - int(begins[i]) + i + 1
    errors = row_errors(rows) * (math.sqrt(squares[place]) / lengths(rows.dense(i, i + 1) - rows.dense(j, j + 1))[0])
    for i, begin in enumerate(begins):
        row = squares[begin : begin + n - 1 - i]
        row[row <= np.maximum(errors[i], errors[i + 1 :]) ** 2] = 0.0


def together_of_ranks(n: int, threads: int) -> Together:
    """Of values that are sampled."""
    return Together(n, lambda values: values, threads)


def finish_ranked(
    x: Ranks,
    y: Ranks,
    comparison: str,
    settings: dict[str, Any],
    together: Together,
    groups: Labels | None = None,
    threads: int = 0,
) -> Score:
    """rsa of two sides that were ranked."""
    for name, side in (("x", x), ("y", y)):
        if side.reason is not None:
            return undefined("rsa", x.n, side.reason.format(name), settings=settings)
    if comparison in ORDERED:
        value, null = _concordance(x, y, comparison, groups, threads)
    else:
        value, null = _correlation(x, y, comparison, groups, together)
    return Score(value, metric="rsa", n=x.n, settings=settings, null=null)


def _correlation(x: Ranks, y: Ranks, comparison: str, groups: Labels | None, together: Together) -> tuple[float, Null]:
    """Spearman's coefficient: of rho-a over random orders of what is tied."""
    if x.moments is None or y.moments is None:
        raise TypeError("ranks must know the moments of their values")  # those of a file may not
    if comparison == "rho_a":
        m = len(x.values)
        scale = 6 / (m * (m * m - 1))
    else:
        scale = 1 / (math.sqrt(x.moments.square) * math.sqrt(y.moments.square))
    _, variance = kernel_null.pairing_moments(x.moments, y.moments)
    value, sd = bounded(2 * float(x.values @ y.values) * scale), math.sqrt(variance) * scale
    sampled = x.sampled, y.sampled  # not the sides: they may hold far more
    return value, product_null(x.n, groups, sampled, together, value, 0.0, sd, scale)


def _concordance(x: Ranks, y: Ranks, comparison: str, groups: Labels | None, threads: int) -> tuple[float, Null]:
    """Kendall's tau-a, over all pairs, or tau-b, over those that are not tied."""
    m = len(x.values)
    alike = concordance_of(x.values, y.values, x.n, threads)
    pairs = m * (m - 1) / 2 if comparison == "kendall" else math.sqrt(x.untied) * math.sqrt(y.untied)
    return bounded(alike / pairs), concordance_null(x.values, y.values, x.n, groups, threads)


def _tied_pairs(ranks: Vector) -> int:
    counts = np.bincount((2 * ranks).astype(np.int64))  # mid-ranks are multiples of 1/2
    return int((counts * (counts - 1) // 2).sum())
