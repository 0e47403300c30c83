"""Reads Parquet files, row group by row group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from kernalign.sources import tables
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import Stored

_KIND = "Parquet file"
_BATCH_BYTES = 8 << 20


def members(place: Place) -> dict[str | None, Stored]:
    """The columns of the file; see `tables.members`."""
    with intact(place, _KIND):
        return tables.members(_Parquet(place), str(place), place.stamp)


class _Parquet:
    """A file whose footer is known; opened anew by whoever reads."""

    def __init__(self, place: Place) -> None:
        self._place = place
        with self._file() as file:
            self.schema, facts = file.schema_arrow, file.metadata
            self._rows = [facts.row_group(at).num_rows for at in range(facts.num_row_groups)]
        if min(self._rows, default=0) < 0:
            raise ValueError(f"{place} must have no negative number of rows")
        self.rows = sum(self._rows)
        self.step = max(self._rows, default=1) if len(set(self._rows[:-1])) <= 1 else 1

    def width(self, column: str) -> int | None:
        """Of the first row; the footer's counts of values would end the process if they were damaged."""
        with self._file() as file:
            for batch in file.iter_batches(1, columns=[column]):
                return tables.length(batch.column(0))
        return None

    def batches(self, columns: Sequence[str], start: int, stop: int) -> Iterator[Any]:
        """Of the row groups that hold these rows, less what is before and after."""
        with intact(self._place, _KIND), self._file() as file:
            begin = 0
            for group, rows in enumerate(self._rows):
                if begin < stop and start < begin + rows:
                    at = begin
                    size = max(1, _BATCH_BYTES // (8 * len(columns)))
                    for batch in file.iter_batches(min(size, rows), row_groups=[group], columns=list(columns)):
                        first, last = max(start - at, 0), min(stop - at, len(batch))
                        if first < last:
                            yield batch.slice(first, last - first)
                        at += len(batch)
                begin += rows

    @contextmanager
    def _file(self) -> Iterator[Any]:
        tables.arrow(self._place)
        from pyarrow.parquet import ParquetFile

        with ExitStack() as open_files:
            given: Any = self._place.local or open_files.enter_context(self._place.open())
            yield open_files.enter_context(ParquetFile(given, memory_map=self._place.local is not None))
