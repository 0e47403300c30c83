"""A comparison of models as a plan: states of layers are tasks, and so are pairs of which no states are made."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kernalign._base.cached import cached_property
from kernalign._base.digests import digest_of_text
from kernalign._base.progress import Report
from kernalign._engines.states import ROWS, Store
from kernalign.comparison.compare import defaulted, outcome, prepare
from kernalign.comparison.plan import Plan
from kernalign.comparison.result import Comparison
from kernalign.comparison.run import Run
from kernalign.comparison.tasks.inputs import opened, reference, stamps, told
from kernalign.comparison.tasks.streams import Task

_MOST = 256  # tasks that pairs make


@dataclass(frozen=True, eq=False)
class Models:
    """A comparison: what it is of, by reference, and the keyword arguments of `compare`."""

    xs: Any
    ys: Any
    options: dict[str, Any]
    states: Plan

    @cached_property
    def digest(self) -> str:
        """Tells apart what is done, to which content of which files."""
        of_rows = stamps(self.xs), None if self.ys is None else stamps(self.ys)
        asked = self.states.digest, told(self.options), of_rows
        return digest_of_text(repr(asked))

    @property
    def tasks(self) -> list[Task]:
        alone = [Task((key,)) for key in self.states.states() if key.kind != ROWS]  # which are found again
        pairs = self.states.apart()
        step = -(-len(pairs) // _MOST)
        return alone + [Task(tuple(pairs[at : at + step])) for at in range(0, len(pairs), step or 1)]

    def run(self, task: Task, threads: int) -> Store:
        """The state of a task, or nothing where the data do not allow it: the end will say why."""
        made = Store()
        for key in task.keys:
            state = _prepared(self, threads).state(key)
            if not isinstance(state, Exception):
                made[key] = state
        return made

    def finish(self, store: Store, report: Report = None) -> Comparison:
        """The comparison; states that the store lacks are made."""
        begun, (run, settings) = time.perf_counter(), self.prepare(0)
        run.shop.store.merge(store)
        return outcome(run, settings, report, begun)

    def prepare(self, threads: int, **changed: Any) -> tuple[Run, dict[str, Any]]:
        """Open what is compared."""
        sides = opened(self.xs), None if self.ys is None else opened(self.ys)
        return prepare(*sides, **{**self.options, "threads": threads or None, **changed})


def make_models(metrics: Any, xs: Any, ys: Any, options: dict[str, Any]) -> Models:
    """The plan of a comparison; everything is checked and opened once, here."""
    given = defaulted(xs, ys, metrics=metrics, **options)
    sides = reference(xs, "xs"), None if ys is None else reference(ys, "ys")
    made = Models(*sides, given, None)  # type: ignore[arg-type]
    return Models(*sides, given, made.prepare(0)[0].plan)


@lru_cache(maxsize=2)
def _prepared(plan: Models, threads: int) -> Run:
    """What is compared, open, with the errors of layers noted."""
    return plan.prepare(threads, errors="record")[0]
