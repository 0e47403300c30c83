"""One check of a device: its steps, and the report, which is written anew after each."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

from kernalign._base.files import atomic_write

CASES = 200


class Skipped(Exception):
    """A step that cannot be done here, and why."""


class Check:
    """A device, the report so far, and how much shall be done."""

    def __init__(self, device: str, path: Path, steps: Steps, cases: int = CASES) -> None:
        self.device, self.path, self.steps, self.cases = device, path, steps, cases
        self.report: dict[str, Any] = {"schema": 1, "card": None, "failed": [], "skipped": {}}

    @property
    def index(self) -> int:
        return int(self.device.partition(":")[2] or 0)

    def run(self, names: tuple[str, ...]) -> bool:
        """Take these steps; whether all answers were right."""
        for name in names:
            began = time.perf_counter()
            try:
                self.report[name] = self.steps[name](self)
            except Skipped as reason:
                self.report["skipped"][name] = str(reason)
            except Exception as error:  # the other steps are still worth having
                self.report["failed"].append(f"{name}: {type(error).__name__}: {error}")
            took = time.perf_counter() - began
            click.echo(f"{name:<10} {took:6.1f} s  {self._said(name)}")
            with atomic_write(self.path, overwrite=True) as file:
                file.write(json.dumps(self.report, indent=1).encode())
        return not self.report["failed"]

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
