"""Neighbour lists of one array: what they hold, and how each backend finds them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import checks
from kernalign._base.cached import cached_property
from kernalign._base.intervals import wilson
from kernalign._base.memory import budget_of
from kernalign._base.packing import packable
from kernalign._base.progress import ProgressArgument, Report, reporting
from kernalign._base.readable import Readable
from kernalign._engines import devices, faiss, sampled
from kernalign._engines import lists as list_engine
from kernalign._rows import arrays, on_device, vectors
from kernalign._rows.magnitude import check_rows_magnitude
from kernalign._rows.numeric import to_numpy
from kernalign._rows.options import Normalize
from kernalign._rows.pairing import carried_labels
from kernalign.sources.objects import in_memory

Metric: TypeAlias = Literal["cosine", "dot", "euclidean"]
Backend: TypeAlias = Literal["auto", "native", "sample", "faiss"]

METRICS = ("cosine", "dot", "euclidean")
_BACKENDS = ("auto", "native", "sample", "faiss")
_MOST_EXPONENT = 500  # squares stay in the range of float64


@packable
@dataclass(frozen=True, repr=False)
class Neighbors(Readable):
    """The k most similar rows of every row, best first: (similarity descending, index ascending), self excluded.

    With ``queries`` or backend="sample" there are m lists, of some of the n rows, named by ``rows``, or of other rows.

    Attributes
    ----------
    indices : (n, k) int32, or (m, k)
    similarities : (n, k) float64; cosine, dot product, or minus the squared Euclidean distance
    tie_rows : (n,) bool; the k-th similarity equals the next one, so that the k-th place was given by index
    metric : "cosine", "dot" or "euclidean"
    exact : whether these are certainly the nearest
    backend : what searched
    recall : share of true neighbours found: 1.0 if exact, else measured on sampled rows
    rows : (m,) int32, or None if there is a list of every row, or queries are no rows of x
    items : n, unless there is a list of every row
    tie_share : share of the rows that tie at the k-th place
    labels : of the n rows of x, where it carried any (the index of a data frame): lists of two arrays are not compared
        where these are in different orders
    settings : how the backend was chosen and, if not exact, the index, the rows of the sample and ``recall_interval``
        (95 %, Wilson)

    See Also
    --------
    knn : finds them
    mutual_knn, rnx_curve : compare two of them

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((300, 16))
    >>> old, new = ka.knn(x, 20), ka.knn(x.astype(np.float16), 20)
    >>> old.indices.shape, old.exact
    ((300, 20), True)
    >>> round(ka.mutual_knn(old, new, k=10), 2)
    1.0
    """

    indices: NDArray[np.int32]
    similarities: NDArray[np.float64]
    tie_rows: NDArray[np.bool_]
    metric: str
    exact: bool = True
    backend: str = "native"
    recall: float = 1.0
    rows: NDArray[np.int32] | None = None
    items: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    labels: list[Any] | None = field(default=None, repr=False)
    tie_share: float = field(init=False, repr=False)  # of the rows, that tie at the k-th place

    def _shown(self) -> list[tuple[str, Any]]:
        lists, k = self.indices.shape
        own = [("n", self.items or lists), ("k", k), *([] if lists == (self.items or lists) else [("lists", lists)])]
        told = [(name, getattr(self, name)) for name in ("metric", "exact", "backend", "recall")]
        return [*own, *told, ("tie_rows", int(self.tie_rows.sum()))]

    def __post_init__(self) -> None:
        indices, similarities, ties = map(np.asarray, (self.indices, self.similarities, self.tie_rows))
        shape = indices.shape
        if len(shape) != 2 or similarities.shape != shape or ties.shape != shape[:1]:
            raise ValueError(
                "Neighbors needs indices (n, k), similarities (n, k) and tie_rows (n,), got shapes "
                f"{shape}, {similarities.shape} and {ties.shape}"
            )
        object.__setattr__(self, "tie_share", int(np.add.reduce(ties)) / max(1, len(ties)))
        if indices.dtype != np.int32 or not indices.flags.c_contiguous:
            object.__setattr__(self, "indices", _as_int32(indices))
        if self.rows is not None and (self.items is None or np.shape(self.rows) != shape[:1]):
            raise ValueError(f"Neighbors of rows needs items and one row per list, got {self.items} and {self.rows}")

    @classmethod
    def from_indices(cls, indices: Any, similarities: Any = None, *, metric: str = "cosine") -> Neighbors:
        """Lists that another engine found (faiss, usearch, a graph), one of every item, for every metric of lists.

        Parameters
        ----------
        indices : (n, k) integers in [0, n), best first. Where items find themselves, at any place, all lists become
            (n, k - 1): without the item itself or, where others like it took its place, without the last.
        similarities : (n, k), falling along each row; distances, which rise, are negated. None: not known, so that ties
            are not seen, and metrics that need the order of the ties take the given one.
        metric : what they are similarities by

        Returns
        -------
        Neighbors
            with ``backend`` "given", not called exact, ``recall`` nan: nothing is known of it.

        Raises
        ------
        TypeError, ValueError
            For indices that are not integers, or are missing (-1), out of range or repeated in a row (the first row is
            named), and for similarities that neither fall nor rise.
        """
        checks.check_choice(metric, "metric", METRICS)
        lists = to_numpy(indices, "indices")[0]
        known = np.full(lists.shape, np.nan)
        if lists.ndim != 2 or 0 in lists.shape or lists.dtype.kind not in "iu":
            raise TypeError(f"indices must be an (n, k) array of integers, got {lists.dtype} of shape {lists.shape}")
        n, k = lists.shape
        if similarities is not None:
            known = vectors.numeric(similarities, "similarities")
            if known.shape != lists.shape:
                raise ValueError(f"similarities must have the shape of the indices {lists.shape}, got {known.shape}")
            steps = np.diff(known, axis=1)
            if not (steps <= 0).all():
                if not (steps >= 0).all():
                    raise ValueError("similarities must fall along every row, or rise if they are distances")
                known = -known
        checks.check_first(lists < 0, "indices must hold k neighbours of every row, but row {} has fewer (-1)")
        checks.check_first(lists >= n, f"indices must be rows below n = {n}, but row {{}} has another")
        ordered = np.sort(lists, axis=1)
        checks.check_first(ordered[:, 1:] == ordered[:, :-1], "indices must not repeat in a row, but do in row {}")
        own = lists == np.arange(n)[:, None]
        if own.any():
            own[~own.any(axis=1), -1] = True
            lists, known = lists[~own].reshape(n, k - 1), known[~own].reshape(n, k - 1)
        given: Any = {"exact": False, "backend": "given", "recall": float("nan")}
        return cls(_as_int32(lists), known, np.zeros(n, dtype=bool), metric, **given)

    @property
    def n(self) -> int:
        return int(self.indices.shape[0]) if self.items is None else self.items

    @property
    def k(self) -> int:
        return int(self.indices.shape[1])

    @property
    def whole(self) -> bool:
        """Whether there is a list of every row."""
        return self.items is None

    @cached_property
    def edge_sums(self) -> NDArray[np.float64]:
        """What the skewness of overlaps needs of this graph; O(n k^2), once, on one thread."""
        return list_engine.edge_sums(list_engine.graph_of(self.indices), 1)

    def first(self, k: int) -> Neighbors:
        """The k nearest of each row; k must not exceed the length of the lists."""
        if not (type(k) is int and 0 < k <= self.k):
            k = checks.integer(k, "k", 1, self.k, limit="the length of the neighbour lists given = ")
        if k == self.k:
            return self
        ties = self.similarities[:, k - 1] == self.similarities[:, k]
        indices, similarities = np.ascontiguousarray(self.indices[:, :k]), self.similarities[:, :k].copy()
        return replace(self, indices=indices, similarities=similarities, tie_rows=ties)


def _as_int32(indices: NDArray[Any]) -> NDArray[np.int32]:
    """Indices of any integer type and layout, as the engines read them."""
    if indices.dtype.kind not in "iu":
        raise TypeError(f"Neighbors needs integer indices, got {indices.dtype}")
    if indices.size and not (indices.min() >= 0 and indices.max() < 1 << 31):
        raise ValueError(f"Neighbors needs indices of rows, got {indices.min()} to {indices.max()}")
    return np.ascontiguousarray(indices, dtype=np.int32)


def knn(
    x: Any,
    k: int,
    *,
    queries: Any = None,
    metric: Metric = "cosine",
    backend: Backend = "auto",
    normalize: Normalize = None,
    clip_quantile: float | None = None,
    threads: int | None = None,
    device: str | None = None,
    progress: ProgressArgument = False,
    memory_budget: int | str | None = None,
) -> Neighbors:
    """Find the k nearest rows of every row of x, proven to be what float64 arithmetic yields.

    Parameters
    ----------
    x : (n, p) array
    k : 1 <= k <= n - 1
    queries : whose neighbours are wanted, instead of those of every row of x: the indices of some rows, or another
        (m, p) array, of which a row may equal one of x (1 <= k <= n; ``normalize`` must not be "standardize", nor
        ``clip_quantile`` given, nor x read on a device); or a number of rows, drawn by lot, the same for every array of
        n rows. Exact search.
    metric : "cosine" (rows normalised in float64), "dot" or "euclidean"
    device : None: where x is. "cuda" or "cuda:1" copies x to that GPU, "cpu" from it. Lists are the same, bit for bit,
        and returned on the CPU; x must have a float dtype and columns that lie next to each other.
    backend :
        "native": exact, by symmetric float32 tiles that float64 arithmetic certifies.
        "sample": exact, but only of 2000 rows (all if there are no more): ``queries=2000``.
        "faiss": never called exact. Candidates proposed by faiss in float32 (a flat index up to n^2 p = 1e12, else an
        inverted file with 4-bit codes, in n (p / 4 + 8) bytes), scored in float64 from x; its recall is measured on
        the rows of "sample".
        "auto": "native" up to n^2 p = 1e14; beyond that (half an hour on one core) "faiss" if it is installed.
        ``settings["backend_choice"]`` of the result says which and why.

    Raises
    ------
    ValueError
        k out of range, NaN or infinity, a zero row under cosine, an unknown option.
    TypeError
        x or k of the wrong type.
    MemoryError
        x and its lists do not fit on the device.
    ImportError
        backend="faiss" without faiss.

    See Also
    --------
    Neighbors : what it returns
    mutual_knn : takes two of them in place of arrays

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.array([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [1.0, 0.2]])
    >>> found = ka.knn(x, 1)
    >>> found.indices.ravel().tolist(), found.similarities.round(3).ravel().tolist()
    ([1, 0, 3, 2], [0.995, 0.995, 0.981, 0.981])
    >>> ka.knn(x, 2, queries=np.array([[0.0, 2.0]]), metric="euclidean").indices.tolist()
    [[0, 1]]
    """
    source, place = arrays.rows_anywhere(x, device=device, normalize=normalize, clip_quantile=clip_quantile)
    checks.check_choice(metric, "metric", METRICS)
    checks.check_choice(backend, "backend", _BACKENDS)
    asked = of_queries(queries, source, normalize=normalize, clip_quantile=clip_quantile)
    k = checks.check_k(k, source.shape[0] + isinstance(asked, _core.Rows))
    workers, what = checks.check_threads(threads), f"neighbours of {source.shape[0]} rows"
    held = 56 * k * rows_found(source.shape[0], backend, asked)
    arrays.afford(what, held, budget_of(memory_budget), workers, "queries=20_000 draws rows and needs less")
    with reporting(progress, "nearest neighbours") as report:
        found = find(source, k, metric, backend, workers, report, sets=False, queries=asked, place=place).lists
    labels = None if type(x) is np.ndarray else carried_labels("x", source.shape[0], x)
    return found if labels is None else replace(found, labels=labels)


Queries: TypeAlias = int | NDArray[np.int32] | _core.Rows | None


def rows_found(n: int, backend: str, queries: Queries) -> int:
    """Of how many rows neighbours are listed."""
    if isinstance(queries, _core.Rows):
        return int(queries.shape[0])
    if queries is None:
        return min(n, sampled.ROWS) if backend == "sample" else n
    return min(n, queries) if isinstance(queries, int) else len(queries)


def of_queries(queries: Any, source: _core.Rows, name: str = "queries", **preprocessing: Any) -> Queries:
    """What a user gave as queries, checked: how many of the rows, which, or rows of another array."""
    if queries is None:
        return None
    n, p = source.shape
    queries = in_memory(queries, name)
    axes = to_numpy(queries, name)[0].ndim
    if axes == 0:
        return checks.integer(queries, name, 1, wanted="a number of rows, their indices or an (m, p) array")
    if axes == 1:
        return vectors.indices(queries, n, name)
    if preprocessing["normalize"] == "standardize" or preprocessing["clip_quantile"] is not None:
        raise ValueError(f"{name} must be rows of x, by index, where columns are standardised or clipped")
    found = arrays.rows(queries, name, **preprocessing)
    if found.shape[1] != p:
        raise ValueError(f"{name} must have the {p} columns of the rows, got {found.shape[1]}")
    return found


@packable
@dataclass(eq=False)
class Found:
    """Neighbours of one side; the engine's own lists if exact, exact ones of sampled rows if not."""

    lists: Neighbors
    raw: Any = None
    sample: Neighbors | None = None

    def first(self, k: int) -> Found:
        """The k nearest of each row."""
        if k == self.lists.k:
            return self
        lists = self.lists.first(k)
        if self.sample is not None:
            return _judged(lists, self.sample.first(k))
        return Found(lists, (lists.indices, lists.similarities, lists.tie_rows.view(np.uint8)))


def find(
    source: Any,
    k: int,
    metric: str,
    backend: str,
    threads: int,
    report: Report,
    *,
    sets: bool,
    queries: Queries = None,
    place: int | None = None,
) -> Found:
    if not (type(backend) is str and backend in _BACKENDS):
        checks.check_choice(backend, "backend", _BACKENDS)
    if place is not None:
        return _find_on_device(source, k, metric, backend, threads, report, place, queries)
    if metric != "cosine":
        check_rows_magnitude(source, _MOST_EXPONENT)
    n, p = source.shape
    settings: dict[str, Any] = {}
    if queries is not None:
        if backend == "faiss" or (backend == "sample" and not isinstance(queries, int)):
            raise ValueError(f"queries are searched exactly, with backend 'auto' or 'native', got {backend!r}")
        return _of_some(source, k, metric, queries, threads, report)
    if backend == "sample":
        return _of_some(source, k, metric, sampled.ROWS, threads, report)
    if backend == "auto":
        backend, settings["backend_choice"] = faiss.choose(n, p)
    if backend == "native":
        raw = devices.nearest_neighbors(source, k, metric, sets, threads, report)
        return Found(Neighbors(raw[0], raw[1], raw[2].view(np.bool_), metric, settings=settings), raw)
    rows = sampled.sampled_rows(n)
    lists, exact, settings["index"] = faiss.search(source, k, metric, rows, threads, report)
    settings["sampled_rows"] = len(rows)
    return _judged(
        Neighbors(*lists, metric, exact=False, backend="faiss", settings=settings),
        Neighbors(*exact, metric, backend="sample", rows=rows, items=n),
    )


def _of_some(source: _core.Rows, k: int, metric: str, queries: Queries, threads: int, report: Report) -> Found:
    """Exact lists of a sample, of chosen rows or of rows of another array."""
    n, scorer = source.shape[0], _core.ExactRows(source, metric, threads)
    if isinstance(queries, _core.Rows):
        if metric != "cosine":
            check_rows_magnitude(queries, _MOST_EXPONENT)
        asking, every = _core.ExactRows(queries, metric, threads), np.arange(queries.shape[0], dtype=np.int32)
        return Found(Neighbors(*sampled.lists_of(scorer, every, k, threads, report, asking), metric, items=n))
    rows = sampled.sampled_rows(n, queries) if isinstance(queries, int) else queries
    assert rows is not None
    backend = "sample" if isinstance(queries, int) else "native"
    exact = sampled.lists_of(scorer, rows, k, threads, report)
    return Found(Neighbors(*exact, metric, backend=backend, rows=rows, items=n))


def _find_on_device(
    source: Any, k: int, metric: str, backend: str, threads: int, report: Report, place: int, queries: Queries
) -> Found:
    if backend == "faiss" or (queries is not None and backend == "sample" and not isinstance(queries, int)):
        raise ValueError(f"backend must be 'auto', 'native' or 'sample' on a CUDA device, got {backend!r}")
    if isinstance(queries, _core.Rows):
        raise ValueError(
            "queries must be rows of x, by index, or their number on a CUDA device, got rows of another array; "
            "device='cpu' takes these"
        )
    if metric != "cosine":
        devices.check_magnitude_of(source, _MOST_EXPONENT)
    n, source, settings = source.shape[0], on_device.moved(source, place), {"device": f"cuda:{place}"}
    asked = sampled.ROWS if queries is None and backend == "sample" else queries
    if asked is not None:
        rows = sampled.sampled_rows(n, asked) if isinstance(asked, int) else asked
        index, similarity, tie = devices.nearest_of_rows(source, rows, k, metric, report)
        kind: Any = {"backend": "sample" if isinstance(asked, int) else "native", "rows": rows, "items": n}
        return Found(Neighbors(index, similarity, tie.view(np.bool_), metric, settings=settings, **kind))
    raw = devices.nearest_neighbors(source, k, metric, False, threads, report)
    settings = {"backend_choice": "native: exact on a device", **settings}
    return Found(Neighbors(raw[0], raw[1], raw[2].view(np.bool_), metric, settings=settings), raw)


def _judged(lists: Neighbors, sample: Neighbors) -> Found:
    """Lists that are not exact, with the share of true neighbours that those of the sampled rows hold."""
    assert sample.rows is not None
    rows = len(sample.rows)
    share = float((lists.similarities[sample.rows] >= sample.similarities[:, -1:]).mean())
    interval = wilson(share, rows) if rows < lists.n else (share, share)
    settings = {**lists.settings, "recall_interval": interval}
    return Found(replace(lists, recall=share, settings=settings), sample=sample)
