"""Who does the blocks of a suite: this thread, threads, processes, Dask, or any executor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from kernalign._base.threads import allowed
from kernalign.comparison.tasks.pools import cluster, leave_interrupts, windowed
from kernalign.suite.blocks import Block
from kernalign.suite.labelled import Reading
from kernalign.suite.work import work


@contextmanager
def executor_of(given: Executor | None, named: str) -> Iterator[Executor | None]:
    """What works, None for this thread; shut down in the end unless it was given."""
    if given is not None or named == "serial":
        yield given
        return
    if named.startswith("dask://"):
        with cluster(named.removeprefix("dask://"), "executor = 'dask://…'") as executor:
            yield executor
        return
    count = allowed(0)
    made = ThreadPoolExecutor(count) if named == "threads" else ProcessPoolExecutor(count, initializer=leave_interrupts)
    try:
        yield made
    finally:
        made.shutdown(cancel_futures=True)


def worked(todo: Sequence[Block | Reading], executor: Executor | None) -> Iterator[dict[str, Any]]:
    """Lines as they are finished; after Ctrl-C those that were begun too."""
    return map(work, todo) if executor is None else windowed(executor, work, todo, drained=True)
