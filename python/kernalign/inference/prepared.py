"""What a permutation test is given, as the engines that score its pairings."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks, hazards
from kernalign._base.kernels import (
    Cosine,
    Linear,
    Precomputed,
    SideKernel,
    check_given,
    kernels_of,
    made_of_columns,
)
from kernalign._base.memory import budget_of
from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign._engines.gram_source import make_side
from kernalign._engines.neighbors import Metric, Neighbors, find
from kernalign._engines.permuted_grams import (
    PermutedFeatures,
    PermutedGrams,
    PermutedKernels,
    PermutedTriangles,
    gram_pays,
)
from kernalign._engines.permuted_lists import PermutedGraphs, PermutedLists, tie_weights
from kernalign._rows import arrays
from kernalign._rows.dissimilarities import given_dissimilarities
from kernalign._rows.followed import followed, relisted
from kernalign._rows.items import Items, Undirected, either
from kernalign._rows.labelled_arrays import labelled
from kernalign._rows.labels import group_numbers
from kernalign._rows.layered import numbered, split
from kernalign._rows.numeric import as_matrix
from kernalign._rows.options import check_one_sided
from kernalign._rows.pairing import Kept, Side, check_same_order
from kernalign._statistics.pairings import Labels, Pairings
from kernalign.inference.permuted_scores import (
    GramScores,
    GraphScores,
    ListScores,
    Permuted,
    PermutedCalls,
    TriangleScores,
    told_of_repetition,
)
from kernalign.metrics.neighbors.groups import check_k, outside, searched_length
from kernalign.metrics.neighbors.search import Ties, why_no_p_value
from kernalign.metrics.record import MetricInfo, OfDissimilarities, OfEdges, OfGrams, OfLists
from kernalign.metrics.registry import METRICS, as_named
from kernalign.sources import Source
from kernalign.sources.objects import stored
from kernalign.sources.stored import Stored


class Named(NamedTuple):
    """A layer, or the only one, and what errors call it."""

    name: str
    value: Any


@dataclass(frozen=True)
class Tested:
    """A metric under test.

    Attributes
    ----------
    record : what the registry knows of it; None for a function of the user's
    function : what is called for every pairing; None where the pairing renames states that are made once
    """

    record: MetricInfo | None
    function: Callable[[Any, Any], Any] | None

    @property
    def sign(self) -> float:
        """-1 of distances."""
        return 1.0 if self.record is None or self.record.larger_is_closer else -1.0

    @property
    def of_grams(self) -> bool:
        return self.function is None and self.record is not None and isinstance(self.record.states, OfGrams)

    def undirected(self, kernel: Any, similarity: Any) -> tuple[Undirected, Undirected]:
        """Rows of x and y that have no direction where the metric needs one."""
        if self.record is None:
            return "", ""
        own = getattr(self.function, "keywords", {})  # of a partial
        return self.record.undirected({"kernel": kernel, "metric": similarity, **own})

    @property
    def takes_dissimilarities(self) -> bool:
        """Whether both sides are dissimilarities themselves."""
        return self.record is not None and self.record.takes_dissimilarities(getattr(self.function, "keywords", {}))

    def following(self, kept: Kept) -> Tested:
        """The same, whose own keyword arguments are of the rows that are taken."""
        if self.record is None or not isinstance(self.function, partial):
            return self
        given = self.function
        return Tested(self.record, partial(given.func, *given.args, **followed(relisted(given.keywords), kept)))

    def closest(self, scores: NDArray[np.float64]) -> float:
        """The best of several scores; nan if none exists."""
        if np.isnan(scores).all():
            return math.nan
        return self.sign * float(np.nanmax(self.sign * scores))


def tested_metrics(metric: Any) -> dict[str, Tested]:
    """What is tested, by name; a function of kernalign is as its name."""
    many = not isinstance(metric, str) and isinstance(metric, Sequence)
    given = checks.items(metric, "metric", "metrics") if many else [metric]
    tested: dict[str, Tested] = {}
    for one in given:
        name: str
        if callable(one):
            name = getattr(getattr(one, "func", one), "__name__", type(one).__name__)  # of a partial, its function's
        elif isinstance(one, str):
            name = as_named(one)
        else:
            raise TypeError(f"metric must be a name, a function of (x, y) or a list of these, got {checks.shown(one)}")
        if name in tested:
            raise ValueError(f"metrics must have different names, got {checks.shown(name)} twice")
        tested[name] = _tested(name, one)
    if not tested:
        raise ValueError("metric must name at least one metric, got an empty list")
    return tested


def _tested(name: str, given: Any) -> Tested:
    record = METRICS.get(name)
    if getattr(given, "keywords", {}).get("given") is not None:
        raise ValueError(
            f"given must be left out, since new pairings would part y from it: {name}(...).p_value pairs what is left"
        )
    if callable(given) and (record is None or record.function is not given):
        if "conditions" in getattr(given, "keywords", {}):
            raise ValueError("conditions must be averaged before they change places: metric must have no conditions=")
        if (getattr(given, "__module__", None) or "").partition(".")[0] != "kernalign":
            own = record is not None and getattr(given, "func", None) is record.function
            return Tested(record if own else None, given)
        record = None
    if record is None or record.needs:
        told = checks.shown(name) + checks.nearest(name, METRICS)
        raise ValueError(f"metric must be a function of kernalign that takes x and y alone, got {told}")
    if not record.paired:
        raise ValueError(f"{name} does not pair rows, so no pairing of them changes it; its score has its own null")
    states = record.states
    renamed = isinstance(states, OfEdges) or (isinstance(states, OfGrams) and states.distance is None)
    renamed = renamed or (isinstance(states, OfLists) and states.of_items)
    return Tested(record, None if renamed else record.function)


def layers_of(x: Any, name: str, triangles: bool) -> tuple[list[Named], bool]:
    """The layers of a side, and whether it has any of its own; `Neighbors` are layers, too. ``triangles``: of
    dissimilarities."""
    if isinstance(x, Mapping):
        x = {label: _opened(part, f"{name}[{label!r}]") for label, part in x.items()}
    elif isinstance(x, (list, tuple)):
        x = [_opened(part, f"{name}[{at}]") for at, part in enumerate(x)]
    else:
        x = _opened(x, name)
    labels = None
    if isinstance(x, Stored) and x.ndim > 2:  # whose layers are arrays, without its names
        labels, x = x.labels, x.array()
    parts = list(x) if isinstance(x, (list, tuple)) else [x]
    if any(isinstance(part, Neighbors) for part in parts):
        given = numbered(name, x if isinstance(x, Neighbors) else None, parts)
    else:
        given = split(x, name, triangles=triangles)
    named = []
    for layer, part in zip(given.names, given.parts, strict=True):
        part = given_dissimilarities(part, layer) if triangles else part
        if not isinstance(part, Neighbors):
            as_matrix(part, layer)
        part = part if labels is None else labelled(part, labels)
        named.append(Named(layer, np.asarray(part) if isinstance(part, (list, tuple)) else part))
    if len(given.axes) == 3 and len(named) > len(named[0].value):
        warn(hazards.swapped_axes(len(named), len(named[0].value)).of(name), AlignmentWarning)
    return named, given.whole is None or len(given.axes) == 3


def _opened(given: Any, name: str) -> Any:
    """An array of a file, with the names of its rows; all else as it is."""
    return stored(given, name) if isinstance(given, (str, os.PathLike, Source)) else given


def common_items(
    tested: dict[str, Tested], xs: list[Named], ys: list[Named], given: Any, options: Any
) -> tuple[list[Named], list[Named], Items]:
    """The layers of both sides, less the rows that their metrics would not take, in one order of items."""
    kernel, similarity, triangles = given
    layers = [*xs, *ys]
    if any(isinstance(one.value, Neighbors) for one in layers):
        check_one_sided(options, "x or y are Neighbors")
        checks.check_unread(**{name: (options.get(name), None) for name in ("normalize", "clip_quantile", "device")})
        sides = [Side(one.name, rows_of(one), getattr(one.value, "labels", None)) for one in layers]
        check_same_order(*sides)
        return xs, ys, Items((None,) * len(layers), {}, (), Kept(sides[0].n, None, tuple(sides)))
    if (ids := options.get("ids")) is not None and len(ids) == 2:
        options["ids"] = (ids[0],) * len(xs) + (ids[1],) * len(ys)
    kinds = [one.undirected(kernel, similarity) for one in tested.values()]
    shared: Undirected = "zero" if options.get("normalize") == "l2" else ""
    undirected, square = [], []
    for side, found, own in zip((xs, ys), zip(*kinds, strict=True), kernels_of(kernel), strict=True):
        undirected += [either(*found, shared)] * len(side)
        square += [triangles or isinstance(own, Precomputed)] * len(side)
    rows, items = arrays.same_items(layers, options, undirected, square=square)
    taken = [one._replace(value=_array(own, one.name)) for one, own in zip(layers, rows, strict=True)]
    return taken[: len(xs)], taken[len(xs) :], items


def _array(value: Any, name: str) -> Any:
    """What can be indexed by rows; of a table, whose labels would pair them again, its numbers."""
    return value if hasattr(value, "__dlpack__") else as_matrix(value, name)[0]


def rows_of(layer: Named) -> int:
    return int(layer.value.n) if isinstance(layer.value, Neighbors) else len(layer.value)


def of_dissimilarities(tested: dict[str, Tested]) -> bool:
    """Whether both sides are dissimilarities; raises where only some metrics take them."""
    takes = {name: one.takes_dissimilarities for name, one in tested.items()}
    if any(takes.values()) and not all(takes.values()):
        other = next(name for name, own in takes.items() if not own)
        raise ValueError(f"{other} needs rows, but distance='precomputed' takes dissimilarities")
    return all(takes.values())


def warn_of_repetition(xs: list[Named], ys: list[Named], kernel: Any, triangles: bool) -> None:
    """Warn of the first layer of either side in which items repeat."""
    for side, own in zip((xs, ys), kernels_of(kernel), strict=True):
        if not triangles and not isinstance(own, Precomputed):
            given = (layer for layer in side if not isinstance(layer.value, Neighbors))
            any(arrays.warn_of_repetition(layer.value, layer.name) for layer in given)


def count_items(xs: list[Named], ys: list[Named]) -> int:
    counts = {rows_of(one) for one in (*xs, *ys)}
    if len(counts) > 1:
        raise ValueError(f"x and y must have the same number of rows in every layer, got {sorted(counts)}")
    (n,) = counts
    checks.check_count(n, 2, "a permutation test")
    return int(n)


def pairings_of(groups: Any, blocks: Any, kept: Kept) -> tuple[Pairings, Labels | None]:
    """What may change places, of the items that were kept, and the numbers of their groups, if any has two."""
    if groups is not None and blocks is not None:
        raise ValueError("groups and blocks must not both be given: groups change places whole, items inside blocks")
    if groups is None and blocks is None:
        return Pairings.of_items(kept.n), None
    name, given = ("blocks", blocks) if groups is None else ("groups", groups)
    labels = group_numbers(given, kept, name)
    pairings = Pairings.within(labels) if groups is None else Pairings.of_groups(labels)
    if pairings.least == 1:
        what = "a block of at least two items" if groups is None else "two groups of equal size"
        raise ValueError(f"{name} must hold {what}: otherwise nothing changes places")
    return pairings, labels if blocks is None and np.bincount(labels).max() > 1 else None


def engines_for(
    tested: dict[str, Tested], xs: list[Named], ys: list[Named], n: int, given: Any, labels: Labels | None, options: Any
) -> list[Permuted]:
    k, estimator, kernel, similarity, ties = given
    checks.check_choice(ties, "ties", ("fractional", "index"))
    checks.check_choice(similarity, "similarity", ("cosine", "dot", "euclidean"))
    checks.check_choice(estimator, "estimator", ("unbiased", "biased"))
    checks.integer(k, "k", 1)
    grams, lists, edges = (_states(tested, kind) for kind in (OfGrams, OfLists, OfEdges))
    kernels = kernels_of(kernel)
    for own in kernels:
        check_given(own, [name for name in tested if name not in grams])
        if isinstance(own, Precomputed) and any(
            options.get(name) is not None for name in ("normalize", "clip_quantile")
        ):
            raise ValueError("normalize and clip_quantile need rows, but kernel=Precomputed() takes Gram matrices")
    triangles = of_dissimilarities(tested)
    if triangles and any(options.get(name) is not None for name in ("normalize", "clip_quantile")):
        raise ValueError("normalize and clip_quantile need rows, but distance='precomputed' takes dissimilarities")
    if not grams:
        checks.check_unread(estimator=(estimator, "unbiased"), kernel=(kernel, Linear()))
    if not lists:
        checks.check_unread(similarity=(similarity, "cosine"), ties=(ties, "fractional"))
    if any(one.record is None for one in tested.values()):  # a function of the user's gets rows as they are
        checks.check_unread(**{name: (options.get(name), None) for name in ("normalize", "clip_quantile")})
    engines: list[Permuted] = []
    prepared = {name: options[name] for name in ("normalize", "clip_quantile") if name in options}
    threads = checks.check_threads(options.get("threads"))
    if len(lists) < len(tested) and any(isinstance(one.value, Neighbors) for one in (*xs, *ys)):
        raise TypeError("Neighbors are for metrics of neighbour lists; other metrics need arrays")
    _check_budget(tested, xs, ys, n, (k, kernels), budget_of(options.get("memory_budget")))
    for centred in (True, False):
        wanted = {name: states for name, states in grams.items() if states.centred == centred}
        for states in wanted.values():
            states.check(estimator, n)
        if wanted:
            x, y = (
                [arrays.rows(one.value, one.name, divided=isinstance(own, Cosine), **prepared) for one in side]
                for side, own in zip((xs, ys), kernels, strict=True)
            )
            how = {"centred": centred, "unbiased": estimator == "unbiased"}
            engine: PermutedGrams
            if all(_of_columns(own, rows.shape[1]) for own, side in zip(kernels, (x, y), strict=True) for rows in side):
                engine = PermutedFeatures(x, y, **how, threads=threads)
            else:
                a, b = (
                    [make_side([rows], own, threads) for rows in side]
                    for side, own in zip((x, y), kernels, strict=True)
                )
                engine = PermutedKernels(a, b, **how)
            engines.append(GramScores(wanted, engine))
    if lists:
        made, nearest, shared = _lists(xs, ys, n, k, similarity, ties, labels, prepared, threads)
        engines.append(ListScores(lists, made, _refused(lists, nearest, shared)))
    for name, states in edges.items():
        size = checks.check_k(k, n) if labels is None else check_k(k, labels)
        graphs = [
            [states.graph(arrays.rows(one.value, one.name, **prepared), size, threads, labels) for one in side]
            for side in (xs, ys)
        ]
        x, y = ([graph for graph, _ in side] for side in graphs)
        settings = {"ties": "index", "tie_rows_fraction": max(tied for side in graphs for _, tied in side)}
        reason = why_no_p_value(settings)
        engines.append(GraphScores(name, PermutedGraphs(x, y, threads), {} if reason is None else {name: reason}))
    for name, one in tested.items():
        if (swift := _triangles(name, one, xs, ys, n, k, options, prepared, threads)) is not None:
            engines.append(swift)
        elif one.function is not None:
            sides = ([layer.value for layer in side] for side in (xs, ys))
            engines.append(PermutedCalls(name, _called(one, k, options, labels), *sides, square=triangles))
    return engines


def _check_budget(
    tested: dict[str, Tested], xs: list[Named], ys: list[Named], n: int, given: Any, budget: int | None
) -> None:
    """Raise if what is made once, and pairings some at a time, take more; metrics that are called ask themselves."""
    (k, kernels), layers = given, len(xs) + len(ys)
    widths = [[one.value.shape[1] for one in side if hasattr(one.value, "shape")] for side in (xs, ys)]
    matrices, held = 4 * n * n, 600 * n
    for _ in {states.centred for states in _states(tested, OfGrams).values()}:
        if all(_of_columns(own, p) for own, side in zip(kernels, widths, strict=True) for p in side):
            held += 8 * n * (sum(widths[0]) + sum(widths[1]) + 3 * max(*widths[0], *widths[1]))
            held += matrices * layers if gram_pays(n, *widths) else 0
        else:
            held += matrices * (layers + 1)
    lists = _states(tested, OfLists) | _states(tested, OfEdges)
    held += 80 * n * min(k, n) * layers if lists else 0
    if any(one.record is not None and isinstance(one.record.states, OfDissimilarities) for one in tested.values()):
        held += 2 * matrices * (layers + 1)
    arrays.afford(f"a permutation test of {layers} layers of {n} rows", held, budget)


def _triangles(
    name: str, one: Tested, xs: list[Named], ys: list[Named], n: int, k: int, options: Any, prepared: Any, threads: int
) -> TriangleScores | None:
    """Of a metric of dissimilarities that is a product of what is made once."""
    own = getattr(one.function, "keywords", {})
    if one.record is None or not isinstance(one.record.states, OfDissimilarities):
        return None
    if not set(own) <= {"distance", "comparison"}:
        return None
    states = one.record.states
    distance, comparison = states.check(n, **own)
    how = {key: value for key, value in states.read_as(distance).items() if key != "square"}
    with told_of_repetition():
        first = _called(one, k, options)(xs[0].value, ys[0].value)  # which says what makes it mean less
    if math.isnan(first):
        return None
    found = []
    for side in (xs, ys):
        rows = [arrays.rows(layer.value, layer.name, **how, **prepared) for layer in side]
        found.append(states.triangles(rows, distance, comparison, threads))
    return None if found[0] is None else TriangleScores(name, PermutedTriangles(found[0], found[1], n))


def _of_columns(kernel: SideKernel, columns: int) -> bool:
    return isinstance(kernel, Cosine) or made_of_columns(kernel, columns)


def _states(tested: dict[str, Tested], kind: type) -> dict[str, Any]:
    """The states of the metrics that are renamed, of one kind, by the metric's name."""
    found = {name: one.record.states for name, one in tested.items() if one.record and one.function is None}
    return {name: states for name, states in found.items() if isinstance(states, kind)}


def _called(one: Tested, k: int, options: Any, labels: Labels | None = None) -> Callable[[Any, Any], Any]:
    function = one.function
    assert function is not None
    if one.record is None:
        return function
    keywords = {**options, **({"k": k} if one.record.takes("k") else {})}
    if labels is not None and one.record.takes("groups"):
        keywords["groups"] = labels
    return partial(function, **{**keywords, **getattr(function, "keywords", {})})


def _refused(metrics: dict[str, OfLists], nearest: list[Neighbors], shared: bool) -> dict[str, str]:
    """Which metrics see ties that index order broke, unless places are ``shared``, and so have no null."""
    tied, refused = max(one.tie_share for one in nearest), {}
    for name, states in metrics.items():
        ties = "fractional" if shared and states.of_shared is not None else "index"
        settings = {"ties": ties, "tie_rows_fraction": tied}
        if (reason := why_no_p_value(settings, nearest if states.ordered else ())) is not None:
            refused[name] = reason
    return refused


def _lists(
    xs: list[Named],
    ys: list[Named],
    n: int,
    k: int,
    similarity: Metric,
    ties: Ties,
    labels: Labels | None,
    prepared: Any,
    threads: int,
) -> tuple[PermutedLists, list[Neighbors], bool]:
    """Lists of all layers, which they are, and whether those that tie share their places."""
    k = checks.check_k(k, n) if labels is None else check_k(k, labels)
    length = k if labels is None else searched_length(n, k, int(np.bincount(labels).max()))
    found: list[list[Any]] = [[], []]
    sources: list[list[Any]] = [[], []]
    for side, layers in enumerate((xs, ys)):
        for name, layer in layers:
            rows = None if isinstance(layer, Neighbors) else arrays.rows(layer, name, **prepared)
            if rows is None and layer.rows is not None:
                raise ValueError(f"{name} must hold the neighbours of every row, got those of a sample")
            if rows is not None:
                lists = find(rows, length, similarity, "native", threads, None, sets=False).lists
            else:
                lists = layer.first(k) if labels is None else layer
            found[side].append(lists if labels is None else outside(lists, labels, k))
            sources[side].append(rows)
    nearest = [[one if labels is None else one.lists for one in side] for side in found]
    x, y = ([lists.indices for lists in side] for side in nearest)
    shareable = all(rows is not None for side in sources for rows in side)
    weights = None
    if ties == "fractional" and shareable and any(lists.tie_rows.any() for side in nearest for lists in side):
        weights = tuple(
            [
                tie_weights(rows, one, threads) if labels is None else one.weights(rows, labels, threads)
                for rows, one in zip(*pair, strict=True)
            ]
            for pair in zip(sources, found, strict=True)
        )
    made = PermutedLists(x, y, weights, threads)  # type: ignore[arg-type]
    return made, [*nearest[0], *nearest[1]], ties == "fractional" and shareable
