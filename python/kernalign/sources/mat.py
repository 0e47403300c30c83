"""Reads MATLAB's ``.mat`` files: of version 7.3, which are HDF5, and older ones by SciPy."""

from __future__ import annotations

from functools import partial
from typing import Any

from kernalign.sources import hdf5
from kernalign.sources.layout import no_numbers
from kernalign.sources.place import Place, intact
from kernalign.sources.stored import AnyArray, Held, NoNumbersError, Stored

_KIND = "MATLAB file"
_DTYPES = {"double": "f8", "single": "f4", "logical": "?"}
_DTYPES |= {f"{sign}int{bits}": f"{'u' if sign else 'i'}{bits // 8}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def members(place: Place) -> dict[str | None, Stored]:
    """The variables by name."""
    with place.open() as file:
        if b"MATLAB 7.3" in file.read(128):
            return hdf5.members(place, matlab=True)
    from scipy.io import whosmat

    found: dict[str | None, Stored] = {}
    with intact(place, _KIND), place.open() as file:
        for name, shape, kind in whosmat(file):
            what = f"{place}:{name}"
            found[name] = Held(what, shape, _DTYPES.get(kind, "O"), partial(_load, place, name), place.stamp)
            found[name].refusal = (
                no_numbers(found[name].shape, found[name].dtype, what)
                if kind in _DTYPES
                else NoNumbersError(f"{what} must hold real numbers, got a variable of class {kind}")
            )
    return found


def _load(place: Place, name: str) -> AnyArray:
    from scipy.io import loadmat

    with intact(place, _KIND), place.open() as file:
        found: Any = loadmat(file, variable_names=[name])[name]
        if found.dtype.kind not in "fiub":
            raise ValueError(f"{place}:{name} must hold real numbers, got dtype {found.dtype}")
        array: AnyArray = found
        return array
