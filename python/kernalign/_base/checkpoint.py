"""The one container of saved states: JSON facts and raw arrays under a checksum, never a pickle."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base.checks import check_path
from kernalign._base.digests import digest
from kernalign._base.files import atomic_write, regular

_VERSION = 1
_DIGEST_BYTES = 32
_LENGTH = struct.Struct("<Q")
_DTYPES = {np.dtype(kind).newbyteorder("<").str for kind in "?bBhHiIqQefd"}
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)


def write(
    path: str | os.PathLike[str], kind: str, facts: Mapping[str, Any], arrays: Mapping[str, Any], *, overwrite: bool
) -> None:
    """Write JSON facts and named arrays of numbers, whole or not at all.

    The magic word of the kind, the length of the JSON text, the text, the arrays one after the other in little-endian
    order (their dtypes and shapes are in the text), and a digest of all that.

    Raises
    ------
    FileExistsError
        The file exists and ``overwrite`` is False.
    """
    raw = {name: np.asarray(array) for name, array in arrays.items()}
    raw = {name: array.astype(array.dtype.newbyteorder("<"), order="C") for name, array in raw.items()}
    shapes = {name: [array.dtype.str, list(array.shape)] for name, array in raw.items()}
    text = json.dumps({"version": _VERSION, **facts, "arrays": shapes}, default=_plain).encode()
    parts: list[bytes | memoryview] = [_magic(kind), _LENGTH.pack(len(text)), text]
    parts += [array.reshape(-1).view(np.uint8).data for array in raw.values()]
    with atomic_write(path, overwrite=overwrite) as file:
        file.writelines(parts)
        file.write(digest(parts))


@contextmanager
def reading(path: str | os.PathLike[str], kind: str) -> Iterator[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """The facts and arrays of a file; what is wrong with them, found here or by the caller's block, is a ValueError."""
    path, magic = regular(check_path(path)), _magic(kind)
    data = memoryview(path.read_bytes())
    body, begin = data[:-_DIGEST_BYTES], len(magic) + _LENGTH.size
    if data[: len(magic)] != magic or len(data) < begin + _DIGEST_BYTES:
        raise ValueError(f"{path} is not a {kind} file")
    if digest([body]) != data[-_DIGEST_BYTES:]:
        raise ValueError(f"{path} is damaged: its checksum does not fit its content")
    (length,) = _LENGTH.unpack_from(data, len(magic))
    try:
        facts = json.loads(bytes(body[begin : begin + length]))
        if facts["version"] != _VERSION:
            raise ValueError(f"it has format version {facts['version']}, this release reads {_VERSION}")
        yield facts, _arrays(facts.pop("arrays"), body[begin + length :])
    except _MALFORMED as error:
        raise ValueError(f"{path} is malformed: {error}") from error


def _arrays(shapes: Any, data: memoryview) -> dict[str, NDArray[Any]]:
    """Copies in native order; no more memory is asked for than the file has bytes."""
    found, at = {}, 0
    for name, (kind, shape) in shapes.items():
        if kind not in _DTYPES or not all(type(extent) is int and extent >= 0 for extent in shape):
            raise ValueError(f"{name} must be numbers of a shape, got dtype {kind} and shape {shape}")
        dtype = np.dtype(kind)
        size = math.prod(shape) * dtype.itemsize
        if size > len(data) - at:
            raise ValueError(f"it ends within {name}")
        array = np.frombuffer(data[at : at + size], dtype=dtype).reshape(shape)
        found[name], at = array.astype(dtype.newbyteorder("=")), at + size
    if at != len(data):
        raise ValueError(f"it holds {len(data) - at} bytes too many")
    return found


def _magic(kind: str) -> bytes:
    return f"KERNALIGN {kind.upper()}".encode()


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)
