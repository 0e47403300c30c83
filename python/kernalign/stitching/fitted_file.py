"""Fitted stitchers in .npz files: JSON facts and plain arrays, never a pickle."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base.files import atomic_write

_BROKEN = (
    *(KeyError, TypeError, ValueError, AttributeError, EOFError, OSError, OverflowError, MemoryError),
    *(RuntimeError, zipfile.BadZipFile, zlib.error),  # RuntimeError: encrypted, unknown methods, nested too deep
)
_FORMAT = "kernalign stitcher"
_VERSION = 1


def write(path: Path, facts: dict[str, Any], parts: dict[str, Any], *, overwrite: bool) -> None:
    """Write facts (JSON) and named arrays."""
    text = json.dumps({"format": _FORMAT, "version": _VERSION} | facts, allow_nan=True, default=_plain)
    with atomic_write(path, overwrite=overwrite) as file:
        np.savez(file, facts=np.frombuffer(text.encode(), dtype=np.uint8), **parts)


@contextmanager
def reading(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """Facts and arrays of a file; whatever is wrong with them, found here or by the caller, is one ValueError."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} must be a regular file")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as loaded:
            parts = {name: loaded[name] for name in loaded.files}
        facts = json.loads(parts.pop("facts").tobytes())
        if facts["format"] != _FORMAT or facts["version"] != _VERSION:
            raise ValueError(f"it has version {facts['version']}, this release reads {_VERSION}")
        yield facts, parts
    except FileNotFoundError:
        raise
    except _BROKEN as error:
        raise ValueError(f"{path} is not a whole stitcher file: {error}") from error


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)
