"""The order of names as people read them, and which names columns of ids have."""

from __future__ import annotations

import re
from typing import Any

_ID = re.compile(r"_*(item|image|sample)?_?(id|index|key|name|word|token|filename)s?(_level_0)?_*", re.IGNORECASE)


_NAMELESS = ("", "Unnamed: 0")  # what pandas calls the index in a table of text


def names_rows(name: str) -> bool:
    """Whether an array or a column of this name holds what rows are called by."""
    return name in _NAMELESS or _ID.fullmatch(name) is not None


def naturally(name: str) -> tuple[Any, ...]:
    """For sorting: the numbers in a name count by value, so that layer2 comes before layer10."""
    parts = re.split("([0-9]+)", name)
    numbers = [part.lstrip("0") for part in parts[1::2]]
    return (*zip(parts[::2], [*((len(digits), digits) for digits in numbers), (0, "")], strict=True), name)
