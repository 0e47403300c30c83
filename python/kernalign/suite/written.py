"""The files of a run, written anew only where what they are made of is other, or they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kernalign._base.digests import digest
from kernalign._base.files import atomic_write


class Files:
    """Those of a directory by name, of each what it was ``made_of`` and a digest of its bytes."""

    def __init__(self, directory: Path, made_of: str) -> None:
        self._directory, self._made_of, self._note = directory, made_of, directory / "written.json"
        self._known = {}
        with suppress(OSError, ValueError, TypeError, RecursionError):
            self._known = dict(json.loads(self._note.read_bytes()))

    def write(self, name: str, text: Callable[[], str]) -> None:
        """Write a file, unless it is there and made of the same."""
        path = self._directory / name
        if path.exists() and self._known.get(name) == [self._made_of, _digest(path.read_bytes())]:
            return
        data = text().encode()
        _write(path, data)
        self._known[name] = [self._made_of, _digest(data)]
        _write(self._note, json.dumps(self._known).encode())


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path, overwrite=True) as file:
        file.write(data)


def _digest(data: bytes) -> str:
    return digest([data]).hex()
