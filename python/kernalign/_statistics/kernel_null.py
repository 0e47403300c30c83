"""Nulls of kernel scores under random pairing: exact moments, and the tail where it is known to be right."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.packing import packable
from kernalign._base.score import Fixed, Null
from kernalign._engines.gram_source import EXACT_SKEW_ROWS, SAMPLED_ROWS
from kernalign._engines.permuted_grams import GATHER, by_features, gram_pays, pairing_cost, permuted
from kernalign._statistics.null_tail import CHANGED, COST, LONG, ROUNDING, Law, Scores, Tail, exchange_null, of_given
from kernalign._statistics.pairings import Pairings

if TYPE_CHECKING:
    from kernalign._engines.kernel_sums import KernelSums

Vector = NDArray[np.float64]

ROUNDED_SD = 1e-7  # of the mean; a spread of neighbour overlaps this small is the root of a rounded 0
MOST_SKEW = 3.0  # of one direction alone sqrt(8), chi-squared of one degree, which Pearson III is
MOST_SKEW_UNSEEN = 2.0  # where the items are gone that could have made it
MOST_CONCENTRATED = 0.1  # n times the product of both sides' concentration: 1/n for items that are alike
_EQUAL = 1e-13  # a variance this small, of the mean square, is rounding: of squares of float32 numbers, too


def unbiased_null(sums: KernelSums, cka: float, scale: float, sign: float = 1.0) -> Null:
    """Null of scale * (debiased CKA): exact mean 0 and variance 2/(n(n-3)), any kernel and data (mathematics 3.3).

    With ``sign`` -1 that of minus the score. Skewness (none for n < 6) and tail are computed when read; what they need
    is held until then: the rows or, of over 5000 of which pairings take long, copies of 2000.
    """
    if sums.groups is not None:
        return grouped_null(sums, sign * scale, unbiased=True)
    n = sums.n
    if sums.sides is not None and n > EXACT_SKEW_ROWS:
        sampled = sums.sides[0].sampled, sums.sides[1].sampled  # as the rows are now
        if pairing_cost(*sums.sides) > COST:
            sums = replace(sums, sides=sampled)  # lets go of the rows
    unit = unbiased_sd(n)
    tail = Tail(
        sign * cka / unit, partial(Pairings.of_items, n), partial(_law, sums, sign), partial(_scores, sums, sign)
    )
    return Null(0.0, scale * unit, tail.skew if n >= 6 else None, tail.p_value, tail.quantile)


def unbiased_sd(n: int) -> float:
    """Standard deviation of debiased CKA under random pairing, whatever the kernel and the data."""
    return math.sqrt(2 / (n * (n - 3)))


def grouped_null(sums: KernelSums, scale: float, *, unbiased: bool, less: float = 0.0) -> Null:
    """Null of scale * CKA - less when whole groups change places."""
    assert sums.sides is not None
    assert sums.groups is not None
    refused = f"none: {LONG}" if pairing_cost(*sums.sides) > COST else None
    if refused and not by_features(*sums.sides):
        return Null(None, p_value=Fixed(None, refused))
    made = permuted(*sums.sides, unbiased=unbiased)
    return exchange_null(sums.groups, made, scale / float(made.lengths[0, 0]), refused, less)


def exchange_bytes(n: int, columns: tuple[int, int] | None) -> int:
    """Bytes of every row that `grouped_null` takes; ``columns`` of linear kernels."""
    if columns is None:
        return 32 * n if n * n // 2 * GATHER <= COST else 0
    p, q = columns
    return 8 * (p + q + 4 * max(p, q)) + (8 * n if gram_pays(n, [p], [q]) else 0)


def _law(sums: KernelSums, sign: float) -> Law:
    """Pearson III holds where no few items have the sums to themselves; of a stream, this cannot be seen."""
    if sums.n < 6:
        return Law(None, "", False)
    if _changed(sums):
        return Law(None, CHANGED, False)
    skew, method = unbiased_skew(sums)
    skew *= sign
    if sums.sides is None:
        return Law(skew, method, abs(skew) <= MOST_SKEW_UNSEEN)
    x, y = sums.sides
    return Law(skew, method, bool(pearson3_holds(sums.n, skew, x.concentration * y.concentration)))


def pearson3_holds(n: int, skew: Any, concentrations: Any) -> Any:
    """Whether the Pearson III law of a skewness is right in the tail, by the product of both sides' concentration."""
    return (np.abs(skew) <= MOST_SKEW) & (n * concentrations <= MOST_CONCENTRATED)


def _scores(sums: KernelSums, sign: float) -> Scores | str:
    """Standardised scores of pairings."""
    n, why = sums.n, "none: a few items or one direction rule the score, so that Pearson III does not hold"
    if sums.sides is None:
        return f"{why}, and the rows are gone"
    if _changed(sums):
        return CHANGED
    if pairing_cost(*sums.sides) > COST:
        return f"{why}, and {LONG}"
    made = permuted(*sums.sides)
    length = float(made.lengths[0, 0])
    now = of_given(n, lambda orders: made.products(orders)[:, 0, 0] / length)
    if abs(now - sums.unbiased_cka()) > max(_uncertain(sums, at) for at in (0, 1)):
        return CHANGED
    unit = sign * length * unbiased_sd(n)
    return lambda orders: made.products(orders)[:, 0, 0] / unit


def _changed(sums: KernelSums) -> bool:
    """Whether a side, of which no copy was made, is no longer as long as when it was scored, whatever the unit."""
    if sums.sides is None or not 6 <= sums.n <= EXACT_SKEW_ROWS:
        return False
    for at, side in enumerate(sums.sides):
        try:
            now, then = side.cubes[0], sums.u_centred(at, at)
        except ValueError:  # rows that are no longer finite
            return True
        if then > 0:
            ratio = math.frexp(now / then)[0]  # in [1/2, 1) or, by rounding, at its other end
            if not min(abs(ratio - 0.5) * 2, 1 - ratio) <= _uncertain(sums, at):
                return True
    return False


def _uncertain(sums: KernelSums, at: int) -> float:
    """How far rounding may carry the U-centred square of a side, of itself."""
    noise, square = sums.noise(at), sums.u_centred(at, at)
    assert sums.sides is not None
    if not square > 0:
        return math.inf
    return ROUNDING + 10 * (noise / square if sums.sides[at].linear else math.sqrt(noise / square))


def unbiased_skew(sums: KernelSums) -> tuple[float, str]:
    """Skewness of the unbiased HSIC or CKA under random pairing.

    Exact third moment for n <= 5000 where the rows are at hand; otherwise the leading term sqrt(8) r_x r_y with
    r = tr(S^3) / tr(S^2)^(3/2), S the covariance (or, of Gram matrices, from 2000 evenly spaced rows).
    """
    n = sums.n
    if sums.sides is not None and n <= EXACT_SKEW_ROWS:
        (square_x, *x), (square_y, *y) = (side.cubes for side in sums.sides)
        scale = math.sqrt(2 / (n * (n - 3)) * square_x * square_y)
        if not scale**3 > 0:
            return math.nan, "exact third moment"  # of a side of which rounding alone is left
        return float(_core.u_centred_third_moment(n, *x, *y) / scale**3), "exact third moment"
    if isinstance(sums.engine, _core.MomentSums):
        ratios, where = [_covariance_ratio(sums.engine, side) for side in (0, 1)], "leading term"
    else:
        assert sums.sides is not None
        ratios = [side.skew_ratio for side in sums.sides]
        where = f"leading term of {SAMPLED_ROWS} rows"
    return math.sqrt(8) * ratios[0] * ratios[1], where


def _covariance_ratio(engine: _core.MomentSums, side: int) -> float:
    covariance = engine.product(side, side)
    square = covariance @ covariance
    return float(np.vdot(square, covariance) / np.vdot(covariance, covariance) ** 1.5)


@packable
@dataclass(frozen=True)
class PairMatrix:
    """What the moments under random pairing need of a symmetric matrix with a zero diagonal."""

    n: int
    total: float  # sum of A_ij
    square: float  # sum of A_ij^2
    row_square: float  # sum of the squared row sums

    @classmethod
    def of(cls, n: int, own: _core.PairSums) -> PairMatrix:
        """From the sums of a matrix with itself."""
        return cls(n, own.total_x, own.full, own.rows)

    def classes(self) -> tuple[float, float, float]:
        """Of A less its mean, sums of A_ij A_kl over index pairs that are the same, share one index, or none."""
        square = self.square - self.total**2 / (self.n * (self.n - 1))
        if not square > _EQUAL * self.square:
            return 0.0, 0.0, 0.0
        one = self.row_square - self.total**2 / self.n - square
        return square, one, -4 * one - 2 * square


def pairing_moments(x: PairMatrix, y: PairMatrix) -> tuple[float, float]:
    """Mean and variance of sum A_ij B_pi(i)pi(j) over uniform permutations pi (Mantel 1967), exact for n >= 2."""
    n = x.n
    falling = [math.prod(range(n - v + 1, n + 1)) for v in (2, 3, 4)]
    terms = zip((2, 4, 1), falling, x.classes(), y.classes(), strict=True)
    variance = sum(w * a * b / f for w, f, a, b in terms if f > 0)
    return x.total * y.total / falling[0], max(0.0, variance)
