"""What chance and sampling do to a score: permutation-null tails from exact moments, and delete-one jackknives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kernalign import _core

if TYPE_CHECKING:
    from kernalign.linear import LinearSums

Vector = NDArray[np.float64]

EXACT_SKEW_ROWS = 5000
_SAMPLED_ROWS = 2000
_CUBES, _RATIOS = "skew cubes", ("skew ratio", "skew ratio, float64")  # keys of a side's memory


def normal_tail(z: float) -> float:
    """P(Z >= z) of a standard normal."""
    return float(special.ndtr(-z))


def pearson3_tail(z: float, skew: float) -> float:
    """P(Z >= z) of the standardised Pearson type III law with the given skewness (Kazi-Aoual et al. 1995)."""
    if math.isnan(z) or math.isnan(skew):
        return math.nan
    if abs(skew) < 1e-3:
        return normal_tail(z)
    shape = 4 / skew**2
    argument = max(0.0, shape + 2 * z / skew)
    return float(special.gammaincc(shape, argument) if skew > 0 else special.gammainc(shape, argument))


class LazySkew:
    """Skewness of the unbiased HSIC or CKA under random pairing; computed once, and the inputs let go."""

    def __init__(self, sums: LinearSums) -> None:
        self._sums: LinearSums | None = sums
        self._known: tuple[float, str] | None = None

    def __call__(self) -> tuple[float, str]:
        if self._known is None:
            assert self._sums is not None
            self._known, self._sums = unbiased_skew(self._sums), None
        return self._known


Lazy: TypeAlias = Callable[[], tuple[float, str]]


def unbiased_tail(sums: LinearSums) -> tuple[Lazy | None, Lazy]:
    """Skew (None for n < 6) and upper tail of the unbiased HSIC or CKA of ``sums`` under random pairing, both lazy."""
    z = sums.unbiased_cka() / math.sqrt(2 / (sums.n * (sums.n - 3)))
    if sums.n < 6:
        known = _enumerated_tail(sums) if sums.rows is not None else (normal_tail(z), "normal (n < 6)")
        return None, lambda: known
    skew = LazySkew(sums)

    def tail() -> tuple[float, str]:
        value, method = skew()
        return pearson3_tail(z, value), f"Pearson III, {method}"

    return skew, tail


def unbiased_skew(sums: LinearSums) -> tuple[float, str]:
    """Skewness of the unbiased HSIC or CKA under random pairing.

    Exact third moment for n <= 5000 where the rows are at hand; otherwise the leading term sqrt(8) r_x r_y with
    r = tr(S^3) / tr(S^2)^(3/2), S the covariance (or, in the Gram route, from 2000 evenly spaced rows).
    """
    n = sums.n
    if sums.rows is not None and n <= EXACT_SKEW_ROWS:
        (square_x, *x), (square_y, *y) = (_cubes(sums, side) for side in (0, 1))
        scale = math.sqrt(2 / (n * (n - 3)) * square_x * square_y)
        return _core.u_centred_third_moment(n, *x, *y) / scale**3, "exact third moment"
    key = _RATIOS[sums.double_precision]
    ratios = [sums.once(side, key, partial(_skew_ratio, sums, side)) for side in (0, 1)]
    where = "leading term" if isinstance(sums.engine, _core.MomentSums) else f"leading term of {_SAMPLED_ROWS} rows"
    return math.sqrt(8) * ratios[0] * ratios[1], where


def remembered_skew(memory: dict[Any, Any], missing: Any) -> Any:
    """What `unbiased_skew` left in the memory of a side: its cubes or, of many rows, the ratio."""
    return next((memory[key] for key in (_CUBES, *_RATIOS) if key in memory), missing)


def _cubes(sums: LinearSums, side: int) -> tuple[float, float, float]:
    assert sums.rows is not None
    rows = sums.rows[side]
    return sums.once(side, _CUBES, lambda: _core.u_centred_cubes(rows, sums.threads))


def _skew_ratio(sums: LinearSums, side: int) -> float:
    """tr(S^3) / tr(S^2)^(3/2) of one side."""
    if isinstance(sums.engine, _core.MomentSums):
        covariance = sums.engine.product(side, side)
        square = covariance @ covariance
        return float(np.vdot(square, covariance) / np.vdot(covariance, covariance) ** 1.5)
    assert sums.rows is not None
    index = np.linspace(0, sums.n - 1, _SAMPLED_ROWS).astype(int)
    sample = np.concatenate([sums.rows[side].dense(i, i + 1) for i in index])
    square_norm, _, cube = _core.u_centred_cubes(_core.Rows(sample, "sample"), sums.threads)
    return float(cube / square_norm**1.5)


def _enumerated_tail(sums: LinearSums) -> tuple[float, str]:
    """All n! pairings (n <= 5)."""
    assert sums.rows is not None
    n = sums.n
    x, y = (_u_centred(rows.dense(0, n)) for rows in sums.rows)
    values = [float(np.vdot(x, y[np.ix_(order, order)])) for order in map(list, itertools.permutations(range(n)))]
    return sum(value >= values[0] - 1e-12 for value in values) / len(values), "all pairings"


def _u_centred(x: Vector) -> Vector:
    """The U-centred Gram matrix, of Frobenius norm 1."""
    n = len(x)
    x = x - x[0]
    x = x / np.abs(x).max()
    x = x - x.mean(axis=0)
    gram = x @ x.T
    a = np.diag(gram) / (n - 2)
    gram += a[:, None] + a - a.sum() / (n - 1)
    np.fill_diagonal(gram, 0.0)
    return np.asarray(gram / np.linalg.norm(gram))


def jackknife_stderr(deleted: Vector) -> float:
    """Standard error from the n delete-one values."""
    n = len(deleted)
    return math.sqrt((n - 1) / n * float(((deleted - deleted.mean()) ** 2).sum()))


class RowTerms:
    """Delete-one values of every product of two Grams, from the n x 11 table of the engines (csrc/moments.hpp)."""

    def __init__(self, terms: Vector) -> None:
        self._terms = terms.T
        self.n = terms.shape[0]

    def _vectors(self, pair: str) -> tuple[Vector, Vector, Vector, Vector, Vector]:
        t = self._terms
        diagonals, row_sums = {"x": t[0], "y": t[1]}, {"x": t[2], "y": t[3]}
        products = {"xy": t[4], "xx": t[5], "yy": t[6]}
        weighted = {"xy": t[7], "xx": t[8], "yx": t[9], "yy": t[10]}
        a, b = pair[0], pair[1]
        k, l = row_sums[a] - diagonals[a], row_sums[b] - diagonals[b]  # noqa: E741
        off = products[pair] - diagonals[a] * diagonals[b]
        kl, lk = weighted[a + b] - diagonals[a] * l, weighted[b + a] - diagonals[b] * k
        return k, l, off, kl, lk

    def off_diagonal(self, pair: str) -> Vector:
        """sum of K_jk L_jk over j != k, both not i."""
        off = self._vectors(pair)[2]
        return np.asarray(off.sum() - 2 * off)

    def u_centred(self, pair: str) -> Vector:
        """<K^U, L^U> of the other n - 1 items (science 3.6)."""
        k, l, off, kl, lk = self._vectors(pair)  # noqa: E741
        m = self.n - 1
        totals = (k.sum() - 2 * k) * (l.sum() - 2 * l) / ((m - 1) * (m - 2))
        return np.asarray(off.sum() - 2 * off + totals - 2 * (k @ l - k * l - kl - lk + off) / (m - 2))

    def centred(self, pair: str) -> Vector:
        """<HKH, HLH> of the other n - 1 items; the rows were centred, so row sums of K and L vanish."""
        diagonal = self._terms["xy".index(pair[0])] * self._terms["xy".index(pair[1])]
        off = self._vectors(pair)[2]
        m = self.n - 1
        return np.asarray(off.sum() + diagonal.sum() - 2 * off - diagonal - 2 * off / m + diagonal / m**2)
