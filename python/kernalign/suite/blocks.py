"""Which scores a suite needs, the keys that tell them from others, and blocks of those that are not there yet."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kernalign.suite.data import Entry, Items, Known, digest
from kernalign.suite.description import P_VALUES, Description, Metric

SIDE = 16  # models of a block on either side


class Wanted(NamedTuple):
    """One score, or those of all pairs of layers, of two models; ``turned``: the key's first is y."""

    key: str
    metric: str
    x: str
    y: str
    turned: bool


@dataclass(frozen=True)
class Block:
    """Work for one process: some models against some others, or each other, under metrics that share states."""

    set: str
    metrics: tuple[Metric, ...]
    x: tuple[Entry, ...]
    y: tuple[Entry, ...] | None  # None: those of x with each other
    keys: Mapping[str, tuple[str, bool]]  # "metric\nx\ny" -> key of what is kept, and whether its first is y
    digests: Mapping[str, str]  # of the models
    items: Items
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        return digest(sorted(key for key, _ in self.keys.values()))


def wanted(
    description: Description, entries: Sequence[Entry], known: Mapping[str, Known], items: Items
) -> list[Wanted]:
    """All scores of a set that can be: every pair once where a metric is symmetric, else in both orders."""
    found = []
    pairs, sides = list(pairs_of(description, entries)), {one.name: one.side for one in entries}
    for metric in description.metrics:
        what = _what(description, metric, items)
        symmetric = metric.record.symmetric
        for x, y in pairs if symmetric else [both for pair in pairs for both in (pair, pair[::-1])]:
            models: list[Any] = [known[name].digest for name in (x, y)]
            readable = all(models)
            if metric.by_side:
                models = [[known[name].digest, repr(metric.by_side[str(sides[name])])] for name in (x, y)]
            turned = symmetric and models[0] > models[1]
            if readable:
                key = digest([*what, *(models[::-1] if turned else models)])
                found.append(Wanted(key, metric.id, x, y, turned))
    return found


def pairs_of(description: Description, entries: Sequence[Entry]) -> Iterable[tuple[str, str]]:
    """The pairs of models of a set, each once."""
    sides = {one.name: one.side for one in entries}
    if description.which == "list":
        for pair in description.pairs:
            for name in pair:
                if name not in sides:
                    raise ValueError(f"pairs.list names {name!r}, which is no model; models are {', '.join(sides)}")
            yield pair
        return
    names = list(sides)
    for at, x in enumerate(names):
        for y in names[at + 1 :]:
            if description.which == "all" or (sides[x] == sides[y]) == (description.which == "within"):
                yield x, y


def options_of(metric: Metric) -> dict[str, Any]:
    """The options of a metric, its function's defaults where none are given."""
    parameters = inspect.signature(metric.record.function).parameters.values()
    own = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY and one.name not in ("groups",)}
    states = metric.record.states
    if getattr(states, "estimator", None) and own.get("estimator") is None:
        own["estimator"] = states.estimator  # type: ignore[union-attr]
    return {name: value for name, value in {**own, **metric.options}.items() if value is not None}


def _what(description: Description, metric: Metric, items: Items) -> list[Any]:
    """What a key says of all but the two models. Names, threads, blocks and executors stay out of it."""
    options = {name: repr(value) for name, value in sorted(options_of(metric).items()) if value is not metric.by_side}
    asked = {name: repr(value) for name, value in sorted(description.preprocessing.items())}
    p = description.defaults.get("p", "exact")
    who = items.digest, items.groups_digest
    return [metric.name, metric.record.version, options, asked, p, description.mode, *who, description.seed]


def blocks(
    description: Description,
    name: str,
    entries: Sequence[Entry],
    known: Mapping[str, Known],
    missing: Sequence[Wanted],
    items: Items,
    limits: Mapping[str, Any],
) -> list[Block]:
    """Blocks of at most 16 x 16 models that hold the missing scores and nothing else, but what a block has anyway.

    Where items are dropped a block is one pair: of several models it would drop the bad items of any for all.
    """
    side = 1 if "drop_pair" in description.preprocessing.values() else SIDE
    by_name = {one.name: one for one in entries}
    kinds = {one.name: one.side for one in entries}
    place = {one.name: at for at, one in enumerate(entries)}
    options = {
        **description.preprocessing,
        "layers": description.mode,
        "p_values": P_VALUES[description.defaults.get("p", "exact")],
        **limits,
    }
    found = []
    for metrics in _families(description.metrics):
        ids = {metric.id for metric in metrics}
        keys: dict[tuple[str, str], dict[str, tuple[str, bool]]] = {}
        for one in missing:
            if one.metric in ids:
                keys.setdefault((one.x, one.y), {})[one.metric] = one.key, one.turned
        tiles: dict[Any, dict[tuple[str, str], dict[str, tuple[str, bool]]]] = {}
        for (x, y), own in keys.items():
            tile: Any = place[x] // side, place[y] // side, tuple(sorted(own))
            if any(metric.by_side for metric in metrics):
                tile = *tile, kinds[x], kinds[y]  # a kernel is of all x, or of all y
            tiles.setdefault(tile, {})[x, y] = own
        for (_, _, which, *sides_of), own_pairs in tiles.items():
            chosen = tuple(metric for metric in metrics if metric.id in which)
            across = len(set(sides_of)) > 1
            for xs, ys in _rectangles(list(own_pairs), symmetric=metrics[0].record.symmetric, across=across):
                kept = {
                    "\n".join((metric, x, y)): key
                    for (x, y), own in own_pairs.items()
                    if x in xs and (ys is None or y in ys)
                    for metric, key in own.items()
                }
                sides = [None if side is None else tuple(by_name[one] for one in side) for side in (xs, ys)]
                digests = {one.name: known[one.name].digest for side in sides for one in side or ()}
                found.append(Block(name, chosen, sides[0] or (), sides[1], kept, digests, items, options))
    return found


def _families(metrics: Sequence[Metric]) -> list[tuple[Metric, ...]]:
    """Metrics that may share states: of one kind, symmetric or not; others alone."""
    found: dict[Any, list[Metric]] = {}
    for metric in metrics:
        kind = type(metric.record.states), metric.record.symmetric
        found.setdefault(kind if metric.record.states is not None else metric.id, []).append(metric)
    return [tuple(own) for own in found.values()]


def _rectangles(
    pairs: list[tuple[str, str]], *, symmetric: bool, across: bool = False
) -> list[tuple[list[str], list[str] | None]]:
    """Sets of x and y whose pairs are those given, each once; y is None where it is all of x with each other, and they
    are not ``across`` two sides. Of symmetric metrics each x is then paired with those after it."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    all_pairs = len(names) * (len(names) - 1) // (2 if symmetric else 1)
    if not across and len(pairs) == all_pairs and len(names) <= SIDE:
        firsts = Counter(x for x, _ in pairs)
        places = {name: at for at, name in enumerate(sorted(names, key=lambda name: -firsts[name]))}
        if all(places[x] < places[y] if symmetric else x != y for x, y in pairs):
            return [(list(places), None)]
    partners: dict[str, list[str]] = {}
    for x, y in pairs:
        partners.setdefault(x, []).append(y)
    alike: dict[tuple[str, ...], list[str]] = {}
    for x, ys in partners.items():
        alike.setdefault(tuple(ys), []).append(x)
    if len(alike) > 1:  # or the other way about, where that takes fewer
        turned: dict[str, list[str]] = {}
        for x, y in pairs:
            turned.setdefault(y, []).append(x)
        others: dict[tuple[str, ...], list[str]] = {}
        for y, own in turned.items():
            others.setdefault(tuple(own), []).append(y)
        if len(others) < len(alike):
            return [(list(own), ys) for own, ys in others.items()]
    return [(own, list(ys)) for ys, own in alike.items()]


def describe_options(metric: Metric) -> str:
    """The options of a metric as rows have them."""
    return json.dumps(dict(metric.options), sort_keys=True, default=str)
