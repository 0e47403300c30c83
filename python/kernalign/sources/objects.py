"""Paths, and objects of other libraries that keep their rows elsewhere, as stored arrays."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from kernalign.sources import Source, open_source, split_spec
from kernalign.sources.formats import format_of
from kernalign.sources.stored import AnyArray, Sliced, Stored, handed

_LAZY = ("h5py", "zarr", "dask", "xarray")


def stored(given: Any, name: str) -> Any:
    """A stored array where this is a path (``"file"`` or ``"file:key"``), or rows that another library would read; all
    else as it is."""
    if isinstance(given, (str, os.PathLike)):
        return _of_path(given, name)
    if isinstance(given, Source):
        return given.stored or given.array  # which says that it is closed
    given = native(given, name)
    kind = type(given)
    if kind.__module__.partition(".")[0] not in _LAZY or not hasattr(given, "dtype") or not hasattr(given, "shape"):
        return given
    array = getattr(given, "variable", given)  # of xarray, without its coordinates
    found: Stored = (
        _Computed(name, handed(array), array) if hasattr(array, "compute") else Sliced(name, handed(array), array)
    )
    if index := getattr(given, "indexes", {}).get(given.dims[0]) if hasattr(given, "dims") and given.dims else None:
        found.names = index.tolist()
    return found


def in_memory(given: Any, name: str) -> Any:
    """The whole array where this is a path or stored elsewhere; all else as it is."""
    found = stored(given, name)
    return found.array() if isinstance(found, Stored) else given


def native(given: Any, name: str) -> Any:
    """What a frame or series of narwhals is made of; all else as it is."""
    if not type(given).__module__.startswith("narwhals.") or not hasattr(given, "to_native"):
        return given
    if hasattr(given, "collect"):
        raise TypeError(f"{name} must be a frame with its rows, got a lazy one; use .collect()")
    return given.to_native()


class _Computed(Sliced):
    """Rows of a graph of tasks, computed block by block."""

    def _rows(self, given: Any, start: int, stop: int) -> AnyArray:
        return np.asarray(given[start:stop].compute())


def _of_path(given: str | os.PathLike[str], name: str) -> Stored:
    place, key = split_spec(given)
    if given == "" or (isinstance(given, str) and format_of(place) is None and not place.exists):
        raise TypeError(f"{name} must be a 2-D numeric array or the path of a file, got {given!r}")
    found = open_source(place, key=key).stored
    assert found is not None
    return found
