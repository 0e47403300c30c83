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
from kernalign.kernels import Distance
from kernalign.progress import reporting
from kernalign.ranks import mid_ranks
from kernalign.score import Null, Score, undefined
from kernalign.sides import make_side
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
    "pearson" and "cosine" are reduced from tiles: O(n) numbers are held. Ranks need the dissimilarities themselves, in
    float64: "spearman" holds up to 45 bytes for each pair of items while it sorts ("kendall" 70), 2.2 GB for
    n = 10,000. Dissimilarities that differ by less than 1e-13 of themselves or of their median count as tied.

    Raises
    ------
    ValueError
        A row of zeros with "cosine", a constant row with "correlation" (zero_rows="drop_pair" drops both sides of such
        an item), fewer than 3 rows.

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
    ranked = comparison in ("spearman", "kendall")
    # |u - v|^2 / 2 = 1 - u.v of rows of unit norm, without its cancellation; ranks do not see the root.
    kernel = Distance(squared=ranked or distance != "euclidean")
    with reporting(pair.progress, "rsa") as report:
        sides = [make_side([rows], kernel, pair.threads, double=ranked) for rows in (pair.x, pair.y)]
        if not ranked:
            sweep = GramSweep(sides, centred=comparison == "pearson", threads=pair.threads, report=report)
            return _from_sums(sweep.sums(0, 1), comparison, settings)
        ranks = []
        for side, name in zip(sides, "xy", strict=True):
            squares = _core.condensed_gram(side.source, False, side.threads, report)
            if not math.isfinite(squares.max()):
                reason = f"{name} spans more than float64 can hold"
                return undefined("rsa", pair.n, reason, settings=settings, level=3)
            ranks.append(mid_ranks(squares))
    return (_spearman if comparison == "spearman" else _kendall)(pair.n, ranks, settings)


def _from_sums(sums: KernelSums, comparison: str, settings: dict[str, Any]) -> Score:
    """Cosine, or Pearson correlation: that of matrices less a constant, so that nothing cancels."""
    n = sums.n
    own = [sums.hollow[s, s] for s in (0, 1)]
    sides = [PairMatrix.of(n, o) for o in own]
    mean, variance = inference.pairing_moments(*sides)
    squares = [side.square - (side.total**2 / (n * (n - 1)) if comparison == "pearson" else 0.0) for side in sides]
    for index, name in enumerate("xy"):
        if not math.isfinite(squares[index]):
            return undefined("rsa", n, f"{name} spans more than float64 can hold", settings=settings)
        if not squares[index] > sums.noise(index, diagonal=False):
            reason = f"all dissimilarities of {name} are {'equal' if comparison == 'pearson' else 'zero'}"
            return undefined("rsa", n, reason, settings=settings)
    scale = 1 / (math.sqrt(squares[0]) * math.sqrt(squares[1]))
    value = sums.hollow[0, 1].full
    if comparison == "pearson":
        value, mean = value - mean, 0.0
    settings |= {"accumulation": "float64", "products": sums.describe()["products"]}
    return _score(value * scale, n, mean * scale, math.sqrt(variance) * scale, settings)


def _spearman(n: int, vectors: list[Vector], settings: dict[str, Any]) -> Score:
    sides = []
    for name, ranks in zip("xy", vectors, strict=True):
        ranks -= (len(ranks) + 1) / 2
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
    with np.errstate(all="ignore"):  # of its p-value, where very many are tied
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
