"""Arrays in the memory of CUDA devices: where they are, what reads them there, and their copies on the CPU."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
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


def device_rows(
    x: Any,
    name: str,
    place: int,
    *,
    normalize: str | None,
    clip_quantile: float | None,
    paired: bool = False,
    divided: bool = False,
) -> Any:
    """Rows of an array on the device, read where it is."""
    if normalize == "standardize" or clip_quantile is not None:
        what = "clip_quantile" if clip_quantile is not None else "normalize='standardize'"
        raise ValueError(f"{name} must be on the CPU where {what} needs all of it first; {_MOVE}")
    if reason := why_not():
        raise ValueError(f"{name} must be on the CPU here ({reason}), got cuda:{place}; {_MOVE}")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        x = x.detach()
    try:
        return extension().Rows(x, name, place, unit_norm=divided or normalize == "l2", paired=paired)
    except (BufferError, AttributeError) as error:
        raise TypeError(f"{name} must give its memory by DLPack: {error}") from error


def moved(rows: Any, place: int | None) -> Any:
    """Rows where an engine shall read them: a copy on the device, unless they are there."""
    if place is None or not isinstance(rows, _core.Rows):
        return rows
    return extension().Rows.uploaded(rows, place)


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


def downloaded(x: Any) -> Any:
    """An array, or a copy of it, on the CPU."""
    if place_of(x) is None:
        return x
    for name in ("cpu", "get"):  # of torch's tensors, of CuPy's arrays
        if (copy := getattr(x, name, None)) is not None:
            return copy()
    return np.asarray(x)  # JAX
