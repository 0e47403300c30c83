"""The ledger of a run: one line for every block that was finished, on the disk before the next is asked for."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from kernalign._base.digests import Running, digest
from kernalign._base.files import atomic_write, regular

_NUMBER, _TEXT = (int, float), (str, type(None))
CELL = ("score", "chance", "chance_sd", "p_value", "log10_p", "stderr", "low", "high")
WORDS = ("p_method", "status", "reason", "selection")
_LARGEST = 1e308
_KINDS = dict.fromkeys(CELL, _NUMBER) | dict.fromkeys(WORDS, _TEXT)


class Ledger:
    """Scores by key, from a file of JSON lines; a line that a killed run has torn is ignored and written over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read(regular(path).read_bytes() if path.exists() else b"")

    def _read(self, data: bytes) -> None:
        self.scores: dict[str, dict[str, Any]] = {}
        self.caveats: dict[str, list[Any]] = {}
        self.readings: dict[str, list[Any]] = {}
        self.content = Running()
        for at, raw in enumerate(data.split(b"\n")[:-1], 1):
            self.content.update(raw + b"\n")
            try:
                self._take(checked(json.loads(raw)))
            except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
                told = f"line {at} of {self.path} is malformed, and is done again if it is removed: {error}"
                raise ValueError(told) from error

    def _take(self, line: Mapping[str, Any]) -> None:
        made = {key: line[key] for key in ("kernalign", "finished_at") if key in line}
        for key, score in line["scores"].items():
            self.scores[key] = score | made
        for owner, caveats in line["caveats"].items():
            self.caveats[owner] = caveats
        self.readings |= line.get("readings", {})

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep the file open for lines, with those of runs that ended since; another process that has it open is an
        error."""
        with _locked(self.path) as file:
            data = self.path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if digest([whole]) != self.content.digest():
                self._read(data)
            file.truncate(len(whole))
            self._file = file
            yield

    def append(self, line: Mapping[str, Any]) -> None:
        """Take in a block, and write it to the disk."""
        raw = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        rest = memoryview(raw)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            error.filename = error.filename or str(self.path)  # which a full disk does not say
            raise
        self.content.update(raw)
        self._take(line)

    def keep(self, keys: set[str]) -> int:
        """Write anew what has these keys; how many scores are let go."""
        lost = len(self.scores) - len(keys & set(self.scores))
        self.scores = {key: score for key, score in self.scores.items() if key in keys}
        self.readings = {key: one for key, one in self.readings.items() if key in keys}
        line = {"scores": self.scores, "caveats": self.caveats, "readings": self.readings}
        with atomic_write(self.path, overwrite=True) as file:
            file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        return lost


@contextmanager
def _locked(path: Path) -> Iterator[FileIO]:
    """The file, open to append to, and nobody else's; not one that was replaced before it was locked."""
    while True:
        with open(path, "ab", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"{path} is being written by another run") from None
            except OSError:  # some file systems have no locks
                pass
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield file
                return


def checked(line: Any) -> Mapping[str, Any]:
    """A line of `work`, if it is one: what rows, tables and the report make something of has its type."""
    for score in line["scores"].values():
        if any(type(score[name]) is not kind for name, kind in (("n", int), ("dropped", int), ("turned", bool))):
            raise ValueError("n and dropped must be integers, turned a boolean")
        for cell in score["cells"]:
            if len(cell["layers"]) != 2 or not {*map(type, cell["layers"])} <= {*_TEXT}:
                raise ValueError("layers must be two texts")
            for name, value in cell.items():
                kind = _KINDS.get(name)
                if kind and (type(value) not in kind or (kind is _NUMBER and abs(value) > _LARGEST)):
                    raise ValueError(f"{name} must be {'a number' if kind is _NUMBER else 'text'}")
    for told in line["caveats"].values():
        for kind, *layers, value, text in told:
            named = len(layers) == 2 and all(type(one) in _TEXT for one in (kind, *layers, text))
            if not named or not (value is None or _is_number(value)):
                raise ValueError("a caveat must be a kind, two layers, a number and a text")
    for layers in line.get("readings", {}).values():
        for label, value, reason in layers:
            if type(label) is not str or type(reason) is not str or not (value is None or _is_number(value)):
                raise ValueError("a reading must be a label, a number and a reason")
    return dict(line)


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBER and not abs(value) > _LARGEST
