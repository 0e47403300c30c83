"""Writes a Comparison to a file and reads it back: JSON and numbers under a checksum, never a pickle."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checkpoint
from kernalign._base.packing import pack, unpack
from kernalign.comparison.best import check_nulls
from kernalign.comparison.tables import Array, Caveat, Input, Mirrored, Names, Reason, pairs_of
from kernalign.metrics import registry

Made = TypeVar("Made")

_KIND = "Comparison"
_TABLES = ("scores", "chance", "chance_sd", "p_values")
_PAIRED = ("log10_p", "p_methods", "intervals")  # in mode "all"
_HEADER = ("metrics", "n", "x_layers", "y_layers", "square", "mode", "settings", "names", "provenance")


def save(comparison: Any, path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """See `Comparison.save`."""
    arrays: dict[str, Array] = {}
    facts = {name: getattr(comparison, name) for name in _HEADER}
    facts |= {"reasons": list(map(list, comparison.reasons)), "nulls": pack(_plain(comparison.nulls), arrays)}
    facts |= {"caveats": [list(_finite(one)) for one in comparison.caveats], "inputs": comparison.inputs}
    methods = facts["methods"] = [""]
    for metric in comparison.metrics:
        pairs = comparison.pairs(metric)
        for table in _TABLES:
            values = getattr(comparison, table)[metric]
            arrays[f"{table} {metric}"] = values if comparison.mode == "best" else _joined(values, pairs)
        if comparison.mode == "best":
            arrays[f"best_layers {metric}"] = comparison.best_layers[metric]
        for table in _PAIRED:
            values = getattr(comparison, table).get(metric)
            if values is not None:
                joined = _joined(values, pairs)
                arrays[f"{table} {metric}"] = _numbered(joined, methods) if table == "p_methods" else joined
    checkpoint.write(path, _KIND, facts, arrays, overwrite=overwrite)


def load(path: str | os.PathLike[str], make: Callable[..., Made]) -> Made:
    """See `Comparison.load`; ``make`` is the class."""
    with checkpoint.reading(path, _KIND) as (header, arrays):
        metrics, n, mode, square = (header[name] for name in ("metrics", "n", "mode", "square"))
        if type(n) is not int or n < 1 or type(square) is not bool or mode not in ("all", "best"):
            raise ValueError("n, square and mode must be a positive integer, a boolean and 'all' or 'best'")
        if not all(isinstance(header[name], list) for name in ("metrics", "reasons", "caveats", "methods", "inputs")):
            raise ValueError("metrics, reasons, caveats, methods and inputs must be lists")
        if not all(isinstance(header[name], dict) for name in ("settings", "names", "provenance")):
            raise ValueError("settings, names and provenance must be dicts")
        _check_settings(header["settings"], header["provenance"])
        names = {str(metric): str(name) for metric, name in header["names"].items()}
        x, y = (
            {str(name): tuple(map(str, labels)) for name, labels in header[key].items()}
            for key in ("x_layers", "y_layers")
        )
        if not all(x.values()) or not all(y.values()) or (square and x != y):
            raise ValueError("every representation must have a layer, and both sides of a set with itself be the same")
        found: dict[str, dict[str, Any]] = {table: {} for table in (*_TABLES, "best_layers", *_PAIRED)}
        for metric in metrics:
            symmetric = registry.check_metric(names.get(metric, metric)).symmetric
            for table, values in found.items():
                array: Any = arrays.pop(f"{table} {metric}", None)
                if mode == "best" and table not in _PAIRED:
                    shape = (len(x), len(y), *[2] * (table == "best_layers"))
                    values[metric] = _shaped(array, shape)
                    if table == "best_layers":
                        values[metric] = _checked_places(values[metric], x, y)
                elif table in _TABLES or array is not None:
                    depth = (3,) if table == "intervals" else ()
                    parts = _parted(array, x, y, square, symmetric, depth)
                    if table == "p_methods":
                        parts = {pair: _worded(part, header["methods"]) for pair, part in parts.items()}
                    values[metric] = Mirrored(parts) if square and symmetric else parts
        nulls = unpack(header["nulls"], arrays)
        check_nulls(nulls, metrics, {"x": x, "y": y})
        return make(
            metrics=tuple(metrics),
            n=n,
            x_layers=x,
            y_layers=y,
            square=square,
            mode=mode,
            reasons=tuple(map(_reason, header["reasons"])),
            caveats=tuple(map(_caveat, header["caveats"])),
            settings=dict(header["settings"]),
            names=names,
            inputs=tuple(_inputs(*each) for each in zip(header["inputs"], (x, y), strict=True)),
            provenance=dict(header["provenance"]),
            nulls=nulls,
            **found,
        )


def _plain(nulls: Any) -> Any:
    return {name: _plain(part) for name, part in nulls.items()} if hasattr(nulls, "items") else nulls


def _check_settings(settings: Any, provenance: Any) -> None:
    """What methods make something of; the rest is only shown."""
    k, options = settings["k"], settings.get("metric_options", {})
    if type(k) is not int or not 1 <= k < 2**31:
        raise ValueError(f"k must be a positive integer, got {k}")
    if not isinstance(options, dict) or not all(isinstance(own, dict) for own in options.values()):
        raise ValueError("metric_options must hold a dict for each metric")
    if type(provenance.get("seconds", 0.0)) not in (int, float):
        raise ValueError("seconds must be a number")


def _reason(words: Any) -> Reason:
    found = Reason(*words)
    if not all(isinstance(word, str) or (word is None and place in (3, 4)) for place, word in enumerate(found)):
        raise ValueError(f"a reason must be words, got {words}")
    return found


def _finite(caveat: Caveat) -> Caveat:
    return caveat._replace(value=caveat.value if math.isfinite(caveat.value) else None)  # type: ignore[arg-type]


def _caveat(parts: Any) -> Caveat:
    found = Caveat(*parts)
    words = (found.kind, found.x, found.text), (found.y, found.x_layer, found.y_layer)
    if not all(isinstance(word, str) for word in (*words[0], *(one for one in words[1] if one is not None))):
        raise ValueError(f"a caveat must be words and a number, got {parts}")
    return found._replace(value=math.nan if found.value is None else float(found.value))


def _inputs(given: Any, layers: Any) -> dict[str, tuple[Input, ...]]:
    found = {str(name): tuple([Input(int(p), str(digest)) for p, digest in own]) for name, own in given.items()}
    if any(len(own) != len(layers[name]) for name, own in found.items()):
        raise ValueError("inputs must hold every layer")
    return found


def _numbered(words: Array, vocabulary: list[str]) -> Array:
    """Places of words in a vocabulary, which grows."""
    places = {word: at for at, word in enumerate(vocabulary)}
    found = [places.setdefault(word, len(places)) for word in words]
    vocabulary[:] = places
    return np.array(found, dtype=np.int32)


def _worded(places: Array, vocabulary: list[Any]) -> Array:
    if not ((places >= 0) & (places < len(vocabulary))).all():
        raise ValueError("p_methods must be places in the vocabulary")
    found = [str(vocabulary[int(at)]) for at in places.ravel()]
    return np.array(found, dtype=object).reshape(places.shape)


def _joined(table: Any, pairs: Sequence[Names]) -> Array:
    return np.concatenate([np.ravel(table[pair]) for pair in pairs]) if pairs else np.empty(0)


def _shaped(array: Array, shape: tuple[int, ...]) -> Array:
    if array is None or array.shape != shape:
        raise ValueError(f"a table must have the shape {shape}, got {None if array is None else array.shape}")
    return array.astype(np.float64)


def _checked_places(best: Array, x: Any, y: Any) -> NDArray[np.intp]:
    """Places of layers, -1 where there is none."""
    ends = np.stack(np.meshgrid(*([len(one) for one in side.values()] for side in (x, y)), indexing="ij"), axis=-1)
    if not ((best >= -1) & (best < ends) & (best == np.floor(best))).all():
        raise ValueError("best_layers must be places of layers")
    return best.astype(np.intp)


def _parted(array: Array, x: Any, y: Any, square: bool, symmetric: bool, depth: tuple[int, ...]) -> dict[Names, Array]:
    """The tables of all pairs from one array that holds them; no more pairs are named than it has numbers."""
    least = max(1, len(x) * (len(x) - 1) // 2) if square else len(x) * len(y)
    if array is None or array.ndim != 1 or least > array.size:
        raise ValueError(f"a table must hold a number for each of {least} pairs")
    pairs = pairs_of(tuple(x), tuple(y), square, symmetric)
    shapes = [(len(x[a]), len(y[b]), *depth) for a, b in pairs]
    ends = np.cumsum([int(np.prod(shape, dtype=object)) for shape in shapes])
    if ends[-1] != array.size:
        raise ValueError(f"a table must hold {ends[-1]} numbers, got {array.size}")
    parts = np.split(array.astype(np.float64), ends[:-1])
    return {pair: part.reshape(shape) for pair, part, shape in zip(pairs, parts, shapes, strict=True)}
