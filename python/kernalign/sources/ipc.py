"""Reads Arrow IPC files and streams, Feather among them, batch by batch from a map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kernalign.sources import tables
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import Stored

_KIND = "Arrow IPC file"
_MAGIC = b"ARROW1"


def members(place: Place) -> dict[str | None, Stored]:
    """The columns of the file; see `tables.members`."""
    with intact(place, _KIND):
        return tables.members(_Ipc(place), str(place), place.stamp)


class _Ipc:
    """A file whose batches are known; opened anew by whoever reads."""

    def __init__(self, place: Place) -> None:
        self._place = place
        with self._batches() as (schema, batches):
            self.schema = schema
            self._rows: list[int] = []
            self._widths: dict[str, int | None] = {}
            for batch in batches:
                if not self._rows:
                    self._widths = {name: tables.length(batch.column(name)) for name in _variable(schema)}
                self._rows.append(batch.num_rows)
        self.rows = sum(self._rows)
        self.step = max(self._rows, default=1) if len(set(self._rows[:-1])) <= 1 else 1

    def width(self, column: str) -> int | None:
        """Of the first row."""
        return self._widths.get(column)

    def batches(self, columns: Sequence[str], start: int, stop: int) -> Iterator[Any]:
        """Those that hold these rows, less what is before and after."""
        at = 0
        with intact(self._place, _KIND), self._batches() as (_, batches):
            for batch in batches:
                first, last = max(start - at, 0), min(stop - at, batch.num_rows)
                if first < last:
                    yield batch.select(columns).slice(first, last - first)
                at += batch.num_rows
                if at >= stop:
                    break

    @contextmanager
    def _batches(self) -> Iterator[tuple[Any, Iterator[Any]]]:
        pyarrow = tables.arrow(self._place)
        raw: Any = pyarrow.memory_map(str(self._place.path)) if self._place.local else self._place.open()
        with raw:
            start = raw.read(len(_MAGIC))
            raw.seek(0)
            if start == _MAGIC:
                file = pyarrow.ipc.open_file(raw)
                yield file.schema, (_checked(file.get_batch(at)) for at in range(file.num_record_batches))
            else:
                stream = pyarrow.ipc.open_stream(raw)
                yield stream.schema, map(_checked, stream)


def _checked(batch: Any) -> Any:
    """The batch, once its offsets are known to lie in it: Arrow reads where they lead."""
    batch.validate(full=True)
    return batch


def _variable(schema: Any) -> list[str]:
    return [field.name for field in schema if tables.is_list(field.type)]
