"""Null distribution of the best score of a layer search, simulated from exact moments instead of permutations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kernalign.inference import pearson3_tail
from kernalign.overlap_covariance import (
    THIRD_MOMENT,
    GraphCovariance,
    check_items,
    graph_covariance,
    knn_covariance,
    parts,
)
from kernalign.overlap_skew import skews

Values = NDArray[np.float64]

__all__ = [
    "GraphCovariance",
    "LayerMaximum",
    "cka_maximum",
    "cka_skews",
    "graph_covariance",
    "knn_covariance",
    "knn_maximum",
]

DRAWS = 10_000
_CHUNK = 1 << 20  # values drawn at a time
_NORMAL_SKEW = 1e-3
_ROUNDING = 1e-7
_THIRD_MOMENT = 6  # items that it needs
_GRID = np.linspace(-9.0, 9.0, 721)


@dataclass(frozen=True)
class LayerMaximum:
    """The best score of a search over pairs of layers, and what the best would be by chance.

    Attributes
    ----------
    value : the largest score
    layers : where it is (the first such pair)
    p_value : chance that the largest score of unrelated items is as large: (1 + #{draws >= value}) / (draws + 1); where
        no draw is, the sum of the upper tails of all pairs of layers if that is smaller
    null : the largest score of every draw, ascending
    method : how ``p_value`` was found
    """

    value: float
    layers: tuple[int, int]
    p_value: float
    null: Values = field(repr=False)
    method: str

    @property
    def mean(self) -> float:
        """Mean of the largest score under random pairing."""
        return float(self.null.mean())

    @property
    def sd(self) -> float:
        """Standard deviation of the largest score under random pairing."""
        return float(self.null.std())

    def threshold(self, alpha: float = 0.05) -> float:
        """The score that the largest exceeds with probability alpha under random pairing."""
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be in (0, 1), got {alpha!r}")
        return float(np.quantile(self.null, 1 - alpha))


def cka_maximum(
    scores: Any,
    self_x: Any,
    self_y: Any,
    n: int,
    *,
    skew: Any = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> LayerMaximum:
    """Calibrate the largest unbiased CKA over pairs of layers.

    Under random pairing of the n items the scores have mean 0 and covariance 2 / (n (n - 3)) R_x kron R_y exactly.

    Parameters
    ----------
    scores : (L_x, L_y) unbiased CKA of every pair of layers; nan where undefined
    self_x, self_y : (L_x, L_x) and (L_y, L_y) unbiased CKA of the layers of one side among themselves: R_x and R_y
    n : number of items, at least 4
    skew : (L_x, L_y) skewness of every score under random pairing (`cka_skews`): each margin of the normal law is then
        bent into the Pearson III law of that skewness. None: normal margins, whose right tail is too light
    draws, seed : size and seed of the simulation

    Holds O(draws + L_x^2 + L_y^2) numbers.
    """
    check_items(n)
    scores, kept = _kept(scores)
    variance = 2 / (n * (n - 3))
    left, right = (
        _factor(np.asarray(side, dtype=np.float64)[np.ix_(k, k)])
        for side, k in zip((self_x, self_y), kept, strict=True)
    )
    sd = np.full(tuple(len(k) for k in kept), math.sqrt(variance))
    law = _Law([(left, right, variance)], np.zeros_like(sd), sd, _sub(skew, kept))
    return _calibrate(scores, law, draws, seed)


def knn_maximum(
    scores: Any,
    x: GraphCovariance,
    y: GraphCovariance,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> LayerMaximum:
    """Calibrate the largest mutual k-nearest-neighbour overlap over pairs of layers.

    Under random pairing the scores have mean k / (n - 1), a known covariance and (n >= 6) a known skewness, all exact.
    Overlaps of whole neighbours are whole numbers / (n k): p-values then count from half a step below the value.

    ``scores``: (L_x, L_y) overlaps / k; ``x``, ``y``: `graph_covariance` of the layers of either side; otherwise as
    `cka_maximum`.
    """
    if x.n != y.n or not math.isclose(x.k, y.k, rel_tol=1e-9):
        raise ValueError(f"x and y must have the same n and k, got n = {x.n} and {y.n}, k = {x.k:g} and {y.k:g}")
    scores, kept = _kept(scores)
    factors = [
        (_factor(a[np.ix_(kept[0], kept[0])]), _factor(b[np.ix_(kept[1], kept[1])]), weight)
        for a, b, weight in parts(x, y)
    ]
    variance = sum(weight * np.outer((f * f).sum(axis=1), (g * g).sum(axis=1)) for f, g, weight in factors)
    mean = np.full_like(variance, x.k / (x.n - 1))
    sd = np.where(variance > (_ROUNDING * mean) ** 2, np.sqrt(variance), 0.0)  # of a constant side it is rounding
    skew = skews(x.n, x.patterns, y.patterns) if x.n >= THIRD_MOMENT else None
    step = 1 / (x.n * x.k) if x.whole and y.whole else 0.0
    return _calibrate(scores, _Law(factors, mean, sd, _sub(skew, kept)), draws, seed, step)


def cka_skews(n: int, cubes_x: Any, cubes_y: Any) -> Values:
    """(L_x, L_y) skewness of unbiased CKA under random pairing, exact for n >= 6 (science 3.3).

    ``cubes_*``: for every layer (|K|^2, sum K_ij^3, tr K^3) of the U-centred Gram matrix K.
    """
    if n < 6:
        raise ValueError(f"the third moment needs at least 6 items, got {n}")
    sides = []
    for cubes in (cubes_x, cubes_y):
        square, cube, trace = np.asarray(cubes, dtype=np.float64).reshape(-1, 3).T
        scale = np.where(square > 0, square, np.nan) ** 1.5
        sides.append((cube / scale, trace / scale))
    (t, d), (s, e) = sides
    f = [1.0]
    for term in range(n, n - 6, -1):
        f.append(f[-1] * term)
    third = (
        np.outer(t, s) * (4 / f[2] + 24 / f[3] + 56 / f[4])
        + np.outer(d, e) * (8 / f[3])
        + np.outer(t - d, s - e) * (24 / f[4])
        + np.outer(2 * d - 4 * t, 2 * e - 4 * s) * (12 / f[5])
        + np.outer(16 * t - 8 * d, 16 * s - 8 * e) / f[6]
    )
    return np.asarray(third * (n * (n - 3) / 2) ** 1.5)


@dataclass(frozen=True)
class _Law:
    """Sum of matrix-normal parts F G H' sqrt(weight), each margin bent to its skewness."""

    parts: list[tuple[Values, Values, float]]
    mean: Values
    sd: Values
    skew: Values | None

    def maxima(self, draws: int, seed: int) -> Values:
        rng = np.random.default_rng(seed)
        bend = None if self.skew is None else _bend(self.skew)
        step = max(1, _CHUNK // self.sd.size)
        varying = self.sd > 0
        unit = np.where(varying, self.sd, 1.0)
        found = np.empty(draws)
        for begin in range(0, draws, step):
            count = min(step, draws - begin)
            total = np.zeros((count, *self.sd.shape))
            for left, right, weight in self.parts:
                normal = rng.standard_normal((count, left.shape[1], right.shape[1]))
                total += math.sqrt(weight) * (left @ normal @ right.T)
            z = np.where(varying, total / unit, 0.0)
            if bend is not None:
                z = bend(z)
            found[begin : begin + count] = (self.mean + self.sd * z).max(axis=(1, 2))
        return np.sort(found)

    def tails(self, value: float) -> float:
        """Sum over the pairs of layers of P(score >= value), which bounds that of the largest."""
        total = 0.0
        for at in np.ndindex(self.sd.shape):
            sd = float(self.sd[at])
            if sd > 0:
                z = (value - float(self.mean[at])) / sd
                total += pearson3_tail(z, 0.0 if self.skew is None else float(self.skew[at]))
            else:
                total += float(value <= self.mean[at])
        return total


def _calibrate(scores: Values, law: _Law, draws: int, seed: int, step: float = 0.0) -> LayerMaximum:
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
        raise ValueError(f"draws must be an integer >= 1, got {draws!r}")
    best = tuple(int(i) for i in np.unravel_index(int(np.nanargmax(scores)), scores.shape))
    value = float(scores[best])
    null = law.maxima(int(draws), seed)
    least = value - max(step / 2, 1e-12 * max(abs(value), float(law.sd.max())))
    reached = len(null) - int(np.searchsorted(null, least))
    p, margins = (1 + reached) / (draws + 1), "normal" if law.skew is None else "Pearson III"
    method = f"{draws} draws from the exact covariance, {margins} margins"
    if law.sd.size == 1 or not reached:
        bound = min(1.0, law.tails(least if step else value))
        if law.sd.size == 1:
            p, method = bound, f"{margins} tail of the only pair of layers"
        elif bound < p:
            p, method = bound, f"sum of the {margins} tails of all pairs of layers"
    return LayerMaximum(value, (best[0], best[1]), p, null, method)


def _kept(scores: Any) -> tuple[Values, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The scores, and the layers of both sides that have any."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2:
        raise ValueError(f"scores must be 2-D (layers of x, layers of y), got shape {scores.shape}")
    known = np.isfinite(scores)
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    if not len(rows):
        raise ValueError("scores must hold at least one number, got nan only")
    return scores, (rows, columns)


def _sub(skew: Any, kept: tuple[Any, Any]) -> Values | None:
    return None if skew is None else np.asarray(skew, dtype=np.float64)[np.ix_(*kept)]


def _factor(covariance: Values) -> Values:
    """F with F F' = covariance, which rounding may have made slightly indefinite."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _bend(skew: Values) -> Callable[[Values], Values]:
    """The map that turns standard normal margins into Pearson III ones, by interpolation in a table for each pair."""
    tables = np.stack([_quantiles(float(s)) for s in skew.ravel()])
    step = _GRID[1] - _GRID[0]
    flat, pair = tables.ravel(), np.arange(skew.size).reshape(skew.shape) * len(_GRID)

    def bend(z: Values) -> Values:
        place = np.clip((z - _GRID[0]) / step, 0, len(_GRID) - 1 - 1e-9)
        whole = place.astype(np.intp)
        low, share = whole + pair, place - whole
        return np.asarray(flat[low] * (1 - share) + flat[low + 1] * share)

    return bend


def _quantiles(skew: float) -> Values:
    """Pearson III quantiles at the normal probabilities of the grid."""
    if abs(skew) < _NORMAL_SKEW:
        return _GRID
    shape, sign = 4 / skew**2, math.copysign(1.0, skew)
    z = sign * _GRID
    upper = special.gammainccinv(shape, special.ndtr(-np.abs(z)))
    lower = special.gammaincinv(shape, special.ndtr(-np.abs(z)))
    return np.asarray(sign * (np.where(z > 0, upper, lower) - shape) / math.sqrt(shape))
