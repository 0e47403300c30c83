"""Small dense float64 matrices of a user: square, symmetric, centred, decomposed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._rows import arrays
from kernalign._rows.blocks import spans
from kernalign._rows.digits import Digits
from kernalign._rows.magnitude import divided, exponent_of

Array = NDArray[np.float64]

_ASYMMETRY = 1e-9


def dense(source: _core.Rows) -> Array:
    """All rows in float64, read block by block."""
    x = np.empty(source.shape)
    for begin, end in spans(*source.shape):
        x[begin:end] = source.dense(begin, end)
    return x


def square(table: Any, name: str) -> Array:
    """A table of as many columns as rows, in float64."""
    rows = arrays.rows(table, name)
    n, p = rows.shape
    if n != p:
        raise ValueError(f"{name} must be a square matrix, got shape {rows.shape}")
    arrays.afford(f"what is made of {name}, {n} x {n},", 40 * n * n)
    return dense(rows)


def symmetric(table: Any, name: str) -> Array:
    """The same, made exactly symmetric; raises if it is not up to rounding."""
    k = square(table, name)
    unit = divided(k, exponent_of(k))
    off = np.abs(unit - unit.T) > _ASYMMETRY
    if off.any():
        i, j = np.argwhere(off)[0]
        raise ValueError(f"{name} must be symmetric, got {k[i, j]} at ({i}, {j}) and {k[j, i]} at ({j}, {i})")
    return np.asarray(k / 2 + k.T / 2)


def error_of(table: Any, name: str) -> float:
    """How far the rounding of its entries may have moved a matrix, relative to its Frobenius norm."""
    return Digits.of(arrays.rows(table, name)).rounding.error


def centre(x: Array, by: Array | None = None) -> Array:
    """x minus the column means of ``by`` (of x itself): through the first row, so that a large offset costs nothing."""
    by = x if by is None else by
    with np.errstate(over="ignore", invalid="ignore"):
        centred = np.asarray((x - by[0]) - (by - by[0]).mean(axis=0))
    if not np.isfinite(centred).all():
        raise ValueError("columns must span no more than float64 can hold, to be centred")
    return centred
