"""The table of formats: by what a file's name ends in, which module reads it and what that needs."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, Protocol, cast

from kernalign.sources.place import Place
from kernalign.sources.stored import Stored


class Reader(Protocol):
    """A module of a format."""

    def members(self, place: Place) -> dict[str | None, Stored]:
        """The arrays of a file by their keys; of one without a name, under the key None."""


class Format(NamedTuple):
    """A module of this folder, what it imports beside NumPy, and the extra that brings it."""

    module: str
    needs: tuple[str, ...] = ()
    extra: str = "io"

    @property
    def readable(self) -> bool:
        """Whether what it needs is installed."""
        return all(find_spec(name) is not None for name in self.needs)

    def reader(self) -> Reader:
        """The module, imported when a file of the format is opened."""
        return cast(Reader, import_module(f"kernalign.sources.{self.module}"))


_HDF5 = Format("hdf5", ("h5py",))
FORMATS = {
    ".npy": Format("npy"),
    ".npz": Format("npz"),
    ".safetensors": Format("safetensors"),
    ".safetensors.index.json": Format("safetensors"),
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".hdf": _HDF5,
    ".he5": _HDF5,
}


def format_of(place: Place) -> Format | None:
    """By the longest ending of the table that the name has."""
    name = place.path.name.lower()
    return next((FORMATS[ending] for ending in _LONGEST_FIRST if name.endswith(ending)), None)


_LONGEST_FIRST = sorted(FORMATS, key=len, reverse=True)
