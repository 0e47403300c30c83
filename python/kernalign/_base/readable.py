"""Short representations of results: one line, six digits, and the shape of an array instead of its entries."""

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
