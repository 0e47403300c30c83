"""Which engine serves rows: the CPU's, or that of the CUDA device that holds them."""

from __future__ import annotations

from typing import Any

from kernalign import _core
from kernalign._base.progress import Report
from kernalign._rows import on_device
from kernalign._rows.magnitude import check_magnitude, check_rows_magnitude
from kernalign._rows.on_device import why_not

__all__ = ["available", "check_magnitude_of", "facts", "nearest_neighbors", "why_not"]


def available() -> bool:
    """Whether there is a CUDA device to use."""
    return not why_not()


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
    return on_device.extension().nearest_neighbors(rows, k, metric, report, **way)[:3]


def facts() -> dict[str, Any]:
    """What was built for CUDA, what there is, and why nothing runs there."""
    built = on_device.extension()
    if built is None:
        return {"built": False, "why_not": why_not()}
    return {"built": True, **built.facts()}
