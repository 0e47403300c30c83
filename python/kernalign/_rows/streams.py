"""Paired rows that lie in files or in other libraries' objects, block by block, as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kernalign._base.checks import check_same_rows
from kernalign.sources.objects import stored
from kernalign.sources.stored import Stored


def opened(x: Any, y: Any, names: tuple[str, str]) -> tuple[Any, Any, bool]:
    """Both sides, stored arrays where they lie elsewhere, and whether one has to be read in blocks: what is mapped is
    read as it is."""
    sides = stored(x, names[0]), stored(y, names[1])
    return (*sides, any(isinstance(one, Stored) and not one.mapped for one in sides))


def blocks(x: Any, y: Any, names: tuple[str, str]) -> Iterator[tuple[Any, Any]]:
    """Rows of both sides, in blocks that suit how they are stored.

    Raises
    ------
    ValueError
        The sides differ in rows or in the names of these.
    """
    sides = [one.array() if isinstance(one, Stored) and one.mapped else one for one in (x, y)]
    sides = [one if isinstance(one, Stored) else np.asarray(one) for one in sides]
    for one, name in zip(sides, names, strict=True):
        if len(one.shape) != 2:
            raise ValueError(f"{name} must be 2-D (items, features), got shape {tuple(one.shape)}")
    check_same_rows(len(sides[0]), len(sides[1]), *names)
    labels = [one.labels for one in (x, y) if isinstance(one, Stored) and one.labels is not None]
    if len(labels) == 2 and labels[0] != labels[1]:
        raise ValueError(f"{names[0]} and {names[1]} must have rows in the same order to be read in blocks: ids differ")
    slowest = max((one for one in sides if isinstance(one, Stored)), key=lambda one: (one.step, one.nbytes))
    for start, stop in slowest.spans():
        yield _rows(sides[0], start, stop), _rows(sides[1], start, stop)


def _rows(side: Any, start: int, stop: int) -> Any:
    if not isinstance(side, Stored):
        return side[start:stop]
    out = np.empty((stop - start, *side.shape[1:]), side.dtype)
    side.read(start, stop, out)
    return out
