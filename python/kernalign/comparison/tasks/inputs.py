"""Rows that a task reads where it runs: those of a file, by its path, or of an array that travels with the plan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kernalign._rows.layered import opened_layers
from kernalign._rows.numeric import as_matrix, digest_of, to_numpy
from kernalign._rows.pairing import Side, index_of, side
from kernalign.sources import Source, open_source, split_spec
from kernalign.sources.objects import stored
from kernalign.sources.place import Place
from kernalign.sources.stored import BFLOAT16, Stored

MOST_BY_VALUE = 16 << 20  # bytes of one array that is sent along with every task


@dataclass(frozen=True)
class File:
    """One array of a file, and what else of it names its rows; or all of its layers."""

    path: str
    key: str | None = None
    layers: bool = False
    names: str | None = None

    def open(self) -> Any:
        """What `compare` takes."""
        if self.layers:
            return opened_layers(self.path, triangles=True)
        source = open_source(self.path, key=self.key)
        if self.names is not None:
            source.name_rows(self.names)
        return [source]

    @property
    def stamp(self) -> str:
        """Changes when the file does."""
        return " ".join([one.stored.fingerprint() for one in self.open() if one.stored is not None])


@dataclass(frozen=True, eq=False)
class Value:
    """An array in memory, or an object that another library reads."""

    given: Any
    name: str

    def open(self) -> Any:
        """What `compare` takes."""
        return self.given

    @property
    def stamp(self) -> str:
        """Changes when an entry does."""
        rows = self.given.stored if isinstance(self.given, Source) else self.given
        if isinstance(rows, Stored):
            return rows.fingerprint()
        if isinstance(rows, Exception):
            return repr(rows)
        labels = index_of(self.given)
        content = digest_of(*to_numpy(self.given, self.name))
        return content if labels is None else f"{content} {_words(labels)}"

    def __getstate__(self) -> dict[str, Any]:
        size, joined = getattr(self.given, "nbytes", 0), isinstance(self.given, (Stored, Source))
        if joined or size > MOST_BY_VALUE:
            what = "several files joined" if joined else f"an array of {size:,} bytes in memory"
            raise ValueError(
                f"{self.name} must be the path of one file to be read by other processes, got {what} (up to"
                f" {MOST_BY_VALUE:,} bytes are sent); numpy.save('x.npy', array) writes one"
            )
        plain = hasattr(self.given, "__array__") and index_of(self.given) is None  # labels travel with their rows
        return {"given": np.asarray(self.given) if plain else self.given, "name": self.name}


def reference(given: Any, name: str) -> Any:
    """Files by their paths, everything else by value; lists and dicts part by part."""
    if isinstance(given, (str, os.PathLike)):
        path, key = split_spec(given)
        return File(_whole(os.fspath(path)), key, key is None)
    if isinstance(given, Source):
        return _file_of(given) or Value(given, name)
    if isinstance(given, np.memmap) and (found := _mapped_file(given)) is not None:
        return found
    try:
        if isinstance(given, Mapping):
            return {label: reference(part, f"{name} {label}") for label, part in given.items()}
        if isinstance(given, (list, tuple)):
            return [reference(part, f"{name} {at}") for at, part in enumerate(given)]
    except RecursionError:
        raise ValueError(f"{name.split()[0]} must not hold itself") from None
    return Value(given, name)


def opened(found: Any) -> Any:
    """What `reference` was made of, or as good as that."""
    if isinstance(found, dict):
        return {label: opened(part) for label, part in found.items()}
    if isinstance(found, list):
        parts = [opened(part) for part in found]
        files = all(isinstance(part, File) for part in found)
        return [source for part in parts for source in part] if files and parts else parts
    return found.open()


def stamps(found: Any) -> Any:
    """The same, with stamps in place of what holds rows."""
    if isinstance(found, dict):
        return {label: stamps(part) for label, part in found.items()}
    return [stamps(part) for part in found] if isinstance(found, list) else found.stamp


def told(value: Any) -> Any:
    """An option as words that tell it from others: arrays and tables whole, of which repr shows a part."""
    if isinstance(value, Mapping):
        return sorted([(repr(name), told(one)) for name, one in value.items()])
    if isinstance(value, (list, tuple)):
        return [told(one) for one in value]
    if isinstance(value, (str, os.PathLike)):
        path = split_spec(value)[0]
        at = os.stat(path) if os.path.exists(path) else None
        return repr(value), at and (at.st_size, at.st_mtime_ns)
    if isinstance(value, (Source, Stored)):
        return Value(value, "").stamp
    if hasattr(value, "tocoo"):
        entries = value.tocoo()
        return value.shape, told([entries.row, entries.col, entries.data])
    if not hasattr(value, "__array__"):
        return repr(value)
    array = np.asarray(value)
    content = repr(array.tolist()) if array.dtype == object or not array.ndim else digest_of(array, False)
    return type(value).__name__, content, array.shape, _words(index_of(value)), _words(getattr(value, "columns", None))


def _words(labels: Any) -> Any:
    return repr(labels) if labels is None or isinstance(labels, list) else told(np.asarray(labels))


class Rows:
    """The rows of one 2-D array, read a block at a time."""

    def __init__(self, given: Any, name: str) -> None:
        self.name = name
        self._from = reference(given, name)
        if isinstance(self._from, (dict, list)):
            self._from = Value(given, name)
        if isinstance(self._from, File):
            key = split_spec(given)[1] if isinstance(given, (str, os.PathLike)) else self._from.key
            self._from = File(self._from.path, key)
        else:
            found = stored(given, name)
            if not isinstance(found, Stored):
                matrix, bfloat16 = as_matrix(given, name)
                found = matrix.view(BFLOAT16) if bfloat16 else matrix
            self._from = Value(found, name)
        rows = self._rows
        if isinstance(rows, Stored) and rows.refusal:
            raise rows.refusal
        if len(rows.shape) != 2 or 0 in rows.shape:
            raise ValueError(f"{name} must be 2-D (items, features), got shape {tuple(rows.shape)}")
        self.shape: tuple[int, int] = tuple(rows.shape)
        self.itemsize = rows.dtype.itemsize
        self._stamp = self._from.stamp if isinstance(self._from, File) else None

    @property
    def stamp(self) -> str:
        """Changes when the rows do."""
        if self._stamp is None:
            self._stamp = self._from.stamp
        return self._stamp

    def side(self, given: Any) -> Side:
        """Their labels, as those of what was given."""
        return side(self.name, self.shape[0], self._rows if isinstance(self._rows, Stored) else given)

    def read(self, start: int, stop: int) -> Any:
        """Rows start .. stop."""
        rows = self._rows
        if not isinstance(rows, Stored):
            return rows[start:stop]
        block = np.empty((stop - start, self.shape[1]), rows.dtype)
        rows.read(start, stop, block)
        return block

    def some(self, index: Any) -> Any:
        """Some rows; of files that cannot be mapped, after one pass over all."""
        rows = self._rows
        if not isinstance(rows, Stored):
            return rows[index]
        block = np.empty((len(index), self.shape[1]), rows.dtype)
        if rows.mapped:
            for at, row in enumerate(index.tolist()):
                rows.read(row, row + 1, block[at : at + 1])
            return block
        for start, stop in rows.spans():
            inside = (index >= start) & (index < stop)
            if inside.any():
                block[inside] = self.read(start, stop)[index[inside] - start]
        return block

    @property
    def _rows(self) -> Any:
        if isinstance(self._from, File):
            return _stored(self._from, Place(self._from.path).stamp)
        return self._from.given

    def check(self) -> None:
        """Raise if the file is no longer that of which the stamp was taken."""
        if isinstance(self._from, File) and self._stamp not in (None, self._rows.fingerprint()):
            raise ValueError(f"{self.name} was changed after the plan was made")


@lru_cache(maxsize=64)
def _stored(file: File, stamp: str) -> Stored:
    """The rows of a file as it is now."""
    [source] = file.open()
    assert source.stored is not None
    found: Stored = source.stored
    return found


def _whole(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def _file_of(given: Source) -> File | None:
    """Where a source is found again, if one file alone is enough for that."""
    named = getattr(given.stored, "names", None)
    names = [key for key, one in given.beside.items() if one is named and key is not None]
    found = File(_whole(os.fspath(given.place)), given.key, names=names[0] if names else None)
    try:
        [again] = found.open()
        same = again.name == given.name and again.shape == given.shape and bool(given.place.stamp)
    except (ValueError, OSError, ImportError):
        return None
    return found if same else None


def _mapped_file(given: Any) -> File | None:
    """The file of a memory map, where the map is all of its array."""
    path = getattr(given, "filename", None)
    if path is None or Path(path).suffix != ".npy":
        return None
    with open_source(path) as array:
        same = array.shape == given.shape and array.dtype == given.dtype and array.strides == given.strides
    return File(_whole(os.fspath(path))) if same else None
