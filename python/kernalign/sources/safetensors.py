"""Reads ``.safetensors`` files, sharded ones by their index, by mapping them; the header is checked here, so that no
other package is needed."""

from __future__ import annotations

import json
import math
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from kernalign._base.memory import check_memory
from kernalign.sources.layout import no_numbers
from kernalign.sources.place import Place, one_line
from kernalign.sources.stored import BFLOAT16, Mapped, NoNumbersError, Stored

_MAX_HEADER = 100_000_000  # the limit of the format's own library
_MOST_DIGITS = 19  # of an integer that a file can mean
_OBJECT_BYTES = 16  # of memory for one byte of JSON, at most, where brackets are as rare as in headers
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
_FLOAT8 = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}


def members(place: Place) -> dict[str | None, Stored]:
    """The tensors of the file that hold real numbers, by name; other types only take their place."""
    if place.suffix == ".json":
        return _sharded(place)
    size = place.size
    header, begin = _header(place, size)
    found: dict[str | None, Stored] = {}
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: _offsets(item[1], f"{place}:{item[0]}")):
        what = f"{place}:{name}"
        first, last = _offsets(entry, what)
        if first != end:
            raise ValueError(f"{what} must start where its predecessor ends, at {end:,}, got {first:,}")
        end = last
        code, shape = entry.get("dtype"), entry.get("shape")
        if not isinstance(shape, list) or any(type(extent) is not int or extent < 0 for extent in shape):
            raise ValueError(f"{what} must have a shape of non-negative integers, got {one_line(shape)}")
        if not isinstance(code, str):
            raise ValueError(f"{what} must have a dtype, got {one_line(code)}")
        dtype = dtype_of(_FLOAT8.get(code, {"BF16": "bfloat16"}.get(code, _DTYPES.get(code, ""))))
        if dtype is None:
            if code in _FLOAT8:
                refusal = NoNumbersError(f"{what} is {code}, which needs ml-dtypes: pip install 'kernalign[io]'")
                found[name] = Stored(what, (0,), "u1")
                found[name].refusal = refusal
            continue
        if math.prod(shape) * dtype.itemsize != last - first:
            raise ValueError(
                f"{what}: shape {one_line(shape)} of {code} requires {math.prod(shape) * dtype.itemsize:,} bytes, "
                f"but its offsets span {last - first:,}"
            )
        if 0 not in shape and shape:
            found[name] = Mapped(place, what, begin + first, tuple(shape), dtype)
            found[name].refusal = no_numbers(tuple(shape), dtype, what)
    if begin + end != size:
        raise ValueError(f"{place}: its header requires {begin + end:,} bytes, but the file has {size:,}")
    return found


def dtype_of(name: str) -> np.dtype[Any] | None:
    """A type of NumPy or, by their names, one of ml-dtypes: bfloat16 as bit patterns where that is not installed, None
    for others."""
    if name not in ("bfloat16", *_FLOAT8.values()):
        return np.dtype(name) if name else None
    try:
        import ml_dtypes
    except ImportError:
        return BFLOAT16 if name == "bfloat16" else None
    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return found


def _sharded(place: Place) -> dict[str | None, Stored]:
    """The tensors of all files that an index names; these lie beside it."""
    check_memory(_OBJECT_BYTES * place.size, f"the index {place}")
    with place.open() as file:
        index = _parsed(file.read(), place)
    weights = index.get("weight_map")
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights.values()):
        raise ValueError(f"{place} must have a weight_map of names of files")
    found: dict[str | None, Stored] = {}
    for name in sorted(set(weights.values())):
        if PurePosixPath(name).name != name or not name.endswith(".safetensors"):
            raise ValueError(f"{place} must name .safetensors files beside it, got {one_line(name)}")
        for key, stored in members(place.beside(name)).items():
            if key in weights and weights[key] == name:
                found[key] = stored
    return found


def _header(place: Place, size: int) -> tuple[dict[str, dict[str, Any]], int]:
    """The tensors' entries and where the data section begins."""
    with place.open() as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            raise ValueError(f"{place}: its header requires {8 + length:,} bytes, but the file has {size:,}")
        check_memory(_OBJECT_BYTES * length, f"the header of {place}")
        raw = file.read(length)
    header = _parsed(raw, place)
    header.pop("__metadata__", None)
    if not all(isinstance(entry, dict) for entry in header.values()):
        raise ValueError(f"{place} must have a JSON header: not an object of objects")
    return header, 8 + length


def _parsed(raw: bytes, place: Place) -> dict[str, Any]:
    """An object of JSON whose names differ, with no more brackets than a header of tensors has."""
    try:
        if raw.count(b"[") + raw.count(b"{") > len(raw) // 12 + 64:
            raise ValueError("more brackets than tensors have")
        found = json.loads(raw, object_pairs_hook=_unique, parse_int=_integer)
        if not isinstance(found, dict):
            raise ValueError("not an object of objects")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place} must have a JSON header: {one_line(error)}") from error
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name occurs twice")
    return entries


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"an integer of {len(digits):,} digits")
    return int(digits)


def _offsets(entry: dict[str, Any], what: str) -> tuple[int, int]:
    match entry.get("data_offsets"):
        case [int(first), int(last)] if 0 <= first <= last:
            return first, last
        case other:
            raise ValueError(f"{what} must have two ascending data_offsets, got {one_line(other)}")
