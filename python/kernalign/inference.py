"""What chance and sampling do to a score: permutation-null tails from exact moments, and delete-one jackknives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kernalign import _core, arrays
from kernalign.scaling import divided, exponent_of, power_of_two
from kernalign.sides import EXACT_SKEW_ROWS, SAMPLED_ROWS

if TYPE_CHECKING:
    from kernalign.sums import KernelSums

Vector = NDArray[np.float64]

ROUNDED_SD = 1e-7  # of the mean; a spread of neighbour overlaps this small is the root of a rounded 0
_EQUAL = 1e-13  # a variance this small, of the mean square, is rounding: of squares of float32 numbers, too


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

    def __init__(self, sums: KernelSums) -> None:
        self._sums: KernelSums | None = sums
        self._known: tuple[float, str] | None = None

    def __call__(self) -> tuple[float, str]:
        if self._known is None:
            assert self._sums is not None
            self._known, self._sums = unbiased_skew(self._sums), None
        return self._known


Lazy: TypeAlias = Callable[[], tuple[float, str]]


def unbiased_tail(sums: KernelSums) -> tuple[Lazy | None, Lazy]:
    """Skew (None for n < 6) and upper tail of the unbiased HSIC or CKA of ``sums`` under random pairing, both lazy."""
    z = sums.unbiased_cka() / math.sqrt(2 / (sums.n * (sums.n - 3)))
    if sums.n < 6:
        known = _enumerated_tail(sums) if sums.sides is not None else (normal_tail(z), "normal (n < 6)")
        return None, lambda: known
    skew = LazySkew(sums)

    def tail() -> tuple[float, str]:
        value, method = skew()
        return pearson3_tail(z, value), f"Pearson III, {method}"

    return skew, tail


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


def _enumerated_tail(sums: KernelSums) -> tuple[float, str]:
    """All n! pairings (n <= 5)."""
    assert sums.sides is not None
    x, y = (side.u_centred() for side in sums.sides)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan, "all pairings"  # of a side of which rounding alone is left
    orders = itertools.permutations(range(sums.n))
    values = [float(np.vdot(x, y[np.ix_(order, order)])) for order in map(list, orders)]
    return sum(value >= values[0] - 1e-12 for value in values) / len(values), "all pairings"


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


def check_uncertainty(uncertainty: Any, choices: tuple[str | None, ...]) -> None:
    """Raise unless the method is one of the choices; the bootstrap is refused with its reason."""
    if uncertainty == "bootstrap":
        known = " or ".join(repr(choice) for choice in choices if choice is not None)
        raise ValueError(
            "uncertainty='bootstrap' is refused: items drawn twice are duplicates of each other, so that they become"
            " neighbours and the off-diagonal products count them as similar, which biases the score upwards; use"
            f" {known}, which draw no item twice"
        )
    arrays.check_choice(uncertainty, "uncertainty", choices)


def deleted_scores(metric: str, estimator: str, sums: KernelSums) -> Vector:
    """The n delete-one values of hsic, cka or kernel_alignment."""
    with_diagonal = metric != "kernel_alignment" and estimator == "biased"
    terms, m = RowTerms(sums.row_terms(with_diagonal=with_diagonal)), sums.n - 1
    if metric == "kernel_alignment":
        product = terms.off_diagonal
    else:
        product = terms.u_centred if estimator == "unbiased" else terms.centred
    if metric == "hsic":
        norm = m * (m - 3) if estimator == "unbiased" else m**2
        return product("xy") * (sums.unit / norm)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(product("xy") / (np.sqrt(product("xx")) * np.sqrt(product("yy"))))


def jackknife_stderr(deleted: Vector) -> float:
    """Standard error from the n delete-one values; nan where one of them does not exist."""
    n, exponent = len(deleted), exponent_of(deleted)
    if not np.isfinite(deleted).all():
        return math.nan
    scaled = divided(deleted, exponent)  # squares of any scale stay in range
    stderr = math.sqrt((n - 1) / n * float(((scaled - scaled.mean()) ** 2).sum())) * power_of_two(exponent)
    return stderr if math.isfinite(stderr) else math.nan


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
        """<HKH, HLH> of the other n - 1 items, of a table whose weights are row sums with the diagonal."""
        t, a, b = self._terms, "xy".index(pair[0]), "xy".index(pair[1])
        (k, l), (r, u) = (t[a], t[b]), (t[2 + a], t[2 + b])  # noqa: E741
        products = {"xy": t[4], "xx": t[5], "yy": t[6]}[pair]
        weighted = {"xy": t[7], "xx": t[8], "yx": t[9], "yy": t[10]}
        ku, lr = weighted[pair], weighted[pair[::-1]]
        m = self.n - 1
        full = products.sum() - 2 * products + k * l
        rows = (r @ u - r * u) - (ku - k * u) - (lr - l * r) + (products - k * l)
        totals = (r.sum() - 2 * r + k) * (u.sum() - 2 * u + l)
        return np.asarray(full - 2 / m * rows + totals / m**2)
