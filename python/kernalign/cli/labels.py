"""Labels of items, from a column of a table, an array or the lines of a text file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import click
import numpy as np

from kernalign._rows.labelled_arrays import labelled
from kernalign.sources import split_spec
from kernalign.sources.contents import members_of
from kernalign.sources.formats import format_of
from kernalign.sources.names import names_rows

_TABLES = {".csv": ",", ".tsv": "\t"}


def read_labels(spec: str, option: str, first: str = "") -> Any:
    """What ``FILE``, ``FILE:COLUMN``, ``FILE:KEY``, or a key of the first file that is compared names, with the ids
    that stand beside it."""
    table, _, column = spec.rpartition(":")
    for path, name in ((spec, None), (table, column)):
        if Path(path).suffix.lower() in _TABLES:
            return _column(Path(path), name, option)
    place, key = split_spec(spec)
    if place.is_file and (place.suffix == ".txt" or format_of(place) is None):
        return Path(place).read_text(encoding="utf-8").splitlines()
    if not place.is_file:
        place, key = split_spec(first)[0], spec
    members = members_of(place) if place.is_file and format_of(place) else {}
    if key is None and len(members) == 1:
        [key] = members
    if key not in members or (place.suffix == ".npy" and key is not None):
        raise click.UsageError(f"{option} must be a file, FILE:COLUMN, FILE:KEY or a key of {first}, got {spec!r}")
    ids = next((one for name, one in members.items() if _names_rows_of(name, key)), None)
    return _with_ids(members[key].texts(), None if ids is None or ids.ndim != 1 else ids.texts())


def stands_alone(spec: str) -> bool:
    """Whether this names a file, and not what is in one."""
    table = spec.rpartition(":")[0]
    return split_spec(spec)[0].is_file or (Path(table).suffix.lower() in _TABLES and Path(table).is_file())


def _names_rows_of(name: str | None, key: str | None) -> bool:
    """Whether an array or a column holds the ids of the rows of another one."""
    return name is not None and name != key and names_rows(name.rpartition("/")[2])


def _with_ids(found: list[Any], ids: list[Any] | None) -> Any:
    return found if ids is None or len(ids) != len(found) else labelled(np.array(found, dtype=object), ids)


def _column(path: Path, name: str | None, option: str) -> Any:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter=_TABLES[path.suffix.lower()])
        columns = list(rows.fieldnames or ())
        if name is None and len(columns) == 1:
            [name] = columns
        if name not in columns:
            listed = ", ".join(columns)
            raise click.UsageError(f"{option} must choose a column of {path}: {path}:COLUMN, of {listed}; got {name!r}")
        listed_rows = list(rows)
        ids = next((one for one in columns if _names_rows_of(one, name)), None)
        return _with_ids([row[name] for row in listed_rows], None if ids is None else [row[ids] for row in listed_rows])
