"""Delete-one values of scores and their standard error."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._engines import lists as list_engine
from kernalign._engines.gram_source import EXACT_SKEW_ROWS
from kernalign._engines.gram_sweep import gram_pair
from kernalign._engines.kernel_sums import KernelSums
from kernalign._rows.magnitude import divided, exponent_of, power_of_two
from kernalign._statistics.pair_influence import of_groups
from kernalign._statistics.pairings import Labels

Vector = NDArray[np.float64]

_LEFT = 1e-6  # of the squares of most items without one: six of sixteen digits are lost
_NOTHING, _FEW = 1e-13, 200  # of `KernelSums.left`; items that are then deleted one by one


def deleted_scores(sums: KernelSums, estimator: str, *, centred: bool, cosine: bool) -> Vector:
    """The n delete-one values of the product of two Gram matrices, centred or not, over their norms or not."""
    terms, m = RowTerms(sums.row_terms(with_diagonal=centred and estimator == "biased")), sums.n - 1
    if not centred:
        product = terms.off_diagonal
    else:
        product = terms.u_centred if estimator == "unbiased" else terms.centred
    if not cosine:
        norm = m * (m - 3) if estimator == "unbiased" else m**2
        return product("xy") * (sums.unit / norm)
    own, other = product("xx"), product("yy")
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.asarray(product("xy") / (np.sqrt(own) * np.sqrt(other)))
    lost = (own < _LEFT * own.max()) | (other < _LEFT * other.max())
    if sums.left < _NOTHING:
        lost[:] = True  # the sums of all rows have lost what they are without their lengths
    for item in np.flatnonzero(lost):
        found[item] = _without(sums, int(item), centred, estimator)
    return found


def _without(sums: KernelSums, item: int, centred: bool, estimator: str) -> float:
    """The cosine of all other items, anew: so little is left of sums that have this one that rounding is much of it."""
    if sums.sides is None or sums.n > (EXACT_SKEW_ROWS if sums.left > _NOTHING else _FEW):
        return math.nan
    x, y = (side.without(item) for side in sums.sides)
    rest = gram_pair((x, y), {}, centred=centred, threads=sums.threads)
    if (rest.why_undefined(estimator) if centred else rest.why_unaligned(estimator)) is not None:
        return math.nan
    at = (0, 1), (0, 0), (1, 1)
    if not centred:
        product, own, other = (_core.off_diagonal_product(rest.hollow[key]) for key in at)
    else:
        of = rest.u_centred if estimator == "unbiased" else rest.centred
        product, own, other = (of(*key) for key in at)
    return product / (math.sqrt(own) * math.sqrt(other))


def jackknife_stderr(deleted: Vector, groups: Labels | None = None) -> float:
    """Standard error from the n delete-one values, of items or of whole groups of them (mathematics 3.6).

    nan where one of the values does not exist.
    """
    n, exponent = len(deleted), exponent_of(deleted)
    if not np.isfinite(deleted).all():
        return math.nan
    scaled = divided(deleted, exponent)  # squares of any scale stay in range
    moved = of_groups(scaled - scaled.mean(), groups)
    count = len(moved)
    stderr = (n - 1) / n * math.sqrt(count / (count - 1) * float(moved @ moved)) * power_of_two(exponent)
    return stderr if math.isfinite(stderr) else math.nan


def freedom(deleted: Vector, groups: Labels | None = None) -> float:
    """Degrees of freedom of the variance that the delete-one values give, by their kurtosis (Satterthwaite 1946).

    Where few items make most of it, it is itself known from these alone.
    """
    moved = of_groups(deleted - deleted.mean(), groups)
    moved = divided(moved, exponent_of(moved))
    squares, count = moved**2, len(moved)
    if not squares.any():
        return float(count - 1)
    kurtosis = count * float(squares @ squares) / float(squares.sum()) ** 2
    return float(min(count - 1, max(1.0, 2 * count / max(kurtosis - 1, 1e-9))))


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
        """<K^U, L^U> of the other n - 1 items (mathematics 3.6)."""
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


def deleted_overlaps(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.float64]:
    """Mean share of common neighbours without item i, for every i; a and b are (n, k + 1) lists, k <= n - 2.

    O(nk) time and memory.
    """
    n, length = a.shape
    return np.asarray(list_engine.overlaps_without_one(a, b) / ((n - 1) * (length - 1)))
