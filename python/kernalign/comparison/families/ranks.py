"""Scores of many pairs of layers by rsa, with the dissimilarities of a layer found and ranked once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kernalign._base.progress import Report
from kernalign._base.score import Score
from kernalign._engines.gram_source import Side
from kernalign._engines.gram_sweep import GramSweep
from kernalign._engines.states import StateKey, joint_key
from kernalign._rows.layered import Layer
from kernalign.comparison.families.base import Asked, Family, Planned, Scorer, Workshop
from kernalign.metrics.kernel.rsa import RANKED, distance_side, read_as, settings_of
from kernalign.metrics.kernel.rsa_ranks import Ranks, finish_ranked, ranked, together_of_ranks
from kernalign.metrics.kernel.rsa_sums import finish_reduced, together_of_sides
from kernalign.metrics.record import OfDissimilarities

_KEPT_BYTES = 1 << 30  # of ranks
_LIGHT = 1000  # items whose ranks, 4 MB, may wait for somebody to read a p-value


@dataclass(frozen=True)
class Dissimilarities(Family):
    """Metrics of one kind of dissimilarity and comparison.

    Ranks take 4 n (n - 1) bytes a layer. Those of as many layers as 1 GB holds are kept; of the others those of the
    current x are, and those of y are found again for every pair.
    """

    distance: Any
    comparison: Any

    @staticmethod
    def shared(name: str, record: OfDissimilarities, asked: Asked) -> tuple[Any, ...] | None:
        """What metrics of one family have in common; None if the options leave no shared states."""
        own = asked.options.get(name, {})
        return record.check(asked.n, **own) if set(own) <= {"distance", "comparison"} else None

    @property
    def light(self) -> bool:
        return self.comparison not in RANKED or self.asked.n <= _LIGHT

    def states(self, layers: Sequence[Planned]) -> list[StateKey]:
        if self.comparison not in RANKED:
            return [self._sweep(layers)]
        kept = min(len(layers), _KEPT_BYTES // (4 * self.asked.n * (self.asked.n - 1)))
        last = layers[len(layers) - kept :]  # those of y, which pairs of one x visit one after the other, first
        return [self._key(layer) for layer in last]

    def make(self, key: StateKey, shop: Workshop, report: Report) -> Any:
        """The ranks of a layer, or the sums of all pairs of layers."""
        if key.place is not None:
            return self._ranks(shop.layer(key), shop, report)
        return self._swept(shop, report=report).engine

    def _swept(self, shop: Workshop, **made: Any) -> GramSweep:
        sides = [self._side(layer, shop) for layer in shop.layers.values()]
        return GramSweep(sides, centred=self.comparison != "cosine", threads=shop.threads, **made)

    def _sweep(self, layers: Iterable[Planned]) -> StateKey:
        return joint_key("sweep of dissimilarities", (self.distance, self.comparison), (one.place for one in layers))

    def _key(self, layer: Planned) -> StateKey:
        return StateKey("ranks", (self.distance, self.comparison), layer.place)

    def _side(self, layer: Layer, shop: Workshop) -> Side:
        how = read_as(self.distance)
        rows = layer.rows_as(**how) if how.get("divided") else layer.rows
        return distance_side(rows, self.distance, self.comparison, shop.threads)

    def _ranks(self, layer: Layer, shop: Workshop, report: Report = None) -> Ranks:
        return ranked(self._side(layer, shop), self.comparison, report)

    def check(self, layer: Layer, shop: Workshop) -> None:
        self._side(layer, shop).check()

    def scorer(self, shop: Workshop) -> Scorer:
        return self._of_ranks(shop) if self.comparison in RANKED else self._of_sums(shop)

    def _of_sums(self, shop: Workshop) -> Scorer:
        sweep = self._swept(shop, engine=shop.store[self._sweep(shop.layers.values())])
        places = {place: at for at, place in enumerate(shop.layers)}
        settings = settings_of(self.asked.settings, self.distance, self.comparison, None)
        together = together_of_sides(self.asked.n, self.comparison, shop.threads)

        def scores(x: Layer, y: Layer) -> list[Score]:
            sums = sweep.sums(places[x.place], places[y.place], self.asked.settings)
            return [finish_reduced(sums, self.comparison, settings, together)]

        return scores

    def _of_ranks(self, shop: Workshop) -> Scorer:
        current: tuple[Layer, Ranks] | None = None  # an x whose ranks are not kept
        settings = settings_of(self.asked.settings, self.distance, self.comparison, None)
        together = together_of_ranks(self.asked.n, shop.threads)

        def scores(x: Layer, y: Layer) -> list[Score]:
            nonlocal current
            a, b = (shop.store.get(self._key(layer)) for layer in (x, y))
            if a is None:
                current = current if current is not None and current[0] is x else (x, self._ranks(x, shop))
                a = current[1]
            b = self._ranks(y, shop) if b is None else b
            return [finish_ranked(a, b, self.comparison, settings, together, threads=shop.threads)]

        return scores
