"""Reads PyTorch's ``.pt`` and ``.pth`` files without PyTorch and without running anything: tensors are mapped."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import Any

from kernalign.sources.layout import no_numbers
from kernalign.sources.npz import stored_offset
from kernalign.sources.place import Place, intact
from kernalign.sources.safetensors import dtype_of
from kernalign.sources.stored import BFLOAT16, Held, Mapped, NoNumbersError, Stored
from kernalign.sources.tensor_pickle import Tensor, parse

_KIND = "PyTorch file"
_OLD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # how files of before version 1.6 begin
_MOST_PICKLE = 16 << 20  # bytes of a file's structure, without its tensors
_MOST_NODES = 1_000_000
_DEEPEST = 8


def members(place: Place) -> dict[str | None, Stored]:
    """The tensors of the file: one (under the key None), or those in lists, tuples and dicts by place and name."""
    with place.open() as file:
        if file.read(len(_OLD)) == _OLD:
            return _legacy(place)
    with intact(place, _KIND), place.open() as raw, zipfile.ZipFile(raw) as archive:
        infos = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if "data.pkl" not in infos:
            raise ValueError(f"{place} holds no tensors (no data.pkl)")
        if infos["data.pkl"].file_size > _MOST_PICKLE:
            raise ValueError(f"{place} must have a structure of at most {_MOST_PICKLE:,} bytes")
        order = archive.read(infos["byteorder"]) if "byteorder" in infos else b"little"
        if order != b"little":
            raise ValueError(f"{place} must be in little-endian order, got {order[:20]!r}")
        tensors = list(_tensors(parse(archive.read(infos["data.pkl"])), Tensor))
    found: dict[str | None, Stored] = {}
    for key, tensor in tensors:
        what = str(place) if key is None else f"{place}:{key}"
        with intact(what, _KIND):
            found[key] = _stored(place, what, tensor, infos)
    if not found:
        raise ValueError(f"{place} holds no tensors")
    return found


def _stored(place: Place, what: str, tensor: Tensor, infos: dict[str, zipfile.ZipInfo]) -> Stored:
    dtype = dtype_of(tensor.dtype)
    if dtype is None:
        found = Stored(what, tensor.shape, "u1")
        found.refusal = NoNumbersError(f"{what} must hold real numbers, got {tensor.dtype or 'another type'}")
        return found
    info = infos[f"data/{tensor.storage}"]
    if len(tensor.shape) != len(tensor.strides) or min(*tensor.shape, *tensor.strides, tensor.offset, 0) < 0:
        raise ValueError(f"{what} must have a shape and strides that are not negative")
    last = tensor.offset + sum((extent - 1) * step for extent, step in zip(tensor.shape, tensor.strides, strict=True))
    refusal = no_numbers(tensor.shape, dtype, what)
    if refusal is None and (last + 1) * dtype.itemsize > info.file_size:
        raise ValueError(f"{what} requires {(last + 1) * dtype.itemsize:,} bytes, but there are {info.file_size:,}")
    strides = tuple(step * dtype.itemsize for step in tensor.strides)
    offset = stored_offset(place, info) + tensor.offset * dtype.itemsize
    found = Mapped(place, what, offset, tensor.shape, dtype, strides=strides)
    found.refusal = refusal
    return found


def _tensors(content: Any, kind: Any) -> Iterator[tuple[str | None, Any]]:
    """Tensors of a kind with the names and places that lead to them, in order."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), content)]
    for _ in range(_MOST_NODES):
        if not waiting:
            return
        path, one = waiting.pop()
        if isinstance(one, kind):
            yield ".".join(path) or None, one
        elif isinstance(one, (dict, list, tuple)) and len(path) < _DEEPEST:
            inner = list(one.items() if isinstance(one, dict) else enumerate(one))
            waiting += [((*path, str(name)), value) for name, value in reversed(inner)]
    raise ValueError(f"there must be at most {_MOST_NODES:,} values in containers")


def _legacy(place: Place) -> dict[str | None, Stored]:
    """What PyTorch wrote before version 1.6, which only itself can read."""
    try:
        import torch
    except ImportError as error:
        needed = "which needs torch: pip install 'kernalign[torch]'"
        raise ImportError(f"{place} was written by PyTorch before 1.6, {needed}") from error
    found: dict[str | None, Stored] = {}
    with intact(place, _KIND), place.open() as file:
        for key, tensor in _tensors(torch.load(file, map_location="cpu", weights_only=True), torch.Tensor):
            own = tensor.detach()
            bits = own.dtype == torch.bfloat16
            array = own.view(torch.int16).numpy().view(BFLOAT16) if bits else own.numpy()
            found[key] = Held(f"{place}:{key}", array.shape, array.dtype, array.view, place.stamp)
    if not found:
        raise ValueError(f"{place} holds no tensors")
    return found
