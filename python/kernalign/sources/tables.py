"""Rows of tables with columns, by Arrow: columns of lists are arrays, and so are plain columns of numbers together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from kernalign._base.memory import check_memory
from kernalign.sources.layout import no_numbers
from kernalign.sources.names import names_rows
from kernalign.sources.place import intact
from kernalign.sources.stored import AnyArray, NoNumbersError, Stored


class Table(Protocol):
    """What a format says of its table."""

    schema: Any
    rows: int
    step: int

    def width(self, column: str) -> int | None:
        """How many numbers the lists of a column have, if one number says it."""

    def batches(self, columns: Sequence[str], start: int, stop: int) -> Iterator[Any]:
        """Batches of some of the columns that together are rows start .. stop."""


def members(table: Table, what: str, stamp: Callable[[], str]) -> dict[str | None, Stored]:
    """Columns of lists by name or, if there is none, all plain columns of numbers as one array, under the key None; and
    plain columns by name. Those that name rows are no features."""
    found: dict[str | None, Stored] = {}
    plain: list[str] = []
    for field in table.schema:
        where = f"{what}:{field.name}"
        extents, kind = [], field.type
        while is_list(kind):
            fixed = getattr(kind, "list_size", -1)
            extents.append(fixed if fixed > 0 else table.width(field.name))
            kind = kind.value_type
        dtype = _dtype(kind)
        refusal = None if dtype is not None else NoNumbersError(f"{where} must hold real numbers, got {kind}")
        if len(extents) > 1 and not all(getattr(one, "list_size", -1) > 0 for one in _kinds(field.type)):
            refusal = NoNumbersError(f"{where} must be lists of fixed sizes where they are nested, got {field.type}")
        if None in extents:
            refusal = refusal or NoNumbersError(f"{where} must have lists of one length in every row")
        shape = (table.rows, *(extent or 0 for extent in extents))
        stored = _Columns(where, table, [field.name], shape, np.dtype(object) if dtype is None else dtype, stamp)
        stored.refusal = refusal or no_numbers(shape, stored.dtype, where)
        found[field.name] = stored
        if not extents and dtype is not None and not names_rows(field.name):
            plain.append(field.name)
    if plain and all(stored.ndim == 1 for stored in found.values()):
        dtype = np.result_type(*(found[name].dtype for name in plain))
        found[None] = stored = _Columns(what, table, plain, (table.rows, len(plain)), dtype, stamp)
        stored.refusal = no_numbers(stored.shape, dtype, what)
    return found


class _Columns(Stored):
    """One column, or several plain ones side by side."""

    def __init__(
        self,
        what: str,
        table: Table,
        columns: list[str],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        stamp: Callable[[], str],
    ) -> None:
        super().__init__(what, shape, dtype, stamp)
        self._table, self._columns, self.step = table, columns, max(1, table.step)

    def read(self, start: int, stop: int, out: AnyArray) -> None:
        at = 0
        for batch in self._table.batches(self._columns, start, stop):
            rows = out[at : at + len(batch)]
            for place, name in enumerate(self._columns):
                with intact(self.what, "table"):
                    values = numbers(batch.column(name), self.what, start + at, self.shape[1:], self.dtype)
                if len(self._columns) > 1 or (self.ndim > 1 and values.ndim == 1):
                    rows[:, place] = values
                else:
                    rows[...] = values
            at += len(batch)
        if at != stop - start:
            raise ValueError(f"{self.what} requires {stop - start:,} rows from {start:,} on, but there are {at:,}")


def numbers(values: Any, what: str, begin: int, extents: tuple[int, ...], dtype: np.dtype[Any]) -> AnyArray:
    """Values of a column of a batch; lists as rows. ``begin`` is the number of its first row in errors."""
    listed = is_list(values.type)
    depth = 0
    while is_list(values.type):
        if values.null_count:
            row = int(np.flatnonzero(~np.asarray(values.is_valid()))[0])
            raise ValueError(f"{what} must have a list in every row, row {begin + row} has none")
        if getattr(values.type, "list_size", -1) < 0:
            lengths = np.diff(np.asarray(values.offsets))
            wrong = np.flatnonzero(lengths != extents[depth])
            if len(wrong):
                raise ValueError(
                    f"{what} must have rows of one length: row {begin + int(wrong[0])} has {lengths[wrong[0]]} values,"
                    f" row 0 has {extents[depth]}"
                )
        values, depth = values.flatten(), depth + 1
    if values.null_count and dtype.kind not in "fO":
        row = int(np.flatnonzero(~np.asarray(values.is_valid()))[0]) // (int(np.prod(extents)) if listed else 1)
        raise ValueError(f"{what} must have no missing values among integers, got one at row {begin + row}")
    flat: AnyArray = values.to_numpy(zero_copy_only=False)
    return flat.reshape(-1, *extents) if listed else flat


class Whole:
    """A table in memory; integers with missing values among them become float64."""

    step = 1

    def __init__(self, table: Any) -> None:
        for at, column in enumerate(table.columns):
            if column.null_count and str(column.type).startswith(("int", "uint")):
                table = table.set_column(at, table.field(at).name, column.cast("float64"))
        self._table = table
        self.schema, self.rows = table.schema, table.num_rows

    def width(self, column: str) -> int | None:
        """Of the first row."""
        return length(self._table.column(column))

    def batches(self, columns: Sequence[str], start: int, stop: int) -> Iterator[Any]:
        """Nothing is copied."""
        yield from self._table.select(columns).slice(start, stop - start).to_batches()


def length(column: Any) -> int | None:
    """Of the first list of a column, if there is one."""
    return len(column[0]) if len(column) and column[0].is_valid else None


def arrow(what: object) -> Any:
    """The package."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f"{what} needs pyarrow: pip install 'kernalign[io]'") from error
    return pyarrow


def is_list(kind: Any) -> bool:
    """Whether a column of this type has lists of values."""
    return hasattr(kind, "value_type") and str(kind).startswith(("list", "large_list", "fixed_size_list"))


def check_text(size: int, what: object) -> None:
    """Raise unless there is memory for the numbers that a text of so many bytes can hold: one for two bytes, twice."""
    check_memory(8 * size, f"{what}, as numbers,")


def _kinds(kind: Any) -> Iterator[Any]:
    while is_list(kind):
        yield kind
        kind = kind.value_type


def _dtype(kind: Any) -> np.dtype[Any] | None:
    """Of numbers and flags; None for all else, which is read as objects."""
    try:
        found = np.dtype(kind.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        return None
    return found if found.kind in "fiub" else None
