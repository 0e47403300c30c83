"""Numbers out of Python objects: lists, object arrays and tables whose columns have their own types."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]

_ENCODE = "leave it out, or encode it as numbers"


def numbers_of(x: Any, array: AnyArray, name: str) -> AnyArray:
    """What NumPy made of x without finding numbers in it, as float64; missing values become nan.

    A column of arrays or lists of one length is a table of their entries.

    Raises
    ------
    TypeError
        Names the first cell that is no number, its column, and what may be done.
    """
    if array.ndim == 0:
        raise TypeError(f"{name} must be a 2-D numeric array, got {type(x).__name__}")
    if array.dtype.names is not None:
        remedy = "numpy.lib.recfunctions.structured_to_unstructured makes one of it"
        raise TypeError(f"{name} must be a 2-D numeric array, got a structured array; {remedy}")
    if array.dtype.kind != "O":
        return _of_text(array, name) if array.dtype.kind in "US" else _refused(array, name)
    if array.ndim == 2 and hasattr(x, "iloc") and {getattr(kind, "kind", "O") for kind in x.dtypes} <= set("fiub"):
        return np.asarray(x.to_numpy(dtype=np.float64, na_value=np.nan))  # nullable columns
    cells = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if cells.ndim == 1 and len(cells) and all(np.ndim(cell) == 1 and not isinstance(cell, str) for cell in cells):
        return _of_rows(cells, name)
    if array.ndim != 2:
        return array  # of which the caller says that it is not 2-D
    out = np.empty(array.shape)
    for column in range(array.shape[1]):
        out[:, column] = [_number(cell, name, x, row, column) for row, cell in enumerate(array[:, column])]
    return out


def ragged(x: Any) -> str:
    """In words, the first row that is not as long as the first; empty where that is not what is wrong."""
    try:
        lengths = [len(row) for row in x]
    except TypeError:
        return ""
    at = next((row for row, length in enumerate(lengths) if length != lengths[0]), None)
    return "" if at is None else f"row {at} has {lengths[at]} values, row 0 has {lengths[0]}"


def _of_rows(cells: AnyArray, name: str) -> AnyArray:
    if words := ragged(cells):
        raise ValueError(f"{name} must have rows of one length: {words}")
    stacked = np.array([np.asarray(cell) for cell in cells])
    return stacked if stacked.dtype.kind in "fiub" else numbers_of(stacked, stacked, name)


def _number(cell: Any, name: str, x: Any, row: int, column: int) -> float:
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return np.nan
    if isinstance(cell, (Real, Decimal, np.bool_)):
        return float(cell)
    raise TypeError(f"{name} must hold numbers, but {_column(x, column)} has {_shown(cell)} at row {row}; {_ENCODE}")


def _column(x: Any, column: int) -> str:
    """What the user calls a column."""
    names = getattr(x, "column_names", getattr(x, "columns", None))
    return f"column {column}" if names is None else f"column {names[column]!r}"


def _shown(cell: Any) -> str:
    return f"text ({cell!r})" if isinstance(cell, str) else f"{type(cell).__name__} ({str(cell)[:40]})"


def _of_text(array: AnyArray, name: str) -> AnyArray:
    """Says which cell of text is no number, or that all are."""
    for place in np.ndindex(array.shape):
        try:
            float(array[place])
        except ValueError:
            where = f"row {place[0]}" + (f", column {place[1]}" if len(place) > 1 else "")
            raise TypeError(
                f"{name} must hold numbers, but has text ({str(array[place])!r}) at {where}; {_ENCODE}"
            ) from None
    raise TypeError(f"{name} must hold numbers, got numbers as text ({str(array.flat[0])!r}); use .astype(float)")


def _refused(array: AnyArray, name: str) -> AnyArray:
    raise TypeError(f"{name} must have a float or integer dtype, got {array.dtype}")
