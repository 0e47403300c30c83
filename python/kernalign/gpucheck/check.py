"""One check of a device: its steps, and the report, which is written anew after each."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import click

from kernalign._base.files import atomic_write

CASES = 200
GRACE = 30.0  # seconds of a process after its time, to write what it has
T = TypeVar("T")


class Skipped(Exception):
    """A step that cannot be done here, and why."""


class Check:
    """A device, the report so far, and how much shall be done, in how many seconds from now."""

    def __init__(
        self, device: str, path: Path, steps: Steps, cases: int = CASES, seconds: float = float("inf")
    ) -> None:
        self.device, self.path, self.steps, self.cases = device, path, steps, cases
        self.end = time.monotonic() + seconds
        self.report: dict[str, Any] = {"schema": 1, "card": None, "failed": [], "skipped": {}}

    @property
    def index(self) -> int:
        return int(self.device.partition(":")[2] or 0)

    @property
    def left(self) -> float:
        """Seconds until all shall be done."""
        return self.end - time.monotonic()

    def in_time(self, what: Iterable[T]) -> Iterator[T]:
        """These, as long as there is time."""
        for one in what:
            if self.left <= 0:
                return
            yield one

    def run(self, names: Iterable[str], apart: bool = False) -> bool:
        """Take these steps; whether all answers were right.

        Apart, each is taken by a process of its own: a device that failed fails the process that used it ever after.
        """
        for name in names:
            began = time.perf_counter()
            if self.left <= 0:
                self.report["skipped"][name] = "no time was left"
            elif apart:
                self._take_apart(name)
            else:
                self._take(name)
            took = time.perf_counter() - began
            click.echo(f"{name:<10} {took:6.1f} s  {self._said(name)}")
            self.report.setdefault("seconds", {})[name] = round(took, 1)
            with atomic_write(self.path, overwrite=True) as file:
                file.write(json.dumps(self.report, indent=1).encode())
        return not self.report["failed"]

    def _take(self, name: str) -> None:
        try:
            self.report[name] = self.steps[name](self)
        except Skipped as reason:
            self.report["skipped"][name] = str(reason)
        except Exception as error:  # the other steps are still worth having
            self.report["failed"].append(f"{name}: {type(error).__name__}: {error}")

    def _take_apart(self, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "step.json")
            command = [sys.executable, "-m", "kernalign.gpucheck", "--step", name, "--device", self.device]
            command += ["--cases", str(self.cases), "--seconds", f"{self.left:.0f}", "--out", str(path)]
            try:
                ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=self.left + GRACE)
                said = (ran.stderr.strip() or ran.stdout.strip()).rpartition("\n")[2]
                ended = f"its process ended with {ran.returncode}: {said}"
            except subprocess.TimeoutExpired:
                ended = "it did not end in time"
            if not path.exists():
                self.report["failed"].append(f"{name}: {ended}")
                return
            found = json.loads(path.read_text("utf-8"))
            self.report["card"] = found["card"] or self.report["card"]
            self.report["failed"] += found["failed"]
            self.report["skipped"].update(found["skipped"])
            if name in found:
                self.report[name] = found[name]

    def _said(self, name: str) -> str:
        failed = [words for words in self.report["failed"] if words.startswith(f"{name}: ")]
        reason = self.report["skipped"].get(name)
        return "FAIL " + "; ".join(failed) if failed else f"SKIP {reason}" if reason else "ok"

    def wrong(self, name: str, words: str) -> None:
        self.report["failed"].append(f"{name}: {words}")


Steps: TypeAlias = Mapping[str, Callable[[Check], Any]]


def version(name: str) -> str | None:
    try:
        return str(getattr(importlib.import_module(name), "__version__", ""))
    except ImportError:
        return None
