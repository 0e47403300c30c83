"""Which engine serves rows: the CPU's, or that of the CUDA device that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.progress import Report
from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign._engines import lists as list_engine
from kernalign._rows import on_device
from kernalign._rows.magnitude import check_magnitude, check_rows_magnitude
from kernalign._rows.on_device import why_not

__all__ = [
    "Stream",
    "available",
    "check_magnitude_of",
    "edge_products",
    "facts",
    "free_memory",
    "gram_sums",
    "head",
    "in_doubles",
    "median_distance",
    "nearest_neighbors",
    "nearest_of_rows",
    "taken",
    "vary",
    "why_not",
]


_HEAD = 64  # rows
_LONG = 30.0  # seconds that a caller is told of before they begin


def available() -> bool:
    """Whether there is a CUDA device to use."""
    return not why_not()


def in_doubles(place: int | None) -> bool:
    """Whether a device multiplies rows of any type in float64, since that takes it little longer; the CPU does not."""
    return place is not None and not on_device.extension().multiplies_floats(place)


def check_magnitude_of(rows: Any, exponent: int) -> None:
    """`check_rows_magnitude` of rows that may be on a device."""
    if isinstance(rows, _core.Rows):
        check_rows_magnitude(rows, exponent)
    elif rows.double_precision:
        check_magnitude(rows.largest(), rows.name, exponent)


def nearest_neighbors(rows: Any, k: int, metric: str, sets: bool, threads: int, report: Report, **way: float) -> Any:
    """The lists, by the engine of the device where the rows are: (index, similarity, tie), the same bits.

    ``way``, on a device: tile, and of how many multiply-adds on candidates are worthwhile.
    """
    if isinstance(rows, _core.Rows):
        return _core.nearest_neighbors(rows, k, metric, sets, threads, report)[:3]
    return on_device.extension().nearest_neighbors(rows, k, metric, report, say=_warn_if_long, **way)[:3]


def _warn_if_long(rows: int, seconds: float) -> None:
    if seconds > _LONG:
        words = f"{rows} rows are compared with all others in float64 on the device, which takes about {seconds:.0f} s"
        warn(f"{words}: products of float16 cannot tell their neighbours apart, or there are none", AlignmentWarning)


def nearest_of_rows(rows: Any, queries: NDArray[np.int32], k: int, metric: str, report: Report) -> Any:
    """The lists of some rows on a device: (index, similarity, tie), the bits of the whole search."""
    return on_device.extension().nearest_of_rows(rows, queries, k, metric, report)


class Stream:
    """The state of `kernalign.Moments` on a device, as which it began; as a value it is the CPU's state."""

    def __init__(self, device: int, begun: _core.Moments) -> None:
        self._engine = on_device.extension().Moments(device, begun)

    @property
    def double_precision(self) -> bool:
        return bool(self._engine.double_precision)

    @property
    def count(self) -> int:
        return int(self._engine.count)

    @property
    def cols(self) -> tuple[int, int]:
        p, q = self._engine.cols
        return p, q

    def update(self, x: Any, y: Any, threads: int, report: Report) -> None:
        """Add rows of both sides, which may be on the CPU."""
        place = self._engine.device
        self._engine.update(on_device.moved(x, place), on_device.moved(y, place), report)

    def finish(self, centred: bool, threads: int) -> _core.MomentSums:
        sums: _core.MomentSums = self._engine.finish(centred)
        return sums

    def copy(self) -> _core.Moments:
        """The same stream on the CPU."""
        state: _core.Moments = self._engine.host()
        return state

    def merge(self, other: _core.Moments) -> None:
        state = self.copy()
        state.merge(other)
        self.__init__(self._engine.device, state)  # type: ignore[misc]

    def pack(self) -> Any:
        return self.copy().pack()


def vary(rows: Any, relative: float, absolute: float) -> bool:
    """Whether rows, as they are read, differ from the first one by more; those on a device mostly say so in the first
    few."""
    if isinstance(rows, _core.Rows):
        return rows.vary(relative, absolute)
    return head(rows).vary(relative, absolute) or on_device.on_cpu(rows).vary(relative, absolute)


def head(rows: Any) -> _core.Rows:
    """The rows, or a copy of the first of those that are on a device, on the CPU."""
    if isinstance(rows, _core.Rows):
        return rows
    first: _core.Rows = rows.head(_HEAD)
    return first


def taken(rows: Any, index: NDArray[np.int64], columns: bool) -> _core.Rows:
    """A copy of some rows, and of the same columns if asked for, on the CPU."""
    if isinstance(rows, _core.Rows):
        return rows.taken(index, columns)
    found: _core.Rows = rows.taken(index)
    return found


def gram_sums(
    sides: Sequence[tuple[Any, dict[str, Any]]], place: int, centred: bool, report: Report, **way: int
) -> _core.GramSums:
    """Sums of rows under kernels, by the options of `_core.GramSource`; ``way``, in tests: the largest tile."""
    sources = [_source(rows, options, place) for rows, options in sides]
    sums: _core.GramSums = on_device.extension().gram_sums(sources, centred, report, **way)
    return sums


def median_distance(
    rows: Any, place: int, off_diagonal: bool, report: Report, *, double: bool = True, **way: int
) -> float:
    """The exact median of the distances between rows; ``way``, in tests: the largest tile, and how many are held."""
    source = _source(rows, {"form": "sqeuclidean", "double_precision": double}, place)
    return float(on_device.extension().median_distance(source, off_diagonal, report, **way))


def _source(rows: Any, options: dict[str, Any], place: int) -> Any:
    return on_device.extension().GramSource(on_device.moved(rows, place), **options)


def edge_products(rows: Any, index: NDArray[np.int32], threads: int, report: Report) -> tuple[Any, Any, Any, float]:
    """What CKNNA needs along the edges of a graph: products, squared lengths, products with the mean, and its own."""
    if isinstance(rows, _core.Rows):
        return list_engine.edge_products(rows, index, threads, report)
    edge, square, projection, mean_square = on_device.extension().edge_products(rows, index, report)
    return edge, square, projection, mean_square


def free_memory(place: int) -> int:
    """Bytes of a device's memory that nobody has."""
    return int(on_device.extension().free_memory(place))


def facts() -> dict[str, Any]:
    """What was built for CUDA, what there is, and why nothing runs there."""
    built = on_device.extension()
    if built is None:
        return {"built": False, "why_not": why_not()}
    return {"built": True, **built.facts()}
