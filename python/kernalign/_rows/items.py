"""Which items all inputs have in rows that can be read, and where their rows are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._rows import pairing
from kernalign._rows.blocks import spans
from kernalign._rows.pairing import Kept, Pairing, Places

BadRows: TypeAlias = Literal["error", "drop_pair"]
# Rows that have no direction for a metric that needs one; "" where none does.
Undirected: TypeAlias = Literal["", "zero", "constant"]
AnyArray: TypeAlias = NDArray[Any]

BAD_ROWS = ("error", "drop_pair")


def either(*kinds: Undirected) -> Undirected:
    """The rows that one of several metrics cannot read: a row of zeros is constant, too."""
    return "constant" if "constant" in kinds else "zero" if "zero" in kinds else ""


class Given(NamedTuple):
    """An input: what errors call it, what it is an array of (bfloat16 as bit patterns), and what the user gave."""

    name: str
    matrix: AnyArray
    bfloat16: bool
    value: Any


class Items(NamedTuple):
    """The rows of every input that are taken, in an order of items that all share (None: all, as they are).

    ``errors`` are of inputs whose bad rows would otherwise be named by other numbers than the user's; ``kept`` says
    which rows of the first are taken.
    """

    rows: tuple[Places | None, ...]
    settings: dict[str, Any]
    errors: tuple[ValueError | None, ...]
    kept: Kept
    lost: tuple[pairing.Labels, ...] = ()  # the first labels of every input that have no partner


def common_items(
    inputs: Sequence[Given],
    how: Pairing,
    ids: Any,
    *,
    undirected: Undirected | Sequence[Undirected] = "",
    zero_rows: BadRows = "error",
    nan_rows: BadRows = "error",
    square: bool | Sequence[bool] = False,
) -> Items:
    """The items of several inputs: rows paired, those that cannot be read dropped on all sides if that is asked for.

    With ``square``, inputs are Gram matrices: an item is a row and a column. Both this and ``undirected`` may be given
    for each input. ``ids`` are labels of the rows of every input (None: those that it carries).
    """
    squares = [square] * len(inputs) if isinstance(square, bool) else square
    directions = [undirected] * len(inputs) if isinstance(undirected, str) else undirected
    sides = [
        pairing.side(one.name, len(one.matrix), one.value, own)
        for one, own in zip(inputs, ids or [None] * len(inputs), strict=True)
    ]
    matched = pairing.match(sides, how)
    rows, settings = list(matched.rows), matched.settings
    dropped: dict[str, int] = {}
    errors: list[ValueError | None] = [None] * len(inputs)
    finite = ["non-finite"] * len(inputs)
    for kinds, wish in sorted(((finite, nan_rows), (directions, zero_rows)), key=lambda one: one[1] == "error"):
        if not any(kinds) or (wish == "error" and all(own is None for own in rows)):
            continue  # the engines find the row, under its own number
        kind = max(kinds)
        at_fault = [
            _BAD[own](one.matrix, one.bfloat16, gram) for own, one, gram in zip(kinds, inputs, squares, strict=True)
        ]
        if wish == "error":
            named = [_error(*case, kind) for case in zip(inputs, at_fault, rows, strict=True)]
            errors = [known or new for known, new in zip(errors, named, strict=True)]
            continue
        ill = np.logical_or.reduce([own if at is None else own[at] for own, at in zip(at_fault, rows, strict=True)])
        dropped[kind] = int(ill.sum())
        if ill.all():
            option = "nan_rows" if kind == "non-finite" else "zero_rows"
            worst = max(zip(at_fault, inputs, strict=True), key=lambda one: int(one[0].sum()))
            raise ValueError(
                f"{option}='drop_pair' must leave an item, but every item has a {kind} row on one side"
                f" ({worst[1].name} has {int(worst[0].sum())})"
            )
        if ill.any():
            rows = [np.flatnonzero(~ill) if at is None else at[~ill] for at in rows]
    if "drop_pair" in (zero_rows, nan_rows):
        settings |= {"dropped": sum(dropped.values()), "dropped_rows": dropped}
    kept = Kept(sides[0].n, rows[0], tuple(sides), how)
    return Items(tuple(rows), settings, tuple(errors), kept, matched.lost)


def taken(matrix: AnyArray, rows: Places | None, *, square: bool = False) -> AnyArray:
    """These rows (and columns, of a Gram matrix): the array itself where that is all."""
    if rows is None:
        return matrix
    return matrix[np.ix_(rows, rows)] if square else matrix[rows]


def _error(one: Given, bad: NDArray[np.bool_], own: Places | None, kind: str) -> ValueError | None:
    """Names the first bad row that is taken, under the number that the user knows it by."""
    found = np.flatnonzero(bad) if own is None else np.sort(own[bad[own]])
    if not len(found):
        return None
    row = int(found[0])
    if kind != "non-finite":
        need = f"have no {kind} row where rows are {'normalised' if kind == 'zero' else 'correlated'}"
        return ValueError(f'{one.name} must {need}, row {row} is {kind} (zero_rows="drop_pair" drops such items)')
    column = int(np.argmax(_odd(one.matrix[row : row + 1], one.bfloat16)[0]))
    return ValueError(
        f"{one.name} must be finite, got {_value(one.matrix[row, column], one.bfloat16)} at row {row}, column"
        f' {column} (nan_rows="drop_pair" drops such items)'
    )


def _value(cell: Any, bf16: bool) -> float:
    return float((np.uint32(cell) << np.uint32(16)).view(np.float32) if bf16 else cell)


def _odd(block: AnyArray, bf16: bool) -> NDArray[np.bool_]:
    """Which values are nan or infinite."""
    return np.asarray((block & 0x7F80) == 0x7F80 if bf16 else ~np.isfinite(block))


def _by_rows(matrix: AnyArray, holds: Callable[[AnyArray], Any]) -> NDArray[np.bool_]:
    return np.concatenate([holds(matrix[begin:end]) for begin, end in spans(*matrix.shape)])


def _not_finite(matrix: AnyArray, bf16: bool, square: bool) -> NDArray[np.bool_]:
    if not bf16 and matrix.dtype.kind != "f":
        return np.zeros(len(matrix), dtype=bool)
    ill = _by_rows(matrix, lambda block: _odd(block, bf16).any(axis=1))
    if not (square and ill.any()):
        return ill
    # An item that is nan throughout is so in a column of every row: take away the worst until nothing is left.
    odd = _odd(matrix, bf16)
    count = odd.sum(axis=0) + odd.sum(axis=1)
    ill[:] = False
    while count.max() > 0:
        worst = int(count.argmax())
        ill[worst] = True
        count -= odd[worst].astype(count.dtype) + odd[:, worst]
        odd[worst], odd[:, worst], count[worst] = False, False, 0
    return ill


def _zero(matrix: AnyArray, bf16: bool, square: bool) -> NDArray[np.bool_]:
    return _by_rows(matrix, lambda block: ~(block & 0x7FFF if bf16 else block).any(axis=1))


def _constant(matrix: AnyArray, bf16: bool, square: bool) -> NDArray[np.bool_]:
    return _by_rows(matrix, lambda block: (block == block[:, :1]).all(axis=1))


def _none(matrix: AnyArray, bf16: bool, square: bool) -> NDArray[np.bool_]:
    return np.zeros(len(matrix), dtype=bool)


_BAD: dict[str, Callable[[AnyArray, bool, bool], NDArray[np.bool_]]] = {
    "": _none,
    "non-finite": _not_finite,
    "zero": _zero,
    "constant": _constant,
}
