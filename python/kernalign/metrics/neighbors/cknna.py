"""CKNNA: kernel alignment restricted to pairs of items that are neighbours on both sides."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kernalign import _core
from kernalign._base import checks
from kernalign._base.cached import cached_property
from kernalign._base.packing import packable
from kernalign._base.progress import reporting
from kernalign._base.score import Null, Score, Spread, undefined
from kernalign._engines import devices, sampled
from kernalign._engines import lists as list_engine
from kernalign._engines.kernel_sums import bounded
from kernalign._engines.neighbors import Neighbors
from kernalign._rows import arrays, on_device
from kernalign._rows.labels import groups_of
from kernalign._rows.options import Options
from kernalign._statistics.list_tail import too_long
from kernalign._statistics.null_tail import DrawnTail, Scores
from kernalign._statistics.pairings import Labels, Orders, Pairings
from kernalign.metrics.neighbors.groups import chance, check_k, outside
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
    groups: Any = None,
    queries: int | None = None,
    **options: Unpack[Options],
) -> Score:
    """Centred kernel nearest-neighbour alignment (Huh et al. 2024, eq. 16-18) of linear kernels, in O(nk) memory.

    The kernel is x x^T after ``normalize``; neighbours are the k largest off-diagonal entries of each of its rows (ties
    by index). With N_x, N_y the neighbour pairs of each side and M those of both:

    ``"ucentred"``: sum_M K^U L^U / sqrt(sum_{N_x} (K^U)^2 sum_{N_y} (L^U)^2) of U-centred kernels. Symmetric, in
    [-1, 1], and unbiased CKA at k = n - 1.
    ``"paper"``: the same sums of kernels whose rows are centred.
    ``"platonic"``: unbiased HSIC of the kernels multiplied by M, as the released code has it but without its epsilon;
    the kernels are not centred before masking, so it is neither invariant to translation nor a cosine: it leaves
    [-1, 1] (-1.18 of random rows). Needs k >= 2.

    With ``groups``, as for `mutual_knn`, neighbours are those of other groups, and whole groups change places.
    ``chance``, but for "platonic", is the exact mean over random pairings, and the p-value that of 999 of them (all, of
    up to 8 items), none where over 1 % of the rows tie at the k-th place: index order is the same on both sides.

    ``queries``, a number of rows drawn by lot, estimates it from their neighbours among all rows: the sums are over
    their edges, the centring is that of all; ``stderr`` and ``interval`` are about the score of all rows, to first
    order and for rows drawn without replacement. Not for "platonic", nor with groups; without a null.

    Raises
    ------
    ValueError
        Fewer than 4 rows, k out of range, NaN or infinity, an unknown variant.

    See Also
    --------
    mutual_knn : neighbours alone
    cka : all items, not only neighbours

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((300, 10))
    >>> score = ka.cknna(x, x + 0.5 * rng.standard_normal((300, 10)), k=10)
    >>> round(score, 1), score.p_value <= 0.001, round(ka.cknna(x, x, k=10), 6)
    (0.5, True, 1.0)
    """
    pair = arrays.pair(x, y, grouped=groups is not None, devices=True, **options)
    k, labels = check(pair.n, k, variant), groups_of(groups, pair)
    if queries is None:
        pair.afford("cknna", 200 * pair.n * k, "queries=20_000 draws rows and needs less")
    drawn = None
    if queries is not None:
        if variant == "platonic" or labels is not None:
            raise ValueError("queries must be left out for variant='platonic' and with groups")
        if pair.place is not None:
            raise ValueError("queries must be left out on a CUDA device; device='cpu' searches there")
        drawn = sampled.sampled_rows(pair.n, checks.integer(queries, "queries", 2, wanted="a number of rows"))
    if labels is not None:
        check_k(k, labels)
    with reporting(pair.progress, "nearest neighbours") as report:
        a, b = (edges(rows, k, pair.threads, report, labels, drawn, pair.place) for rows in (pair.x, pair.y))
    settings = pair.settings if pair.place is None else {**pair.settings, "device": f"cuda:{pair.place}"}
    return finish_cknna(a, b, variant, settings, pair.threads, labels)


def check(n: int, k: Any, variant: Any) -> int:
    """k as an int; raises unless the variant is known and exists for k neighbours of n items."""
    checks.check_choice(variant, "variant", ("ucentred", "paper", "platonic"))
    checks.check_count(n, 4, "cknna")
    k = checks.check_k(k, n)
    if variant == "platonic" and k < 2:
        raise ValueError(f"k must be at least 2 for variant='platonic', got {k}")
    return int(k)


def finish_cknna(
    a: Edges, b: Edges, variant: Variant, settings: dict[str, Any], threads: int = 0, labels: Labels | None = None
) -> Score:
    """CKNNA of two weighted neighbour graphs, of other groups if rows have ``labels``."""
    n, k = a.n, a.index.shape[1]
    settings = {**settings, "k": k, "k_over_n": k / n, "kernel": "linear", "accumulation": "float64"}
    settings |= {"ties": "index", "tie_rows_fraction": max(a.tied, b.tied)}
    settings |= {} if labels is None else {"groups": int(labels.max()) + 1}
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
    scale = 1 / math.sqrt(own_x * own_y)
    if a.rows is not None:
        settings["sampled_rows"] = len(a.rows)
        parts = a.by_row(keys, k_common * m_common), (values_x**2).reshape(-1, k), (values_y**2).reshape(-1, k)
        error = sampled.ratio_stderr(parts[0], parts[1].sum(axis=1), parts[2].sum(axis=1), n)
        spread = Spread(error, "sampled rows")
        return Score(bounded(value), metric="cknna", n=n, spread=spread, **keywords)
    if labels is None:
        mean = float(values_x.sum() * values_y.sum()) / (n * (n - 1))
    else:
        mean = n * chance(a.graph(variant), b.graph(variant), labels)
    scores = why_no_p_value(settings) or too_long(a.index.size) or _scores(a, b, variant, scale, threads)
    pairings = Pairings.of_items(n) if labels is None else Pairings.of_groups(labels)
    tail = DrawnTail(pairings, mean * scale, scores)
    null = Null(mean * scale, p_value=tail.p_value)
    if labels is not None:
        null = replace(null, sd=tail.sd, quantile=tail.quantile)
    return Score(bounded(value), metric="cknna", n=n, null=null, **keywords)


def _scores(a: Edges, b: Edges, variant: Variant, scale: float, threads: int) -> Scores:
    first, second = sorted((a, b), key=lambda one: one.keys.tobytes())  # so that (y, x) has the same p

    @cache
    def graphs() -> tuple[list_engine.Graph, list_engine.Graph]:
        return list_engine.graph_of(first.graph(variant)), list_engine.graph_of(second.graph(variant))

    def scores(orders: Orders) -> Values:
        x, y = graphs()
        return np.asarray(scale * list_engine.permuted_overlaps(x, y, orders, threads).sum(axis=1))

    return scores


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
    rows: NDArray[np.int32] | None = None  # whose lists these are, ascending, if not of all
    _alone: dict[Variant, tuple[Values, float]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n(self) -> int:
        return len(self.square)

    @property
    def of(self) -> slice | NDArray[np.int32]:
        """The rows that have lists."""
        return slice(None) if self.rows is None else self.rows

    def by_row(self, keys: NDArray[np.int64], values: Values) -> Values:
        """Sums of values of edges over each row that has a list."""
        sums: Values = np.bincount(keys // self.n, values, self.n).astype(np.float64)
        return sums[self.of]

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Places of the edges (i, j) in the order of i, then j."""
        m, k = self.index.shape
        return np.asarray((np.argsort(self.index, axis=1) + np.arange(m)[:, None] * k).ravel())

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """i * n + j of every edge, ascending."""
        edges = np.arange(self.n, dtype=np.int64)[self.of, None] * self.n + self.index
        return np.asarray(edges.ravel()[self.order])

    def alone(self, variant: Variant) -> tuple[Values, float]:
        """Values of the kernel along the sorted edges, and its alignment with itself."""
        if variant not in self._alone:
            kernel = {"ucentred": self.u_centred, "paper": self.row_centred, "platonic": self.raw}[variant]()
            values = kernel.ravel()[self.order]
            own = sparse_hsic(self.n, self.keys, values, values) if variant == "platonic" else (kernel * kernel).sum()
            self._alone[variant] = values, float(own)
        return self._alone[variant]

    def graph(self, variant: Variant) -> Any:
        """Sparse matrix of the kernel along the edges."""
        n, k = self.index.shape
        where = (self.keys % n).astype(np.int32), np.arange(0, n * k + 1, k)
        return sparse.csr_matrix((self.alone(variant)[0], *where), shape=(n, n))

    def raw(self) -> Values:
        """x_i . x_j"""
        return self.value + self.projection[self.of, None] + self.projection[self.index] + self.mean_square

    def row_centred(self) -> Values:
        """x_i . (x_j - mean)"""
        return self.value + self.projection[self.index]

    def u_centred(self) -> Values:
        """K^U; of centred rows the off-diagonal row sums are minus the diagonal."""
        n = self.n
        sums = -self.square
        total = float(sums.sum()) / ((n - 1) * (n - 2))
        own: Values = sums / (n - 2)
        return np.asarray(self.value - own[self.of, None] - own[self.index] + total)


def edges(
    rows: Any,
    k: int,
    threads: int,
    report: Any,
    labels: Labels | None = None,
    drawn: NDArray[np.int32] | None = None,
    place: int | None = None,
) -> Edges:
    """The k nearest of every row, or of those ``drawn``; of other groups if they have ``labels``.

    ``place`` is that of the CUDA device which finds and multiplies them; None: the CPU does.
    """
    devices.check_magnitude_of(rows, _MOST_EXPONENT)
    rows = on_device.moved(rows, place)
    tied: Any
    if drawn is not None:
        index, _, tied = sampled.lists_of(_core.ExactRows(rows, "dot", threads), drawn, k, threads, report)
        return Edges(index, *sampled.edge_products(rows, drawn, index), float(tied.mean()), drawn)
    if labels is None:
        index, _, tied = devices.nearest_neighbors(rows, k, "dot", True, threads, report)
    else:
        length = min(len(labels) - 1, k + int(np.bincount(labels).max()))
        found = devices.nearest_neighbors(rows, length, "dot", False, threads, report)
        lists = outside(Neighbors(found[0], found[1], found[2].view(np.bool_), "dot"), labels, k).lists
        index, tied = lists.indices, lists.tie_rows
    return Edges(index, *devices.edge_products(rows, index, threads, report), float(tied.mean()))


def u_centred_graph(rows: _core.Rows, k: int, threads: int, labels: Labels | None = None) -> tuple[Any, float]:
    """Sparse matrix of the U-centred kernel along the k neighbours of every row, of Frobenius norm 1 (or nan), and the
    share of the rows that tie."""
    found = edges(rows, k, threads, None, labels)
    values = found.u_centred()
    norm = math.sqrt(float((values * values).sum())) or math.nan
    ends = np.arange(0, values.size + 1, k)
    graph = sparse.csr_matrix(((values / norm).ravel(), found.index.ravel(), ends), shape=(found.n, found.n))
    graph.sort_indices()
    return graph, found.tied


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
