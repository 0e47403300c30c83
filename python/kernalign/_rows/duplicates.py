"""Finds rows that repeat or nearly repeat another, reading whole rows only where a few columns do not tell."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import hazards
from kernalign._rows.blocks import spans

MANY = 0.01  # of the rows
_SHARED, _SEEN = 0.05, 2.0  # of the equal pairs of both samples that a deal at random would make; the fewest of these
_PROBED = 16  # columns, one after the other while there are rows that agree in all so far
_ODD = np.uint64(0x9E3779B97F4A7C15)

AnyArray: TypeAlias = NDArray[Any]
Places: TypeAlias = NDArray[np.intp]
Sample: TypeAlias = tuple[AnyArray, bool]  # what `as_matrix` returned
# Cells of rows and columns, as NumPy indexes them; equal ones have equal bits: -0.0 must have become 0.0.
Read: TypeAlias = Callable[[Places, Any], AnyArray]


@lru_cache
def probed_columns(p: int) -> tuple[int, ...]:
    """Evenly spaced columns, all if they are few: the middle one first, which is seldom padding."""
    columns = np.unique(np.linspace(0, p - 1, min(p, _PROBED)).astype(int)).tolist()
    middle = len(columns) // 2
    return (*columns[middle:], *columns[:middle])


def suspects(rows: Places, p: int, read: Read) -> Places:
    """Those of the rows that agree with another of them in every probed column, in order: no repeat is left out."""
    left, keys = rows, np.zeros(len(rows), dtype=np.uint64)
    for column in probed_columns(p):
        if not len(left):
            break
        cells = np.ascontiguousarray(read(left, column))
        keys ^= cells.view(f"u{cells.dtype.itemsize}")
        keys *= _ODD
        keys ^= keys >> np.uint64(29)
        shared = _shared(keys)
        left, keys = left[shared], keys[shared]
    return left


def repeats(matrix: AnyArray) -> int:
    """How many rows repeat an earlier one, bit by bit but for the sign of zeros."""

    def read(rows: Places, columns: Any) -> AnyArray:
        cells: AnyArray = matrix[rows, columns]
        return cells + cells.dtype.type(0) if cells.dtype.kind == "f" else cells  # -0.0 is 0.0

    p = matrix.shape[1]
    rows = suspects(np.arange(len(matrix)), p, read)
    return len(rows) - len(np.unique(hashes(rows, p, read)))


def repetition(matrix: AnyArray, rows: _core.Rows, name: str) -> hazards.Hazard | None:
    """What to say of items that repeat or nearly repeat others; ``rows`` read the matrix."""
    repeated = repeated_items(matrix)
    if repeated > MANY * len(matrix):
        return hazards.repeated_items(repeated, name)
    near = rows.share_near
    return hazards.near_items(near, name) if near else None


def repetition_in_samples(x: Sample, y: Sample, rows: tuple[_core.Rows, _core.Rows]) -> list[hazards.Hazard]:
    """What to say of two samples whose rows are not paired, where items repeat or nearly repeat others of their own.

    Rows of laws with atoms, as classes and counts are, are equal across samples about as often as within them; copies
    of one thing are not.
    """
    n, m = len(x[0]), len(y[0])
    of_x, of_y = equal_rows(x, y)
    within, across = (of_x * (of_x - 1) + of_y * (of_y - 1)).sum() / 2, (of_x * of_y).sum()
    dealt = 2 * n * m / ((n + m) * (n + m - 1)) * (within + across)
    copied = across <= _SHARED * dealt and dealt > _SEEN
    found = []
    for of_side, size, own in ((of_x, n, rows[0]), (of_y, m, rows[1])):
        repeated = int(np.maximum(of_side - 1, 0).sum())
        if repeated > MANY * size:
            if copied:
                found.append(hazards.repeated_items(repeated, own.name))
        elif near := own.share_near:
            found.append(hazards.near_items(near, own.name))
    return found


def equal_rows(x: Sample, y: Sample) -> tuple[Places, Places]:
    """How often each row that is not zero and occurs more than once in both samples together occurs in x, and in y."""
    n, p = x[0].shape

    def read(rows: Places, columns: Any) -> AnyArray:
        in_x = rows < n
        return np.concatenate([_numbers(x, rows[in_x], columns), _numbers(y, rows[~in_x] - n, columns)])

    rows = suspects(np.arange(n + len(y[0])), p, read)
    found = hashes(rows, p, read)
    rows, found = (one[found != hash(np.zeros(p).tobytes())] for one in (rows, found))
    which, in_x = np.unique(found, return_inverse=True)[1], rows < n
    size = which.max(initial=-1) + 1
    return np.bincount(which[in_x], minlength=size), np.bincount(which[~in_x], minlength=size)


def _numbers(sample: Sample, rows: Places, columns: Any) -> AnyArray:
    """Cells in float64, no zero of which is negative."""
    matrix, bfloat16 = sample
    cells = matrix[rows, columns]
    if bfloat16:
        cells = (cells.astype(np.uint32) << 16).view(np.float32)
    numbers: AnyArray = cells.astype(np.float64) + 0.0
    return numbers


def repeated_items(matrix: AnyArray) -> int:
    """The same of rows that are neither zero nor whole numbers, as classes and counts are, which repeat by nature."""
    found = repeats(matrix) if matrix.dtype.kind == "f" else 0
    if found in (0, len(matrix) - 1):  # of a constant side there is more to say
        return 0
    if not (matrix[:: max(1, len(matrix) // 16)] % 1).any():
        return 0
    return found - max(0, len(matrix) - int(np.count_nonzero(matrix.any(axis=1))) - 1)


def hashes(rows: Places, p: int, read: Read) -> NDArray[np.int64]:
    """64-bit hashes of whole rows."""
    found = np.empty(len(rows), dtype=np.int64)
    for begin, end in spans(len(rows), p):
        block = read(rows[begin:end], slice(None))
        found[begin:end] = [hash(row.tobytes()) for row in block]
    return found


def _shared(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which keys occur more than once."""
    order = np.argsort(keys)
    ordered = keys[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    shared = np.zeros(len(keys), dtype=bool)
    shared[order[same]] = shared[order[same + 1]] = True
    return shared
