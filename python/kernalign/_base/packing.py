"""States as JSON facts and named arrays, for checkpoints: plain values, and the types that were declared packable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Type = TypeVar("Type", bound=type)


class _Way(NamedTuple):
    """How a type is taken apart and put together."""

    kind: type
    parts: Callable[[Any], dict[str, Any]]
    make: Callable[..., Any]


_WAYS: dict[str, _Way] = {}


def packable(kind: Type) -> Type:
    """Declare a dataclass or a named tuple; fields that begin with _ or are no arguments are not packed."""
    named = (
        [field.name for field in fields(kind) if field.init]
        if is_dataclass(kind)
        else list(getattr(kind, "_fields", ()))
    )
    names = [name for name in named if not name.startswith("_")]
    pack_as(kind, lambda value: {name: getattr(value, name) for name in names}, kind)
    return kind


def pack_as(kind: type, parts: Callable[[Any], dict[str, Any]], make: Callable[..., Any]) -> None:
    """Declare any type by its parts, from which ``make(**parts)`` makes it."""
    _WAYS[kind.__name__] = _Way(kind, parts, make)


def pack(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """JSON facts of a value; its arrays are put into ``arrays`` under names of their own."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        name = f"array {len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": [[pack(key, arrays), pack(item, arrays)] for key, item in value.items()]}
    name = type(value).__name__
    if name in _WAYS and _WAYS[name].kind is type(value):
        parts = _WAYS[name].parts(value)
        return {"type": name, "parts": {part: pack(item, arrays) for part, item in parts.items()}}
    if isinstance(value, (tuple, list)):
        return {type(value).__name__: [pack(item, arrays) for item in value]}
    raise TypeError(f"{name} is not a state that can be packed")


def unpack(facts: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """The value that was packed; what `pack` does not make is a ValueError."""
    if facts is None or isinstance(facts, (bool, int, float, str)):
        return facts
    if "array" in facts:
        return arrays[facts["array"]]
    if "dict" in facts:
        return {unpack(key, arrays): unpack(item, arrays) for key, item in facts["dict"]}
    for kind in (tuple, list):
        if kind.__name__ in facts:
            return kind(unpack(item, arrays) for item in facts[kind.__name__])
    if facts["type"] not in _WAYS:
        raise ValueError(f"there is no state {facts['type']!r}")
    return _WAYS[facts["type"]].make(**{part: unpack(item, arrays) for part, item in facts["parts"].items()})
