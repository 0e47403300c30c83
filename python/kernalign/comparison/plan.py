"""One comparison under way: prepares every layer once, scores the pairs, and keeps what the result needs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, TypeGuard

import numpy as np

from kernalign._base.progress import Report
from kernalign._base.score import Score
from kernalign._engines.gram_source import EXACT_SKEW_ROWS, Side
from kernalign._rows.layered import Layer, Representation
from kernalign.comparison.best import Cells, Maximum, Nulls, maximum
from kernalign.comparison.caveats import Caveats
from kernalign.comparison.families.scores import Family, Grams, Lists, Shared
from kernalign.comparison.result import Comparison
from kernalign.comparison.tables import Names, gathered, layer_name, pairs_of
from kernalign.metrics import registry

_BEST_TABLES = ("scores", "best_layers", "chance", "chance_sd", "p_values")  # in the order of `gathered`
_UNITS = 1000  # progress steps of one task


class Run:
    """One comparison under way."""

    def __init__(
        self,
        x: Sequence[Representation],
        y: Sequence[Representation],
        square: bool,
        shared: Shared,
        mode: Literal["all", "best"],
        p_values: bool,
    ) -> None:
        self.x = {one.name: one for one in x}
        self.y = {one.name: one for one in y}
        self.square, self.shared, self.mode, self.p_values = square, shared, mode, p_values
        self.caveats = Caveats()
        self.cells: dict[str, dict[Names, Cells]] = {}
        self.best: dict[str, dict[Names, Maximum]] = {}
        self.nulls: dict[str, Nulls] = {}

    def work(self, groups: list[Family], report: Report) -> None:
        every = [layer for side in self._sides().values() for one in side.values() for layer in one.layers]
        preparations = [task for group in groups for task in group.prepare(every)]
        plans = [(group, self._pairs(group)) for group in groups]
        own = {id(group): self._within(group) for group in groups}
        count = sum(len(self._layer_pairs(pairs)) + len(own[id(group)]) for group, pairs in plans)
        steps = _Steps(report, len(preparations) + count)
        for task in preparations:
            task(steps.share())
            steps.step()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.caveats.listen(caught)
            for group, pairs in plans:
                scored = group.scores(own[id(group)] + self._layer_pairs(pairs))
                inner = [self._next(scored, steps) for _ in own[id(group)]]
                self._find_nulls(group, [scores[0] for scores in inner])
                self.caveats.heard(None)
                for pair in pairs:
                    self._score(group, pair, scored, steps)
        self.caveats.done()

    def result(self, names: Sequence[str], settings: dict[str, Any]) -> Comparison:
        layers = {side: {name: one.labels for name, one in self._side(side).items()} for side in "xy"}
        kept: dict[str, Any] = {"scores": {}, "chance": {}, "chance_sd": {}, "p_values": {}, "best_layers": {}}
        for metric in names:
            if self.mode == "best":
                mirrored = self.square and registry.METRICS[metric].symmetric
                parts = gathered(self.best[metric], tuple(self.x), tuple(self.y), mirrored)
                for table, part in zip(
                    ("scores", "best_layers", "chance", "chance_sd", "p_values"), parts, strict=True
                ):
                    kept[table][metric] = part
            else:
                for at, table in enumerate(("scores", "chance", "chance_sd", "p_values")):
                    kept[table][metric] = {pair: cells[at] for pair, cells in self.cells[metric].items()}
        tables: Any = self.cells if self.mode == "all" else self.best
        self.caveats.judge(self._sides(), tables, self._estimator("cka"))
        return Comparison(
            metrics=tuple(names),
            n=self.shared.n,
            x_layers=layers["x"],
            y_layers=layers["y"],
            square=self.square,
            mode=self.mode,
            reasons=tuple(self.caveats.reasons),
            notes=tuple(self.caveats.notes),
            settings=settings,
            nulls=self.nulls,
            **kept,
        )

    def _estimator(self, metric: str) -> str | None:
        own: str | None = self.shared.options.get(metric, {}).get("estimator", self.shared.estimator)
        return own

    def _side(self, side: str) -> dict[str, Representation]:
        return self.x if side == "x" else self.y

    def _sides(self) -> dict[str, dict[str, Representation]]:
        return {"x": self.x} if self.square else {"x": self.x, "y": self.y}

    def _pairs(self, group: Family) -> list[Names]:
        symmetric = registry.METRICS[group.metrics[0]].symmetric
        return pairs_of(tuple(self.x), tuple(self.y), self.square, symmetric)

    def _layer_pairs(self, pairs: Sequence[Names]) -> list[tuple[Layer, Layer]]:
        return [(a, b) for x, y in pairs for a in self.x[x].layers for b in self.y[y].layers]

    def _within(self, group: Family) -> list[tuple[Layer, Layer]]:
        """Pairs of layers of one representation, whose CKA the null of a search over layers is made of."""
        if not (self._searches() and _calibrates_cka(group)):
            return []
        return [
            (a, b)
            for side in self._sides().values()
            for one in side.values()
            for at, a in enumerate(one.layers)
            for b in one.layers[at + 1 :]
        ]

    def _searches(self) -> bool:
        """Whether there are layers to choose from, and enough items for the covariance of their scores."""
        every = (one for side in self._sides().values() for one in side.values())
        return self.p_values and self.shared.n >= 4 and any(len(one.layers) > 1 for one in every)

    def _next(self, scored: Iterator[list[Score]], steps: _Steps) -> list[Score]:
        found = next(scored)
        steps.step()
        return found

    def _score(self, group: Family, pair: Names, scored: Iterator[list[Score]], steps: _Steps) -> None:
        x, y = self.x[pair[0]], self.y[pair[1]]
        shape = len(x.layers), len(y.layers)
        found = {metric: Cells(*np.full((4, *shape), np.nan)) for metric in group.metrics}
        for at in np.ndindex(shape):
            scores = self._next(scored, steps)
            where = partial(_where, x, y, at)
            self.caveats.heard(where)
            for metric, score in zip(group.metrics, scores, strict=True):
                if score.reason is not None:
                    self.caveats.undefined(metric, where(), score.reason)
                tail = score.p_value if self.p_values else None
                for part, value in zip(found[metric], (score, score.chance, score.chance_sd, tail), strict=True):
                    part[at] = np.nan if value is None else value
        for metric, cells in found.items():
            if self.mode == "all":
                self.cells.setdefault(metric, {})[pair] = cells
            else:
                most = maximum(metric, cells, self.nulls.get(metric), pair, self.shared.n)
                self.best.setdefault(metric, {})[pair] = most

    def _find_nulls(self, group: Family, inner: Sequence[Score]) -> None:
        """What the covariance of layers is made of, for the metrics that have one."""
        if not self._searches():
            return
        if _calibrates_cka(group):
            scores = iter(inner)
            self._keep_nulls("cka", lambda one: {"self": _own_cka(one, scores), **_skew_parts(group, one)})
        if isinstance(group, Lists) and "mutual_knn" in group.metrics:
            self.caveats.check_ties(group, self._sides())
            self._keep_nulls("mutual_knn", lambda one: group.covariance_parts(one.layers))

    def _keep_nulls(self, metric: str, make: Callable[[Representation], dict[str, Any]]) -> None:
        made = {side: {one.name: make(one) for one in members.values()} for side, members in self._sides().items()}
        self.nulls[metric] = {"x": made["x"], "y": made.get("y", made["x"])}


class _Steps:
    """Progress of many tasks as one."""

    def __init__(self, report: Report, count: int) -> None:
        self._report, self._count, self._done = report, count, 0

    def step(self) -> None:
        self._done += 1
        if self._report is not None:
            self._report(self._done * _UNITS, self._count * _UNITS)

    def share(self) -> Report:
        """A report for one task, as a part of all."""
        report = self._report
        if report is None:
            return None
        begin, total = self._done * _UNITS, self._count * _UNITS
        return lambda done, of: report(begin + (_UNITS * done) // max(1, of), total)


def _calibrates_cka(group: Family) -> TypeGuard[Grams]:
    return isinstance(group, Grams) and "cka" in group.metrics and group.estimator == "unbiased"


def _own_cka(one: Representation, scores: Iterator[Score]) -> Any:
    """CKA of all pairs of layers of one representation, in the order of `Run._within`."""
    own = np.eye(len(one.layers))
    for i in range(len(own)):
        for j in range(i + 1, len(own)):
            own[i, j] = own[j, i] = next(scores)
    return own


def _skew_parts(group: Grams, one: Representation) -> dict[str, Any]:
    """What the skewness of the CKA of every layer is made of: see `layer_search`."""
    n = group.shared.n
    if n < 6:
        return {}
    sides = [group.side(layer) for layer in one.layers]
    if n > EXACT_SKEW_ROWS:
        return {"ratio": np.array([_skew_ratio(side) for side in sides])}
    cubes = np.array([side.cubes for side in sides])
    cubes[cubes[:, 0] <= 0] = np.nan  # a constant layer
    return {"cubes": cubes}


def _skew_ratio(side: Side) -> float:
    try:
        return side.skew_ratio
    except ZeroDivisionError:  # a constant layer
        return math.nan


def _where(x: Representation, y: Representation, at: tuple[int, ...]) -> str:
    return " × ".join(layer_name(one.name, one.labels, layer) for one, layer in zip((x, y), at, strict=True))
