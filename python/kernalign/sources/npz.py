"""Reads ``.npz`` archives: stored members are mapped in place, deflated ones are read within their announced size."""

from __future__ import annotations

import struct
import zipfile
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign.sources.layout import HEADER_BYTES, Layout, npy_layout
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import Held, Mapped, Stored

_CHUNK = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., length of the name, length of the extra field
_KIND = ".npz archive"


def members(place: Place) -> dict[str | None, Stored]:
    """The arrays of the archive by name (without ``.npy``); other members are left alone."""
    found: dict[str | None, Stored] = {}
    with intact(place, _KIND), place.open() as raw, zipfile.ZipFile(raw) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            key, what = info.filename.removesuffix(".npy"), f"{place}:{info.filename}"
            if key in found:
                raise ValueError(f"{what} must be there once, found twice")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{what} must be stored or deflated, got compression method {info.compress_type}")
            with archive.open(info) as file:
                start = file.read(HEADER_BYTES)
            layout = npy_layout(start, info.file_size, what)
            if info.compress_type == zipfile.ZIP_STORED:
                offset = stored_offset(place, info) + layout.offset
                array: Stored = Mapped(place, what, offset, layout.shape, layout.dtype, order=layout.order)
            else:
                make = partial(_inflate, place, info, layout)
                array = Held(what, layout.shape, layout.dtype, make, place.stamp)
            array.refusal = layout.refusal
            found[key] = array
    return found


def stored_offset(place: Place, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member that is not compressed begin; all of them lie in the file."""
    what = f"{place}:{info.filename}"
    with place.open() as file:
        file.seek(info.header_offset)
        signature, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if signature != b"PK\x03\x04":
        raise ValueError(f"{what} has no local header where the directory says")
    offset = int(info.header_offset + _LOCAL_HEADER.size + name + extra)
    if info.compress_size != info.file_size or offset + info.file_size > place.size:
        raise ValueError(f"{what} requires {info.file_size:,} bytes, which lie partly outside the file")
    return offset


def _inflate(place: Place, info: zipfile.ZipInfo, layout: Layout) -> NDArray[Any]:
    """Read a deflated member; zipfile yields at most ``info.file_size`` bytes and checks their CRC at the end."""
    array: NDArray[Any] = np.empty(layout.shape, layout.dtype, layout.order)
    buffer = array.reshape(-1, order="A").view(np.uint8)
    with intact(place, _KIND), place.open() as raw, zipfile.ZipFile(raw) as archive, archive.open(info) as file:
        file.read(layout.offset)
        done = 0
        while done < len(buffer):
            chunk = file.read(min(_CHUNK, len(buffer) - done))
            if not chunk:
                raise ValueError(
                    f"{place}:{info.filename} requires {len(buffer):,} bytes of array, but inflates to {done:,}"
                )
            buffer[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
            done += len(chunk)
        file.read(1)  # lets zipfile see the end and check the CRC
    return array
