"""Reads ``.npy`` files by mapping them."""

from __future__ import annotations

from pathlib import Path

from kernalign.sources.layout import HEADER_BYTES, Member, map_array, npy_layout


def members(path: Path) -> dict[str | None, Member]:
    """The file's one array, under the key None."""
    with open(path, "rb") as file:
        start = file.read(HEADER_BYTES)
    layout = npy_layout(start, path.stat().st_size, str(path))
    return {
        None: Member(
            layout.shape,
            layout.dtype,
            mappable=True,
            load=lambda: map_array(path, layout.offset, layout.shape, layout.dtype, layout.order),
        )
    }
