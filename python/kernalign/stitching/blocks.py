"""Bounds of blocks of rows, small enough to be worked on in float64 beside the data."""

from __future__ import annotations

from collections.abc import Iterator

from kernalign import _core

_ELEMENTS = 1 << 21


def row_blocks(*sides: _core.Rows, columns: int = 0) -> Iterator[tuple[int, int]]:
    """(begin, end) of consecutive blocks of rows, of arrays of up to ``columns`` too; Ctrl-C works between them."""
    n = sides[0].shape[0]
    step = max(1, _ELEMENTS // max(columns, *(rows.shape[1] for rows in sides)))
    for begin in range(0, n, step):
        yield begin, min(n, begin + step)
