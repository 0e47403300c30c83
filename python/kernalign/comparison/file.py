"""Writes a Comparison to a file and reads it back: JSON and numbers under a checksum, never a pickle."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checkpoint
from kernalign._base.packing import pack, unpack
from kernalign.comparison.tables import Array, Names, Reason, pairs_of
from kernalign.metrics import registry

Made = TypeVar("Made")

_KIND = "Comparison"
_TABLES = ("scores", "chance", "chance_sd", "p_values")
_HEADER = ("metrics", "n", "x_layers", "y_layers", "square", "mode", "notes", "settings")


def save(comparison: Any, path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """See `Comparison.save`."""
    arrays: dict[str, Array] = {}
    facts = {name: getattr(comparison, name) for name in _HEADER}
    facts |= {"reasons": list(map(list, comparison.reasons)), "nulls": pack(_plain(comparison.nulls), arrays)}
    for metric in comparison.metrics:
        pairs = comparison.pairs(metric)
        for table in _TABLES:
            values = getattr(comparison, table)[metric]
            arrays[f"{table} {metric}"] = values if comparison.mode == "best" else _joined(values, pairs)
        if comparison.mode == "best":
            arrays[f"best_layers {metric}"] = comparison.best_layers[metric]
        if metric in comparison.intervals:
            arrays[f"intervals {metric}"] = _joined(comparison.intervals[metric], pairs)
    checkpoint.write(path, _KIND, facts, arrays, overwrite=overwrite)


def load(path: str | os.PathLike[str], make: Callable[..., Made]) -> Made:
    """See `Comparison.load`; ``make`` is the class."""
    with checkpoint.reading(path, _KIND) as (header, arrays):
        metrics, n, mode, square = (header[name] for name in ("metrics", "n", "mode", "square"))
        if type(n) is not int or n < 1 or type(square) is not bool or mode not in ("all", "best"):
            raise ValueError("n, square and mode must be a positive integer, a boolean and 'all' or 'best'")
        if not all(isinstance(header[name], list) for name in ("metrics", "reasons", "notes")):
            raise ValueError("metrics, reasons and notes must be lists")
        if not isinstance(header["settings"], dict):
            raise ValueError("settings must be a dict")
        x, y = (
            {str(name): tuple(map(str, labels)) for name, labels in header[key].items()}
            for key in ("x_layers", "y_layers")
        )
        if not all(x.values()) or not all(y.values()) or (square and x != y):
            raise ValueError("every representation must have a layer, and both sides of a set with itself be the same")
        found: dict[str, dict[str, Any]] = {table: {} for table in (*_TABLES, "best_layers", "intervals")}
        for metric in metrics:
            symmetric = registry.check_metric(metric).symmetric
            for table, values in found.items():
                array: Any = arrays.pop(f"{table} {metric}", None)
                if mode == "best" and table != "intervals":
                    shape = (len(x), len(y), *[2] * (table == "best_layers"))
                    values[metric] = _shaped(array, shape)
                    if table == "best_layers":
                        values[metric] = _checked_places(values[metric], x, y)
                elif table in _TABLES or array is not None:
                    depth = (3,) if table == "intervals" else ()
                    values[metric] = _parted(array, x, y, square, symmetric, depth)
        return make(
            metrics=tuple(metrics),
            n=n,
            x_layers=x,
            y_layers=y,
            square=square,
            mode=mode,
            reasons=tuple(map(_reason, header["reasons"])),
            notes=tuple(map(str, header["notes"])),
            settings=dict(header["settings"]),
            nulls=unpack(header["nulls"], arrays),
            **found,
        )


def _plain(nulls: Any) -> Any:
    return {name: _plain(part) for name, part in nulls.items()} if hasattr(nulls, "items") else nulls


def _reason(words: Any) -> Reason:
    found = Reason(*words)
    if not all(isinstance(word, str) or (word is None and place in (3, 4)) for place, word in enumerate(found)):
        raise ValueError(f"a reason must be words, got {words}")
    return found


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
