"""Nearest neighbours and the metrics that compare them: which items are close to which."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kernalign import _core, arrays, half_sampling, list_nulls
from kernalign.arrays import Normalize, ZeroRows
from kernalign.progress import ProgressArgument, reporting
from kernalign.score import AlignmentWarning, Null, Score, Spread

Metric: TypeAlias = Literal["cosine", "dot", "euclidean"]
Ties: TypeAlias = Literal["fractional", "index"]

METRICS = ("cosine", "dot", "euclidean")
_BACKENDS = ("auto", "native")
_TIE_WARNING = 0.01  # share of rows whose k-th place is shared


class Options(TypedDict, total=False):
    """Keyword arguments that every metric here takes; they mean what they mean everywhere."""

    normalize: Normalize
    clip_quantile: float | None
    zero_rows: ZeroRows
    threads: int | None
    device: str | None
    progress: ProgressArgument


@dataclass(frozen=True)
class Neighbors:
    """The k most similar rows of every row, best first: (similarity descending, index ascending), self excluded.

    Attributes
    ----------
    indices : (n, k) int32
    similarities : (n, k) float64; cosine, dot product, or minus the squared Euclidean distance
    tie_rows : (n,) bool; the k-th similarity equals the next one, so that the k-th place was given by index
    metric : "cosine", "dot" or "euclidean"
    exact : whether these are certainly the nearest
    backend : what searched
    recall : estimated share of true neighbours found (1.0 if exact)
    """

    indices: NDArray[np.int32]
    similarities: NDArray[np.float64]
    tie_rows: NDArray[np.bool_]
    metric: str
    exact: bool = True
    backend: str = "native"
    recall: float = 1.0

    def __post_init__(self) -> None:
        shape = np.shape(self.indices)
        if len(shape) != 2 or np.shape(self.similarities) != shape or np.shape(self.tie_rows) != shape[:1]:
            raise ValueError(
                "Neighbors needs indices (n, k), similarities (n, k) and tie_rows (n,), got shapes "
                f"{shape}, {np.shape(self.similarities)} and {np.shape(self.tie_rows)}"
            )
        if np.asarray(self.indices).dtype != np.int32:
            raise TypeError(f"Neighbors needs int32 indices, got {np.asarray(self.indices).dtype}")

    @property
    def n(self) -> int:
        return int(self.indices.shape[0])

    @property
    def k(self) -> int:
        return int(self.indices.shape[1])

    def first(self, k: int) -> Neighbors:
        """The k nearest of each row; k must not exceed the length of the lists."""
        if k == self.k:
            return self
        if k > self.k:
            raise ValueError(f"k must be at most {self.k}, the length of the neighbour lists given, got {k}")
        ties = self.similarities[:, k - 1] == self.similarities[:, k]
        indices, similarities = np.ascontiguousarray(self.indices[:, :k]), self.similarities[:, :k].copy()
        return Neighbors(indices, similarities, ties, self.metric, self.exact, self.backend, self.recall)


def knn(
    x: Any,
    k: int,
    *,
    metric: Metric = "cosine",
    backend: str = "auto",
    normalize: Normalize = None,
    clip_quantile: float | None = None,
    threads: int | None = None,
    device: str | None = None,
    progress: ProgressArgument = False,
) -> Neighbors:
    """Find the k nearest rows of every row of x, proven to be what float64 arithmetic yields.

    Parameters
    ----------
    x : (n, p) array
    k : 1 <= k <= n - 1
    metric : "cosine" (rows normalised in float64), "dot" or "euclidean"
    backend : "auto" or "native": exact, by symmetric float32 tiles that float64 arithmetic certifies

    Raises
    ------
    ValueError
        k out of range, NaN or infinity, a zero row under cosine, an unknown option.
    TypeError
        x or k of the wrong type.
    """
    if device is not None:
        arrays.check_choice(device, "device", ("cpu",))
    source = arrays.rows(x, normalize=normalize, clip_quantile=clip_quantile)
    k = arrays.check_k(k, source.shape[0])
    _check_search(metric, backend)
    with reporting(progress, "nearest neighbours") as report:
        return _wrap(_core.nearest_neighbors(source, k, metric, False, arrays.check_threads(threads), report), metric)


def mutual_knn(
    x: Any,
    y: Any,
    k: int = 10,
    *,
    metric: Metric = "cosine",
    ties: Ties = "fractional",
    per_item: bool = False,
    uncertainty: Literal["half-sampling"] | None = None,
    **options: Unpack[Options],
) -> Score:
    """Mean share of the k nearest neighbours that an item has in common in x and y (Huh et al. 2024, eq. 11).

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; or two `Neighbors`
    k : 1 <= k <= n - 1; at most the length of the lists if these are given
    metric : similarity that ranks the rows: "cosine", "dot" or "euclidean" (of arrays only)
    ties : "fractional": rows tied at the k-th place share it, so that the score is the expectation over independent
        random orders of the tied; "index": the smaller index wins on both sides, which makes unrelated but tied
        representations agree. Lists alone cannot resolve ties: index order is used, and ``settings["ties"]`` says so.
    per_item : keep the score of every item in ``score.per_item``
    uncertainty : "half-sampling" estimates ``score.stderr`` from random halves of the items (a second, longer search;
        lists, if given, must be that long; ties by index)
    **options : normalize, clip_quantile, zero_rows, threads, device, progress, as everywhere

    Returns
    -------
    Score
        in [0, 1], with the exact null mean k / (n - 1) and variance under random pairing, z, and a normal p_value.
    """
    found = _search_both(x, y, k, metric, ties, options)
    overlaps, graph_x, graph_y = found.overlaps()
    items = overlaps / found.k
    n, mean = found.n, found.k / (found.n - 1)
    variance = _core.knn_overlap_variance(n, found.k, graph_x, found.k, graph_y) / (n * found.k) ** 2
    value, sd = float(items.mean()), float(np.sqrt(variance)) if found.k < n - 1 else 0.0
    null = Null(mean, sd, p_value=_normal_tail(value, mean, sd) if sd > 0 else None)
    spread = None
    if uncertainty is not None:
        arrays.check_choice(uncertainty, "uncertainty", ("half-sampling",))
        spread = _half_sampling(x, y, found, metric, options)
    return found.score("mutual_knn", value, null, items if per_item else None, spread)


def jaccard_knn(
    x: Any,
    y: Any,
    k: int = 10,
    *,
    metric: Metric = "cosine",
    ties: Ties = "fractional",
    per_item: bool = False,
    **options: Unpack[Options],
) -> Score:
    """Mean of m / (2k - m), where m is the number of neighbours that an item has in common in x and y.

    Arguments as for `mutual_knn`. The null mean is exact, but known only without ties or with ties="index".
    """
    found = _search_both(x, y, k, metric, ties, options)
    shared = found.overlaps()[0]
    items = shared / (2 * found.k - shared)
    exact = found.settings["ties"] != "fractional" or found.settings["tie_rows_fraction"] == 0
    null = Null(list_nulls.jaccard(found.n, found.k)) if exact else None
    return found.score("jaccard_knn", float(items.mean()), null, items if per_item else None)


def cycle_knn(
    x: Any, y: Any, k: int = 10, *, metric: Metric = "cosine", per_item: bool = False, **options: Unpack[Options]
) -> Score:
    """Share of the items i that some j of i's neighbours in y has among its own neighbours in x: i -> j -> i.

    Not symmetric, and far from 0 by chance (0.66 for n = 100, k = 10): read ``corrected``. Arguments as for
    `mutual_knn`; ties are broken by index. The null mean depends on the in-degrees of x's graph and is exact.
    """
    found = _search_both(x, y, k, metric, "index", options)
    items = _core.cycles(found.x.indices, found.y.indices).astype(np.float64)
    null = Null(list_nulls.cycle(found.n, found.k, _core.in_degrees(found.x.indices)))
    return found.score("cycle_knn", float(items.mean()), null, items if per_item else None)


def lcs_knn(
    x: Any, y: Any, k: int = 10, *, metric: Metric = "cosine", per_item: bool = False, **options: Unpack[Options]
) -> Score:
    """Mean length of the longest common subsequence of the two ordered neighbour lists, divided by k.

    Arguments as for `mutual_knn`; ties are broken by index. The null mean is exact.
    """
    found = _search_both(x, y, k, metric, "index", options, ordered=True)
    items = _core.common_subsequences(found.x.indices, found.y.indices) / found.k
    mean = list_nulls.common_subsequence(found.n, found.k)
    return found.score(
        "lcs_knn", float(items.mean()), None if mean is None else Null(mean), items if per_item else None
    )


def edit_knn(
    x: Any, y: Any, k: int = 10, *, metric: Metric = "cosine", per_item: bool = False, **options: Unpack[Options]
) -> Score:
    """1 - mean Levenshtein distance of the two ordered neighbour lists / k (unit insertion, deletion, substitution).

    Arguments as for `mutual_knn`; ties are broken by index. The null mean depends on n and k alone; lists with many
    common items, which are rare unless k is near n, are sampled for it: ``settings["chance_method"]`` says so.
    """
    found = _search_both(x, y, k, metric, "index", options, ordered=True)
    items = 1 - _core.edit_distances(found.x.indices, found.y.indices) / found.k
    mean, method = list_nulls.edit(found.n, found.k)
    found.settings["chance_method"] = method
    return found.score("edit_knn", float(items.mean()), Null(mean), items if per_item else None)


@dataclass(frozen=True)
class RnxCurve:
    """Agreement of neighbourhoods of growing size.

    Attributes
    ----------
    ks : the neighbourhood sizes
    q_nx : mutual k-nearest-neighbour overlap (ties by index)
    r_nx : ((n - 1) q_nx - k) / (n - 1 - k): 0 by chance, 1 if equal; nan at k = n - 1
    auc : mean of r_nx over ln k between the smallest and the largest k (trapezoids)
    """

    ks: NDArray[np.int64]
    q_nx: NDArray[np.float64]
    r_nx: NDArray[np.float64]
    auc: float
    n: int


def rnx_curve(x: Any, y: Any, ks: Any, *, metric: Metric = "cosine", **options: Unpack[Options]) -> RnxCurve:
    """R_NX(k), the chance-corrected mutual k-nearest-neighbour overlap, for many k from one search per side.

    Parameters
    ----------
    x, y : arrays paired by row, or two `Neighbors`
    ks : integers between 1 and n - 1; sorted, repeats dropped
    metric, **options : as for `mutual_knn`
    """
    sizes = sorted({arrays.check_k(k, np.iinfo(np.int64).max) for k in ks})
    if not sizes:
        raise ValueError("ks must hold at least one k")
    found = _search_both(x, y, sizes[-1], metric, "index", options, ordered=True)
    n, k = found.n, np.array(sizes, dtype=np.int64)
    q = np.array(_core.overlap_curve(found.x.indices, found.y.indices, sizes)) / n
    r = np.full(len(k), np.nan)
    np.divide((n - 1) * q - k, n - 1 - k, out=r, where=k < n - 1)
    inside = k < n - 1
    log_k, known = np.log(k[inside]), r[inside]
    if len(known) > 1:
        area = (np.diff(log_k) * (known[1:] + known[:-1]) / 2).sum() / (log_k[-1] - log_k[0])
    else:
        area = known[0] if len(known) else np.nan
    return RnxCurve(k, q, r, float(area), n)


@dataclass(frozen=True)
class _Search:
    """The neighbours of both sides and, if they came from arrays, the rows themselves."""

    x: Neighbors
    y: Neighbors
    settings: dict[str, Any]
    finish_ties: Callable[[], tuple[NDArray[np.float64], _Sums, _Sums]] | None

    @property
    def n(self) -> int:
        return self.x.n

    @property
    def k(self) -> int:
        return self.x.k

    def overlaps(self) -> tuple[NDArray[np.float64], _Sums, _Sums]:
        """Shared weight of every item, and both graphs' sums for the null variance."""
        if self.finish_ties is not None:
            return self.finish_ties()
        shared = _core.shared_counts(self.x.indices, self.y.indices).astype(np.float64)
        return shared, _core.graph_sums(self.x.indices), _core.graph_sums(self.y.indices)

    def score(
        self,
        metric: str,
        value: float,
        null: Null | None,
        per_item: NDArray[np.float64] | None,
        spread: Spread | None = None,
    ) -> Score:
        return Score(
            value, metric=metric, n=self.n, settings=self.settings, null=null, per_item=per_item, spread=spread
        )


_Sums: TypeAlias = tuple[float, float, float]


def _search_both(
    x: Any, y: Any, k: int, metric: Metric, ties: Ties, options: Options, *, ordered: bool = False
) -> _Search:
    """Neighbours of both sides; only with ``ordered`` are lists from arrays in order and their similarities known."""
    arrays.check_choice(ties, "ties", ("fractional", "index"))
    for option in options:
        if option not in Options.__annotations__:
            raise TypeError(f"unknown keyword argument {option!r}; known are {', '.join(Options.__annotations__)}")
    if isinstance(x, Neighbors) or isinstance(y, Neighbors):
        return _given(x, y, k, ties, options)
    return _from_arrays(x, y, k, metric, ties, ordered, **options)


def _half_sampling(x: Any, y: Any, short: _Search, metric: Metric, options: Options) -> Spread:
    k, length = short.k, half_sampling.list_length(short.n, short.k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlignmentWarning)  # the score itself has warned
        found = _search_both(x, y, length, metric, "index", options, ordered=True)
    return half_sampling.spread(found.x.indices, found.y.indices, k, lambda shared: shared / k)


def _given(x: Any, y: Any, k: int, ties: Ties, options: Options) -> _Search:
    if not (isinstance(x, Neighbors) and isinstance(y, Neighbors)):
        raise TypeError(
            f"x and y must both be arrays or both be Neighbors, got {type(x).__name__} and {type(y).__name__}"
        )
    if options:
        raise TypeError(f"{next(iter(options))} applies to arrays; x and y are Neighbors")
    if x.n != y.n:
        raise ValueError(f"x and y must have the same number of rows, got {x.n} and {y.n}")
    k = arrays.check_k(k, x.n)
    x, y = x.first(k), y.first(k)
    settings = _settings(x, y)
    any_tied = bool(x.tie_rows.any() or y.tie_rows.any())
    settings["ties"] = "index" if any_tied or ties == "index" else ties
    _warn_of_ties(settings)
    return _Search(x, y, settings, None)


def _from_arrays(
    x: Any,
    y: Any,
    k: int,
    metric: Metric,
    ties: Ties,
    ordered: bool,
    *,
    normalize: Normalize = None,
    clip_quantile: float | None = None,
    zero_rows: ZeroRows = "error",
    threads: int | None = None,
    device: str | None = None,
    progress: ProgressArgument = False,
) -> _Search:
    _check_search(metric, "native")
    pair = arrays.pair(
        x,
        y,
        normalize=normalize,
        clip_quantile=clip_quantile,
        zero_rows=zero_rows,
        unit_rows=metric == "cosine",
        device=device,
    )
    k = arrays.check_k(k, pair.n)
    workers = arrays.check_threads(threads)
    with reporting(progress, "nearest neighbours") as report:
        raw_x = _core.nearest_neighbors(pair.x, k, metric, not ordered, workers, report)
        raw_y = _core.nearest_neighbors(pair.y, k, metric, not ordered, workers, report)
    found_x, found_y = _wrap(raw_x, metric), _wrap(raw_y, metric)
    settings = {**pair.settings, **_settings(found_x, found_y), "ties": ties}
    _warn_of_ties(settings)

    def finish_ties() -> tuple[NDArray[np.float64], _Sums, _Sums]:
        with reporting(progress, "tied neighbours") as report:
            return _core.fractional_overlap(pair.x, raw_x[:3], pair.y, raw_y[:3], metric, workers, report)

    tied = ties == "fractional" and settings["tie_rows_fraction"] > 0
    return _Search(found_x, found_y, settings, finish_ties if tied else None)


def _settings(x: Neighbors, y: Neighbors) -> dict[str, Any]:
    return {
        "k": x.k,
        "k_over_n": x.k / x.n,
        "metric": x.metric if x.metric == y.metric else (x.metric, y.metric),
        "backend": x.backend if x.backend == y.backend else (x.backend, y.backend),
        "exact": x.exact and y.exact,
        "accumulation": "float64",
        "tie_rows_fraction": max(float(x.tie_rows.mean()), float(y.tie_rows.mean())),
    }


def _warn_of_ties(settings: dict[str, Any]) -> None:
    share = settings["tie_rows_fraction"]
    if settings["ties"] == "index" and share > _TIE_WARNING:
        warnings.warn(
            f"{share:.1%} of the rows tie at the k-th place, and index order breaks ties alike on both sides: "
            "unrelated representations seem to agree",
            AlignmentWarning,
            stacklevel=5,
        )


def _check_search(metric: str, backend: str) -> None:
    arrays.check_choice(metric, "metric", METRICS)
    if backend in ("sample", "faiss"):
        raise ValueError(f"backend={backend!r} is not available yet; use 'native'")
    arrays.check_choice(backend, "backend", _BACKENDS)


def _wrap(raw: tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.uint8], int], metric: str) -> Neighbors:
    return Neighbors(raw[0], raw[1], raw[2].view(np.bool_), metric)


def _normal_tail(value: float, mean: float, sd: float) -> Callable[[], tuple[float, str]]:
    return lambda: (float(special.ndtr((mean - value) / sd)), "normal tail, exact moments")
