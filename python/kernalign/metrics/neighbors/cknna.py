"""CKNNA: kernel alignment restricted to pairs of items that are neighbours on both sides."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kernalign import _core
from kernalign._base import checks
from kernalign._base.packing import packable
from kernalign._base.progress import reporting
from kernalign._base.score import Null, Score, undefined
from kernalign._engines import lists as list_engine
from kernalign._engines.kernel_sums import bounded
from kernalign._rows import arrays
from kernalign._rows.arrays import Options
from kernalign._rows.magnitude import check_rows_magnitude
from kernalign._statistics.list_tail import pairing_p_value, too_long
from kernalign._statistics.pairings import Pairings
from kernalign.metrics.neighbors.search import warn_of_ties, why_no_p_value

_MOST_EXPONENT = 250  # squares of kernel values stay in the range of float64

Variant: TypeAlias = Literal["ucentred", "paper", "platonic"]
Values: TypeAlias = NDArray[np.float64]


def cknna(
    x: Any,
    y: Any,
    k: int = 10,
    *,
    variant: Variant = "ucentred",
    **options: Unpack[Options],
) -> Score:
    """Centred kernel nearest-neighbour alignment (Huh et al. 2024, eq. 16-18) of linear kernels, in O(nk) memory.

    The kernel is x x^T after ``normalize``; neighbours are the k largest off-diagonal entries of each of its rows (ties
    by index). With N_x, N_y the neighbour pairs of each side and M those of both:

    ``"ucentred"``: sum_M K^U L^U / sqrt(sum_{N_x} (K^U)^2 sum_{N_y} (L^U)^2) of U-centred kernels. Symmetric, in
    [-1, 1], and unbiased CKA at k = n - 1.
    ``"paper"``: the same sums of kernels whose rows are centred.
    ``"platonic"``: unbiased HSIC of the kernels multiplied by M, as the released code has it but without its epsilon;
    the kernels are not centred before masking, so it is not invariant to translation. Needs k >= 2.

    ``chance``, but for "platonic", is the exact mean over random pairings, and the p-value that of 999 of them (all, of
    up to 8 items), none where over 1 % of the rows tie at the k-th place: index order is the same on both sides.

    Raises
    ------
    ValueError
        Fewer than 4 rows, k out of range, NaN or infinity, an unknown variant.
    """
    pair = arrays.pair(x, y, **options)
    k = check(pair.n, k, variant)
    with reporting(pair.progress, "nearest neighbours") as report:
        a, b = (edges(rows, k, pair.threads, report) for rows in (pair.x, pair.y))
    return finish_cknna(a, b, variant, pair.settings, pair.threads)


def check(n: int, k: Any, variant: Any) -> int:
    """k as an int; raises unless the variant is known and exists for k neighbours of n items."""
    checks.check_choice(variant, "variant", ("ucentred", "paper", "platonic"))
    checks.check_count(n, 4, "cknna")
    k = checks.check_k(k, n)
    if variant == "platonic" and k < 2:
        raise ValueError(f"k must be at least 2 for variant='platonic', got {k}")
    return int(k)


def finish_cknna(a: Edges, b: Edges, variant: Variant, settings: dict[str, Any], threads: int = 0) -> Score:
    """CKNNA of two weighted neighbour graphs."""
    n, k = a.index.shape
    settings = {**settings, "k": k, "k_over_n": k / n, "kernel": "linear", "accumulation": "float64"}
    settings |= {"ties": "index", "tie_rows_fraction": max(a.tied, b.tied)}
    (values_x, own_x), (values_y, own_y) = a.alone(variant), b.alone(variant)
    keys, at_a, at_b = np.intersect1d(a.keys, b.keys, assume_unique=True, return_indices=True)
    k_common, m_common = values_x[at_a], values_y[at_b]
    cross = sparse_hsic(n, keys, k_common, m_common) if variant == "platonic" else float(k_common @ m_common)
    keywords: dict[str, Any] = {"estimator": variant, "settings": settings}
    if not (own_x > 0 and own_y > 0):
        side = "x" if not own_x > 0 else "y"
        return undefined("cknna", n, f"the self-alignment of {side} is not positive", **keywords)
    warn_of_ties(settings)
    value = cross / math.sqrt(own_x * own_y)
    if variant == "platonic":  # which is no cosine
        return Score(value, metric="cknna", n=n, **keywords)
    mean = float(values_x.sum() * values_y.sum()) / math.sqrt(own_x * own_y) / (n * (n - 1))
    null = Null(mean, p_value=partial(_p_value, a, b, variant, why_no_p_value(settings), threads))
    return Score(bounded(value), metric="cknna", n=n, null=null, **keywords)


def _p_value(a: Edges, b: Edges, variant: Variant, reason: str | None, threads: int) -> tuple[float | None, str]:
    if reason := reason or too_long(a.index.size):
        return None, reason
    n, k = a.index.shape
    ends = np.arange(0, n * k + 1, k)
    x, y = (
        list_engine.Graph((one.keys % n).astype(np.int32), ends, one.alone(variant)[0])
        for one in sorted((a, b), key=lambda one: one.keys.tobytes())  # so that (y, x) has the same p
    )
    return pairing_p_value(
        Pairings.of_items(n), lambda orders: list_engine.permuted_overlaps(x, y, orders, threads).sum(axis=1)
    )


@packable
@dataclass(frozen=True)
class Edges:
    """A neighbour graph with the kernel along its edges, centred (`value`), and what un-centres it.

    What all pairs need that it is in is found once: sorted edges, and for each variant their values and `alone`.
    """

    index: NDArray[np.int32]
    value: Values
    square: Values
    projection: Values
    mean_square: float
    tied: float  # share of the rows whose k-th place another could have
    _alone: dict[Variant, tuple[Values, float]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n(self) -> int:
        return len(self.index)

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Places of the edges (i, j) in the order of i, then j."""
        n, k = self.index.shape
        return np.asarray((np.argsort(self.index, axis=1) + np.arange(n)[:, None] * k).ravel())

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """i * n + j of every edge, ascending."""
        edges = np.arange(self.n, dtype=np.int64)[:, None] * self.n + self.index
        return np.asarray(edges.ravel()[self.order])

    def alone(self, variant: Variant) -> tuple[Values, float]:
        """Values of the kernel along the sorted edges, and its alignment with itself."""
        if variant not in self._alone:
            kernel = {"ucentred": self.u_centred, "paper": self.row_centred, "platonic": self.raw}[variant]()
            values = kernel.ravel()[self.order]
            own = sparse_hsic(self.n, self.keys, values, values) if variant == "platonic" else (kernel * kernel).sum()
            self._alone[variant] = values, float(own)
        return self._alone[variant]

    def raw(self) -> Values:
        """x_i . x_j"""
        return self.value + self.projection[:, None] + self.projection[self.index] + self.mean_square

    def row_centred(self) -> Values:
        """x_i . (x_j - mean)"""
        return self.value + self.projection[self.index]

    def u_centred(self) -> Values:
        """K^U; of centred rows the off-diagonal row sums are minus the diagonal."""
        n = self.n
        sums = -self.square
        total = float(sums.sum()) / ((n - 1) * (n - 2))
        own: Values = sums / (n - 2)
        return np.asarray(self.value - own[:, None] - own[self.index] + total)


def edges(rows: _core.Rows, k: int, threads: int, report: Any) -> Edges:
    check_rows_magnitude(rows, _MOST_EXPONENT)
    index, _, ties = list_engine.nearest_neighbors(rows, k, "dot", True, threads, report)[:3]
    return Edges(index, *list_engine.edge_products(rows, index, threads, report), float(ties.mean()))


def u_centred_graph(rows: _core.Rows, k: int, threads: int) -> Any:
    """Sparse matrix of the U-centred kernel along the k neighbours of every row, of Frobenius norm 1 (or nan)."""
    found = edges(rows, k, threads, None)
    values = found.u_centred()
    norm = math.sqrt(float((values * values).sum())) or math.nan
    ends = np.arange(0, values.size + 1, k)
    graph = sparse.csr_matrix(((values / norm).ravel(), found.index.ravel(), ends), shape=(found.n, found.n))
    graph.sort_indices()
    return graph


def sparse_hsic(n: int, keys: NDArray[np.int64], k: Values, m: Values) -> float:
    """n(n-3) times the unbiased HSIC (Song et al. 2012) of two sparse matrices with the same, sorted, entries."""
    rows, columns = keys // n, keys % n
    chained = np.bincount(columns, k, n) @ np.bincount(rows, m, n)
    total = float(k.sum() * m.sum())
    return sparse_trace(n, keys, k, m) + total / ((n - 1) * (n - 2)) - 2 * float(chained) / (n - 2)


def sparse_trace(n: int, keys: NDArray[np.int64], k: Values, m: Values) -> float:
    """Trace of the product of the same matrices: the entries (i, j) count whose (j, i) is there too."""
    reverse = keys % n * n + keys // n
    at = np.minimum(np.searchsorted(keys, reverse), max(0, len(keys) - 1))
    mutual = keys[at] == reverse if len(keys) else np.zeros(0, dtype=bool)
    return float(k[mutual] @ m[at[mutual]])
