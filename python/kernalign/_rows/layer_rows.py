"""Layers as a user gave them, and their rows brought into one order of items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from kernalign._base.checks import check_choice, check_same_rows, shown
from kernalign._rows import pairing
from kernalign._rows.items import BAD_ROWS, AnyArray, BadRows, Given, Undirected, common_items, taken
from kernalign._rows.pairing import PAIRINGS, Kept, Pairing

Made = TypeVar("Made")


@dataclass(frozen=True)
class RowOptions:
    """How rows are paired, ``ids`` by the name of a representation, and which are dropped; see `items.common_items`."""

    pairing: Pairing = "auto"
    ids: Mapping[str, Any] | None = None
    zero_rows: BadRows = "error"
    nan_rows: BadRows = "error"
    undirected: tuple[Undirected, Undirected] = ("", "")  # of xs and of ys
    square: tuple[bool, bool] = (False, False)
    triangles: bool = False  # vectors are those of dissimilarities

    def __post_init__(self) -> None:
        check_choice(self.pairing, "pairing", PAIRINGS)
        for name in ("zero_rows", "nan_rows"):
            check_choice(getattr(self, name), name, BAD_ROWS)
        if self.ids is not None and not isinstance(self.ids, Mapping):
            raise TypeError(f"ids must be a dict of names and labels, got {type(self.ids).__name__}")
        if self.ids is not None and self.pairing == "position":
            raise ValueError("ids must be left out where pairing='position' ignores labels")


AS_THEY_ARE = RowOptions()


@dataclass
class LayersGiven:
    """What a user gave by one name: the whole array (None: layers that came apart), its layers, and what to call them.

    ``plain`` are the layers as `as_matrix` returns them, or errors; ``carried`` is what has the labels of
    all their rows.
    """

    origin: str
    whole: Any
    parts: list[Any]
    names: list[str]
    labels: list[str]
    plain: list[tuple[AnyArray, bool] | Exception] = field(default_factory=list)
    name: str = ""
    side: int = 0  # 0 of xs, 1 of ys
    carried: Any = None

    @property
    def axes(self) -> tuple[int, ...]:
        """The shape of the whole array; none of layers that came apart."""
        return tuple(getattr(self.whole, "shape", ()))

    @property
    def rows(self) -> list[int]:
        """How many each layer has; 0 of one that is an error."""
        return [0 if isinstance(one, Exception) else len(one[0]) for one in self.plain]


def attempt(make: Callable[[], Made], record: bool) -> Made | Exception:
    """What ``make`` makes or, if recording, the error with which input fails that is not what it should be."""
    try:
        return make()
    except (TypeError, ValueError, OSError, ImportError, MemoryError) as error:
        if not record:
            raise
        return error.with_traceback(None)  # whose frames hold arrays


def pair_rows(found: Sequence[LayersGiven], asked: RowOptions, record: bool) -> tuple[Kept | None, dict[str, Any]]:
    """Bring the rows of all layers into one order of items, less those that are dropped: which of the first layer these
    are (None: all, as they are), and what was done, as settings."""
    ids = {} if asked.ids is None else asked.ids
    if unknown := [name for name in ids if name not in [given.name for given in found]]:
        raise ValueError(f"ids must be of representations that are given, got {shown(unknown[0])}")
    others = [one for given in found for one in (given.carried, *given.parts) if type(one) is not np.ndarray]
    labelled = bool(ids) or any(pairing.index_of(one) is not None for one in others)
    if asked.pairing != "ids":
        if labelled and asked.pairing == "auto":
            sides = [
                pairing.side(one.name, len(one.matrix), one.value, ids.get(given.name))
                for given, _, one in _opened(found)
            ]
            pairing.match([side for side in sides if side.labels is not None], "auto")  # before rows are counted
        _set_apart(found, record)
    drops = "drop_pair" in (asked.zero_rows, asked.nan_rows)
    if not (drops or asked.pairing == "ids" or (labelled and asked.pairing == "auto")):
        return None, {"pairing": "position"}
    opened = list(_opened(found))
    if not opened:
        return None, {}
    matched = common_items(
        [one for *_, one in opened],
        asked.pairing,
        [ids.get(given.name) for given, *_ in opened],
        undirected=[asked.undirected[given.side] for given, *_ in opened],
        zero_rows=asked.zero_rows,
        nan_rows=asked.nan_rows,
        square=[asked.square[given.side] for given, *_ in opened],
    )
    for (given, at, one), rows, error in zip(opened, matched.rows, matched.errors, strict=True):
        if error is not None and not record:
            raise error
        given.plain[at] = error or (taken(one.matrix, rows, square=asked.square[given.side]), one.bfloat16)
        if at == 0 and isinstance(given.whole, np.ndarray) and given.whole.ndim > 1:
            given.whole = taken(given.whole, rows)
    settings = dict(matched.settings)
    if "unpaired" in settings:
        settings["unpaired"] = {one.name: n for (*_, one), n in zip(opened, settings["unpaired"], strict=True) if n}
        lost = {one.name: first for (*_, one), first in zip(opened, matched.lost, strict=False) if first}
        settings |= {"unpaired_ids": lost} if lost else {}
    return matched.kept, settings


def _opened(found: Sequence[LayersGiven]) -> Iterator[tuple[LayersGiven, int, Given]]:
    """Every layer that could be read: what it is of, which it is there, and itself."""
    for given in found:
        for at, (name, part, side) in enumerate(zip(given.names, given.parts, given.plain, strict=True)):
            if not isinstance(side, Exception):
                yield given, at, Given(name, *side, part if given.carried is None else given.carried)


def _set_apart(found: Sequence[LayersGiven], record: bool) -> None:
    """Make layers errors whose number of rows is not the most frequent one (the first of equals)."""
    counts = Counter([n for given in found for n in given.rows if n])
    if len(counts) < 2:
        return
    [(most, _)] = counts.most_common(1)
    first = next(given for given in found if most in given.rows)
    for given in found:
        alike = next((name for name, n in zip(given.names, given.rows, strict=True) if n == most), None)
        for at, n in enumerate(given.rows):
            if n not in (0, most):
                names = (first.origin, given.origin) if alike is None else (alike, given.names[at])
                error = attempt(partial(_check_same_items, most, n, names, first.axes, given.axes), record)
                assert error is not None
                given.plain[at] = error


def _check_same_items(n: int, m: int, names: tuple[str, str], axes: tuple[int, ...], others: tuple[int, ...]) -> None:
    """Raise; with a remedy where two stacks of layers agree in what stands in the place of layers."""
    try:
        check_same_rows(n, m, *names)
    except ValueError as error:
        if len(axes) == len(others) == 3 and axes[1] == others[1] > max(n, m):
            both = f"both have {axes[1]} along the second axis: x.swapaxes(0, 1) makes items of what are layers now"
            raise ValueError(f"{error}; {both}") from None
        raise
