"""Checks of arguments that are not arrays: errors that name the argument, the requirement and the value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_THREADS = 4096


def check_count(n: int, least: int, what: str) -> None:
    """Raise unless there are at least ``least`` items."""
    if n < least:
        raise ValueError(f"{what} needs at least {least} rows, got {n}")


def check_same_rows(n: int, m: int, x: str = "x", y: str = "y") -> None:
    """Raise unless two arrays of these names have as many rows."""
    if n != m:
        raise ValueError(f"{x} and {y} must have the same number of rows, got {n} and {m}")


def check_options(options: Any, known: Any) -> None:
    """Raise unless every key of ``options`` is one of the TypedDict ``known``."""
    for option in options:
        if option not in known.__annotations__:
            raise TypeError(f"unknown keyword argument {option!r}; known are {', '.join(known.__annotations__)}")


def check_unread(**given: tuple[Any, Any]) -> None:
    """Raise where something is not as usual, (given, usual), that nothing reads."""
    for name, (value, usual) in given.items():
        if value != usual:
            raise ValueError(f"{name} must be left out where the metrics do not take it, got {value!r}")


def check_first(bad: NDArray[np.bool_], words: str) -> None:
    """Raise words that name the first row that has something bad, if one has."""
    rows = bad.any(axis=1)
    if rows.any():
        raise ValueError(words.format(int(rows.argmax())))


def check_indices(given: Any, n: int, name: str) -> NDArray[np.int32]:
    """Indices of different rows out of n."""
    found = np.asarray(given)
    if found.dtype.kind not in "iu" or not len(found):
        raise TypeError(f"{name} must be indices of rows, got {len(found)} values of dtype {found.dtype}")
    if found.min() < 0 or found.max() >= n:
        raise ValueError(f"{name} must be indices of {n} rows, got {found.min()} to {found.max()}")
    if len(np.unique(found)) < len(found):
        raise ValueError(f"{name} must name each row once, got {len(found)} indices of {len(np.unique(found))} rows")
    return found.astype(np.int32)


def check_choice(value: Any, name: str, choices: tuple[str | None, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if not (value is None or isinstance(value, str)) or value not in choices:
        *most, last = map(repr, choices)
        raise ValueError(f"{name} must be {', '.join(most)} or {last}, got {value!r}")


def integer(value: Any, name: str, least: int, most: int | None = None, *, wanted: str = "", limit: str = "") -> int:
    """Return ``value`` as an int of ``least`` .. ``most``; ``wanted`` and ``limit`` say what may be given otherwise and
    what the most is."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be {wanted or 'an integer'}, got {value!r}")
    if value < least or (most is not None and value > most):
        span = f"at least {least}" if most is None else f"between {least} and {limit}{most}"
        raise ValueError(f"{name} must be {span}, got {value}")
    return int(value)


_RANGES: dict[str, Callable[[float], bool]] = {
    "finite": math.isfinite,
    "finite and not negative": lambda value: 0 <= value < math.inf,
    "positive and finite": lambda value: 0 < value < math.inf,
    "in (0, 1)": lambda value: 0 < value < 1,
    "in (0, 1]": lambda value: 0 < value <= 1,
    "in [0, 1)": lambda value: 0 <= value < 1,
}


def number(value: Any, name: str, allowed: str) -> float:
    """Return ``value`` as a float; ``allowed`` is one of the ranges above, in the words of the error."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not _RANGES[allowed](float(value)):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return float(value)


def check_k(k: Any, n: int) -> int:
    """Return ``k`` as an int; it must be an integer with 1 <= k <= n - 1."""
    return k if type(k) is int and 1 <= k < n else integer(k, "k", 1, n - 1, limit="n - 1 = ")


def check_flag(value: Any, name: str) -> bool:
    """Return ``value`` as a bool; it must be True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_positive(value: Any, name: str) -> int:
    """Return ``value`` as an int; it must be an integer of at least 1."""
    return integer(value, name, 1)


def check_nonnegative(value: Any, name: str) -> float:
    """Return ``value`` as a float; it must be a finite number >= 0."""
    return number(value, name, "finite and not negative")


def nonnegative(values: Any, name: str) -> NDArray[np.float64]:
    """One or more finite numbers >= 0 as a 1-D array."""
    array = np.atleast_1d(np.asarray(values))
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be numbers, got {values!r}")
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a number or a sequence of at least one, got shape {array.shape}")
    fine = np.isfinite(array) & (array >= 0)
    if not fine.all():
        raise ValueError(f"{name} must be finite and not negative, got {array[~fine][0]}")
    return array.astype(np.float64)


def check_threads(threads: Any) -> int:
    """Return the thread count for an engine; None means all cores this process may use (0)."""
    return 0 if threads is None else integer(threads, "threads", 1, _MOST_THREADS, wanted="an integer or None")


def check_uncertainty(uncertainty: Any, choices: tuple[str | None, ...]) -> None:
    """Raise unless the method is one of the choices; the bootstrap is refused with its reason."""
    if uncertainty == "bootstrap":
        known = " or ".join(repr(choice) for choice in choices if choice is not None)
        raise ValueError(
            "uncertainty='bootstrap' is refused: items drawn twice are duplicates of each other, so that they become"
            " neighbours and the off-diagonal products count them as similar, which biases the score upwards; use"
            f" {known}, which draw no item twice"
        )
    check_choice(uncertainty, "uncertainty", choices)


def check_folds(folds: Any, n: int, name: str, wanted: str = "an integer") -> int:
    """Return a number of folds as an int; it must be an integer between 2 and n."""
    return integer(folds, name, 2, n, wanted=wanted, limit="n = ")
