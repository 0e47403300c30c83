"""Reads tables of text: comma-, semicolon- or tab-separated values, with a line of names or without."""

from __future__ import annotations

from kernalign.sources import tables
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import Stored

_LONGEST_LINE = 16 << 20


def members(place: Place) -> dict[str | None, Stored]:
    """The columns of the table; see `tables.members`."""
    tables.arrow(place)
    from pyarrow import csv

    tables.check_text(place.size, place)
    with intact(place, "table of text"), place.open() as file:
        first = file.readline(_LONGEST_LINE).decode("utf-8-sig").strip("\r\n")
        file.seek(0)
        delimiter = "\t" if place.suffix in (".tsv", ".tab") else max(",;\t", key=first.count)
        cells = [cell.strip('"') for cell in first.split(delimiter)]
        counted = cells == [str(at) for at in range(len(cells))]  # names that nobody gave
        named = counted or not all(map(_is_number, cells))
        read = csv.ReadOptions(autogenerate_column_names=not named, block_size=_LONGEST_LINE)
        table = csv.read_csv(file, read, csv.ParseOptions(delimiter=delimiter))
        for name, column in zip(table.column_names, table.columns, strict=True):
            if str(column.type) == "string" and len(column):
                _check_text(column.to_pylist(), f"{place}:{name}")
        return tables.members(tables.Whole(table), str(place), place.stamp)


def _check_text(cells: list[str], what: str) -> None:
    """Raise where a column of text began as numbers: left out, it would be missed by nobody."""
    if _is_number(cells[0]):
        row = next(at for at, cell in enumerate(cells) if not _is_number(cell))
        raise ValueError(f"{what} must hold numbers throughout, or text, got {cells[row]!r:.80} in row {row}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
