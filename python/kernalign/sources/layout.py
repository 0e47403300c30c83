"""Where an array lies in its file, checked in Python integers before any memory is asked for."""

from __future__ import annotations

import io
import math
import sys
import tokenize
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

MAX_BYTES = 4 << 30
HEADER_BYTES = 16 << 10  # more than any header that NumPy accepts by default

_HEADER_READERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}


class NoNumbersError(ValueError):
    """An array holds nothing that a metric reads; others of the same file may."""


@dataclass(frozen=True)
class Member:
    """One array of a file: what it is, and how to get it; ``refusal`` says why it cannot be."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    mappable: bool
    load: Callable[[], NDArray[Any]]
    refusal: NoNumbersError | None = None

    @classmethod
    def refused(cls, refusal: NoNumbersError) -> Member:
        """An array that holds no numbers, which nobody will load."""
        return cls((), np.dtype(object), True, lambda: np.empty(()), refusal)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Layout:
    """The content of a ``.npy`` header; the array's bytes start ``offset`` bytes into it."""

    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]
    offset: int

    @property
    def size(self) -> int:
        """Bytes of header and array together."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


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
        raise ValueError(f"{what} must start with a NumPy header: {_one_line(error)}") from error
    check_array(shape, dtype, what)
    layout = Layout(shape, "F" if fortran else "C", dtype, stream.tell())
    if layout.size != available:
        raise ValueError(
            f"{what}: its header (shape {shape}, {dtype}) requires {layout.size:,} bytes, but there are {available:,}"
        )
    return layout


def check_array(shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> None:
    """Raise unless this is a numeric array with elements, whose size a process can address."""
    if dtype.hasobject:
        raise NoNumbersError(f"{what} must hold numbers, got Python objects (a pickle, which is never loaded)")
    if dtype.kind not in "fiub" and dtype.name != "bfloat16":
        raise NoNumbersError(f"{what} must hold real numbers, got dtype {dtype}")
    if not shape:
        raise NoNumbersError(f"{what} must be an array with rows, got a single number (shape ())")
    if any(type(extent) is not int or extent < 1 for extent in shape):
        raise NoNumbersError(f"{what} must have at least one element along every axis, got shape {shape}")
    if len(shape) > 32 or math.prod(shape) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"{what} must have a size that fits in memory addresses, got shape {_one_line(shape)}")


def map_array(
    path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], order: Literal["C", "F"] = "C"
) -> NDArray[Any]:
    """Map part of a file, read-only."""
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order=order)


def _one_line(value: object, most: int = 160) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[:most] + "…"
