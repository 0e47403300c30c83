"""Rows, or whatever else is long, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.progress import Report

_ELEMENTS = 1 << 20


def spans(
    n: int, width: int, *, elements: int | None = None, least: int = 1, report: Report = None
) -> Iterator[tuple[int, int]]:
    """(begin, end) of consecutive blocks of n items of ``width`` values each: up to ``elements`` values, but ``least``
    items, at a time; Ctrl-C works between them. The work on a block is reported when the next is asked for."""
    step = max(least, (elements or _ELEMENTS) // width)
    for begin in range(0, n, step):
        end = min(n, begin + step)
        yield begin, end
        if report is not None:
            report(end, n)


def blocks(*sources: _core.Rows) -> Iterator[NDArray[np.float64]]:
    """The rows of each source, a few at a time, in float64."""
    for source in sources:
        for begin, end in spans(*source.shape):
            yield source.dense(begin, end)


def row_blocks(*sides: _core.Rows, columns: int = 0) -> Iterator[tuple[int, int]]:
    """Spans of rows of all sides, and of arrays of up to ``columns`` columns beside them, for work in float64."""
    return spans(sides[0].shape[0], max(columns, *(rows.shape[1] for rows in sides)), elements=2 * _ELEMENTS)
