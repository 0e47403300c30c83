"""Scores of many pairs of layers, with what depends on one layer alone computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Protocol, TypeAlias

from kernalign._base import checks, kernels
from kernalign._base.progress import Report
from kernalign._base.score import Score
from kernalign._engines import lists as list_engine
from kernalign._engines.gram_source import Side, make_side
from kernalign._engines.gram_sweep import GramSweep
from kernalign._engines.kernel_sums import KernelSums
from kernalign._engines.linear import linear_precision, linear_sums
from kernalign._engines.neighbors import METRICS as SIMILARITIES
from kernalign._engines.neighbors import find
from kernalign._rows import arrays
from kernalign._rows.layered import Layer
from kernalign.comparison import best
from kernalign.comparison.families import ranks
from kernalign.comparison.families.ranks import Dissimilarities
from kernalign.metrics import registry
from kernalign.metrics.kernel import cka, distance
from kernalign.metrics.neighbors import cknna, overlap
from kernalign.metrics.neighbors.search import Search, join, warn_of_ties

LayerPair: TypeAlias = tuple[Layer, Layer]

_GRAM_FINISHERS: dict[str, Callable[[KernelSums, Any], Score]] = {
    "cka": cka.finish_cka,
    "hsic": cka.finish_hsic,
    "kernel_alignment": cka.finish_kernel_alignment,
    "distance_alignment": distance.finish_distance_alignment,
    "distance_correlation": partial(cka.finish_cka, metric="distance_correlation"),
}
_DISTANCES = {"distance_alignment": kernels.Distance(squared=True), "distance_correlation": kernels.Distance()}
_UNCENTRED = ("kernel_alignment", "distance_alignment")
_LIST_FINISHERS: dict[str, Callable[[Search], Score]] = {
    "mutual_knn": overlap.finish_mutual_knn,
    "jaccard_knn": overlap.finish_jaccard_knn,
    "cycle_knn": overlap.finish_cycle_knn,
    "lcs_knn": overlap.finish_lcs_knn,
    "edit_knn": overlap.finish_edit_knn,
}
VARIANCE_SHARE = "variance share"  # of a layer's memory, at least
_ORDERED = ("lcs_knn", "edit_knn")
_BY_INDEX = ("cycle_knn", "lcs_knn", "edit_knn")


@dataclass(frozen=True)
class Shared:
    """What all metrics of one comparison have in common."""

    n: int
    k: int
    estimator: Any
    kernel: Any
    normalize: Any
    clip_quantile: float | None
    threads: int
    options: Mapping[str, Mapping[str, Any]]

    @property
    def settings(self) -> dict[str, Any]:
        return {"normalize": self.normalize, "clip_quantile": self.clip_quantile}

    @property
    def common(self) -> dict[str, Any]:
        """The estimator and the kernel, if given; otherwise a metric has its own defaults."""
        given = {"estimator": self.estimator, "kernel": self.kernel}
        return {key: value for key, value in given.items() if value is not None}

    def pair(self, x: Layer, y: Layer) -> arrays.Pair:
        return arrays.Pair(x.rows, y.rows, self.settings, self.threads)


class Family(Protocol):
    """Metrics that are finished from the same parts."""

    metrics: tuple[str, ...]

    def prepare(self, layers: Sequence[Layer]) -> Iterator[Callable[[Report], None]]:
        """The work to be done for each layer, once."""

    def scores(self, pairs: Sequence[LayerPair]) -> Iterator[list[Score]]:
        """For every pair, in order, the score of each metric."""


def families(metrics: Sequence[str], shared: Shared) -> list[Family]:
    """The metrics in groups that share their parts; symmetric and asymmetric ones apart."""
    groups: dict[Any, list[str]] = {}
    for name in metrics:
        info = registry.check_metric(name)
        given = {"k": shared.k, **shared.common, **shared.options.get(name, {})}
        own = set(given) - {"k", "estimator", "kernel"}
        key: tuple[Any, ...] = ("pair", name)
        if name in _GRAM_FINISHERS and not own:
            kernel = _DISTANCES.get(name) or kernels.check_kernel(given.get("kernel", kernels.Linear()))
            estimator = given.get("estimator", "biased" if name == "distance_alignment" else "unbiased")
            if name == "distance_alignment":
                checks.check_choice(estimator, "estimator", ("unbiased", "biased"))
                checks.check_count(shared.n, 2, name)
            else:
                cka.check_estimator(estimator, shared.n, name)
            key = ("gram", name not in _UNCENTRED, estimator, kernel)
        elif name in _LIST_FINISHERS and own <= {"metric", "ties"}:
            similarity, ties = given.get("metric", "cosine"), given.get("ties", "fractional")
            checks.check_choice(similarity, "metric", SIMILARITIES)
            checks.check_choice(ties, "ties", ("fractional", "index"))
            if name in _BY_INDEX:
                ties = "index"
            key = ("lists", checks.check_k(given["k"], shared.n), similarity, ties, info.symmetric)
        elif name == "cknna" and own <= {"variant"}:
            variant = given.get("variant", "ucentred")
            key = ("edges", cknna.check(shared.n, given["k"], variant), variant)
        elif name == "rsa" and set(shared.options.get(name, {})) <= ranks.OPTIONS:
            key = ("distances", *Dissimilarities.check(shared.n, **shared.options.get(name, {})))
        groups.setdefault(key, []).append(name)
    made: list[Family] = []  # ordered lists first: they serve where order does not matter
    for (kind, *spec), names in sorted(groups.items(), key=lambda group: not set(group[1]) & set(_ORDERED)):
        maker: Any = _MAKERS[kind]
        made.append(maker(tuple(names), shared, *(spec if kind != "pair" else ())))
    return made


@dataclass(frozen=True)
class Grams:
    """cka and hsic (centred), or kernel_alignment; or one of those of distances.

    The route of a pair is that of the one-pair call, so that partners do not matter: features where the kernel is
    linear and n > p + q, otherwise one sweep over the tiles of all Gram matrices.
    """

    metrics: tuple[str, ...]
    shared: Shared
    centred: bool
    estimator: Any
    kernel: Any

    def prepare(self, layers: Sequence[Layer]) -> Iterator[Callable[[Report], None]]:
        widest = max(layer.rows.shape[1] for layer in layers)
        swept = [one for one in layers if not self._linear or self.shared.n <= one.rows.shape[1] + widest]
        if len(swept) > 1:
            yield lambda report: self._sweep(swept, report)

    @property
    def _linear(self) -> bool:
        return isinstance(self.kernel, kernels.Linear)

    def side(self, layer: Layer, *, double: bool = False) -> Side:
        """A layer with its kernel, made once; multiplied in float64 if asked to be."""
        made = layer.memory.get(("side", self.kernel))
        if made is None:
            rows = layer.rows_as(divided=True) if isinstance(self.kernel, kernels.Cosine) else layer.rows
            made = layer.memory["side", self.kernel] = make_side([rows], self.kernel, self.shared.threads)
        if double and not made.double:
            key = ("side, float64", self.kernel)
            if key not in layer.memory:
                layer.memory[key] = make_side(made.rows, self.kernel, self.shared.threads, double=True)
            made = layer.memory[key]
        found: Side = made
        return found

    def _sweep(self, layers: Sequence[Layer], report: Report) -> None:
        sides = [self.side(layer) for layer in layers]
        sweep = GramSweep(sides, centred=self.centred, threads=self.shared.threads, report=report)
        for at, layer in enumerate(layers):
            layer.memory["sweep", self.kernel, self.centred] = sweep, at

    def scores(self, pairs: Sequence[LayerPair]) -> Iterator[list[Score]]:
        for x, y in pairs:
            sums = self.sums(x, y)
            if self.centred and self._linear:
                for at, layer in enumerate((x, y)):
                    if VARIANCE_SHARE not in layer.memory:
                        layer.memory[VARIANCE_SHARE] = sums.top_share_bound(at)
            yield [_GRAM_FINISHERS[name](sums, self.estimator) for name in self.metrics]

    def sums(self, x: Layer, y: Layer) -> KernelSums:
        """The Gram sums of two layers."""
        pair = self.shared.pair(x, y)
        p, q = pair.x.shape[1], pair.y.shape[1]
        double = self._linear and linear_precision(pair)
        ready = not double or (self.side(x).double and self.side(y).double)
        if not self._linear or (pair.n <= p + q and ready):
            (sweep, a), (_, b) = (layer.memory["sweep", self.kernel, self.centred] for layer in (x, y))
            found: KernelSums = sweep.sums(a, b, pair.settings)
            return found
        sides = self.side(x, double=double), self.side(y, double=double)
        return replace(linear_sums(pair, centred=self.centred), sides=sides)


@dataclass(frozen=True)
class Lists:
    """Metrics of neighbour lists of one length, under one similarity and tie rule."""

    metrics: tuple[str, ...]
    shared: Shared
    k: int
    similarity: Any
    ties: Any
    symmetric: bool

    @cached_property
    def ordered(self) -> bool:
        return any(name in _ORDERED for name in self.metrics)

    def prepare(self, layers: Sequence[Layer]) -> Iterator[Callable[[Report], None]]:
        for layer in layers:
            if not self.known(layer):
                yield lambda report, layer=layer: self._find(layer, report)  # type: ignore[misc]

    def _key(self, ordered: bool) -> tuple[Any, ...]:
        return ("lists", self.k, self.similarity, ordered)

    def known(self, layer: Layer) -> Any:
        """The lists of a layer and the sums of their graph, or None."""
        if self._key(True) in layer.memory:
            return layer.memory[self._key(True)]
        return None if self.ordered else layer.memory.get(self._key(False))

    def covariance_parts(self, layers: Sequence[Layer]) -> dict[str, Any]:
        """What the covariance of overlaps is made of; the layers keep what their own scores need of it."""
        graphs = [self.known(layer)[0].lists for layer in layers]
        parts = best.graph_parts([graph.indices for graph in graphs], self.shared.n)
        for at, graph in enumerate(graphs):
            if sums := best.pattern_sums(parts, at):
                graph.keep_pattern_sums(sums)
        return parts

    def _find(self, layer: Layer, report: Report) -> None:
        if not self.known(layer):
            found = find(
                layer.rows, self.k, self.similarity, "auto", self.shared.threads, report, sets=not self.ordered
            )
            layer.memory[self._key(self.ordered)] = found, list_engine.graph_sums(found.lists.indices)

    def scores(self, pairs: Sequence[LayerPair]) -> Iterator[list[Score]]:
        for x, y in pairs:
            yield [_LIST_FINISHERS[name](search) for search in [self._search(x, y)] for name in self.metrics]

    def _search(self, x: Layer, y: Layer) -> Search:
        (a, graph_x), (b, graph_y) = self.known(x), self.known(y)
        found = join(self.shared.pair(x, y), a, b, self.similarity, self.ties, graphs=(graph_x, graph_y))
        warn_of_ties(found.settings)
        return found


@dataclass(frozen=True)
class Edges:
    """cknna."""

    metrics: tuple[str, ...]
    shared: Shared
    k: int
    variant: Any

    def prepare(self, layers: Sequence[Layer]) -> Iterator[Callable[[Report], None]]:
        for layer in layers:
            yield lambda report, layer=layer: self._find(layer, report)  # type: ignore[misc]

    def _find(self, layer: Layer, report: Report) -> None:
        if ("edges", self.k) not in layer.memory:
            layer.memory["edges", self.k] = cknna.edges(layer.rows, self.k, self.shared.threads, report)

    def scores(self, pairs: Sequence[LayerPair]) -> Iterator[list[Score]]:
        for x, y in pairs:
            a, b = (layer.memory["edges", self.k] for layer in (x, y))
            yield [cknna.finish_cknna(a, b, self.variant, self.shared.settings)]


@dataclass(frozen=True)
class Pairwise:
    """A metric that is called for every pair."""

    metrics: tuple[str, ...]
    shared: Shared

    def prepare(self, layers: Sequence[Layer]) -> Iterator[Callable[[Report], None]]:
        return iter(())

    def scores(self, pairs: Sequence[LayerPair]) -> Iterator[list[Score]]:
        [name] = self.metrics
        common = {"k": self.shared.k, **self.shared.common}
        keywords = {key: value for key, value in common.items() if registry.takes(name, key)}
        keywords |= {"normalize": self.shared.normalize, "threads": self.shared.threads or None}
        keywords |= self.shared.options.get(name, {})
        for x, y in pairs:
            try:
                yield [registry.measure(name, x.clipped(), y.clipped(), **keywords)]
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name} of x = {x.name} and y = {y.name}: {error}") from error


_MAKERS = {"gram": Grams, "lists": Lists, "edges": Edges, "distances": Dissimilarities, "pair": Pairwise}
