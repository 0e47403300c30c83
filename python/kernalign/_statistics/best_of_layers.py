"""Null distribution of the best score of a layer search, simulated from exact moments instead of permutations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._statistics.best_of_layers_draws import Law
from kernalign._statistics.calibration import RandomPairings
from kernalign._statistics.kernel_null import ROUNDED_SD
from kernalign._statistics.overlap_covariance import (
    THIRD_MOMENT,
    GraphCovariance,
    check_items,
    graph_covariance,
    knn_covariance,
    parts,
)
from kernalign._statistics.overlap_skew import skews
from kernalign._statistics.tails import pearson3_quantile, pearson3_tail

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
_NEVER = -1e9  # a mean from which no draw of a score returns


@dataclass(frozen=True)
class LayerMaximum(RandomPairings):
    """The best score of a search over pairs of layers, and what the best would be by chance.

    Attributes
    ----------
    value : the largest score
    layers : where it is (the first such pair)
    p_value : chance that the largest score of unrelated items is as large: (1 + #{draws >= value}) / (draws + 1); where
        no draw is, the sum of the upper tails of all pairs of layers if that is smaller
    null : the largest score of every draw, ascending; of a single pair of layers, quantiles of its score
    method : how ``p_value`` was found
    """

    value: float
    layers: tuple[int, int]
    p_value: float
    null: Values = field(repr=False)
    method: str

    def threshold(self, alpha: float = 0.05) -> float:
        """The score that the largest exceeds with probability alpha under random pairing."""
        return float(np.quantile(self.null, 1 - checks.number(alpha, "alpha", "in (0, 1)")))


def cka_maximum(
    scores: Any,
    self_x: Any,
    self_y: Any,
    n: int,
    *,
    skew: Any = None,
    trusted: Any = None,
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
    skew : (L_x, L_y) skewness of every score under random pairing (`cka_skews`). None: scores are simulated as normal
        variables, whose right tail is too light
    trusted : (L_x, L_y) whether these moments make the tail of a score (None: all); of the others, which a few items
        rule, Cantelli's bound from the exact variance counts, whatever their law
    draws, seed : size and seed of the simulation; the same seed gives the same null, whatever the number of threads

    Holds O(draws + L_x^2 + L_y^2 + 2000 L_x L_y) numbers.
    """
    check_items(n)
    scores, kept = _kept(scores)
    variance = 2 / (n * (n - 3))
    own_x, own_y = (
        np.asarray(side, dtype=np.float64)[np.ix_(k, k)] for side, k in zip((self_x, self_y), kept, strict=True)
    )
    sd = np.full(tuple(len(k) for k in kept), math.sqrt(variance))
    law = Law([(own_x, own_y, variance)], np.zeros_like(sd), sd, _sub(skew, kept))
    holds = None if trusted is None else np.asarray(trusted)[np.ix_(*kept)]
    if holds is None or holds.all():
        return _calibrate(scores, law, draws, seed)
    found = _calibrate(scores, law, draws, seed)
    z = max(0.0, found.value / math.sqrt(variance))
    p = float((~holds).sum()) / (1 + z * z)
    if holds.any():
        p += _calibrate(scores, replace(law, mean=np.where(holds, 0.0, _NEVER)), draws, seed).p_value
    return replace(found, p_value=min(1.0, p), method=f"{found.method}, Cantelli's bound where a few items rule")


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
    known = [(a[np.ix_(kept[0], kept[0])], b[np.ix_(kept[1], kept[1])], weight) for a, b, weight in parts(x, y)]
    variance = sum(weight * np.outer(np.diag(a), np.diag(b)) for a, b, weight in known)
    mean = np.full_like(variance, x.k / (x.n - 1))
    sd = np.where(variance > (ROUNDED_SD * mean) ** 2, np.sqrt(variance), 0.0)  # of a constant side it is rounding
    skew = _sub(skews(x.n, x.patterns, y.patterns), kept) if x.n >= THIRD_MOMENT else None
    step = 1 / (x.n * x.k) if x.whole and y.whole else 0.0
    return _calibrate(scores, Law(known, mean, sd, skew), draws, seed, step)


def cka_skews(n: int, cubes_x: Any, cubes_y: Any) -> Values:
    """(L_x, L_y) skewness of unbiased CKA under random pairing, exact for n >= 6 (mathematics 3.3).

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


def _only_pair(law: Law, draws: int) -> Values:
    """Evenly spaced quantiles of its score."""
    skew = 0.0 if law.skew is None else float(law.skew[0, 0])
    upper = (np.arange(draws, 0, -1) - 0.5) / draws
    return np.asarray(law.mean[0] + law.sd[0] * [pearson3_quantile(alpha, skew) for alpha in upper])


def _tails(law: Law, value: float) -> float:
    """Sum over the pairs of layers of P(score >= value), which bounds that of the largest."""
    total = 0.0
    for at in np.ndindex(law.sd.shape):
        sd = float(law.sd[at])
        if sd > 0:
            z = (value - float(law.mean[at])) / sd
            total += pearson3_tail(z, 0.0 if law.skew is None else float(law.skew[at]))
        else:
            total += float(value <= law.mean[at])
    return total


def _calibrate(scores: Values, law: Law, draws: int, seed: int, step: float = 0.0) -> LayerMaximum:
    draws = checks.check_positive(draws, "draws")
    best = tuple(int(i) for i in np.unravel_index(int(np.nanargmax(scores)), scores.shape))
    value = float(scores[best])
    null = law.maxima(draws, seed) if law.sd.size > 1 else _only_pair(law, draws)
    least = value - max(step / 2, 1e-12 * max(abs(value), float(law.sd.max())))
    reached = len(null) - int(np.searchsorted(null, least))
    p, margins = (1 + reached) / (draws + 1), "normal" if law.skew is None else "Pearson III"
    method = f"{draws} draws from the exact covariance" + ("" if law.skew is None else " and skewness")
    if law.sd.size == 1 or not reached:
        bound = min(1.0, _tails(law, least if step else value))
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
