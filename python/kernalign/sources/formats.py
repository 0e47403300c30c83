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
_ZARR = Format("zarr", ("zarr",))
_PARQUET = Format("parquet", ("pyarrow",))
_IPC = Format("ipc", ("pyarrow",))
FORMATS = {
    ".npy": Format("npy"),
    ".npz": Format("npz"),
    ".pt": Format("torch"),
    ".pth": Format("torch"),
    ".safetensors": Format("safetensors"),
    ".safetensors.index.json": Format("safetensors"),
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".hdf": _HDF5,
    ".he5": _HDF5,
    ".h5ad": _HDF5,
    ".mat": Format("mat"),
    ".nc": Format("netcdf"),
    ".nc4": _HDF5,
    ".cdf": Format("netcdf"),
    ".zarr": _ZARR,
    ".zarr.zip": _ZARR,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
    ".arrow": _IPC,
    ".ipc": _IPC,
    ".feather": _IPC,
    ".csv": Format("csv", ("pyarrow",)),
    ".tsv": Format("csv", ("pyarrow",)),
    ".jsonl": Format("jsonl", ("pyarrow",)),
    ".ndjson": Format("jsonl", ("pyarrow",)),
    ".vec": Format("words"),
    ".txt": Format("words"),
    ".bin": Format("words"),
    **{ending: Format("vectors") for ending in (".fvecs", ".ivecs", ".bvecs", ".fbin", ".ibin", ".u8bin", ".i8bin")},
}


_DATA_SET = Format("huggingface", ("pyarrow",))
# Files that say what a directory is.
_MARKS = {
    "zarr.json": _ZARR,
    ".zgroup": _ZARR,
    ".zarray": _ZARR,
    "state.json": _DATA_SET,
    "dataset_dict.json": _DATA_SET,
}


def format_of(place: Place) -> Format | None:
    """By the longest ending of the table that the name has or, of a directory, by what is in it."""
    name = place.path.name.lower()
    for ending in _LONGEST_FIRST:
        if name.endswith(ending):
            return FORMATS[ending]
    marks = _MARKS if place.is_directory else {}
    return next((found for mark, found in marks.items() if place.inside(mark).exists), None)


DIRECTORIES = (_ZARR, _DATA_SET)
_LONGEST_FIRST = sorted(FORMATS, key=len, reverse=True)
