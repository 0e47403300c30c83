"""Reads Zarr arrays and groups, versions 2 and 3, from directories, zip files and object stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from kernalign.sources.layout import no_numbers
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import NoNumbersError, Sliced, Stored, handed

_KIND = "Zarr store"


def members(place: Place) -> dict[str | None, Stored]:
    """The array (under the key None), or all arrays of a group by their paths."""
    try:
        import zarr
    except ImportError as error:
        raise ImportError(f"{place} needs zarr: pip install 'kernalign[io]'") from error
    found: dict[str | None, Stored] = {}
    with intact(place, _KIND):
        node: Any = zarr.open(str(place.url or place.path), mode="r")
        for key, array in _arrays(node):
            what = str(place) if key is None else f"{place}:{key}"
            if "pickle" in json.dumps(array.metadata.to_dict(), default=str):
                raise ValueError(f"{what} is stored as Python objects (a pickle, which is never loaded)")
            found[key] = stored = Sliced(what, handed(array), array, kind=_KIND, stamp=partial(_stamp, place))
            if array.dtype.kind in "OT":
                stored.refusal = NoNumbersError(f"{what} must hold real numbers, got text")
            else:
                stored.refusal = no_numbers(stored.shape, stored.dtype, what)
    return found


def _arrays(node: Any) -> Iterator[tuple[str | None, Any]]:
    if hasattr(node, "members"):
        yield from ((path, one) for path, one in node.members(max_depth=None) if not hasattr(one, "members"))
    else:
        yield None, node


def _stamp(place: Place) -> str:
    """Of all its files: a directory's own time does not change when a chunk is written anew."""
    if place.local is None or not place.is_directory:
        return place.stamp()
    found = sorted(path for path in place.local.rglob("*") if path.is_file())
    return " ".join(Place(path).stamp() for path in found)
