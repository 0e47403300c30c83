"""Scores of many pairs of layers by rsa, with the dissimilarities of a layer found and ranked once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernalign._base import checks
from kernalign._base.progress import Report
from kernalign._base.score import Score
from kernalign._engines.gram_source import Side
from kernalign._engines.gram_sweep import GramSweep
from kernalign._rows.layered import Layer
from kernalign.metrics.kernel.rsa import (
    RANKED,
    Ranks,
    check,
    distance_side,
    finish_ranked,
    finish_reduced,
    ranked,
    read_as,
)

if TYPE_CHECKING:
    from kernalign.comparison.families.scores import LayerPair, Shared

OPTIONS = frozenset({"distance", "comparison"})  # with others, rsa is called pair by pair
_KEPT_BYTES = 1 << 30  # of ranks


@dataclass(frozen=True)
class Dissimilarities:
    """rsa of one kind of dissimilarity and comparison.

    Ranks take 4 n (n - 1) bytes a layer. Those of as many layers as 1 GB holds are kept; of the others those of the
    current x are, and those of y are found again for every pair.
    """

    metrics: tuple[str, ...]
    shared: Shared
    distance: Any
    comparison: Any

    @staticmethod
    def check(n: int, distance: Any = "correlation", comparison: Any = "spearman") -> tuple[Any, Any]:
        """The options of rsa; raises unless they exist for n items."""
        check(distance, comparison)
        checks.check_count(n, 3, "rsa")
        return distance, comparison

    def prepare(self, layers: Sequence[Layer]) -> Iterator[Callable[[Report], None]]:
        if self.comparison not in RANKED:
            yield lambda report: self._sweep(layers, report)
            return
        kept = min(len(layers), _KEPT_BYTES // (4 * self.shared.n * (self.shared.n - 1)))
        for layer in layers[len(layers) - kept :]:  # those of y, which pairs of one x visit one after the other, first
            yield lambda report, layer=layer: self._keep(layer, report)  # type: ignore[misc]

    @property
    def _key(self) -> tuple[str, ...]:
        return "dissimilarities", self.distance, self.comparison

    def _side(self, layer: Layer) -> Side:
        how = read_as(self.distance)
        rows = layer.rows_as(**how) if how["divided"] else layer.rows
        return distance_side(rows, self.distance, self.comparison, self.shared.threads)

    def _sweep(self, layers: Sequence[Layer], report: Report) -> None:
        sides, centred = [self._side(layer) for layer in layers], self.comparison == "pearson"
        sweep = GramSweep(sides, centred=centred, threads=self.shared.threads, report=report)
        for at, layer in enumerate(layers):
            layer.memory[self._key] = sweep, at

    def _keep(self, layer: Layer, report: Report) -> None:
        layer.memory[self._key] = self._ranks(layer, report)

    def _ranks(self, layer: Layer, report: Report = None) -> Ranks:
        return ranked(self._side(layer), self.comparison, report)

    def scores(self, pairs: Sequence[LayerPair]) -> Iterator[list[Score]]:
        return self._of_ranks(pairs) if self.comparison in RANKED else self._of_sums(pairs)

    def _of_sums(self, pairs: Sequence[LayerPair]) -> Iterator[list[Score]]:
        for x, y in pairs:
            (sweep, a), (_, b) = x.memory[self._key], y.memory[self._key]
            yield [finish_reduced(sweep.sums(a, b, self.shared.settings), self.distance, self.comparison)]

    def _of_ranks(self, pairs: Sequence[LayerPair]) -> Iterator[list[Score]]:
        current: tuple[Layer, Ranks] | None = None  # an x whose ranks are not kept
        for x, y in pairs:
            a, b = (layer.memory.get(self._key) for layer in (x, y))
            if a is None:
                current = current if current is not None and current[0] is x else (x, self._ranks(x))
                a = current[1]
            b = self._ranks(y) if b is None else b
            yield [finish_ranked(a, b, self.distance, self.comparison, self.shared.settings)]
