"""Powers of two that keep squares in the range of float64, and what comes back in the data's own units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.score import UndefinedScoreWarning
from kernalign._base.warn import warn
from kernalign._rows.blocks import blocks

Array = NDArray[np.float64]

_TINY = float(np.finfo(np.float64).tiny)


def exponent_of(values: Any) -> int:
    """The e for which the largest magnitude is in [2^(e - 1), 2^e); 0 if there is none but 0."""
    largest = max(float(np.max(values, initial=0.0)), -float(np.min(values, initial=0.0)))
    return int(np.frexp(largest)[1])


def divided(values: Array, exponent: int) -> Array:
    """values / 2^exponent, exact but for what is 1e-300 times the largest."""
    return np.asarray(np.ldexp(values, -exponent))


def lengths(rows: Array) -> Array:
    """Euclidean norms of rows whose squares may not fit."""
    exponent = exponent_of(rows)
    return np.asarray(np.ldexp(np.linalg.norm(divided(rows, exponent), axis=1), exponent))


def power_of_two(exponent: int) -> float:
    """Which may be 0 or infinite."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(1.0, exponent))


def restored(values: Any, exponent: int, what: str) -> Array:
    """values * 2^exponent; all nan, with an UndefinedScoreWarning, where float64 cannot hold the largest."""
    given = np.asarray(values, dtype=np.float64)
    largest = float(np.max(np.abs(given), where=np.isfinite(given), initial=0.0))
    with np.errstate(over="ignore", under="ignore"):
        out, reach = np.asarray(np.ldexp(given, exponent)), float(np.ldexp(largest, exponent))
    if largest > 0 and not _TINY <= reach < np.inf:
        size = "large" if reach > 1 else "small"
        warn(
            f"{what} are too {size} for float64 in the units of the data; scale the data by a power of 2",
            UndefinedScoreWarning,
        )
        return np.full_like(out, np.nan)
    return out


def check_magnitude(largest: float, name: str, exponent: int) -> None:
    """Raise unless the largest magnitude of an array is 0 or within 2^-exponent .. 2^exponent."""
    if largest > 0 and not 2.0**-exponent <= largest <= 2.0**exponent:
        size, way = ("large", "down") if largest > 1 else ("small", "up")
        raise ValueError(
            f"{name} is too {size}: its largest magnitude must be between {2.0**-exponent:.0e} and"
            f" {2.0**exponent:.0e} for its squares to stay in the range of float64, got {largest:.3g}; scale it {way}"
        )


def check_rows_magnitude(rows: _core.Rows, exponent: int) -> None:
    """The same of rows, read once; those of 16- and 32-bit floats cannot fail."""
    if rows.double_precision:
        check_magnitude(max(float(np.abs(block).max()) for block in blocks(rows)), rows.name, exponent)
