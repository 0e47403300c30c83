"""cknna: metrics of neighbour graphs with the kernel along their edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kernalign._base.progress import Report
from kernalign._engines.states import StateKey
from kernalign.comparison.families.base import Asked, Family, Planned, Scorer, Workshop
from kernalign.metrics.neighbors import cknna
from kernalign.metrics.record import OfEdges


@dataclass(frozen=True)
class Edges(Family):
    """Metrics of graphs of k neighbours, in one variant."""

    k: int
    variant: Any

    @staticmethod
    def shared(name: str, record: OfEdges, asked: Asked) -> tuple[Any, ...] | None:
        """What metrics of one family have in common; None if the options leave no shared states."""
        if not asked.own(name) <= {"variant"}:
            return None
        given = asked.given(name)
        variant = given.get("variant", "ucentred")
        return record.check(asked.n, given["k"], variant), variant

    def states(self, layers: Sequence[Planned]) -> list[StateKey]:
        return [StateKey("edges", (self.k,), layer.place) for layer in layers]

    def make(self, key: StateKey, shop: Workshop, report: Report) -> cknna.Edges:
        return cknna.edges(shop.layer(key).rows, self.k, shop.threads, report, place=shop.place)

    def scorer(self, shop: Workshop) -> Scorer:
        finishers, settings = self.finishers(), self.asked.settings
        graphs = {key.place: shop.store[key] for key in self.states(tuple(shop.layers.values()))}
        options = self.variant, settings, shop.threads
        return lambda x, y: [finish(graphs[x.place], graphs[y.place], *options) for finish in finishers]
