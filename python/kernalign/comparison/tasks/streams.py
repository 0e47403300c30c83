"""One metric of rows that need not fit in memory: its tasks, what each of them makes, and the scores in the end."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from kernalign import _core
from kernalign._base import checks
from kernalign._base.cached import cached_property
from kernalign._base.digests import digest_of_text
from kernalign._base.memory import check_memory
from kernalign._base.score import Score
from kernalign._engines import neighbors as engine
from kernalign._engines import sampled
from kernalign._engines.states import StateKey, Store
from kernalign._rows import arrays
from kernalign._rows.pairing import check_same_order
from kernalign.comparison.tables import Names, pairs_of
from kernalign.comparison.tasks.inputs import Rows, told
from kernalign.comparison.tasks.parts import MOMENTS, NEAREST, Nearest, part_key, whole
from kernalign.metrics.moments import Moments
from kernalign.metrics.record import OfLists
from kernalign.metrics.registry import METRICS, metric_name

OF_MOMENTS = tuple(name for name in METRICS if callable(getattr(Moments, name, None)))
OF_LISTS = tuple(name for name, record in METRICS.items() if isinstance(record.states, OfLists))

Lane: TypeAlias = tuple[str | int, ...]
_CHUNK_BYTES = 256 << 20  # of rows of all layers that a task reads
_BLOCK = 1024  # of Moments: whole ones, so that tasks cut a stream where it is cut anyway
_SCRATCH = 150 << 20  # of an engine, beside rows and states


class Task(NamedTuple):
    """A part of a plan: the keys of the states that it makes, alone."""

    keys: tuple[StateKey, ...]


@dataclass(frozen=True, eq=False)
class Stream:
    """The scores of a metric between layers of x and of y, row by row of all layers at once.

    Attributes
    ----------
    metric, options : its name and keyword arguments
    x, y : layers by name
    square : one set with itself, each pair once where the metric is symmetric
    single : there is one score, of one pair
    chunk : rows of a task
    queries : how many rows are drawn, whose neighbours stand for those of all; None for all
    """

    metric: str
    options: Mapping[str, Any]
    x: Mapping[str, Rows]
    y: Mapping[str, Rows]
    square: bool
    single: bool
    chunk: int
    queries: int | None

    @property
    def n(self) -> int:
        return next(iter(self.x.values())).shape[0]

    @property
    def blocks(self) -> int:
        return -(-self.n // self.chunk)

    @property
    def pairs(self) -> list[Names]:
        return pairs_of(tuple(self.x), tuple(self.y), self.square, METRICS[self.metric].symmetric)

    @property
    def lanes(self) -> dict[Lane, Rows]:
        """The layers whose neighbours are found."""
        sides = {"x": self.x} if self.square else {"x": self.x, "y": self.y}
        return {(side, name): rows for side, layers in sides.items() for name, rows in layers.items()}

    @cached_property
    def digest(self) -> str:
        """Tells apart what is done, to which content of which files, in which pieces."""
        of_rows = {lane: (rows.shape, rows.stamp) for lane, rows in self.lanes.items()}
        asked = (self.metric, told(self.options), self.square, self.chunk, self.queries, of_rows)
        return digest_of_text(repr(asked))

    @property
    def tasks(self) -> list[Task]:
        if self.metric in OF_MOMENTS:
            return [Task(tuple([part_key(MOMENTS, pair, at) for pair in self.pairs])) for at in range(self.blocks)]
        if self.queries is not None:
            return [Task((part_key(NEAREST, lane, at),)) for lane in self.lanes for at in range(self.blocks)]
        both = [(i, j) for i in range(self.blocks) for j in range(i, self.blocks)]
        return [Task(tuple(dict.fromkeys(_of_blocks(lane, i, j)))) for lane in self.lanes for i, j in both]

    def run(self, task: Task, threads: int) -> Store:
        """The states of a task."""
        for rows in self.lanes.values():
            rows.check()
        made = Store()
        if self.metric in OF_MOMENTS:
            [at] = {int(key.options[-2]) for key in task.keys}
            blocks = {lane: rows.read(*self._span(at)) for lane, rows in self.lanes.items()}
            with _numbered(self._span(at)[0]):
                for key in task.keys:
                    a, b = (blocks[side, name] for side, name in self.sides_of(key.options[:2]))
                    made[key] = Moments().update(a, b, threads=threads or None)
        else:
            lane = task.keys[0].options[:-2] if self.queries is not None else task.keys[0].options[:-3]
            found = self._nearest_of_queries if self.queries is not None else self._nearest_of_blocks
            for key, state in zip(task.keys, found(task, lane, threads), strict=True):
                made[key] = state
        return made

    def finish(self, store: Store) -> Score | dict[Names, Score]:
        """The score, or those of all pairs."""
        if self.metric in OF_MOMENTS:
            scores = {
                pair: getattr(whole(store, MOMENTS, pair, self.blocks), self.metric)(**self.options)
                for pair in self.pairs
            }
        else:
            lists = {lane: self._lists(store, lane) for lane in self.lanes}
            k, metric = self._k, METRICS[self.metric].function
            own = {name: value for name, value in self.options.items() if name not in ("k", "metric")}
            scores = {pair: metric(*[lists[side] for side in self.sides_of(pair)], k, **own) for pair in self.pairs}
        return next(iter(scores.values())) if self.single else scores

    @property
    def _k(self) -> int:
        return int(self.options.get("k", 10))

    @property
    def _similarity(self) -> str:
        return str(self.options.get("metric", "cosine"))

    def sides_of(self, pair: Any) -> tuple[Lane, Lane]:
        return ("x", pair[0]), ("x" if self.square else "y", pair[1])

    def _span(self, at: int) -> tuple[int, int]:
        return at * self.chunk, min(self.n, (at + 1) * self.chunk)

    def _nearest_of_queries(self, task: Task, lane: Lane, threads: int) -> Iterator[Nearest]:
        """Of the rows drawn, the nearest in one block."""
        assert self.queries is not None
        rows = self.lanes[lane]
        start, stop = self._span(int(task.keys[0].options[-2]))
        drawn = sampled.sampled_rows(self.n, self.queries)
        length = self._k + 1  # one more says whether the k-th ties
        asked = min(length + 1, stop - start)  # a row finds itself
        with _numbered(start):
            block = arrays.rows(rows.read(start, stop), rows.name)
            scorer = _core.ExactRows(block, self._similarity, threads)
        asking = _core.ExactRows(_queries(self, lane), self._similarity, threads)
        every = np.arange(len(drawn), dtype=np.int32)
        near, similarity, _ = sampled.lists_of(scorer, every, asked, threads, of=asking)
        index = near.astype(np.int64) + start
        own = index == drawn[:, None]
        first = np.argsort(own, axis=1, kind="stable")
        similarity = np.where(own, -np.inf, similarity)
        found = [np.take_along_axis(one, first, axis=1) for one in (np.where(own, -1, index), similarity)]
        yield _padded(found[0], found[1], length)

    def _nearest_of_blocks(self, task: Task, lane: Lane, threads: int) -> Iterator[Nearest]:
        """Of the rows of two blocks, the nearest in both."""
        rows, (i, j) = self.lanes[lane], map(int, task.keys[0].options[-3:-1])
        spans = [self._span(at) for at in sorted({i, j})]
        with _numbered(spans[0][0] if len(spans) == 1 else None):
            both = np.concatenate([rows.read(*span) for span in spans])
            if len(both) == 1:  # the last row, alone in its block, among itself
                yield _padded(np.empty((1, 0)), np.empty((1, 0)), self._k + 1)
                return
            source = arrays.rows(both, rows.name)
            length = self._k + 1
            found = engine.find(
                source, min(length, len(both) - 1), self._similarity, "native", threads, None, sets=False
            ).lists
        places = np.concatenate([np.arange(*span) for span in spans])
        begin = 0
        for start, stop in spans:
            part = slice(begin, begin + stop - start)
            yield _padded(places[found.indices[part]], found.similarities[part], length)
            begin = part.stop

    def _lists(self, store: Store, lane: Lane) -> engine.Neighbors:
        """The lists of one layer."""
        k, how = self._k, dict[str, Any](metric=self._similarity)
        if self.queries is not None:
            parts = [whole(store, NEAREST, lane, self.blocks)]
            rows = sampled.sampled_rows(self.n, self.queries)
            how |= {"backend": "sample", "rows": rows, "items": self.n}
        else:
            parts = [whole(store, NEAREST, (*lane, at), self.blocks) for at in range(self.blocks)]
        index, similarity = (np.concatenate(one) for one in zip(*parts, strict=True))
        tied = similarity[:, k - 1] == similarity[:, k]
        return engine.Neighbors(index[:, :k].astype(np.int32), similarity[:, :k], tied, **how)


def make_stream(
    metric: str, x: Any, y: Any, budget: int | None, chunk: int | None, queries: int | None, options: dict[str, Any]
) -> Stream:
    """The plan of a metric of sources; options are checked here."""
    metric = metric_name(metric)
    if metric not in (*OF_MOMENTS, *OF_LISTS):
        known = ", ".join((*OF_MOMENTS, *OF_LISTS))
        raise ValueError(f"{metric} needs all rows at once; those that do not are {known}")
    single = y is not None and not any(isinstance(side, (Mapping, list, tuple)) for side in (x, y))
    parts = {"x": _parts(x, "x"), "y": _parts(x, "x") if y is None else _parts(y, "y")}
    sides = {name: {label: Rows(*part) for label, part in own.items()} for name, own in parts.items()}
    for name, side in sides.items():
        if not side:
            raise ValueError(f"{name} must hold at least one layer, got none")
    given = [rows for side in sides.values() for rows in side.values()]
    n = given[0].shape[0]
    for rows in given:
        checks.check_same_rows(n, rows.shape[0], given[0].name, rows.name)
    asked = [part for own in parts.values() for part, _ in own.values()]
    check_same_order(*(rows.side(part) for rows, part in zip(given, asked, strict=True)))
    if metric in OF_MOMENTS:
        _check_options(getattr(Moments, metric), options, metric, ("estimator", "statistic", "centred"))
        checks.check_unread(queries=(queries, None))
    else:
        _check_options(METRICS[metric].function, options, metric, ("k", "metric", "ties"))
        checks.check_k(options.setdefault("k", 10), n)
        checks.check_choice(options.get("metric", "cosine"), "metric", engine.METRICS)
        if queries is not None:
            queries = min(n, checks.integer(queries, "queries", 1, wanted="a number of rows"))
    made = Stream(metric, options, sides["x"], sides["y"], y is None, single, n, queries)
    return replace(made, chunk=_chunk(made, budget, chunk))


def _chunk(made: Stream, budget: int | None, asked: int | None) -> int:
    """Rows of a task: what was asked for, or so many that some tasks can work side by side within the budget.

    Without a budget it depends on shapes alone, so that a run that is taken up again has the same tasks.
    """
    n, lanes = made.n, made.lanes.values()
    widths = {lane: rows.shape[1] for lane, rows in made.lanes.items()}
    if made.metric in OF_MOMENTS:
        sides = [[widths[lane] for lane in made.sides_of(pair)] for pair in made.pairs]
        state = 8 * sum([p * p + p * q + q * q for p, q in sides])
        by_row, fixed = sum([rows.shape[1] * rows.itemsize for rows in lanes]), (2 + len(bin(n // _BLOCK))) * state
        unit, parts, remedy = _BLOCK, 16, "fewer layers at a time need less"
    else:
        lists = 16 * (made._k + 1)
        widest = max([rows.shape[1] * rows.itemsize for rows in lanes])
        if made.queries is None:
            by_row, fixed, parts = 2 * widest + 24 * made._k + 256 + 4 * lists, 2 * len(widths) * n * lists, 8
            remedy = "queries=20_000 draws rows and needs less"
        else:
            by_row, fixed, parts = widest + 48, made.queries * (widest + 2 * len(widths) * lists), 16
            remedy = "fewer queries need less"
        unit = made._k + 2
    fixed += _SCRATCH
    what = f"{made.metric} of {n} rows"
    check_memory(fixed + unit * by_row, what, budget, remedy, "memory_budget")
    most = n if asked is None else min(n, checks.integer(asked, "chunk", unit))
    wanted = _CHUNK_BYTES if budget is None else min(_CHUNK_BYTES, budget - fixed)
    fits: int = max(unit, wanted // by_row // unit * unit)
    if asked is None:
        return min(most, fits, max(unit, -(-n // parts // unit) * unit if n > parts * unit else n))
    check_memory(fixed + most * by_row, what, budget, f"chunk={fits} fits", "memory_budget")
    return most // unit * unit if most < n and unit == _BLOCK else most


@contextmanager
def _numbered(start: int | None) -> Iterator[None]:
    """Errors that number rows say from where."""
    try:
        yield
    except ValueError as error:
        if start:
            raise ValueError(f"{error}, counting rows from row {start}") from error
        raise


@lru_cache(maxsize=2)
def _queries(plan: Stream, lane: Lane) -> _core.Rows:
    """The rows drawn of a layer."""
    assert plan.queries is not None
    rows = plan.lanes[lane]
    return arrays.rows(rows.some(sampled.sampled_rows(plan.n, plan.queries)), rows.name)


def _of_blocks(lane: Lane, i: int, j: int) -> list[StateKey]:
    """What the rows of block i find in block j, and the other way round."""
    return [part_key(NEAREST, (*lane, i), j), part_key(NEAREST, (*lane, j), i)]


def _padded(index: Any, similarity: Any, length: int) -> Nearest:
    missing = max(0, length - index.shape[1])
    wide = [(0, 0), (0, missing)]
    index = np.pad(index[:, :length].astype(np.int64), wide, constant_values=-1)
    return Nearest(index, np.pad(similarity[:, :length], wide, constant_values=-np.inf))


def _check_options(function: Any, options: Mapping[str, Any], metric: str, known: tuple[str, ...]) -> None:
    for name in options:
        if name not in known or name not in inspect.signature(function).parameters:
            raise TypeError(f"{metric} of rows that are read in parts takes no {name!r}")


def _parts(given: Any, name: str) -> dict[str, tuple[Any, str]]:
    """The layers of a side, and what errors call them."""
    if isinstance(given, Mapping):
        return {label: (part, f"{name}[{label!r}]") for label, part in given.items()}
    if isinstance(given, (list, tuple)):
        return {str(at): (part, f"{name}[{at}]") for at, part in enumerate(given)}
    return {name: (given, name)}
