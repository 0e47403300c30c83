"""Turns the user's ``progress=`` argument into the callable an engine reports to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

ProgressArgument: TypeAlias = bool | Callable[[int, int], object]
Report: TypeAlias = Callable[[int, int], object] | None

_PATIENCE = 2.0  # seconds before a bar appears


@contextmanager
def reporting(progress: ProgressArgument, label: str) -> Iterator[Report]:
    """Yield None, the user's callable, or a report that draws a bar on standard error once work takes over 2 s."""
    if callable(progress):
        yield progress
        return
    if progress is not True:
        if progress is not False:
            raise TypeError(f"progress must be True, False or callable(done, total), got {progress!r}")
        yield None
        return
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
        yield report
    finally:
        if shown:
            bar.stop()
