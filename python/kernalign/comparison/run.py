"""Carries out a plan: makes every state once, finishes the pairs, and keeps what the result needs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from kernalign._base.progress import Report
from kernalign._base.score import Score
from kernalign._engines.states import Store
from kernalign._rows.layered import Layer, Representation
from kernalign.comparison.best import Cells, Maximum, Nulls, maximum
from kernalign.comparison.caveats import Caveats
from kernalign.comparison.families.base import Family, Workshop
from kernalign.comparison.plan import Plan
from kernalign.comparison.result import Comparison
from kernalign.comparison.tables import Names, gathered, layer_name
from kernalign.metrics.registry import METRICS

_TABLES = ("scores", "chance", "chance_sd", "p_values")
_BEST_TABLES = ("scores", "best_layers", "chance", "chance_sd", "p_values")  # in the order of `gathered`
_UNITS = 1000  # progress steps of one task


class Run:
    """One comparison under way."""

    def __init__(self, plan: Plan, x: Sequence[Representation], y: Sequence[Representation], threads: int) -> None:
        self.plan = plan
        self.x, self.y = ({one.name: one for one in side} for side in (x, y))
        self.sides = {"x": self.x} if plan.square else {"x": self.x, "y": self.y}
        layers = {layer.place: layer for side in self.sides.values() for one in side.values() for layer in one.layers}
        self.shop = Workshop(layers, Store(), threads)
        self.caveats = Caveats()
        self.cells: dict[str, dict[Names, Cells]] = {}
        self.best: dict[str, dict[Names, Maximum]] = {}
        self.nulls: dict[str, Nulls] = {}

    def work(self, report: Report) -> None:
        plan, store = self.plan, self.shop.store
        states = plan.states()
        pairs = [(family, plan.pairs(family), self._inner(family)) for family in plan.families]
        steps = _Steps(report, len(states) + sum(len(self._layer_pairs(own)) + len(inner) for _, own, inner in pairs))
        for key, family in states.items():
            store.make(key, partial(family.make, key, self.shop, steps.share()))
            steps.step()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.caveats.listen(caught)
            for family, own, inner in pairs:
                scored = steps.counted(family.scores(inner + self._layer_pairs(own), self.shop))
                first = [next(scored)[0] for _ in inner]
                if plan.searches and family.searched:
                    self._find_nulls(family, family.searched, iter(first))
                self.caveats.heard(None)
                for pair in own:
                    self._score(family, pair, scored)
        self.caveats.done()

    def result(self, settings: dict[str, Any]) -> Comparison:
        plan = self.plan
        layers = [{name: one.labels for name, one in side.items()} for side in (self.x, self.y)]
        kept: dict[str, Any] = {table: {} for table in _BEST_TABLES}
        for metric in plan.metrics:
            if plan.mode == "best":
                mirrored = plan.square and METRICS[metric].symmetric
                parts: Any = gathered(self.best[metric], tuple(self.x), tuple(self.y), mirrored)
                found = dict(zip(_BEST_TABLES, parts, strict=True))
            else:
                cells = self.cells[metric].items()
                found = {name: {pair: own[at] for pair, own in cells} for at, name in enumerate(_TABLES)}
            for table, part in found.items():
                kept[table][metric] = part
        tables: Any = self.cells if plan.mode == "all" else self.best
        self.caveats.judge(self.sides, tables, self.shop.store, plan.asked.given("cka").get("estimator"))
        return Comparison(
            metrics=plan.metrics,
            n=plan.asked.n,
            x_layers=layers[0],
            y_layers=layers[1],
            square=plan.square,
            mode=plan.mode,
            reasons=tuple(self.caveats.reasons),
            notes=tuple(self.caveats.notes),
            settings=settings,
            nulls=self.nulls,
            **kept,
        )

    def _layer_pairs(self, pairs: Sequence[Names]) -> list[tuple[Layer, Layer]]:
        return [(a, b) for x, y in pairs for a in self.x[x].layers for b in self.y[y].layers]

    def _inner(self, family: Family) -> list[tuple[Layer, Layer]]:
        """Pairs of layers of one representation whose scores the null of a search over layers is made of."""
        if not (self.plan.searches and family.searched):
            return []
        return [pair for side in self.sides.values() for one in side.values() for pair in family.inner_pairs(one)]

    def _score(self, family: Family, pair: Names, scored: Iterator[list[Score]]) -> None:
        x, y = self.x[pair[0]], self.y[pair[1]]
        shape = len(x.layers), len(y.layers)
        found = {metric: Cells(*np.full((4, *shape), np.nan)) for metric in family.metrics}
        for at in np.ndindex(shape):
            scores = next(scored)
            where = partial(_where, x, y, at)
            self.caveats.heard(where)
            for metric, score in zip(family.metrics, scores, strict=True):
                if score.reason is not None:
                    self.caveats.undefined(metric, where(), score.reason)
                tail = score.p_value if self.plan.p_values else None
                for part, value in zip(found[metric], (score, score.chance, score.chance_sd, tail), strict=True):
                    part[at] = np.nan if value is None else value
        for metric, cells in found.items():
            if self.plan.mode == "all":
                self.cells.setdefault(metric, {})[pair] = cells
            else:
                most = maximum(metric, cells, self.nulls.get(metric), pair, self.plan.asked.n)
                self.best.setdefault(metric, {})[pair] = most

    def _find_nulls(self, family: Family, metric: str, inner: Iterator[Score]) -> None:
        """What the covariance of layers is made of."""
        self.caveats.check_ties(family, self.sides, self.shop)
        made = {
            side: {one.name: family.null_parts(one, inner, self.shop) for one in members.values()}
            for side, members in self.sides.items()
        }
        self.nulls[metric] = {"x": made["x"], "y": made.get("y", made["x"])}


class _Steps:
    """Progress of many tasks as one."""

    def __init__(self, report: Report, count: int) -> None:
        self._report, self._count, self._done = report, count, 0

    def step(self) -> None:
        self._done += 1
        if self._report is not None:
            self._report(self._done * _UNITS, self._count * _UNITS)

    def counted(self, scored: Iterator[list[Score]]) -> Iterator[list[Score]]:
        """The same, each as a step."""
        for scores in scored:
            self.step()
            yield scores

    def share(self) -> Report:
        """A report for one task, as a part of all."""
        report = self._report
        if report is None:
            return None
        begin, total = self._done * _UNITS, self._count * _UNITS
        return lambda done, of: report(begin + (_UNITS * done) // max(1, of), total)


def _where(x: Representation, y: Representation, at: tuple[int, ...]) -> str:
    return " × ".join(layer_name(one.name, one.labels, layer) for one, layer in zip((x, y), at, strict=True))
