"""Reads netCDF files: of version 4, which are HDF5, and classic ones by SciPy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from kernalign.sources import hdf5
from kernalign.sources.layout import no_numbers
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import AnyArray, Held, Stored

_KIND = "netCDF file"


def members(place: Place) -> dict[str | None, Stored]:
    """The variables by name."""
    with place.open() as file:
        if file.read(3) != b"CDF":
            return hdf5.members(place)
    found: dict[str | None, Stored] = {}
    with _file(place) as file:
        facts = {name: (variable.shape, variable.data.dtype) for name, variable in file.variables.items()}
    for name, (shape, dtype) in facts.items():
        what = f"{place}:{name}"
        found[name] = Held(what, shape, dtype, partial(_load, place, name), place.stamp)
        found[name].refusal = no_numbers(found[name].shape, dtype, what)
    return found


def _load(place: Place, name: str) -> AnyArray:
    with _file(place) as file:
        return np.array(file.variables[name].data)


@contextmanager
def _file(place: Place) -> Iterator[Any]:
    from scipy.io import netcdf_file

    local = place.local is not None
    with intact(place, _KIND), place.open() as raw, netcdf_file(place.local if local else raw, mmap=local) as file:
        yield file
