"""The scores of one pair of representations by the metrics of one family: of each layer of x with each of y."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from kernalign._base.score import Score
from kernalign._rows.layered import Place, Representation
from kernalign._statistics.pairings import Pairings
from kernalign.comparison.best import Array, Cells
from kernalign.comparison.drawn import Drawn, Tails, tail_of, tails
from kernalign.comparison.families.base import AtOnce, Family, Workshop
from kernalign.comparison.plan import Plan
from kernalign.comparison.tables import Reason, only_of


class PairScores:
    """What is known of the pairs of layers so far; a layer that failed is the exception that says why."""

    def __init__(
        self,
        plan: Plan,
        family: Family,
        x: Representation,
        y: Representation,
        failed: Mapping[Place, Exception],
        shop: Workshop,
        pairings: Pairings | None,
    ) -> None:
        self.family, self.x, self.y = family, x, y
        self.layers: list[list[Any]] = [
            [one if isinstance(one, Exception) else failed.get(one.place, one) for one in side.opened.values()]
            for side in (x, y)
        ]
        self.cells: dict[str, Cells] = {}
        self.intervals: dict[str, Array] = {}
        self.reasons: list[Reason] = []
        self._shape = shape = len(x.labels), len(y.labels)
        self._uncertain = "uncertainty" in plan.asked.own(family.metrics[0])
        self._draws: dict[str, Drawn] = {}
        if pairings is not None:
            how = (shop, pairings, plan.permutations)
            layers = self.layers[0], self.layers[1]
            self._draws = {metric: Drawn(family, metric, layers, *how) for metric in family.metrics}
        self._entries = {metric: np.full(shape, None) for metric in family.metrics if plan.p_values}
        self._at_once = bool(plan.p_values) and not family.light  # p, or the scores hold what it is found from
        # Of metrics that know no groups a p-value would be that of independent rows; drawn, whole groups change places.
        asked = plan.asked
        self._tested = {name for name in self._entries if asked.groups is None or asked.record(name).takes("groups")}

    def begin(self, at_once: AtOnce | None) -> list[bool]:
        """Of which pairs of layers the values are known at once, if a family can, row by row."""
        self.cells = {
            metric: Cells(*np.full((4, *self._shape), np.nan)) if at_once is None else at_once(*self.layers)
            for metric in self.family.metrics
        }
        known: list[bool] = np.isfinite(self.cells[self.family.metrics[0]].score).ravel().tolist()
        return known

    def postpone(self, at: tuple[int, ...], make: Callable[[int], Score]) -> None:
        """The values are known, and the scores of the metrics are to be made where more is asked for."""
        for which, metric in enumerate(self._entries):
            self._keep_tail(metric, at, partial(make, which))

    def keep(self, at: tuple[int, ...], scores: Sequence[Score]) -> None:
        for metric, score in zip(self.family.metrics, scores, strict=True):
            for part, value in zip(self.cells[metric], (score, score.chance, score.chance_sd), strict=False):
                part[at] = np.nan if value is None else value
            if self._entries:
                self._keep_tail(metric, at, score)
            if score.reason is not None:
                self.reasons += reasons_of([metric], self.x, self.y, at, "undefined", score.reason)
            if self._uncertain and score.stderr is not None:
                table = self.intervals.setdefault(metric, np.full((*self._shape, 3), np.nan))
                table[at] = score.stderr, *score.interval()

    def _keep_tail(self, metric: str, at: tuple[int, ...], score: Score | partial[Score]) -> None:
        """What the p-value is found from when it is read, or the p-value."""
        draw = self._draws.get(metric)
        if metric in self._tested:
            now = self._at_once and isinstance(score, Score)
            self._entries[metric][at] = tail_of(score, draw, at) if now else score  # type: ignore[arg-type]
        elif draw is not None and not np.isnan(self.cells[metric].score[at]):
            self._entries[metric][at] = partial(draw, at)

    def tails(self, metric: str) -> partial[Tails]:
        """P-values of all pairs of layers, found when they are asked for."""
        return partial(tails, self._entries.get(metric), self._shape, self._draws.get(metric))


def reasons_of(
    metrics: Sequence[str], x: Representation, y: Representation, at: tuple[int, ...], status: str, text: str
) -> list[Reason]:
    """Why the scores of two layers do not exist."""
    layers = only_of(x.labels, at[0]), only_of(y.labels, at[1])
    return [Reason(metric, x.name, y.name, *layers, status, text) for metric in metrics]
