"""The ledger of a run: one line for every block that was finished, on the disk before the next is asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kernalign._base.files import atomic_write

CELL = ("score", "chance", "chance_sd", "p_value", "log10_p", "stderr", "low", "high")
WORDS = ("p_method", "status", "reason", "selection")
_TEXT = (str, type(None))


class Ledger:
    """Scores by key, from a file of JSON lines; a line that a killed run has torn is ignored and written over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scores: dict[str, dict[str, Any]] = {}
        self.caveats: dict[str, list[Any]] = {}
        self.readings: dict[str, list[Any]] = {}
        self.lines = 0
        self._whole = 0
        if path.exists():
            for line in self._read(path.read_bytes()):
                try:
                    self._take(checked(line))
                except (LookupError, TypeError, ValueError, AttributeError) as error:
                    raise ValueError(f"line {self.lines + 1} of {path} is malformed: {error}") from error

    def _read(self, data: bytes) -> Iterator[Mapping[str, Any]]:
        for raw in data.split(b"\n")[:-1]:
            try:
                line = json.loads(raw)
            except (ValueError, RecursionError):
                return  # what follows a torn line was written by nobody
            self._whole += len(raw) + 1
            yield line

    def _take(self, line: Mapping[str, Any]) -> None:
        made = {key: line[key] for key in ("kernalign", "finished_at") if key in line}
        for key, score in line["scores"].items():
            self.scores[key] = score | made
        for owner, caveats in line["caveats"].items():
            self.caveats[owner] = caveats
        self.readings |= line.get("readings", {})
        self.lines += 1

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep the file open for lines; another process that has it open is an error."""
        with open(self.path, "ab") as file:
            _lock(file, self.path)
            file.truncate(self._whole)
            self._file = file
            yield

    def append(self, line: Mapping[str, Any]) -> None:
        """Take in a block, and write it to the disk."""
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
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


def checked(line: Any) -> Mapping[str, Any]:
    """A line of `work`, if it is one: what rows, tables and the report make something of has its type."""
    for score in line["scores"].values():
        if any(type(score[name]) is not kind for name, kind in (("n", int), ("dropped", int), ("turned", bool))):
            raise ValueError("n and dropped must be integers, turned a boolean")
        for cell in score["cells"]:
            words = (*cell["layers"], *map(cell.get, WORDS))
            if len(words) != 2 + len(WORDS) or not all(type(one) in _TEXT for one in words):
                raise ValueError(f"layers and {', '.join(WORDS)} must be text")
            if not all(_is_number(cell.get(name, 0.0)) for name in CELL):
                raise ValueError(f"{', '.join(CELL)} must be numbers")
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
    return type(value) in (int, float) and not abs(value) > 1e308


def _lock(file: Any, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ValueError(f"{path} is being written by another run") from error
