"""What a user gave as a NumPy array of numbers, without copying what is one."""

from __future__ import annotations

import sys
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.digests import digest
from kernalign._rows import objects, on_device
from kernalign._rows.blocks import spans
from kernalign._rows.indicators import Indicators
from kernalign.sources.objects import stored
from kernalign.sources.stored import BFLOAT16, Stored

AnyArray: TypeAlias = NDArray[Any]

_NUMBERS = "efdbBhHiIlLqQ?"  # dtypes that engines read as they are, if in native order


def as_matrix(x: Any, name: str) -> tuple[AnyArray, bool]:
    """Return a 2-D NumPy view of ``x`` (bfloat16 as its 16-bit patterns) and whether it is bfloat16."""
    if type(x) is np.ndarray and x.ndim == 2 and x.dtype.char in _NUMBERS and x.dtype.isnative and 0 not in x.shape:
        return x, False
    if type(x) is Indicators:
        return x, False
    x = stored(x, name)
    if isinstance(x, Stored):
        x = x.array()
    if x is None or (isinstance(x, (bytes, dict)) and not hasattr(x, "tocsr")):  # some sparse ones are dicts
        raise TypeError(f"{name} must be a 2-D numeric array, got {type(x).__name__}")
    array, bf16 = to_numpy(x, name)
    if not bf16 and array.dtype.kind in "OSUV" and not array.dtype.name.startswith("float8_"):
        array = objects.numbers_of(x, array, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must be 2-D (items, features), got shape {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"{name} must have at least one row and one column, got shape {array.shape}")
    if bf16:
        return array, True
    if array.dtype.name.startswith("float8_"):
        array = array.astype(np.float16)  # which holds every value of them
    kind = array.dtype.kind
    if kind == "c":
        raise TypeError(f"{name} must be real, got dtype {array.dtype}")
    if kind not in "fiub":
        raise TypeError(f"{name} must have a float or integer dtype, got {array.dtype}")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array, False


def to_numpy(x: Any, name: str) -> tuple[AnyArray, bool]:
    """A NumPy view of ``x`` of any shape (bfloat16 as its 16-bit patterns) and whether it is bfloat16."""
    if hasattr(x, "tocsr"):
        raise TypeError(f"{name} must be dense, got the sparse {type(x).__name__}; use .toarray()")
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array (the mask would be ignored); fill it first")
    if isinstance(x, np.ndarray):
        return _bit_patterns(np.asarray(x))
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        x = x.detach()
        if x.device.type != "cpu":
            raise ValueError(f"{name} must be on the CPU here, got device {x.device}; use .cpu()")
        if x.dtype == torch.bfloat16:
            return x.view(torch.int16).numpy().view(np.uint16), True
    elif on_device.place_of(x) is not None or hasattr(x, "__cuda_array_interface__"):
        raise ValueError(f"{name} must be on the CPU here, got a CUDA array; copy it there")
    try:
        array = np.asarray(x)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        if words := objects.ragged(x):
            raise ValueError(f"{name} must have rows of one length: {words}") from error
        raise TypeError(f"{name} must convert to a NumPy array: {error}") from error
    return _bit_patterns(array)


def _bit_patterns(array: AnyArray) -> tuple[AnyArray, bool]:
    bf16 = array.dtype == BFLOAT16 or array.dtype.type.__name__ == "bfloat16"
    return (array.view(np.uint16), True) if bf16 else (array, False)


def digest_of(array: AnyArray, bfloat16: bool) -> str:
    """Changes when an entry does, the shape or the type; not with the layout."""
    what = f"{'bfloat16' if bfloat16 else array.dtype.str} {array.shape} ".encode()
    if array.nbytes < 1 << 20:
        return digest([what, _bytes_of(array)]).hex()
    rows = (_bytes_of(array[begin:end]) for begin, end in spans(len(array), array.size // len(array)))
    return digest(chain([what], rows)).hex()


def _bytes_of(array: AnyArray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
