"""Carries out a plan: makes every state once, finishes the pairs, and keeps what the result needs."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from kernalign._base.progress import Report
from kernalign._base.score import AlignmentWarning, Score
from kernalign._engines.states import Store
from kernalign._rows.layered import Layer, Representation
from kernalign.comparison.best import Array, Cells, Maximum, Nulls, Searched
from kernalign.comparison.caveats import Caveats
from kernalign.comparison.families.base import Family, Workshop
from kernalign.comparison.plan import Plan
from kernalign.comparison.result import Comparison
from kernalign.comparison.tables import Later, Names, gathered, layer_name
from kernalign.metrics.registry import METRICS

_TABLES = ("scores", "chance", "chance_sd")
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
        self.tails: dict[str, dict[Names, partial[Array]]] = {}
        self.nulls: dict[str, partial[Nulls]] = {}

    def work(self, report: Report) -> None:
        plan, store = self.plan, self.shop.store
        states = plan.states()
        pairs = [(family, plan.pairs(family)) for family in plan.families]
        steps = _Steps(report, len(states) + sum(len(self._layer_pairs(own)) for _, own in pairs))
        for key, family in states.items():
            store.make(key, partial(family.make, key, self.shop, steps.share()))
            steps.step()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.caveats.listen(caught)
            for family, own in pairs:
                scored = steps.counted(family.scores(self._layer_pairs(own), self.shop))
                if plan.searches and family.searched:
                    self.caveats.check_ties(family, self.sides, self.shop)
                    shop = replace(self.shop, store=store.only(*family.null_states()))
                    self.nulls[family.searched] = partial(_nulls, family, self.sides, shop)
                for pair in own:
                    self._score(family, pair, scored)
        self.caveats.done()

    def result(self, settings: dict[str, Any]) -> Comparison:
        plan = self.plan
        layers = [{name: one.labels for name, one in side.items()} for side in (self.x, self.y)]
        nulls = Later(self.nulls)
        best = self._searched(nulls) if plan.mode == "best" else {}
        tables = _best_tables(plan, best) if plan.mode == "best" else self._tables()
        judged: Any = best or self.cells
        self.caveats.judge(self.sides, judged, self.shop.store, plan.asked.given("cka").get("estimator"))
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
            nulls=nulls,
            **tables,
        )

    def _tables(self) -> dict[str, Any]:
        ordered = [(metric, self.cells[metric]) for metric in self.plan.metrics]
        found: dict[str, Any] = {
            table: {metric: {pair: own[at] for pair, own in cells.items()} for metric, cells in ordered}
            for at, table in enumerate(_TABLES)
        }
        return found | {
            "p_values": Later({metric: partial(_p_values, self.tails[metric]) for metric in self.plan.metrics}),
            "best_layers": {},
        }

    def _searched(self, nulls: Mapping[str, Nulls]) -> dict[str, dict[Names, Searched]]:
        return {
            metric: {
                pair: Searched(metric, own, self.tails[metric][pair], nulls, pair, self.plan.asked.n)
                for pair, own in self.cells[metric].items()
            }
            for metric in self.plan.metrics
        }

    def _layer_pairs(self, pairs: Sequence[Names]) -> list[tuple[Layer, Layer]]:
        return [(a, b) for x, y in pairs for a in self.x[x].layers for b in self.y[y].layers]

    def _score(self, family: Family, pair: Names, scored: Iterator[list[Score]]) -> None:
        x, y = self.x[pair[0]], self.y[pair[1]]
        shape = len(x.layers), len(y.layers)
        found = {metric: Cells(*np.full((4, *shape), np.nan)) for metric in family.metrics}
        tails: dict[str, list[Score]] = {metric: [] for metric in family.metrics}
        later = self.plan.p_values and family.light
        now = self.plan.p_values and not later
        for at in itertools.product(*map(range, shape)):
            scores = next(scored)
            where = partial(_where, x, y, at)
            if self.caveats.caught:
                self.caveats.heard(where)
            for metric, score in zip(family.metrics, scores, strict=True):
                if score.reason is not None:
                    self.caveats.undefined(metric, where(), score.reason)
                at_once = score.p_value if now else None
                for part, value in zip(found[metric], (score, score.chance, score.chance_sd, at_once), strict=True):
                    part[at] = np.nan if value is None else value
                if later:
                    tails[metric].append(score)
        for metric, cells in found.items():
            self.cells.setdefault(metric, {})[pair] = cells
            self.tails.setdefault(metric, {})[pair] = partial(_tail, tails[metric], cells.p_value)


def _tail(scores: Sequence[Score], known: Array) -> Array:
    """P-values of all pairs of layers: of the scores, if any were kept, nan where there is none."""
    values = [np.nan if score.p_value is None else score.p_value for score in scores]
    return np.array(values).reshape(known.shape) if values else known


def _p_values(tails: Mapping[Names, partial[Array]]) -> dict[Names, Array]:
    return {pair: tail() for pair, tail in tails.items()}


def _best_tables(plan: Plan, best: Mapping[str, Mapping[Names, Searched]]) -> dict[str, Any]:
    """Scores and layers, and chance levels that are found when they are read."""
    x, y = (tuple(one.name for one in side) for side in (plan.x, plan.y))

    def table(metric: str, found: Mapping[Names, Maximum]) -> dict[str, Array]:
        mirrored = plan.square and METRICS[metric].symmetric
        return dict(zip(_BEST_TABLES, gathered(found, x, y, mirrored), strict=True))

    def gather(metric: str) -> dict[str, Array]:
        return table(metric, {pair: one.calibrated for pair, one in best[metric].items()})

    def known(metric: str) -> dict[str, Array]:
        found = {pair: Maximum(one.score, one.layers, *[np.nan] * 3) for pair, one in best[metric].items()}
        return table(metric, found)

    levels = Later({metric: partial(gather, metric) for metric in best})
    scores = {metric: known(metric) for metric in best}
    return {
        name: {metric: found[name] for metric, found in scores.items()}
        if name in ("scores", "best_layers")
        else Later({metric: partial(lambda metric, name: levels[metric][name], metric, name) for metric in best})
        for name in _BEST_TABLES
    }


def _nulls(family: Family, sides: Mapping[str, Mapping[str, Representation]], shop: Workshop) -> Nulls:
    """What the covariance of layers is made of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AlignmentWarning)
        made = {
            side: {name: family.null_parts(one, shop) for name, one in members.items()}
            for side, members in sides.items()
        }
    return {"x": made["x"], "y": made.get("y", made["x"])}


class _Steps:
    """Progress of many tasks as one."""

    def __init__(self, report: Report, count: int) -> None:
        self._report, self._count, self._done = report, count, 0

    def step(self) -> None:
        self._done += 1
        if self._report is not None:
            self._report(self._done * _UNITS, self._count * _UNITS)

    def counted(self, scored: Iterator[list[Score]]) -> Iterator[list[Score]]:
        """The same, each as a step where somebody watches."""
        return scored if self._report is None else self._counted(scored)

    def _counted(self, scored: Iterator[list[Score]]) -> Iterator[list[Score]]:
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
