"""Shows rows as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kernalign import __version__
from kernalign._base.files import atomic_write
from kernalign._base.readable import visible

_PLAIN_WIDTH = 240  # columns where no terminal sets a limit
_FOLDED = {"x", "y", "pair", "reason"}  # columns that may take several lines
_WORDS = _FOLDED | {"metric"}


def say(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Write to standard output, or standard error: the one place that does, as names come from files of others."""
    click.echo(visible(text), err=err, nl=nl)


def show_table(columns: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    """A table, as wide as the terminal allows; plain text where there is none."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    table = Table(box=None, pad_edge=False)
    for column in columns:
        words = column in _WORDS
        table.add_column(column, justify="left" if words else "right", no_wrap=column not in _FOLDED, overflow="fold")
    for cells in body:
        table.add_row(*(Text(visible(cell)) for cell in cells))
    console.print(table)


def as_json(rows: Sequence[dict[str, Any]], settings: dict[str, Any], **more: Any) -> str:
    """Rows, settings and what more there is as a JSON document; numbers that do not exist are null."""
    document = {"kernalign": __version__, "settings": settings, "rows": rows, **more}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV; numbers that do not exist are empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def plain(value: Any) -> Any:
    """A value, or a dict of them, in types that JSON knows: a number that is not finite becomes None."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def write_text(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a whole file or none."""
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(text.encode())


def check_output(path: Path, suffixes: Sequence[str], *, overwrite: bool) -> None:
    """Refuse before the work what would fail after it."""
    if path.suffix.lower() not in suffixes:
        *most, last = suffixes
        wanted = f"{', '.join(most)} or {last}" if most else last
        what = f"must end in {wanted}, got {path.name}"
    elif path.is_dir():
        what = f"must be a file, but {path} is a directory"
    elif os.path.lexists(path) and not overwrite:
        what = f"{path} exists already; --force overwrites it"
    elif not path.parent.is_dir():
        what = f"there is no directory {path.parent}"
    elif not os.access(path.parent, os.W_OK):
        what = f"cannot write to the directory {path.parent}"
    else:
        return
    raise click.BadParameter(what, param_hint="--output")


def number(value: float | None, form: str = ".4f") -> str:
    """A number as a table shows it; in powers of ten where the form would hide it."""
    if value is None or value != value:
        return "–" if value is None else "undefined"
    if value and form.endswith("f") and not 10.0 ** -int(form[1:-1]) <= abs(value) < 1e5:
        return f"{value:.2e}"
    return format(value, form)


def probability(p: float | None) -> str:
    """A p-value as a table shows it."""
    if p is None:
        return "–"
    return "<1e-12" if p < 1e-12 else f"{p:.2g}"
