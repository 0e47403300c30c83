"""Checks what a header says of its array, in Python integers, before any memory is asked for."""

from __future__ import annotations

import io
import math
import sys
import tokenize
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy_format

from kernalign.sources.place import one_line
from kernalign.sources.stored import BFLOAT16, NoNumbersError

HEADER_BYTES = 16 << 10  # more than any header that NumPy accepts by default

_HEADER_READERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}


@dataclass(frozen=True)
class Layout:
    """The content of a ``.npy`` header; the array's bytes start ``offset`` bytes into it."""

    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]
    offset: int
    refusal: NoNumbersError | None


def npy_layout(start: bytes, available: int, what: str) -> Layout:
    """Parse the ``.npy`` header at the start of ``what``; header and array must fill exactly ``available`` bytes."""
    stream = io.BytesIO(start)
    try:
        version = npy_format.read_magic(stream)
        if version not in _HEADER_READERS:
            raise ValueError(f"version {version} is not a plain array")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy's repair of Python 2 headers
            shape, fortran, dtype = _HEADER_READERS[version](stream)
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError, Warning, RecursionError, MemoryError) as error:
        raise ValueError(f"{what} must start with a NumPy header: {one_line(error)}") from error
    layout = Layout(shape, "F" if fortran else "C", dtype, stream.tell(), no_numbers(shape, dtype, what))
    required = layout.offset + math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and all(extent >= 0 for extent in shape) and required != available:
        raise ValueError(
            f"{what}: its header (shape {shape}, {dtype}) requires {required:,} bytes, but there are {available:,}"
        )
    return layout


def no_numbers(shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> NoNumbersError | None:
    """Why this is no array of numbers with elements; raises where a process cannot address so many."""
    numeric = dtype.kind in "fiub" or dtype == BFLOAT16 or dtype.name.startswith(("bfloat16", "float8"))
    if dtype.hasobject:
        return NoNumbersError(f"{what} must hold numbers, got Python objects (a pickle, which is never loaded)")
    if not numeric:
        return NoNumbersError(f"{what} must hold real numbers, got dtype {dtype}")
    if not shape:
        return NoNumbersError(f"{what} must be an array with rows, got a single number (shape ())")
    if any(type(extent) is not int or extent < 1 for extent in shape):
        return NoNumbersError(f"{what} must have at least one element along every axis, got shape {one_line(shape)}")
    if len(shape) > 32 or math.prod(shape) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"{what} must have a size that fits in memory addresses, got shape {one_line(shape)}")
    return None
