"""Representational similarity analysis: agreement of two dissimilarity matrices over all pairs of items."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kernalign import _core, arrays, inference
from kernalign.arrays import Options
from kernalign.grams import GramSweep
from kernalign.inference import PairMatrix
from kernalign.kernels import Distance, Linear
from kernalign.progress import reporting
from kernalign.score import Null, Score, undefined
from kernalign.sides import Side, make_side
from kernalign.sums import KernelSums, bounded

Dissimilarity: TypeAlias = Literal["correlation", "cosine", "euclidean", "sqeuclidean"]
Comparison: TypeAlias = Literal["spearman", "pearson", "kendall", "cosine"]
Vector: TypeAlias = NDArray[np.float64]


def rsa(
    x: Any,
    y: Any,
    *,
    distance: Dissimilarity = "correlation",
    comparison: Comparison = "spearman",
    **options: Unpack[Options],
) -> Score:
    """Agreement of the dissimilarities that x and y put between items, over the n (n - 1) / 2 pairs.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 3.
    distance : "correlation" (1 - Pearson correlation of two rows), "cosine" (1 - cosine), "euclidean" or "sqeuclidean".
    comparison : "spearman" (mid-ranks), "pearson", "kendall" (tau-a: ties count as neither) or "cosine".
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        In [-1, 1]. ``chance`` is the exact mean over random pairings of the items (Mantel's null: 0, but for
        "cosine"), ``chance_sd`` is exact too (not known for "kendall"), and the p-value is a normal tail.

    Notes
    -----
    "pearson" and "cosine" are reduced from tiles: O(n) numbers are held. Ranks need the dissimilarities themselves:
    "spearman" holds up to 50 bytes for each pair of items while it sorts ("kendall" 120), 2.5 GB for n = 10,000.

    Raises
    ------
    ValueError
        A row of zeros with "cosine", a constant row with "correlation", fewer than 3 rows.

    References
    ----------
    Kriegeskorte, Mur and Bandettini 2008; Mantel 1967. The whitened cosine of squared Euclidean dissimilarities is
    biased linear CKA (Diedrichsen et al. 2021): use :func:`kernalign.cka`.
    """
    arrays.check_choice(distance, "distance", ("correlation", "cosine", "euclidean", "sqeuclidean"))
    arrays.check_choice(comparison, "comparison", ("spearman", "pearson", "kendall", "cosine"))
    angular = distance in ("correlation", "cosine")
    pair = arrays.pair(x, y, divided=angular, zero_mean=distance == "correlation", **options)
    arrays.check_count(pair.n, 3, "rsa")
    settings = {**pair.settings, "distance": distance, "comparison": comparison, "backend": "cpu"}
    kernel = Linear() if angular else Distance(squared=distance == "sqeuclidean")
    with reporting(pair.progress, "rsa") as report:
        sides = [make_side([rows], kernel, pair.threads) for rows in (pair.x, pair.y)]
        if comparison in ("pearson", "cosine"):
            sweep = GramSweep(sides, centred=False, threads=pair.threads, report=report)
            return _from_sums(sweep.sums(0, 1), comparison, angular, settings)
        vectors = [_dissimilarities(side, angular, report) for side in sides]
    if comparison == "spearman":
        return _spearman(pair.n, vectors, settings)
    return _kendall(pair.n, vectors, settings)


def _from_sums(sums: KernelSums, comparison: str, angular: bool, settings: dict[str, Any]) -> Score:
    """Cosine or Pearson correlation; of 1 - similarity if angular."""
    n = sums.n
    count = n * (n - 1)
    shift = [1.0, 1.0] if angular else [0.0, 0.0]
    unit = [float(np.ldexp(1.0, e)) for e in sums.exponents] if angular else [1.0, 1.0]
    own = [sums.hollow[s, s] for s in (0, 1)]
    cross = sums.hollow[0, 1].full * unit[0] * unit[1]
    sides = [PairMatrix(n, o.total_x * u, o.full * u * u, o.rows * u * u) for o, u in zip(own, unit, strict=True)]
    sides, cross = (
        [_shifted(side, c) for side, c in zip(sides, shift, strict=True)],
        _shifted_cross(sides, cross, shift),
    )
    mean, variance = inference.pairing_moments(*sides)
    squares = [side.square - (side.total**2 / count if comparison == "pearson" else 0.0) for side in sides]
    for side, square, name in zip(sides, squares, "xy", strict=True):
        if not square > 1e-12 * side.square:
            reason = f"all dissimilarities of {name} are {'equal' if comparison == 'pearson' else 'zero'}"
            return undefined("rsa", n, reason, settings=settings)
    scale = 1 / (math.sqrt(squares[0]) * math.sqrt(squares[1]))
    if comparison == "pearson":
        cross, mean = cross - mean, 0.0
    settings |= {"accumulation": "float64", "products": sums.describe()["products"]}
    return _score(cross * scale, n, mean * scale, math.sqrt(variance) * scale, settings)


def _shifted(side: PairMatrix, shift: float) -> PairMatrix:
    """Of shift - A, if there is a shift."""
    if not shift:
        return side
    n, count = side.n, side.n * (side.n - 1)
    square = count * shift**2 - 2 * shift * side.total + side.square
    rows = n * ((n - 1) * shift) ** 2 - 2 * (n - 1) * shift * side.total + side.row_square
    return PairMatrix(n, count * shift - side.total, square, rows)


def _shifted_cross(sides: list[PairMatrix], cross: float, shift: list[float]) -> float:
    x, y = sides
    return x.n * (x.n - 1) * shift[0] * shift[1] - shift[0] * y.total - shift[1] * x.total + cross


def _dissimilarities(side: Side, angular: bool, report: Any) -> Vector:
    values = _core.condensed_gram(side.source, False, side.threads, report)
    if angular:
        np.subtract(1.0, values, out=values)
    return values


def _spearman(n: int, vectors: list[Vector], settings: dict[str, Any]) -> Score:
    middle = (len(vectors[0]) + 1) / 2
    for i in (0, 1):
        vectors[i] = stats.rankdata(vectors[i]) - middle
    sides = []
    for name, ranks in zip("xy", vectors, strict=True):
        side = PairMatrix(n, 0.0, 2 * float(ranks @ ranks), _row_square(n, ranks))
        if not side.square > 0:
            return undefined("rsa", n, f"all dissimilarities of {name} are equal", settings=settings)
        sides.append(side)
    scale = 1 / (math.sqrt(sides[0].square) * math.sqrt(sides[1].square))
    _, variance = inference.pairing_moments(*sides)
    return _score(2 * float(vectors[0] @ vectors[1]) * scale, n, 0.0, math.sqrt(variance) * scale, settings)


def _row_square(n: int, condensed: Vector) -> float:
    """Sum of the squared row sums of a symmetric matrix from its upper triangle."""
    sums, begin = np.zeros(n), 0
    for i in range(n - 1):
        row = condensed[begin : begin + n - 1 - i]
        sums[i] += row.sum()
        sums[i + 1 :] += row
        begin += n - 1 - i
    return float(sums @ sums)


def _kendall(n: int, vectors: list[Vector], settings: dict[str, Any]) -> Score:
    x, y = vectors
    count = len(x) * (len(x) - 1) // 2
    untied = [count - _tied_pairs(v) for v in (x, y)]
    for name, pairs in zip("xy", untied, strict=True):
        if pairs == 0:
            return undefined("rsa", n, f"all dissimilarities of {name} are equal", settings=settings)
    tau_b = float(stats.kendalltau(x, y, method="asymptotic").statistic)
    value = tau_b * math.sqrt(untied[0]) * math.sqrt(untied[1]) / count
    return _score(value, n, 0.0, None, settings)


def _tied_pairs(values: Vector) -> int:
    counts = np.unique(values, return_counts=True)[1].astype(object)
    return int((counts * (counts - 1) // 2).sum())


def _score(value: float, n: int, mean: float, sd: float | None, settings: dict[str, Any]) -> Score:
    value = bounded(value)
    if not sd:
        return Score(value, metric="rsa", n=n, settings=settings, null=Null(mean))
    tail = inference.normal_tail((value - mean) / sd)
    null = Null(mean, sd, p_value=lambda: (tail, "normal tail, exact moments"))
    return Score(value, metric="rsa", n=n, settings=settings, null=null)
