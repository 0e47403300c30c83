"""Results and errors in one line: six digits, shapes of arrays instead of their entries, the file that is missing."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

_FEW = 6


class Readable:
    """Base of a result (a dataclass made with ``repr=False``) whose arrays are too large to be shown."""

    def __repr__(self) -> str:
        shown = (f"{part.name}={_short(getattr(self, part.name))}" for part in fields(self) if part.repr)  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"


def said(error: Exception) -> str:
    """What an error says, in a line for those who do not read tracebacks."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = str(error) or type(error).__name__
    return f"not enough memory: {text}" if isinstance(error, MemoryError) else text


def _short(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)) or value is None:
        return str(value)
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if isinstance(value, np.ndarray):
        if value.ndim == 1 and value.size <= _FEW:
            return f"[{', '.join(map(_short, value))}]"
        return f"array{value.shape}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))})" if len(value) <= _FEW else f"tuple({len(value)})"
    return str(value) if isinstance(value, np.integer) else repr(value)
