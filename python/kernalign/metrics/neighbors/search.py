"""Finds the neighbours of both sides for the metrics that compare neighbour lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import checks, hazards
from kernalign._base.cached import cached_property
from kernalign._base.progress import reporting
from kernalign._base.score import AlignmentWarning, Null, Score, Spread
from kernalign._base.warn import warn
from kernalign._engines import lists as list_engine
from kernalign._engines.faiss import choose
from kernalign._engines.neighbors import (
    METRICS,
    Backend,
    Found,
    Metric,
    Neighbors,
    Queries,
    find,
    of_queries,
    rows_found,
)
from kernalign._engines.permuted_lists import tie_weights
from kernalign._rows import arrays, followed, on_device
from kernalign._rows.numeric import to_numpy
from kernalign._rows.options import Options as RowOptions
from kernalign._rows.pairing import Side, check_same_order
from kernalign._statistics.list_tail import Weights
from kernalign._statistics.pairings import Labels

USUAL = 10  # neighbours, where nobody says how many

Ties: TypeAlias = Literal["fractional", "index"]


class Options(RowOptions, total=False):
    """Those of every metric, and where the neighbours come from."""

    backend: Backend


@dataclass(eq=False)
class Search:
    """The neighbours of both sides and, if known, the sums of both graphs and longer lists.

    Where tied neighbours share their places, ``finish_ties`` makes the `overlaps`, and ``weights`` both graphs.
    ``pair`` are the rows, if lists were not given; ``groups`` number the groups of rows whose neighbours are of others.
    """

    x: Neighbors
    y: Neighbors
    settings: dict[str, Any]
    finish_ties: Callable[[], tuple[NDArray[np.float64], Any, Any]] | None = None
    weights: Weights | None = None
    samples: tuple[Neighbors, Neighbors] | None = None
    graphs: tuple[_Sums, _Sums] | None = None
    threads: int = 0
    longer: tuple[Neighbors, Neighbors] | None = None
    pair: arrays.Pair | None = None
    groups: Labels | None = None

    @property
    def n(self) -> int:
        return self.x.n

    @property
    def k(self) -> int:
        return self.x.k

    def first(self, k: int) -> Search:
        """The k nearest of each row, ties by index."""
        return Search(self.x.first(k), self.y.first(k), self.settings, threads=self.threads, groups=self.groups)

    @property
    def why_no_error(self) -> str | None:
        """Why parts of the items say nothing of the whole; None if they do: their ties are broken by index."""
        share = self.settings["tie_rows_fraction"]
        if self.settings["ties"] == "index" or not share > hazards.TIES:
            return None
        return f"{share:.1%} of the rows tie at the k-th place, and index order would break ties in parts of the items"

    @cached_property
    def overlaps(self) -> tuple[NDArray[np.float64], Any, Any]:
        """Shared weight of every item, and both graphs' sums for the null variance."""
        if self.finish_ties is not None:
            return self.finish_ties()
        shared = list_engine.shared_counts(self.x.indices, self.y.indices, self.threads).astype(np.float64)
        graphs = self.graphs or (list_engine.graph_sums(self.x.indices), list_engine.graph_sums(self.y.indices))
        return shared, *graphs

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


def why_no_p_value(settings: dict[str, Any], ordered: Sequence[Neighbors] = ()) -> str | None:
    """Why pairings of lists are no null; None if they are. The order inside lists matters, too, if they are given."""
    share, where = settings["tie_rows_fraction"], "at the k-th place"
    if settings["ties"] == "fractional":
        return None
    if ordered and not share > hazards.TIES:
        share, where = max(map(_tied_inside, ordered)), "inside their lists"
    if not share > hazards.TIES:
        return None
    return f"none: {share:.1%} of the rows tie {where}, and index order breaks ties alike on both sides"


def _tied_inside(lists: Neighbors) -> float:
    """Share of the rows with equal neighbours next to each other."""
    values = lists.similarities
    return float((values[:, 1:] == values[:, :-1]).any(axis=1).mean())


_Sums: TypeAlias = tuple[float, float, float]


def search_both(
    x: Any,
    y: Any,
    k: int | None,
    metric: Metric,
    ties: Ties,
    options: Options,
    *,
    ordered: bool = False,
    whole: bool = True,
    length: Callable[[int, int], int] | None = None,
    queries: Any = None,
) -> Search:
    """Neighbours of both sides; only with ``ordered`` are lists from arrays in order and their similarities known.

    With ``whole`` the neighbours of some rows alone are refused. ``length(n, k)`` is that of the ``longer`` lists,
    which the same search finds. ``queries`` as for `mutual_knn`.
    """
    if not (type(ties) is str and ties == "fractional"):
        checks.check_choice(ties, "ties", ("fractional", "index"))
    if options:
        checks.check_options(options, Options)
    given = isinstance(x, Neighbors) or isinstance(y, Neighbors)
    if k is None:
        k = length_given(x, y) if given else USUAL
    some = options.get("backend") == "sample" or queries is not None
    if whole and (some or (given and not all(side.whole for side in (x, y) if isinstance(side, Neighbors)))):
        raise ValueError(
            "this needs the neighbours of every row; those of some are for knn, mutual_knn, jaccard_knn and cknna"
        )
    if given:
        if queries is not None:
            raise TypeError("queries applies to arrays; x and y are Neighbors")
        return _given(x, y, k, ties, length, options)
    return _from_arrays(x, y, k, metric, ties, ordered, length, queries, options)


def length_given(x: Any, y: Any) -> int:
    """k where it was not given: that of the lists, if there are any."""
    lengths = {side.k for side in (x, y) if isinstance(side, Neighbors)} or {USUAL}
    if len(lengths) > 1:
        raise ValueError(f"k must be given for lists of different lengths, got {x.k} and {y.k}")
    return lengths.pop()


def _given(x: Any, y: Any, k: int, ties: Ties, length: Callable[[int, int], int] | None, options: Options) -> Search:
    if not (isinstance(x, Neighbors) and isinstance(y, Neighbors)):
        raise TypeError(
            f"x and y must both be arrays or both be Neighbors, got {type(x).__name__} and {type(y).__name__}"
        )
    threads = checks.check_threads(options.get("threads"))
    if others := [name for name in options if name != "threads"]:
        raise TypeError(f"{others[0]} applies to arrays; x and y are Neighbors")
    checks.check_same_rows(x.n, y.n)
    check_same_order(Side("x", x.n, x.labels), Side("y", y.n, y.labels))
    rows = [() if side.rows is None else side.rows for side in (x, y)]
    if len(x.indices) != len(y.indices) or not np.array_equal(rows[0], rows[1]):
        raise ValueError("x and y must be neighbours of the same rows")
    k, longer = checks.check_k(k, x.n + (x.rows is None and not x.whole)), None
    if length is not None:
        needed, held = length(x.n, k), min(x.k, y.k)
        if held < needed:
            raise ValueError(f"uncertainty needs lists of {needed} neighbours for k = {k}, got {held}")
        longer = x.first(needed), y.first(needed)
    x, y = x.first(k), y.first(k)
    settings = _settings(x, y)
    any_tied = bool(x.tie_rows.any() or y.tie_rows.any())
    settings["ties"] = "index" if any_tied or ties == "index" else ties
    warn_of_ties(settings)
    return Search(x, y, settings, threads=threads, longer=longer)


def _from_arrays(
    x: Any,
    y: Any,
    k: int,
    metric: Metric,
    ties: Ties,
    ordered: bool,
    length: Callable[[int, int], int] | None,
    queries: Any,
    options: Options,
) -> Search:
    if not (type(metric) is str and metric == "cosine"):
        checks.check_choice(metric, "metric", METRICS)
    shared: Any = dict(options)
    backend, chosen = shared.pop("backend", "auto"), {}
    pair = arrays.pair(x, y, unit_rows=metric == "cosine", devices=True, **shared)
    (n, p), q, workers = pair.x.shape, pair.y.shape[1], pair.threads
    asked: tuple[Queries, Queries] = (None, None) if queries is None else paired_queries(queries, pair)
    k = checks.check_k(k, n + isinstance(asked[0], _core.Rows))
    most, ordered = (k, ordered) if length is None else (length(n, k), True)
    if backend == "auto" and queries is None and pair.place is None:  # once, for both sides
        backend, chosen["backend_choice"] = choose(n, max(p, q))
    held = 112 * most * rows_found(n, backend, asked[0])  # search, and both sides' lists
    if pair.budget is not None or held > arrays.MUCH:  # in few calls
        pair.afford("neighbours", held, "queries=20_000 draws rows and needs less")
    with reporting(pair.progress, "nearest neighbours") as report:
        a = find(pair.x, most, metric, backend, workers, report, sets=not ordered, queries=asked[0], place=pair.place)
        b = find(pair.y, most, metric, backend, workers, report, sets=not ordered, queries=asked[1], place=pair.place)
    longer = None
    if length is not None:
        longer = a.lists, b.lists
        a, b = a.first(k), b.first(k)
    found = join(pair, a, b, metric, ties, chosen)
    found.longer = longer
    if found.settings["ties"] == "index":
        warn_of_ties(found.settings)
    return found


def paired_queries(queries: Any, pair: arrays.Pair) -> tuple[Queries, Queries]:
    """Those of each side: rows of the pair, or of another array for x and one for y."""
    sides = queries if isinstance(queries, (tuple, list)) and len(queries) == 2 else ()
    if not sides or any(to_numpy(one, "queries")[0].ndim != 2 for one in sides):
        if to_numpy(queries, "queries")[0].ndim > 1:
            raise TypeError("queries must be rows, by index, their number, or a tuple of (m, p) and (m, q) arrays")
        own = of_queries(followed.queries(queries, pair.kept), pair.x)
        return own, own
    queries = arrays.aligned(("queries of x", queries[0]), ("queries of y", queries[1]))
    how = {name: pair.settings[name] for name in ("normalize", "clip_quantile")}
    a, b = (of_queries(one, rows, "queries", **how) for one, rows in zip(queries, (pair.x, pair.y), strict=True))
    assert isinstance(a, _core.Rows)
    assert isinstance(b, _core.Rows)
    checks.check_same_rows(a.shape[0], b.shape[0], "queries of x", "queries of y")
    return a, b


def join(
    pair: arrays.Pair,
    a: Found,
    b: Found,
    metric: Metric,
    ties: Ties,
    chosen: dict[str, Any] | None = None,
    graphs: tuple[_Sums, _Sums] | None = None,
) -> Search:
    """A search from the lists of both sides and the rows that they were found in."""
    workers = pair.threads
    settings = {**pair.settings, **(chosen or {}), **_settings(a.lists, b.lists), "ties": ties}
    tied = ties == "fractional" and settings["tie_rows_fraction"] > 0
    native = a.raw is not None and b.raw is not None
    if tied and not native:
        settings["ties"] = "index"

    def finish_ties() -> tuple[NDArray[np.float64], Any, Any]:
        x, y = map(on_device.on_cpu, (pair.x, pair.y))
        return list_engine.fractional_overlap(x, a.raw, y, b.raw, metric, workers)

    def weights() -> tuple[Any, Any]:
        x, y = map(on_device.on_cpu, (pair.x, pair.y))
        return tie_weights(x, a.lists, workers), tie_weights(y, b.lists, workers)

    samples = (a.sample, b.sample) if a.sample is not None and b.sample is not None else None
    shared = (finish_ties, weights) if tied and native else (None, None)
    return Search(a.lists, b.lists, settings, shared[0], shared[1], samples, graphs, workers, pair=pair)


def _settings(x: Neighbors, y: Neighbors) -> dict[str, Any]:
    found, (rows, k) = {}, x.indices.shape
    for key in (*x.settings, *y.settings):
        a, b = x.settings.get(key), y.settings.get(key)
        found[key] = a if a == b and key != "recall_interval" else (a, b)
    return {
        **found,
        **({} if x.exact and y.exact else {"recall": (x.recall, y.recall)}),
        "k": k,
        "k_over_n": k / (x.items or rows),
        "metric": x.metric if x.metric == y.metric else (x.metric, y.metric),
        "backend": x.backend if x.backend == y.backend else (x.backend, y.backend),
        "exact": x.exact and y.exact,
        "accumulation": "float64",
        "tie_rows_fraction": max(x.tie_share, y.tie_share),
    }


def warn_of_ties(settings: dict[str, Any]) -> None:
    """Warn if index order broke many ties; the public metric calls search_both, which calls those."""
    share = settings["tie_rows_fraction"]
    if settings["ties"] == "index" and share > hazards.TIES:
        text = f"{share:.1%} of the rows tie at the k-th place, and index order breaks ties alike on both sides: "
        warn(hazards.Hazard("ties", share, f"{text}unrelated representations seem to agree"), AlignmentWarning)
