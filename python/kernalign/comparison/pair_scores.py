"""The scores of one pair of representations by the metrics of one family: of each layer of x with each of y."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from kernalign._base.score import Score, null_moments
from kernalign._rows.layered import Representation
from kernalign._statistics.pairings import Pairings
from kernalign.comparison.best import Array, Cells
from kernalign.comparison.drawn import Drawn, Tails, tail_of, tails
from kernalign.comparison.families.base import AtOnce, Family, Scorer, Workshop
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
        layers: tuple[Sequence[Any], Sequence[Any]],
        shop: Workshop,
        pairings: Pairings | None,
    ) -> None:
        self.family, self.x, self.y = family, x, y
        self.layers = layers
        self.cells: dict[str, Cells] = {}
        self.intervals: dict[str, Array] = {}
        self.reasons: list[Reason] = []
        self._shape = shape = len(x.labels), len(y.labels)
        self._uncertain = "uncertainty" in plan.asked.own(family.metrics[0])
        self._draws: dict[str, Drawn] = {}
        if pairings is not None:
            how = (shop, pairings, plan.permutations)
            self._draws = {metric: Drawn(family, metric, layers, *how) for metric in family.metrics}
        self._entries = {metric: np.empty(shape, dtype=object) for metric in family.metrics if plan.p_values}
        self._at_once = bool(plan.p_values) and not family.light  # p, or the scores hold what it is found from
        # Of metrics that know no groups a p-value would be that of independent rows; drawn, whole groups change places.
        asked = plan.asked
        self._tested = set(self._entries)
        if plan.mode == "best" and shape != (1, 1):  # whose null is that of the best
            self._tested, self._draws = set(), {}
        elif asked.groups is not None:
            self._tested = {name for name in self._entries if asked.record(name).takes("groups")}

    def begin(self, at_once: AtOnce | None, scorer: Scorer | None) -> list[tuple[int, ...]]:
        """Take what a family knows at once; the pairs of layers of which the scores are yet to be made.

        Of the others they are made where more than the values is asked for.
        """
        metrics, every = self.family.metrics, list(itertools.product(*map(range, self._shape)))
        for metric in metrics:
            self.cells[metric] = at_once(*self.layers) if at_once else Cells(*np.full((4, *self._shape), np.nan))
        if at_once is None:
            return every
        known = np.isfinite(self.cells[metrics[0]].score).ravel().tolist()
        for which, metric in enumerate(self._entries):
            draw, entries = self._draws.get(metric), self._entries[metric]
            for a, b in itertools.compress(every, known):
                if metric in self._tested:
                    entries[a, b] = partial(_made, scorer, self.layers[0][a], self.layers[1][b], which)
                elif draw is not None:
                    entries[a, b] = partial(draw, (a, b))
        return [at for at, done in zip(every, known, strict=True) if not done]

    def keep(self, at: tuple[int, ...], scores: Sequence[Score]) -> None:
        """Take the scores of two layers, of every metric."""
        for metric, score in zip(self.family.metrics, scores, strict=True):
            moments = null_moments(score, drawn=bool(self._entries))
            for part, value in zip(self.cells[metric], (score, *moments), strict=False):
                part[at] = np.nan if value is None else value
            draw = self._draws.get(metric)
            if metric in self._tested:
                self._entries[metric][at] = tail_of(score, draw, at) if self._at_once else score
            elif draw is not None and not math.isnan(score):
                self._entries[metric][at] = partial(draw, at)
            if score.reason is not None:
                self.reasons += reasons_of([metric], self.x, self.y, at, "undefined", score.reason)
            if self._uncertain and score.stderr is not None:
                table = self.intervals.setdefault(metric, np.full((*self._shape, 3), np.nan))
                table[at] = score.stderr, *score.interval()

    def tails(self, metric: str) -> partial[Tails]:
        """P-values of all pairs of layers, found when they are asked for."""
        return partial(tails, self._entries.get(metric), self._shape, self._draws.get(metric))


def _made(scorer: Any, a: Any, b: Any, which: int) -> Score:
    """One of the scores of two layers, of which so far only the value was needed."""
    scores: list[Score] = scorer(a, b)
    return scores[which]


def reasons_of(
    metrics: Sequence[str], x: Representation, y: Representation, at: tuple[int, ...], status: str, text: str
) -> list[Reason]:
    """Why the scores of two layers do not exist."""
    layers = only_of(x.labels, at[0]), only_of(y.labels, at[1])
    return [Reason(metric, x.name, y.name, *layers, status, text) for metric in metrics]
