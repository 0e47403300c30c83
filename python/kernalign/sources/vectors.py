"""Reads the files of nearest-neighbour benchmarks: ``.fvecs`` and its like row by row, ``.fbin`` and its like whole."""

from __future__ import annotations

import numpy as np

from kernalign.sources.layout import no_numbers
from kernalign.sources.place import Place
from kernalign.sources.stored import Mapped, Stored

_ROWS = {".fvecs": "<f4", ".ivecs": "<i4", ".bvecs": "u1"}  # every row begins with its number of dimensions
_WHOLE = {".fbin": "<f4", ".ibin": "<i4", ".u8bin": "u1", ".i8bin": "i1"}  # begins with the numbers of rows and columns
_AT_ONCE = 1 << 16


def members(place: Place) -> dict[str | None, Stored]:
    """The one array, without a name."""
    size, what = place.size, str(place)
    head = np.zeros(min(8, size) // 4, "<u4")
    place.read(0, head.view(np.uint8))
    if len(head) < 2:
        raise ValueError(f"{place} must begin with its shape, got {size} bytes")
    if place.suffix in _WHOLE:
        dtype = np.dtype(_WHOLE[place.suffix])
        rows, columns = map(int, head)
        found = Mapped(place, what, 8, (rows, columns), dtype)
        needed = 8 + found.nbytes
    else:
        dtype, columns = np.dtype(_ROWS[place.suffix]), int(head[0])
        stride = 4 + columns * dtype.itemsize
        rows = size // stride
        found = Mapped(place, what, 4, (rows, columns), dtype, strides=(stride, dtype.itemsize))
        needed = rows * stride
        if needed == size and columns:
            _check_rows(Mapped(place, what, 0, (rows, 1), "<u4", strides=(stride, 4)), columns)
    if needed != size:
        raise ValueError(f"{place}: its {rows:,} rows of {columns:,} require {needed:,} bytes, but there are {size:,}")
    found.refusal = no_numbers(found.shape, dtype, what)
    return {None: found}


def _check_rows(counts: Mapped, columns: int) -> None:
    given = counts.array()[:, 0]
    for start in range(0, len(given), _AT_ONCE):
        wrong = np.flatnonzero(given[start : start + _AT_ONCE] != columns)
        if len(wrong):
            row = start + int(wrong[0])
            raise ValueError(
                f"{counts.what} must have rows of one length: row {row} has {given[row]} values, row 0 has {columns}"
            )
