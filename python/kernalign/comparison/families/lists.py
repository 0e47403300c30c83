"""mutual_knn and its like: metrics of neighbour lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kernalign._base import checks, hazards
from kernalign._base.cached import cached_property
from kernalign._base.packing import packable
from kernalign._base.progress import Report
from kernalign._base.score import Score
from kernalign._engines import lists as list_engine
from kernalign._engines.neighbors import METRICS as SIMILARITIES
from kernalign._engines.neighbors import Found, find
from kernalign._engines.states import StateKey
from kernalign._rows import arrays
from kernalign._rows.layered import Layer
from kernalign.comparison import best
from kernalign.comparison.families.base import Asked, Family, Planned, Scorer, Workshop
from kernalign.metrics.neighbors.search import join, warn_of_ties
from kernalign.metrics.record import OfLists


@packable
class LayerLists(NamedTuple):
    """The lists of one layer, and the sums of their graph."""

    found: Found
    sums: tuple[float, float, float]


@dataclass(frozen=True)
class Lists(Family):
    """Metrics of lists of one length, under one similarity and tie rule, symmetric or not."""

    k: int
    similarity: Any
    ties: Any
    symmetric: bool

    @staticmethod
    def shared(name: str, record: OfLists, asked: Asked) -> tuple[Any, ...] | None:
        """What metrics of one family have in common; None if the options leave no shared states."""
        if not asked.own(name) <= {"metric", "ties"}:
            return None
        given = asked.given(name)
        similarity, ties = given.get("metric", "cosine"), given.get("ties", "fractional")
        checks.check_choice(similarity, "metric", SIMILARITIES)
        checks.check_choice(ties, "ties", ("fractional", "index"))
        if record.of_shared is None:
            ties = "index"
        return checks.check_k(given["k"], asked.n), similarity, ties, asked.record(name).symmetric

    @property
    def light(self) -> bool:
        return True

    def null_states(self) -> tuple[str, ...]:
        return ("lists",)

    @cached_property
    def ordered(self) -> bool:
        return any(record.ordered for record in self.states_of)

    def _key(self, layer: Planned, ordered: bool) -> StateKey:
        return StateKey("lists", (self.k, self.similarity, ordered), layer.place)

    def states(self, layers: Sequence[Planned]) -> list[StateKey]:
        options = self.k, self.similarity, self.ordered
        return [StateKey("lists", options, layer.place) for layer in layers]

    def make(self, key: StateKey, shop: Workshop, report: Report) -> LayerLists:
        layer, ordered = shop.layer(key), key.options[-1]
        other = None if ordered else shop.store.get(self._key(layer, True))
        if other is not None:  # lists in order serve where order does not matter
            made: LayerLists = other
            return made
        found = find(
            layer.rows, self.k, self.similarity, "auto", shop.threads, report, sets=not ordered, place=shop.place
        )
        return LayerLists(found, list_engine.graph_sums(found.lists.indices))

    def of(self, layer: Layer, shop: Workshop) -> LayerLists:
        """The lists of a layer."""
        made: LayerLists = shop.store[self._key(layer, self.ordered)]
        return made

    def scorer(self, shop: Workshop) -> Scorer:
        finishers, settings = self.finishers(), self.asked.settings
        lists = {layer.place: self.of(layer, shop) for layer in shop.layers.values()}

        def scores(x: Layer, y: Layer) -> list[Score]:
            a, b = lists[x.place], lists[y.place]
            pair = arrays.Pair(x.rows, y.rows, settings, shop.threads)
            search = join(pair, a.found, b.found, self.similarity, self.ties, graphs=(a.sums, b.sums))
            warn_of_ties(search.settings)
            return [finish(search) for finish in finishers]

        return scores

    def null_parts(self, layers: Sequence[Layer], shop: Workshop) -> dict[str, Any]:
        """What the covariance of overlaps is made of."""
        lists = [self.of(layer, shop).found.lists for layer in layers]
        by_index = self.ties == "index" and max(one.tie_share for one in lists) > hazards.TIES
        return {"by index": np.array(float(by_index)), **best.graph_parts(lists, self.asked.n, shop.threads)}
