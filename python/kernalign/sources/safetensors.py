"""Reads ``.safetensors`` files by mapping them; the header is checked here, so that no other package is needed."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kernalign.sources.layout import Member, check_array, map_array

_MAX_HEADER = 100_000_000  # the limit of the format's own library
_DTYPES = {
    "BOOL": "?",
    "U8": "<u1",
    "I8": "<i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}


def members(path: Path) -> dict[str | None, Member]:
    """The tensors of the file that hold real numbers, by name; other types (8-bit floats) only take their place."""
    size = path.stat().st_size
    header, begin = _header(path, size)
    found: dict[str | None, Member] = {}
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: _offsets(item[1], f"{path}:{item[0]}")):
        what = f"{path}:{name}"
        first, last = _offsets(entry, what)
        if first != end:
            raise ValueError(f"{what} must start where its predecessor ends, at {end:,}, got {first:,}")
        end = last
        code, shape = entry.get("dtype"), entry.get("shape")
        if not isinstance(shape, list) or any(type(extent) is not int or extent < 0 for extent in shape):
            raise ValueError(f"{what} must have a shape of non-negative integers, got {str(shape)[:160]}")
        dtype = _dtype(code, what)
        if dtype is None:
            continue
        if math.prod(shape) * dtype.itemsize != last - first:
            raise ValueError(
                f"{what}: shape {shape} of {code} requires {math.prod(shape) * dtype.itemsize:,} bytes, "
                f"but its offsets span {last - first:,}"
            )
        if 0 in shape or not shape:
            continue
        check_array(tuple(shape), dtype, what)
        load = partial(map_array, path, begin + first, tuple(shape), dtype)
        found[name] = Member(tuple(shape), dtype, mappable=True, load=load)
    if begin + end != size:
        raise ValueError(f"{path}: its header requires {begin + end:,} bytes, but the file has {size:,}")
    return found


def _header(path: Path, size: int) -> tuple[dict[str, dict[str, Any]], int]:
    """The tensors' entries and where the data section begins."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            raise ValueError(f"{path}: its header requires {8 + length:,} bytes, but the file has {size:,}")
        raw = file.read(length)
    try:
        header = json.loads(raw, object_pairs_hook=_unique)
        if not isinstance(header, dict) or not all(isinstance(entry, dict) for entry in header.values()):
            raise ValueError("not an object of objects")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must have a JSON header: {error}") from error
    header.pop("__metadata__", None)
    return header, 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name occurs twice")
    return entries


def _offsets(entry: dict[str, Any], what: str) -> tuple[int, int]:
    match entry.get("data_offsets"):
        case [int(first), int(last)] if 0 <= first <= last:
            return first, last
        case other:
            raise ValueError(f"{what} must have two ascending data_offsets, got {str(other)[:160]}")


def _dtype(code: object, what: str) -> np.dtype[Any] | None:
    """The NumPy type of a format's type name; None for those that no metric reads."""
    if code == "BF16":
        try:
            import ml_dtypes
        except ImportError as error:
            raise ValueError(f"{what} is bfloat16, which needs ml-dtypes: pip install 'kernalign[io]'") from error
        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    if not isinstance(code, str):
        raise ValueError(f"{what} must have a dtype, got {code!r}")
    name = _DTYPES.get(code)
    return None if name is None else np.dtype(name)
