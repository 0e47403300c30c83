"""Turns the user's ``progress=`` argument into the callable an engine reports to."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

from kernalign._base.checks import shown
from kernalign._base.notebooks import in_notebook

ProgressArgument: TypeAlias = bool | Callable[[int, int], object]
Report: TypeAlias = Callable[[int, int], object] | None

_PATIENCE = 2.0  # seconds before a bar appears
_OFTEN = 0.2  # seconds between two looks of it
_CELLS = 30  # of a whole bar


class _Silent:
    """Reports nothing, at no cost."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        return None


_SILENT = _Silent()


def check_progress(progress: Any) -> None:
    """Raise unless it is what ``progress=`` may be."""
    if not (isinstance(progress, bool) or callable(progress)):
        raise TypeError(f"progress must be True, False or callable(done, total), got {shown(progress)}")


def reporting(progress: ProgressArgument, label: str) -> AbstractContextManager[Report]:
    """A context that yields None, the user's callable, or a report that draws a bar on standard error once work takes
    over 2 s."""
    if progress is False:
        return _SILENT
    if progress is True:
        return _bar(label)
    check_progress(progress)
    return _steps(progress)


@contextmanager
def _steps(tell: Callable[[int, int], object]) -> Iterator[Report]:
    """A report of stages one after the other, each of which counts from 0 to a total of its own: as one that never goes
    back, whose total grows by a stage when that begins, and that reaches it once, when all is done."""
    before, done, total = 0, -1, 0

    def report(stage_done: int, stage_total: int) -> None:
        nonlocal before, done, total
        if before + stage_total != total or before + stage_done < done:
            before = total
            total += stage_total
        if done < before + stage_done < total:
            done = before + stage_done
            tell(done, total)

    yield report
    tell(max(total, 1), max(total, 1))


@contextmanager
def _bar(label: str) -> Iterator[Report]:
    bar = _Bar(label)
    try:
        with _steps(bar.report) as steps:
            yield steps
    finally:
        bar.clear()


class _Bar:
    """A line on standard error that is written anew, in a terminal and in notebooks; elsewhere, in the log of a job
    say, a line for every tenth."""

    def __init__(self, label: str) -> None:
        self.label, self.stream, self.begun = label, sys.stderr, time.monotonic()
        self.anew = self.stream is not None and (in_notebook() or self.stream.isatty())
        self.next, self.width, self.tenths = self.begun + _PATIENCE, 0, 0

    def report(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self.next or self.stream is None:
            return
        self.next = now + _OFTEN
        share = done / total
        left = round((now - self.begun) * (1 - share) / share) if share else None
        text = f"{self.label} {share:4.0%}" + ("" if left is None else f", {left // 60}:{left % 60:02} left")
        if self.anew:
            text = f"{self.label} [{'#' * int(_CELLS * share):{_CELLS}}]{text[len(self.label) :]}"
            self._write(f"\r{text:{self.width}}")
            self.width = len(text)
        elif int(10 * share) > self.tenths:
            self.tenths = int(10 * share)
            self._write(f"{text}\n")

    def clear(self) -> None:
        if self.width:
            self._write(f"\r{' ' * self.width}\r")

    def _write(self, text: str) -> None:
        assert self.stream is not None
        self.stream.write(text)
        self.stream.flush()
