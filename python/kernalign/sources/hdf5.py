"""Reads HDF5 files, and what is HDF5 by another name: netCDF 4, AnnData, MATLAB 7.3 (with its axes reversed)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np

from kernalign.sources.layout import no_numbers
from kernalign.sources.names import naturally
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import AnyArray, Mapped, NoNumbersError, Sliced, Stored

_KIND = "HDF5 file"


def members(place: Place, *, matlab: bool = False) -> dict[str | None, Stored]:
    """Every dataset by its path; a group of nothing but vectors of one length and type is one array of them."""
    with intact(place, _KIND), _file(place) as file:
        datasets: dict[str, Any] = {}

        def take(name: str, node: Any) -> None:
            if hasattr(node, "shape") and node.shape is not None and not name.startswith("#"):
                datasets[name] = node

        file.visititems(take)
        groups: dict[str, list[str]] = defaultdict(list)
        for name in datasets:
            groups[name.rpartition("/")[0]].append(name)
        found: dict[str | None, Stored] = {}
        annotated = "obs" in file  # AnnData, whose vectors are annotations
        for group, names in groups.items():
            kinds = {(datasets[name].shape, datasets[name].dtype) for name in names}
            shape, dtype = next(iter(kinds))
            vectors = len(kinds) == 1 and len(shape) == 1 and shape[0] > 1 and dtype.kind in "fiub"
            if vectors and len(names) > 2 and not annotated:
                found[group or None] = _Items(place, group, sorted(names, key=naturally), shape[0], dtype)
                continue
            for name in names:
                found[name] = _dataset(place, name, datasets[name], matlab)
        if annotated and isinstance(column := file["obs"].attrs.get("_index"), str):
            _label(found, place, f"obs/{column}")
    return found


def _dataset(place: Place, name: str, given: Any, matlab: bool) -> Stored:
    what = f"{place}:{name}"
    if not matlab and place.local is not None and (offset := _offset_of(given)) is not None:
        return Mapped(place, what, offset, given.shape, given.dtype)
    opened = partial(_opened, place, name)
    found = Sliced(what, opened, given, kind=_KIND, stamp=place.stamp, reverse=matlab)
    if given.external:
        found.refusal = NoNumbersError(f"{what} lies in other files, which are not read")
    elif matlab and given.attrs.get("MATLAB_class", b"double") == b"char":
        found.refusal = NoNumbersError(f"{what} must hold real numbers, got text")
    elif given.dtype.kind == "O":
        found.refusal = NoNumbersError(f"{what} must hold real numbers, got text or references")
    else:
        found.refusal = no_numbers(found.shape, found.dtype, what)
    return found


def _offset_of(given: Any) -> int | None:
    """Where a dataset lies in its file as it does in memory; None of any other."""
    from h5py import h5t

    plain = given.ndim > 0 and given.chunks is None and not given.external and not given.is_virtual
    if not plain or given.dtype.kind not in "iuf" or h5t.py_create(given.dtype) != given.id.get_type():
        return None
    if not given.nbytes or given.id.get_storage_size() != given.nbytes:  # never written: it has fill values only
        return None
    offset: int | None = given.id.get_offset()
    return offset


class _Items(Stored):
    """Datasets of one row each, by the names of the items."""

    def __init__(self, place: Place, group: str, names: list[str], width: int, dtype: Any) -> None:
        what = f"{place}:{group}" if group else str(place)
        super().__init__(what, (len(names), width), dtype, place.stamp)
        self._place, self._names = place, names
        self.names = [name.rpartition("/")[2] for name in names]

    def read(self, start: int, stop: int, out: AnyArray) -> None:
        with intact(self.what, _KIND), _file(self._place) as file:
            for row, name in zip(out, self._names[start:stop], strict=True):
                file[name].read_direct(row)


def _label(found: dict[str | None, Stored], place: Place, column: str) -> None:
    labels = found.get(column)
    for stored in found.values():
        if labels is not None and stored.shape[:1] == labels.shape and stored.ndim > 1:
            stored.names = labels


@contextmanager
def _file(place: Place) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{place} needs h5py: pip install 'kernalign[io]'") from error
    with ExitStack() as open_files:
        given = place.local or open_files.enter_context(place.open())
        yield open_files.enter_context(h5py.File(given, "r"))


@contextmanager
def _opened(place: Place, name: str) -> Iterator[Any]:
    with intact(place, _KIND), _file(place) as file:
        given = file[name]
        yield _Text(given) if given.dtype.kind == "O" else given


class _Text:
    """A dataset of strings of any length, as text."""

    def __init__(self, given: Any) -> None:
        self._given = given

    def __getitem__(self, rows: Any) -> Any:
        return np.asarray(self._given.asstr()[rows], dtype=object)
