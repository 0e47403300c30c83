"""Small arrays of numbers that a user gives beside representations: penalties, sizes, tables of scores, indices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base.checks import shown
from kernalign._rows.numeric import to_numpy


def numeric(values: Any, name: str) -> NDArray[np.float64]:
    """Numbers in an array of any shape, as float64."""
    array = to_numpy(values, name)[0]
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be numbers, got {shown(values)}")
    return array.astype(np.float64)


def indices(given: Any, n: int, name: str) -> NDArray[np.int32]:
    """Indices of different rows out of n."""
    found = np.atleast_1d(to_numpy(given, name)[0])
    if found.dtype.kind not in "iu" or found.ndim != 1 or not len(found):
        raise TypeError(f"{name} must be indices of rows, got dtype {found.dtype} and shape {found.shape}")
    if found.min() < 0 or found.max() >= n:
        raise ValueError(f"{name} must be indices of {n} rows, got {found.min()} to {found.max()}")
    if len(np.unique(found)) < len(found):
        raise ValueError(f"{name} must name each row once, got {len(found)} indices of {len(np.unique(found))} rows")
    return found.astype(np.int32)


def nonnegative(values: Any, name: str) -> NDArray[np.float64]:
    """One finite number >= 0, or a sequence of at least one, as a 1-D float64 array."""
    array = np.atleast_1d(numeric(values, name))
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a number or a sequence of at least one, got shape {array.shape}")
    fine = np.isfinite(array) & (array >= 0)
    if not fine.all():
        raise ValueError(f"{name} must be finite and not negative, got {array[~fine][0]}")
    return array
