"""Results and errors as people read them: in one line, six digits, shapes of arrays, or as a table of a notebook."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

_FEW = 6
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Readable:
    """Base of a result (a dataclass made with ``repr=False``) whose arrays are too large to be shown."""

    def _shown(self) -> list[tuple[str, Any]]:
        """What is shown of it, by name."""
        return [(part.name, getattr(self, part.name)) for part in fields(self) if part.repr]  # type: ignore[arg-type]

    def _told(self) -> Sequence[str]:
        """Sentences below the table of a notebook."""
        return ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={short(value)}' for name, value in self._shown())})"

    def _repr_html_(self) -> str:
        return as_html(type(self).__name__, table_rows(self._shown()), self._told())


def table_rows(shown: Iterable[tuple[str, Any]]) -> list[tuple[Sequence[str], Sequence[str]]]:
    """Names and values as rows of `as_html`."""
    return [([name.replace("_", " ")], [value if isinstance(value, str) else short(value)]) for name, value in shown]


def as_html(caption: str, rows: Iterable[tuple[Sequence[str], Sequence[str]]], told: Iterable[str] = ()) -> str:
    """Rows of heads and cells as a table, and sentences below it; all of it is text, whoever named it."""
    left = ' style="text-align:left"'
    lines = [f"<table><caption{left}>{escaped(caption)}</caption>"]
    for heads, cells in rows:
        row = [f"<th{left}>{escaped(head)}</th>" for head in heads] + [
            f"<td{left}>{escaped(cell)}</td>" for cell in cells
        ]
        lines.append(f"<tr>{''.join(row)}</tr>")
    return "\n".join([*lines, "</table>", *(f"<p>{escaped(sentence)}</p>" for sentence in told)])


def escaped(text: str) -> str:
    """Text that a page shows as it is."""
    return html.escape(visible(text))


def visible(text: str) -> str:
    """The text without what a terminal or a page would obey: control characters, but for ends of lines and tabs, and
    marks that turn the direction of writing, as JSON escapes them."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def said(error: Exception) -> str:
    """What an error says, in a line for those who do not read tracebacks."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = str(error) or type(error).__name__
    return f"not enough memory: {text}" if isinstance(error, MemoryError) else text


def counted(count: int, one: str, several: str = "") -> str:
    """So many of something: "1 row", "2 rows"."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"


def short(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, (bool, np.bool_)) or value is None:
        return str(value)
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if isinstance(value, np.ndarray):
        if value.ndim == 1 and value.size <= _FEW:
            return f"[{', '.join(map(short, value))}]"
        return f"array{value.shape}"
    if isinstance(value, tuple):
        return f"({', '.join(map(short, value))})" if len(value) <= _FEW else f"tuple({len(value)})"
    return str(value) if isinstance(value, np.integer) else repr(value)
