"""Writes a Comparison to a file and reads it back: JSON and numbers under a checksum, never a pickle."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checkpoint
from kernalign.comparison.tables import pairs_of
from kernalign.metrics import registry

Made = TypeVar("Made")

_KIND = "Comparison"
_TABLES = ("scores", "chance", "chance_sd", "p_values")
_HEADER = ("metrics", "n", "x_layers", "y_layers", "square", "mode", "reasons", "notes", "settings")


def save(comparison: Any, path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """See `Comparison.save`."""
    header = {name: getattr(comparison, name) for name in _HEADER}
    nulls = {
        metric: {side: {name: _shapes(parts) for name, parts in members.items()} for side, members in sides.items()}
        for metric, sides in comparison.nulls.items()
    }
    parts = [np.ravel(array).astype(np.float64) for _, array in _arrays(comparison)]
    numbers = {"numbers": np.concatenate(parts) if parts else np.empty(0)}
    checkpoint.write(path, _KIND, {**header, "nulls": nulls}, numbers, overwrite=overwrite)


def load(path: str | os.PathLike[str], make: Callable[..., Made]) -> Made:
    """See `Comparison.load`; ``make`` is the class."""
    with checkpoint.reading(path, _KIND) as (header, arrays):
        numbers = arrays["numbers"]
        comparison = _empty(header, len(numbers), make)
        at = 0
        for place, array in list(_arrays(comparison)):
            part = numbers[at : at + array.size]
            if len(part) < array.size:
                raise ValueError(f"it ends within {place}")
            if array.dtype.kind == "i" and not (np.abs(part) < 1 << 31).all():
                raise ValueError(f"{place} must be whole numbers")
            array[...] = part.reshape(array.shape)
            at += array.size
        if at != len(numbers):
            raise ValueError(f"it holds {len(numbers) - at} numbers too many")
    return comparison


def _arrays(comparison: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every array, in the order of the file."""
    for table in _TABLES:
        for metric in comparison.metrics:
            values = getattr(comparison, table)[metric]
            if comparison.mode == "best":
                yield f"{table} of {metric}", values
            else:
                for pair in comparison.pairs(metric):
                    yield f"{table} of {metric} of {pair}", values[pair]
    for metric in comparison.best_layers:
        yield f"best layers of {metric}", comparison.best_layers[metric]
    for metric, sides in comparison.nulls.items():
        for side, members in sides.items():
            for name, parts in members.items():
                for part, array in parts.items():
                    yield f"{part} of {metric} of {side} {name}", array


def _shapes(parts: Any) -> dict[str, list[int]]:
    return {part: list(array.shape) for part, array in parts.items()}


def _empty(header: dict[str, Any], size: int, make: Callable[..., Made]) -> Made:
    """The comparison that the header describes, its ``size`` numbers still to come: no more memory is asked for."""
    metrics, n, mode, square = (header[name] for name in ("metrics", "n", "mode", "square"))
    if type(n) is not int or type(square) is not bool or mode not in ("all", "best"):
        raise ValueError("n, square and mode must be an integer, a boolean and 'all' or 'best'")
    if n < 1 or not isinstance(header["settings"], dict):
        raise ValueError("there must be an item, and settings")
    if not all(isinstance(header[name], list) for name in ("metrics", "reasons", "notes")):
        raise ValueError("metrics, reasons and notes must be lists")
    for metric in metrics:
        registry.check_metric(metric)
    x, y = (
        {str(name): tuple(map(str, labels)) for name, labels in header[key].items()} for key in ("x_layers", "y_layers")
    )
    if not all(x.values()) or not all(y.values()):
        raise ValueError("every representation must have a layer")
    if square and x != y:
        raise ValueError("of a set with itself both sides must be the same")
    pairs = len(x) * (len(x) - 1) / 2 if square else len(x) * len(y)
    _check_size(len(metrics) * pairs, size)
    if mode == "all":
        a, b = ([len(labels) for labels in side.values()] for side in (x, y))
        own = sum(count**2 for count in a) if square else 0
        _check_size(len(metrics) * (sum(a) * sum(b) - own) / (2 if square else 1), size)
    tables: dict[str, dict[str, Any]] = {table: {} for table in _TABLES}
    best_layers = {}
    for metric in metrics:
        names = pairs_of(tuple(x), tuple(y), square, registry.METRICS[metric].symmetric)
        for table in _TABLES:
            if mode == "best":
                tables[table][metric] = np.empty((len(x), len(y)))
            else:
                tables[table][metric] = {(a, b): np.empty((len(x[a]), len(y[b]))) for a, b in names}
        if mode == "best":
            best_layers[metric] = np.empty((len(x), len(y), 2), dtype=np.intp)
    shapes = [
        shape
        for sides in header["nulls"].values()
        for members in sides.values()
        for parts in members.values()
        for shape in parts.values()
    ]
    if not all(type(extent) is int and extent >= 0 for shape in shapes for extent in shape):
        raise ValueError("an array must have a shape of integers")
    _check_size(sum(math.prod(shape) for shape in shapes), size)
    nulls = {
        metric: {
            side: {name: {part: np.empty(shape) for part, shape in parts.items()} for name, parts in members.items()}
            for side, members in sides.items()
        }
        for metric, sides in header["nulls"].items()
    }
    return make(
        metrics=tuple(metrics),
        n=n,
        x_layers=x,
        y_layers=y,
        square=square,
        mode=mode,
        best_layers=best_layers,
        reasons=tuple(map(str, header["reasons"])),
        notes=tuple(map(str, header["notes"])),
        settings=dict(header["settings"]),
        nulls=nulls,
        **tables,
    )


def _check_size(wanted: float, size: int) -> None:
    if wanted > size:
        raise ValueError(f"it announces more numbers than the {size} that it holds")
