"""Arrays in the memory of CUDA devices: where they are, what reads them there, and their copies on the CPU."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kernalign import _core
from kernalign._base.checks import shown

CUDA = -1  # any device
_ON_CUDA = (2, 13)  # DLPack's numbers of device memory and of managed memory
_CUBLAS = (("cu13", "lib", "libcublas.so.13"), ("cublas", "lib", "libcublas.so.12"))  # in the folder of its wheels
_MOVE = "device='cpu' copies it there"


class Copies(dict[int, tuple[_core.Rows, Any]]):
    """Rows on the CPU, and on a device, by the id of the former.

    As a context it lets rows that are moved stay on their device to the end.
    """

    def __enter__(self) -> None:
        self._before = _KEPT.set(self)

    def __exit__(self, *error: object) -> None:
        _KEPT.reset(self._before)
        self.clear()

    def add(self, rows: _core.Rows, there: Any, place: int) -> None:
        """Keep a copy that was made, as long as half of the device's memory is free."""
        built = extension()
        if 2 * built.free_memory(place) >= built.facts()["devices"][place]["memory"]:
            self[id(rows)] = rows, there


_KEPT: ContextVar[Copies | None] = ContextVar("kept", default=None)


@cache
def extension() -> Any:
    """The module that reads device memory; None if it was not built."""
    try:
        built = importlib.import_module("kernalign._cuda")
    except ImportError:
        return None
    spec = importlib.util.find_spec("nvidia")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    built.look_for_products([str(Path(folder, *parts)) for folder in folders for parts in _CUBLAS])
    return built


def why_not() -> str:
    """Why no device can be used; "" if there is one."""
    built = extension()
    return "kernalign was built without CUDA" if built is None else str(built.why_not())


def check_device(device: Any) -> str | int | None:
    """What ``device`` names: None, "cpu", or the number of a CUDA device that is there, CUDA for any."""
    if device is None or (isinstance(device, str) and device == "cpu"):
        return device
    named = re.fullmatch(r"cuda(?::(\d{1,4}))?", device) if isinstance(device, str) else None
    if reason := why_not():
        raise ValueError(f"device must be None or 'cpu' here ({reason}), got {shown(device)}")
    count = extension().count()
    if named is None or (named[1] and int(named[1]) >= count):
        raise ValueError(f"device must be None, 'cpu', 'cuda' or 'cuda:0' to 'cuda:{count - 1}', got {shown(device)}")
    return int(named[1]) if named[1] else CUDA


def place_of(x: Any) -> int | None:
    """The number of the CUDA device that holds an array; None if none does."""
    if isinstance(x, np.ndarray):
        return None
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        return int(x.device.index) if x.device.type == "cuda" else None
    if not hasattr(x, "__dlpack_device__"):
        return None
    kind, index = x.__dlpack_device__()
    return int(index) if kind in _ON_CUDA else None


def common_place(given: tuple[tuple[str, Any], ...], device: str | int | None) -> int | None:
    """The number of the device that the given arrays shall be read on, None for the CPU.

    Raises
    ------
    ValueError
        They are on different devices and nothing says where they shall be, or they are not where it says.
    """
    places = {name: place_of(x) for name, x in given}
    known = {place for place in places.values() if place is not None}
    if device == "cpu" or (device is None and not known):
        return None
    apart = len(known) > 1 or (device is None and None in places.values())
    if apart or (known and device not in (None, CUDA) and device not in known):
        words = ["cpu" if place is None else f"cuda:{place}" for place in places.values()]
        names = " and ".join(places)
        where = "on one device" if device in (None, CUDA) else f"on the CPU or cuda:{device}, as device says"
        raise ValueError(f"{names} must be {where}, got {' and '.join(words)}; device='cpu' copies them")
    return known.pop() if known else numbered(device)


def numbered(device: str | int | None) -> int | None:
    """The number of the device that `check_device` knows, the first of any; None for the CPU."""
    return None if device is None or isinstance(device, str) else max(0, device)


def device_rows(x: Any, name: str, place: int, *, divided: bool = False, paired: bool = False) -> Any:
    """Rows of an array on the device, read where it is."""
    if reason := why_not():
        raise ValueError(f"{name} must be on the CPU here ({reason}), got cuda:{place}; {_MOVE}")
    return _read(x, name, lambda given: extension().Rows(given, name, place, unit_norm=divided, paired=paired))


def over(x: Any, rows: _core.Rows, place: int) -> Any:
    """Rows of an array on the device, read as those of its copy on the CPU are."""
    return _read(x, rows.name, lambda given: extension().Rows.over(given, rows, place))


def _read(x: Any, name: str, make: Callable[[Any], Any]) -> Any:
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    try:  # on its device, whose current stream it is that we wait for
        if torch is not None and isinstance(x, torch.Tensor):
            with torch.cuda.device(x.device):
                return make(x.detach())
        if cupy is not None and isinstance(x, cupy.ndarray):
            with x.device:
                return make(x)
        return make(x)
    except (BufferError, AttributeError) as error:
        raise TypeError(f"{name} must give its memory by DLPack: {error}") from error


def moved(rows: Any, place: int | None) -> Any:
    """Rows where an engine shall read them: a copy on the device, unless they are there."""
    if place is None or not isinstance(rows, _core.Rows):
        return rows
    kept = _KEPT.get()
    if kept is not None and id(rows) in kept:
        return kept[id(rows)][1]
    there = extension().Rows.uploaded(rows, place)
    if kept is not None:
        kept.add(rows, there, place)
    return there


def read_alike(rows: _core.Rows, like: _core.Rows, place: int | None) -> _core.Rows:
    """Rows that are others divided by their lengths: where those are kept on a device, so are these."""
    kept = _KEPT.get()
    if place is not None and kept is not None and id(like) in kept:
        kept[id(rows)] = rows, kept[id(like)][1].read_as(unit_norm=True, zero_mean=False)
    return rows


def on_cpu(rows: Any) -> Any:
    """Rows, or a copy of them, on the CPU."""
    return rows if isinstance(rows, _core.Rows) else rows.host()


def downloaded_within(given: Any) -> Any:
    """The same of the layers of representations, however they are held."""
    if isinstance(given, dict):
        return {name: downloaded_within(one) for name, one in given.items()}
    if isinstance(given, (list, tuple)):
        return [downloaded_within(one) for one in given]
    return downloaded(given)


def _places_within(given: Any) -> set[int]:
    """The devices that hold any of these."""
    if isinstance(given, (dict, list, tuple)):
        parts = given.values() if isinstance(given, dict) else given
        return set().union(*map(_places_within, parts))
    place = place_of(given)
    return set() if place is None else {place}


def compared_on(sides: dict[str, Any], device: str | int | None) -> int | None:
    """The device where states of all these layers are made, by what `check_device` knows; None: the CPU."""
    known: set[int] = set()
    for side in sides.values():
        for one in side.values() if isinstance(side, dict) else ():
            if type(one) is not np.ndarray:  # without a call for each
                known |= _places_within(one)
    if not known:
        return None if device is None else numbered(device)
    if device is None and len(known) > 1:
        found = " and ".join(f"cuda:{place}" for place in sorted(known))
        raise ValueError(f"layers must be on one device, got {found}; device='cuda' copies those that are elsewhere")
    return known.pop() if device is None or (device == CUDA and len(known) == 1) else numbered(device)


def layer_within(given: Any, label: str, at: int) -> Any:
    """The layer of a representation that is on a device: the array itself, one of its layers, or of several arrays;
    None if there is none."""
    if isinstance(given, dict):
        given = given.get(label)
    elif isinstance(given, (list, tuple)):
        given = given[at] if at < len(given) else None
    elif place_of(given) is not None and len(given.shape) == 3:
        given = given[:, at] if at < given.shape[1] else None
    return None if given is None or place_of(given) is None else given


def downloaded(x: Any) -> Any:
    """An array, or a copy of it, on the CPU."""
    if place_of(x) is None:
        return x
    for name in ("cpu", "get"):  # of torch's tensors, of CuPy's arrays
        if (copy := getattr(x, name, None)) is not None:
            return copy()
    return np.asarray(x)  # JAX
