"""States as facts and arrays, for checkpoints: dataclasses and named tuples that were declared packable, and plain values."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Type = TypeVar("Type", bound=type)

_TYPES: dict[str, type] = {}


def packable(kind: Type) -> Type:
    """Declare a dataclass or a named tuple whose fields are all that there is to it; those in _ are found again."""
    _TYPES[kind.__name__] = kind
    return kind


def pack(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """JSON facts of a value; its arrays are put into ``arrays`` under names of their own."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name, "bool": value.dtype == bool}
    if isinstance(value, dict):
        return {"dict": [[key, pack(item, arrays)] for key, item in value.items()]}
    name = type(value).__name__
    if _TYPES.get(name) is type(value):
        parts = {field: getattr(value, field) for field in _fields(type(value))}
        return {"type": name, "fields": {field: pack(part, arrays) for field, part in parts.items()}}
    if isinstance(value, (tuple, list)):
        return {"list": [pack(item, arrays) for item in value], "tuple": isinstance(value, tuple)}
    raise TypeError(f"{name} cannot be packed")


def unpack(facts: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """The value that was packed; facts that `pack` does not make are a ValueError."""
    if not isinstance(facts, dict):
        if facts is None or isinstance(facts, (bool, int, float, str)):
            return facts
        raise ValueError(f"a state must be packed as `pack` does it, got {facts!r}")
    if "array" in facts:
        array = arrays[facts["array"]]
        return array.astype(bool) if facts["bool"] else array
    if "dict" in facts:
        return {key: unpack(item, arrays) for key, item in facts["dict"]}
    if "list" in facts:
        items = [unpack(item, arrays) for item in facts["list"]]
        return tuple(items) if facts["tuple"] else items
    kind = _TYPES.get(facts["type"])
    if kind is None or set(facts["fields"]) != set(_fields(kind)):
        raise ValueError(f"there is no state {facts['type']!r} of fields {', '.join(facts['fields'])}")
    return kind(**{field: unpack(part, arrays) for field, part in facts["fields"].items()})


def _fields(kind: Any) -> list[str]:
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind._fields)
    return [name for name in names if not name.startswith("_")]
