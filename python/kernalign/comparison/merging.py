"""Two comparisons of the same items as one: how a model is added to a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kernalign.comparison.best import Maximum
from kernalign.comparison.tables import Array, Mirrored, Names, gathered, pairs_of

_TABLES = ("scores", "chance", "chance_sd", "p_values", "log10_p", "p_methods")
_COUNTS = ("dropped", "unpaired")  # of settings: what was found, not asked for


def merge(one: Any, other: Any) -> Any:
    """See `Comparison.merge`."""
    _check(one, other)
    square = one.square or other.square
    sides = ("x", "y")
    if square:  # of a square one and another, both sides hold the same names
        layers = _united(*(getattr(each, f"{side}_layers") for each in (one, other) for side in sides))
        inputs = _united(*(each.inputs[at] for each in (one, other) for at in (0, 1)))
        named, given = [layers, layers], (inputs, inputs)
    else:
        named = [_united(*(getattr(each, f"{side}_layers") for each in (one, other))) for side in sides]
        given = (
            _united(*(each.inputs[0] for each in (one, other))),
            _united(*(each.inputs[1] for each in (one, other))),
        )
    x, y = map(tuple, named)
    found: dict[str, dict[str, Any]] = {table: {} for table in (*_TABLES, "best_layers", "intervals")}
    for metric in one.metrics:
        symmetric = one.record(metric).symmetric
        pairs = pairs_of(x, y, square, symmetric)
        if one.mode == "best":
            tables = _best(one, other, metric, pairs, (x, y), square and symmetric)
            for table, values in zip(("scores", "best_layers", "chance", "chance_sd", "p_values"), tables, strict=True):
                found[table][metric] = values
            continue
        for table in (*_TABLES, "intervals"):
            own = [getattr(each, table).get(metric) for each in (one, other)]
            if None not in own:
                made: Any = Mirrored if square and symmetric else dict
                found[table][metric] = made({pair: _cell(own, pair, symmetric and square) for pair in pairs})
    seconds = [each.provenance.get("seconds", 0.0) for each in (one, other)]
    return replace(
        one,
        x_layers=named[0],
        y_layers=named[1],
        square=square,
        reasons=tuple(dict.fromkeys((*one.reasons, *other.reasons))),
        caveats=tuple(dict.fromkeys((*one.caveats, *other.caveats))),
        nulls=_nulls(one, other, square),
        inputs=given,
        provenance={**one.provenance, "seconds": sum(seconds), "finished_at": other.provenance.get("finished_at")},
        **found,
    )


def _check(one: Any, other: Any) -> None:
    for what in ("n", "metrics", "mode", "names"):
        a, b = getattr(one, what), getattr(other, what)
        if a != b:
            raise ValueError(f"both comparisons must have the same {what}, got {a} and {b}")
    asked = [{key: value for key, value in each.settings.items() if key not in _COUNTS} for each in (one, other)]
    for key in {**asked[0], **asked[1]}:
        if asked[0].get(key) != asked[1].get(key):
            raise ValueError(f"both must have the same {key}, got {asked[0].get(key)!r} and {asked[1].get(key)!r}")


def _united(*sides: Mapping[str, Any]) -> dict[str, Any]:
    """All names; one that is on several sides must mean the same."""
    found: dict[str, Any] = {}
    for side in sides:
        for name, value in side.items():
            if found.setdefault(name, value) != value:
                raise ValueError(f"{name} must be the same data in both comparisons, got {found[name]} and {value}")
    return found


def _cell(tables: list[Any], pair: Names, symmetric: bool) -> Array:
    for at in (pair, pair[::-1]) if symmetric else (pair,):
        for table in tables:
            found = dict.get(table, at)
            if found is not None:
                return np.asarray(found if at == pair else found.swapaxes(0, 1))
    raise ValueError(f"every pair must be in one of both comparisons, but {pair[0]} × {pair[1]} is in neither")


def _best(
    one: Any, other: Any, metric: str, pairs: list[Names], names: tuple[Any, Any], mirrored: bool
) -> tuple[Array, ...]:
    from_pairs: Any = {}
    tables = [each.best(metric) for each in (one, other)]
    for pair in pairs:
        if pair[0] == pair[1]:
            continue
        for best, (a, b) in ((best, at) for at in ((pair, pair[::-1]) if mirrored else (pair,)) for best in tables):
            if a in best.x_names and b in best.y_names:
                at = best.x_names.index(a), best.y_names.index(b)
                i, j = (int(place) for place in best.layers[at])
                score, *null = (float(part[at]) for part in best.numbers)
                from_pairs[pair] = Maximum(score, (i, j) if (a, b) == pair else (j, i), *null)
                break
        else:
            raise ValueError(f"every pair must be in one of both comparisons, but {pair[0]} × {pair[1]} is in neither")
    return gathered(from_pairs, *names, mirrored)


def _nulls(one: Any, other: Any, square: bool) -> dict[str, Any]:
    found = {}
    for metric in set(one.nulls) & set(other.nulls):
        a, b = one.nulls[metric], other.nulls[metric]
        sides = {side: {**b[side], **a[side]} for side in ("x", "y")}
        whole = {**sides["y"], **sides["x"]}
        found[metric] = {"x": whole, "y": whole} if square else sides
    return found
