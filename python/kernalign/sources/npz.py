"""Reads ``.npz`` archives: stored members are mapped in place, deflated ones are read within their announced size."""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign.sources.layout import HEADER_BYTES, Layout, Member, NoNumbersError, map_array, npy_layout

_CHUNK = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., length of the name, length of the extra field
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError)


def members(path: Path) -> dict[str | None, Member]:
    """The arrays of the archive by name (without ``.npy``); other members are left alone."""
    found: dict[str | None, Member] = {}
    with _reading(path), zipfile.ZipFile(path) as archive:
        size = path.stat().st_size
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            key, what = info.filename.removesuffix(".npy"), f"{path}:{info.filename}"
            if key in found:
                raise ValueError(f"{what} must be there once, found twice")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{what} must be stored or deflated, got compression method {info.compress_type}")
            with archive.open(info) as file:
                start = file.read(HEADER_BYTES)
            try:
                layout = npy_layout(start, info.file_size, what)
            except NoNumbersError as error:
                found[key] = Member.refused(error)
                continue
            if info.compress_type == zipfile.ZIP_STORED:
                offset = _data_offset(path, info) + layout.offset
                if info.compress_size != info.file_size or offset - layout.offset + info.file_size > size:
                    raise ValueError(f"{what} requires {info.file_size:,} bytes, which lie partly outside the file")
                load = partial(map_array, path, offset, layout.shape, layout.dtype, layout.order)
                found[key] = Member(layout.shape, layout.dtype, mappable=True, load=load)
            else:
                found[key] = Member(layout.shape, layout.dtype, False, partial(_inflate, path, info, layout))
    return found


def _data_offset(path: Path, info: zipfile.ZipInfo) -> int:
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        signature, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if signature != b"PK\x03\x04":
        raise ValueError(f"{path}:{info.filename} has no local header where the directory says")
    return int(info.header_offset + _LOCAL_HEADER.size + name + extra)


def _inflate(path: Path, info: zipfile.ZipInfo, layout: Layout) -> NDArray[Any]:
    """Read a deflated member; zipfile yields at most ``info.file_size`` bytes and checks their CRC at the end."""
    array: NDArray[Any] = np.empty(layout.shape, layout.dtype, layout.order)
    buffer = array.reshape(-1, order="A").view(np.uint8)
    with _reading(path), zipfile.ZipFile(path) as archive, archive.open(info) as file:
        file.read(layout.offset)
        done = 0
        while done < len(buffer):
            chunk = file.read(min(_CHUNK, len(buffer) - done))
            if not chunk:
                raise ValueError(
                    f"{path}:{info.filename} requires {len(buffer):,} bytes of array, but inflates to {done:,}"
                )
            buffer[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
            done += len(chunk)
        file.read(1)  # lets zipfile see the end and check the CRC
    array.flags.writeable = False
    return array


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a damaged archive raises into one ValueError that names the file."""
    try:
        yield
    except (*_BROKEN, OSError) as error:
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # what a seek to a wild offset says
            raise
        raise ValueError(f"{path} must be an intact .npz archive: {error or type(error).__name__}") from error
