"""Reads ``.npy`` files by mapping them."""

from __future__ import annotations

from kernalign.sources.layout import HEADER_BYTES, npy_layout
from kernalign.sources.place import Place
from kernalign.sources.stored import Mapped, Stored


def members(place: Place) -> dict[str | None, Stored]:
    """The file's one array, under the key None."""
    with place.open() as file:
        start = file.read(HEADER_BYTES)
    layout = npy_layout(start, place.size, str(place))
    found = Mapped(place, str(place), layout.offset, layout.shape, layout.dtype, order=layout.order)
    found.refusal = layout.refusal
    return {None: found}
