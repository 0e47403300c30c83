"""Agreement of dissimilarities themselves, from sums over tiles: cosines, plain and whitened."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.score import Null, Score, undefined
from kernalign._engines.gram_source import SAMPLED_ROWS, Side
from kernalign._engines.kernel_sums import KernelSums, bounded
from kernalign._rows.decompositions import cholesky, solve_positive
from kernalign._statistics import kernel_null
from kernalign._statistics.kernel_null import PairMatrix
from kernalign._statistics.pairings import Labels, Orders, Values
from kernalign._statistics.triangle_null import Together, product_null, whitened_null
from kernalign.metrics.kernel.finish import doubly_centred_null

Vector: TypeAlias = NDArray[np.float64]

WHITENED = ("whitened_cosine", "whitened_pearson")
LEVELLED = ("pearson", "whitened_pearson")  # which do not see what is added to all dissimilarities


def together_of_sides(n: int, comparison: str, threads: int) -> Together:
    """Of sides whose dissimilarities are less their mean where that does not count, and of length 1."""

    def triangle(side: Side) -> Vector:
        one: Vector = side.condensed()
        one /= np.abs(one).max() or 1.0
        one -= one.mean() if comparison == "pearson" else 0.0
        one /= math.sqrt(2 * one @ one)
        return one

    return Together(n, triangle, threads)


def finish_reduced(sums: KernelSums, comparison: str, settings: dict[str, object], together: Together) -> Score:
    """A cosine of matrices, less a constant first where that does not matter, so that nothing cancels."""
    n = sums.n
    settings = settings | {"accumulation": "float64", "products": sums.describe()["products"]}
    sides = [PairMatrix.of(n, sums.hollow[s, s]) for s in (0, 1)]
    squares = [_square(sums, side, comparison) for side in (0, 1)]
    for index, name in enumerate("xy"):
        if not math.isfinite(squares[index]):
            return undefined("rsa", n, f"{name} spans more than float64 can hold", settings=settings)
        made = sums.sides and sums.sides[index]
        if not squares[index] > sums.noise(index) or (made and made.rounded):
            reason = f"all dissimilarities of {name} are {'equal' if comparison in LEVELLED else 'zero'}"
            return undefined("rsa", n, reason, settings=settings)
    scale = 1 / (math.sqrt(squares[0]) * math.sqrt(squares[1]))
    mean, variance = kernel_null.pairing_moments(*sides)
    if comparison in WHITENED:
        value, null = _whitened(sums, comparison, scale)
        return Score(value, metric="rsa", n=n, settings=settings, null=null)
    subtracted = mean if comparison == "pearson" else 0.0
    value, sd = bounded((sums.hollow[0, 1].full - subtracted) * scale), math.sqrt(variance) * scale
    assert sums.sides is not None
    x, y = ((side.sampled if n > SAMPLED_ROWS else side) for side in sums.sides)  # not the rows, of many
    null = product_null(n, sums.groups, (x, y), together, value, (mean - subtracted) * scale, sd, 1.0)
    return Score(value, metric="rsa", n=n, settings=settings, null=null)


def _square(sums: KernelSums, side: int, comparison: str) -> float:
    """The squared norm of one side."""
    if comparison == "whitened_cosine":
        return sums.centred(side, side)
    own = sums.hollow[side, side]
    if comparison == "whitened_pearson":
        return _off_the_centre(sums.n, own)
    return own.full - (own.total_x**2 / (sums.n * (sums.n - 1)) if comparison == "pearson" else 0.0)


def _off_the_centre(n: int, own: _core.PairSums) -> float:
    """<HDH, HEH> less its part along the centring matrix H, which is all that a constant adds (mathematics 2.17)."""
    return own.full - 2 * own.rows / n + own.total_x * own.total_y * (n - 2) / (n**2 * (n - 1))


def _whitened(sums: KernelSums, comparison: str, scale: float) -> tuple[float, Null]:
    """The cosine of the doubly centred matrices, and its null."""
    if comparison == "whitened_cosine":
        return bounded(sums.centred(0, 1) * scale), doubly_centred_null(sums, scale)
    value = bounded(_off_the_centre(sums.n, sums.hollow[0, 1]) * scale)
    return value, doubly_centred_null(sums, scale, along_centre=False)


def whitened_by(
    sides: tuple[Side, Side],
    covariance: Vector,
    comparison: str,
    settings: dict[str, object],
    groups: Labels | None,
) -> Score:
    """The whitened score where the estimates of conditions have a covariance: seven n x n matrices are held.

    With P = S^-1 - S^-1 1 1' S^-1 / (1' S^-1 1) of the covariance S, tr(P D P E) is the product of dissimilarities D
    and E whitened by the covariance of their estimates, (C S C')^2 entry by entry of the contrasts C of all pairs.
    """
    n = len(covariance)
    root = cholesky(covariance)
    assert root is not None
    inverse = solve_positive(root, np.eye(n))
    ones = inverse.sum(axis=1)
    metric = inverse - np.outer(ones, ones / ones.sum())
    x, y = (_full(side, n, comparison) for side in sides)
    for name, one in zip("xy", (x, y), strict=True):
        if not (off := one[~np.eye(n, dtype=bool)]).any() or (comparison in LEVELLED and np.ptp(off) == 0):
            reason = f"all dissimilarities of {name} are {'equal' if comparison in LEVELLED else 'zero'}"
            return undefined("rsa", n, reason, settings=settings)
    left = metric @ x
    fixed, own = left @ metric, math.sqrt(float(np.vdot(left, left.T)))

    def score(of_y: Vector) -> float:
        product = metric @ of_y
        return float(np.vdot(fixed, of_y)) / (own * math.sqrt(float(np.vdot(product, product.T))))

    def scores(orders: Orders) -> Values:
        return np.array([score(y[np.ix_(order, order)]) for order in orders])

    null = whitened_null(n, groups, scores)
    return Score(bounded(score(y)), metric="rsa", n=n, settings=settings, null=null)


def _full(side: Side, n: int, comparison: str) -> Vector:
    """The matrix of dissimilarities, in a unit of its own, less their mean off the diagonal where it does not count."""
    full = np.zeros((n, n))
    values = side.condensed(restored=False)
    values /= np.abs(values).max() or 1.0
    values -= values.mean() if comparison in LEVELLED else 0.0
    full[np.triu_indices(n, 1)] = values
    return full + full.T
