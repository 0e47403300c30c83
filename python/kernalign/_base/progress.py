"""Turns the user's ``progress=`` argument into the callable an engine reports to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

from kernalign._base.checks import shown

ProgressArgument: TypeAlias = bool | Callable[[int, int], object]
Report: TypeAlias = Callable[[int, int], object] | None

_PATIENCE = 2.0  # seconds before a bar appears


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
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(label, total=None)
    start, shown = time.monotonic(), False

    def report(done: int, total: int) -> None:
        nonlocal shown
        if not shown and time.monotonic() - start > _PATIENCE:
            bar.start()
            shown = True
        bar.update(task, completed=done, total=total)

    try:
        with _steps(report) as steps:
            yield steps
    finally:
        if shown:
            bar.stop()
