"""Checks of arguments that are not arrays: errors that name the argument, the requirement and the value."""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_THREADS = 4096
_MOST_REPEATS = 10_000_000  # of permutations, draws, random starts
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200
_NO_NUMBERS = (bool, np.bool_, np.timedelta64)  # which are subclasses of numbers


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
        if not isinstance(value, type(usual)) or value != usual:
            raise ValueError(f"{name} must be left out where the metrics do not take it, got {shown(value)}")


def check_first(bad: NDArray[np.bool_], words: str) -> None:
    """Raise words that name the first row that has something bad, if one has."""
    rows = bad.any(axis=1)
    if rows.any():
        raise ValueError(words.format(int(rows.argmax())))


def check_choice(value: Any, name: str, choices: tuple[str | None, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if not (value is None or isinstance(value, str)) or value not in choices:
        *most, last = map(repr, choices)
        raise ValueError(f"{name} must be {', '.join(most)} or {last}, got {shown(value)}")


def integer(value: Any, name: str, least: int, most: int | None = None, *, wanted: str = "", limit: str = "") -> int:
    """Return ``value`` as an int of ``least`` .. ``most``; ``wanted`` and ``limit`` say what may be given otherwise and
    what the most is."""
    if isinstance(value, _NO_NUMBERS) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be {wanted or 'an integer'}, got {shown(value)}")
    if value < least or (most is not None and value > most):
        span = f"at least {least}" if most is None else f"between {least} and {limit}{most}"
        raise ValueError(f"{name} must be {span}, got {shown(value)}")
    return int(value)


def nearest(given: str, known: Iterable[str]) -> str:
    """For the end of an error: the known name that was probably meant; empty where none is like what was given."""
    from difflib import get_close_matches

    names = {name.lower(): name for name in known}
    found = get_close_matches(given.lower(), names, 1)
    return f"; did you mean {names[found[0]]!r}?" if found else ""


def nearest_or_all(given: str, known: Collection[str]) -> str:
    """The same; where none is like what was given, all that are known."""
    return nearest(given, known) or f"; known are {', '.join(known)}"


_RANGES: dict[str, Callable[[float], bool]] = {
    "finite": math.isfinite,
    "finite and not negative": lambda value: 0 <= value < math.inf,
    "positive and finite": lambda value: 0 < value < math.inf,
    "in (0, 1)": lambda value: 0 < value < 1,
    "in (0, 1]": lambda value: 0 < value <= 1,
    "in [0, 1]": lambda value: 0 <= value <= 1,
    "in [0, 1)": lambda value: 0 <= value < 1,
}


def number(value: Any, name: str, allowed: str) -> float:
    """Return ``value`` as a float; ``allowed`` is one of the ranges above, in the words of the error."""
    if isinstance(value, _NO_NUMBERS) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {shown(value)}")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not _RANGES[allowed](found):
        raise ValueError(f"{name} must be {allowed}, got {shown(value)}")
    return found


def shown(value: Any) -> str:
    """What was given, as errors show it: long values are cut, and what cannot be written is told by its type."""
    try:
        return _SHORT.repr(value.item() if isinstance(value, np.generic) and value.dtype.kind not in "mM" else value)
    except Exception:
        return f"{type(value).__name__} that cannot be shown"


def check_k(k: Any, n: int) -> int:
    """Return ``k`` as an int; it must be an integer with 1 <= k <= n - 1."""
    return k if type(k) is int and 1 <= k < n else integer(k, "k", 1, n - 1, limit="n - 1 = ")


def check_flag(value: Any, name: str) -> bool:
    """Return ``value`` as a bool; it must be True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def check_positive(value: Any, name: str) -> int:
    """Return ``value`` as an int; it must be an integer of at least 1."""
    return integer(value, name, 1)


def check_nonnegative(value: Any, name: str) -> float:
    """Return ``value`` as a float; it must be a finite number >= 0."""
    return number(value, name, "finite and not negative")


def check_repeats(value: Any, name: str) -> int:
    """Return how often something random is done as an int."""
    count = integer(value, name, 1)
    if count > _MOST_REPEATS:
        raise ValueError(f"{name} must be at most {_MOST_REPEATS}, got {shown(count)}")
    return count


def check_seed(seed: Any) -> int:
    """Return the seed of a random generator as an int; it must be an integer of at least 0."""
    return integer(seed, "seed", 0)


def check_type(value: Any, name: str, kind: type | tuple[type, ...], what: str) -> None:
    """Raise unless ``value`` is ``what`` it should be, of this kind."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {what}, got {shown(value)}")


def check_callable(value: Any, name: str, of: str) -> None:
    """Raise unless ``value`` is a function ``of`` these arguments."""
    if not callable(value):
        raise TypeError(f"{name} must be a function of {of}, got {shown(value)}")


def check_path(path: Any, name: str = "path") -> Path:
    """Return ``path`` as a Path; it must be a string or a path object that the system can take."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{name} must be the path of a file, got {shown(path)}")
    try:
        possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise ValueError(f"{name} must be the path of a file, got {shown(str(path))}")
    return Path(path)


def items(values: Any, name: str, of: str) -> list[Any]:
    """The entries of a sequence ``of`` these things as a list."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise TypeError(f"{name} must be a sequence of {of}, got {shown(values)}")
    return list(np.asarray(values) if isinstance(values, memoryview) else values)  # of several dimensions


def check_threads(threads: Any) -> int:
    """Return the thread count for an engine; None means all cores this process may use (0)."""
    return 0 if threads is None else integer(threads, "threads", 1, _MOST_THREADS, wanted="an integer or None")


def check_uncertainty(uncertainty: Any, choices: tuple[str | None, ...]) -> None:
    """Raise unless the method is one of the choices; the bootstrap is refused with its reason."""
    if isinstance(uncertainty, str) and uncertainty == "bootstrap":
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
