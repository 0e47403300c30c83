"""Labels of groups of items, from a column of a table, an array of numbers or the lines of a text file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import click

from kernalign import sources

_ARRAYS = (".npy", ".npz", ".safetensors")
_TABLES = {".csv": ",", ".tsv": "\t"}


def read_groups(spec: str, first: str) -> Any:
    """What ``FILE``, ``FILE:COLUMN``, ``FILE:KEY``, or a key of the first file that is compared names."""
    table, _, column = spec.rpartition(":")
    if Path(spec).suffix.lower() in _TABLES:
        return _column(Path(spec), None)
    if Path(table).suffix.lower() in _TABLES:
        return _column(Path(table), column)
    file, key = sources.split_spec(spec)
    if file.suffix.lower() in _ARRAYS:
        return sources.open_source(file, key=key).array
    if file.is_file:
        return Path(file).read_text(encoding="utf-8").splitlines()
    owner = sources.split_spec(first)[0]
    if owner.suffix.lower() in _ARRAYS[1:] and owner.is_file:
        return sources.open_source(owner, key=spec).array
    raise click.UsageError(f"--groups must be a file, FILE:COLUMN, FILE:KEY or a key of {first}, got {spec!r}")


def _column(path: Path, name: str | None) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter=_TABLES[path.suffix.lower()])
        columns = list(rows.fieldnames or ())
        if name is None and len(columns) == 1:
            [name] = columns
        if name not in columns:
            listed = ", ".join(columns)
            raise click.UsageError(f"--groups must choose a column of {path}: {path}:COLUMN, of {listed}; got {name!r}")
        return [row[name] for row in rows]
