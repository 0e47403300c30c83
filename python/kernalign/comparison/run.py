"""Carries out a plan: makes every state once, finishes the pairs, and keeps what the result needs."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from kernalign._base.kernels import Delta, Precomputed
from kernalign._base.progress import Report
from kernalign._base.readable import said
from kernalign._base.score import AlignmentWarning
from kernalign._base.threads import held
from kernalign._engines.states import StateKey, Store
from kernalign._rows import on_device
from kernalign._rows.layered import Place, Representation, first_error
from kernalign.comparison.best import Array, Cells, Nulls, Searched
from kernalign.comparison.best_tables import best_tables, null_parts, nulls_of
from kernalign.comparison.caveats import Caveats, Where
from kernalign.comparison.drawn import Tails, tails
from kernalign.comparison.families.base import AtOnce, Family, Scorer, Workshop
from kernalign.comparison.families.grams import VARIANCE_SHARE
from kernalign.comparison.finished_pairs import NULL, PAIR, Paired
from kernalign.comparison.pair_scores import PairScores, reasons_of
from kernalign.comparison.plan import Plan
from kernalign.comparison.result import Comparison
from kernalign.comparison.tables import Later, Names, input_of, only_of

_TABLES = ("scores", "chance", "chance_sd")
_FAILURES = (ValueError, OSError, ArithmeticError, MemoryError)  # of data; other errors are misuse or bugs
_UNITS = 1000  # progress steps of one task
_ALONE = threading.RLock()  # of tasks of one process: what is warned of is told by filters that all threads share


def _forked() -> None:
    """In a forked process no other thread is there to let go of it."""
    global _ALONE
    _ALONE = threading.RLock()


os.register_at_fork(after_in_child=_forked)


class Run:
    """One comparison under way; what fails is recorded, and costs nothing else, or raised at once."""

    def __init__(
        self,
        plan: Plan,
        x: Sequence[Representation],
        y: Sequence[Representation],
        threads: int,
        *,
        record: bool = False,
        place: int | None = None,
        copies: on_device.Copies | None = None,
    ) -> None:
        self.plan, self.record = plan, record
        self.x, self.y = ({one.name: one for one in side} for side in (x, y))
        self.sides = {"x": self.x} if plan.square else {"x": self.x, "y": self.y}
        layers = {layer.place: layer for side in self.sides.values() for one in side.values() for layer in one.layers}
        self.shop = Workshop(layers, Store(), threads, place)
        self.copies = on_device.Copies() if copies is None else copies  # of layers, on the device
        self.caveats = Caveats()
        self.cells: dict[str, dict[Names, Cells]] = {}
        self.tails: dict[str, dict[Names, partial[Tails]]] = {}
        self.intervals: dict[str, dict[Names, Array]] = {}
        self.nulls: dict[str, partial[Nulls]] = {}
        self._scorers: dict[Any, Scorer | None] = {}  # of pairs that are done alone, by the family's number
        self.pairings = plan.pairings()
        self.scored = False
        self.error = first_error([one for side in (x, y) for given in side for one in given.opened.values()])

    def state(self, key: StateKey) -> Any:
        """One state of the plan alone, or the error that keeps it from being made."""
        with _ALONE:
            if key.kind == PAIR:
                return self._paired(key)
            if key.kind == NULL:
                at, side, name = key.options
                one = self.sides[str(side)][str(name)]
                return self._tried(partial(null_parts, self.plan.families[int(at)], one, self.shop))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AlignmentWarning)  # what is finished from it warns
                return self._tried(partial(self.plan.states()[key].make, key, self.shop, None))

    def _paired(self, key: StateKey) -> Paired | Exception:
        """What a pair comes to, with all that the result would ask of it, or an error that keeps it from that."""
        at, *pair = key.options
        family = self.plan.families[int(at)]
        x, y = (side[str(name)] for name, side in zip(pair, (self.x, self.y), strict=True))
        caveats = Caveats()
        with held(self.shop.threads, self.plan.asked.n), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            caveats.listen(caught)
            if at not in self._scorers:
                self._scorers[at] = family.scorer(self.shop) if self.shop.layers else None
            sides = list(x.opened.values()), list(y.opened.values())
            found = PairScores(self.plan, family, x, y, sides, self.shop, self.pairings)
            self._score(found, self._scorers[at], None, caveats, _Steps(None, 0))
            tails = {metric: found.tails(metric)() for metric in family.metrics}
            caveats.heard(None)
        every = [one.place for one in (*x.layers, *y.layers)]
        shares = [(place, self.shop.store.get(StateKey(VARIANCE_SHARE, (), place))) for place in every]
        known = [(place, share) for place, share in shares if share]
        for reason in found.reasons:
            if reason.status == "failed":
                return ValueError(reason.text)
        return Paired(found.cells, tails, found.intervals, found.reasons, caveats.found, known)

    def _take(self, pair: Names, known: Paired) -> None:
        """Take what a pair came to in a task of its own."""
        self._keep(pair, known, lambda metric: partial(_same, known.tails[metric]))
        self.caveats.found += known.caveats
        for place, share in known.shares:
            self.shop.store[StateKey(VARIANCE_SHARE, (), place)] = share
        self.scored = True

    def _keep(self, pair: Names, found: Paired | PairScores, tails: Callable[[str], partial[Tails]]) -> None:
        for metric, cells in found.cells.items():
            self.cells.setdefault(metric, {})[pair] = cells
            self.tails.setdefault(metric, {})[pair] = tails(metric)
        for metric, table in found.intervals.items():
            self.intervals.setdefault(metric, {})[pair] = table
        self.caveats.reasons += found.reasons

    def work(self, report: Report) -> None:
        plan = self.plan
        pairs = [(family, plan.pairs(family)) for family in plan.families]
        count = sum([len(self.x[a].labels) * len(self.y[b].labels) for _, own in pairs for a, b in own])
        steps = _Steps(report, len(plan.states()) + count)
        widest = max([layer.width for layer in plan.layers], default=0)
        with (
            held(self.shop.threads, min(plan.asked.n, widest)),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            self.caveats.listen(caught)
            made = [self._states(family, steps) for family in plan.families]
            self.caveats.heard(None)
            apart = {key.options: state for key, state in self.shop.store.only(PAIR).items()}
            nulls = self.shop.store.only(NULL).items()
            for at, ((family, own), (shop, failed)) in enumerate(zip(pairs, made, strict=True)):
                if plan.searches and family.searched:
                    self.caveats.check_ties(family, self.sides, shop)
                    lean = replace(shop, store=shop.store.only(*family.null_states()))
                    made_apart = {key.options[1:]: state for key, state in nulls if key.options[0] == at}
                    self.nulls[family.searched] = partial(nulls_of, family, self.sides, lean, made_apart)
                scorer = family.scorer(shop) if shop.layers else None
                at_once = None if self.plan.p_values and not family.light else family.at_once(shop)
                layers = {
                    side: {name: _layers(one, failed) for name, one in members.items()}
                    for side, members in self.sides.items()
                }
                of_y = layers.get("y", layers["x"])
                for a, b in own:
                    known = apart.get((at, a, b))
                    if known is not None:
                        self._take((a, b), known)
                        steps.step(len(self.x[a].labels) * len(self.y[b].labels))
                        continue
                    own_layers = layers["x"][a], of_y[b]
                    found = PairScores(plan, family, self.x[a], self.y[b], own_layers, shop, self.pairings)
                    scored = self._score(found, scorer, at_once, self.caveats, steps)
                    self._keep((a, b), found, found.tails)
                    self.scored = self.scored or scored
        self.caveats.done()
        if not self.scored and self.error is not None:
            raise self.error  # there is no rest that it could cost

    def stop(self, why: str) -> int:
        """End where an interrupt has left it: what was not scored is nan for this reason; how many these are."""
        missing = 0
        every = [(family, self.plan.pairs(family)) for family in self.plan.families]
        for family, pair in [(family, pair) for family, own in every for pair in own]:
            if all(pair in self.cells.get(metric, ()) for metric in family.metrics):
                continue
            x, y = self.x[pair[0]], self.y[pair[1]]
            shape = len(x.labels), len(y.labels)
            for metric in family.metrics:
                self.cells.setdefault(metric, {})[pair] = Cells(*np.full((4, *shape), np.nan))
                self.tails.setdefault(metric, {})[pair] = partial(tails, None, shape, None)
            for at in np.ndindex(shape):
                self.caveats.reasons += reasons_of(family.metrics, x, y, at, "failed", why)
                missing += len(family.metrics)
        self.caveats.done()
        return missing

    def _states(self, family: Family, steps: _Steps) -> tuple[Workshop, dict[Place, Exception]]:
        """Make what a family needs: a workshop of the layers of which that can be made, and why the others are not."""
        shop, store = self.shop, self.shop.store
        failed: dict[Place, Exception] = {}
        bad: dict[Place, Exception] | None = None
        while shop.layers and bad != {}:
            bad = {}
            for key in family.states(tuple(shop.layers.values())):
                if key in store:
                    continue
                error = self._tried(partial(store.make, key, partial(family.make, key, shop, steps.share())))
                steps.step()
                if isinstance(error, Exception):
                    bad |= {key.place: error} if key.place is not None else self._unfit(family, shop, error)
            failed |= bad
            shop = replace(shop, layers={place: one for place, one in shop.layers.items() if place not in failed})
        return shop, failed

    def _unfit(self, family: Family, shop: Workshop, error: Exception) -> dict[Place, Exception]:
        """The layers that a joint state cannot be made of, and why: all of them if each alone is fit."""
        checked = {place: self._tried(partial(family.check, layer, shop)) for place, layer in shop.layers.items()}
        found = {place: one for place, one in checked.items() if isinstance(one, Exception)}
        return found or dict.fromkeys(shop.layers, error)

    def _tried(self, make: Callable[[], Any]) -> Any:
        try:
            if self.copies:
                with contextlib.suppress(MemoryError):
                    return make()
                self.copies.clear()  # which may be what there was no room beside
            return make()
        except _FAILURES as error:
            return self._failure(error)

    def _failure(self, error: Exception) -> Exception:
        """Note an error that is being handled, or raise it."""
        if not self.record:
            raise
        self.error = self.error or error
        return error.with_traceback(None)  # whose frames hold arrays

    def result(self, settings: dict[str, Any], provenance: Mapping[str, Any]) -> Comparison:
        plan = self.plan
        layers = [{name: one.labels for name, one in side.items()} for side in (self.x, self.y)]
        inputs = {
            side: {name: tuple(map(input_of, one.opened.values())) for name, one in members.items()}
            for side, members in self.sides.items()
        }
        nulls = Later(self.nulls)
        best = self._searched(nulls) if plan.mode == "best" else {}
        tables = best_tables(plan, best) if plan.mode == "best" else self._tables()
        judged: Any = best or self.cells
        given = {type(own) for family in plan.families for own in getattr(family, "kernels", ())}
        if given.isdisjoint((Precomputed, Delta)):
            self.caveats.check_pairings(self.sides, plan.asked.n)
        self.caveats.judge(self.sides, judged, self.shop.store, plan.asked)
        return Comparison(
            metrics=plan.metrics,
            n=plan.asked.n,
            x_layers=layers[0],
            y_layers=layers[1],
            square=plan.square,
            mode=plan.mode,
            reasons=tuple(self.caveats.reasons),
            caveats=tuple(self.caveats.found),
            names=dict(plan.asked.names),
            settings=settings,
            provenance=provenance,
            intervals={metric: plan.table(metric)(own) for metric, own in self.intervals.items()},
            inputs=(inputs["x"], inputs.get("y", inputs["x"])),
            nulls=nulls,
            **tables,
        )

    def _tables(self) -> dict[str, Any]:
        kinds = dict(zip(self.plan.metrics, map(self.plan.table, self.plan.metrics), strict=True))
        found: dict[str, Any] = {}
        for at, table in enumerate(_TABLES):
            found[table] = own = {}
            for metric, kind in kinds.items():
                cells = self.cells[metric]
                own[metric] = kind(zip(cells, map(itemgetter(at), cells.values()), strict=True))
        read = Later({metric: partial(_read, self.tails[metric]) for metric in self.plan.metrics})

        def part(metric: str, at: int) -> dict[Names, Array]:
            return kinds[metric]({pair: one[at] for pair, one in read[metric].items()})

        for at, table in enumerate(("p_values", "log10_p", "p_methods")):
            found[table] = Later({metric: partial(part, metric, at) for metric in self.plan.metrics})
        return found | {"best_layers": {}}

    def _searched(self, nulls: Mapping[str, Nulls]) -> dict[str, dict[Names, Searched]]:
        n = self.plan.asked.n
        return {
            metric: {
                pair: Searched(self.plan.asked.record(metric), metric, own, self.tails[metric][pair], nulls, pair, n)
                for pair, own in self.cells[metric].items()
            }
            for metric in self.plan.metrics
        }

    def _score(
        self, found: PairScores, scorer: Scorer | None, at_once: AtOnce | None, caveats: Caveats, steps: _Steps
    ) -> bool:
        """Score all pairs of layers of two representations; whether any has a score."""
        family, layers, x, y = found.family, found.layers, found.x, found.y
        alike = x is y and family.mirrored
        mirror: dict[tuple[int, ...], Any] = {}
        places = found.begin(at_once, scorer)
        known = len(layers[0]) * len(layers[1]) - len(places)
        scored = known > 0
        if known:
            steps.step(known)
        for at in places:
            if at[::-1] in mirror:
                scores = mirror[at[::-1]]
            else:
                scores = self._scores(scorer, layers[0][at[0]], layers[1][at[1]])
            if steps.watched:
                steps.step()
            if caveats.caught:
                caveats.heard(partial(_where, x, y, at))
            if isinstance(scores, Exception):
                found.reasons += reasons_of(family.metrics, x, y, at, "failed", said(scores))
                continue
            scored = True
            found.keep(at, scores)
            if alike and not [score for score in scores if score.reason]:  # a reason tells x from y
                mirror[at] = scores
        return scored

    def _scores(self, scorer: Scorer | None, a: Any, b: Any) -> Any:
        """Those of two layers, or the error that keeps them from being made."""
        if isinstance(a, Exception) or isinstance(b, Exception) or scorer is None:
            return a if isinstance(a, Exception) else b
        try:
            return scorer(a, b)
        except _FAILURES as error:
            return self._failure(error)


def _layers(one: Representation, failed: Mapping[Place, Exception]) -> list[Any]:
    """Those of a representation, or why they cannot be scored."""
    opened = list(one.opened.values())
    if not failed:
        return opened
    return [own if isinstance(own, Exception) else failed.get(own.place, own) for own in opened]


def _same(found: Tails) -> Tails:
    return found


def _read(found: Mapping[Names, partial[Tails]]) -> dict[Names, Tails]:
    return {pair: tail() for pair, tail in found.items()}


class _Steps:
    """Progress of many tasks as one."""

    def __init__(self, report: Report, count: int) -> None:
        self._report, self._count, self._done = report, count, 0
        self.watched = report is not None

    def step(self, count: int = 1) -> None:
        self._done = min(self._done + count, self._count)  # what failed is tried again without the bad layers
        if self._report is not None:
            self._report(self._done * _UNITS, self._count * _UNITS)

    def share(self) -> Report:
        """A report for one task, as a part of all."""
        report = self._report
        if report is None:
            return None
        begin, total = self._done * _UNITS, self._count * _UNITS
        return lambda done, of: report(begin + (_UNITS * done) // max(1, of), total)


def _where(x: Representation, y: Representation, at: tuple[int, ...]) -> Where:
    return x.name, y.name, only_of(x.labels, at[0]), only_of(y.labels, at[1])
