"""Fitted stitchers in files, and in those that version 0.1.0 wrote."""

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

from kernalign._base import checkpoint

_KIND = "stitcher"
_BROKEN = (
    *(KeyError, TypeError, ValueError, AttributeError, EOFError, OSError, OverflowError, MemoryError),
    *(RuntimeError, zipfile.BadZipFile, zlib.error),  # RuntimeError: encrypted, unknown methods, nested too deep
)


def write(path: Path, facts: dict[str, Any], parts: dict[str, Any], *, overwrite: bool) -> None:
    """Write facts (JSON) and named arrays."""
    checkpoint.write(path, _KIND, facts, parts, overwrite=overwrite)


@contextmanager
def reading(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """Facts and arrays of a file; whatever is wrong with them, found here or by the caller, is one ValueError."""
    if not (path.is_file() and zipfile.is_zipfile(path)):
        with checkpoint.reading(path, _KIND) as found:
            yield found
        return
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as loaded:
            parts = {name: loaded[name] for name in loaded.files}
        facts = json.loads(parts.pop("facts").tobytes())
        if facts["format"] != "kernalign stitcher" or facts["version"] != 1:
            raise ValueError(f"it has version {facts['version']}, this release reads 1")
        yield facts, parts
    except _BROKEN as error:
        raise ValueError(f"{path} is not a whole stitcher file: {error}") from error
