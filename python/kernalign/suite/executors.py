"""Who does the blocks of a suite: this thread, threads, processes, Dask, or any executor."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from typing import Any

from kernalign.suite.blocks import Block
from kernalign.suite.work import work

_IN_FLIGHT = 4  # blocks for each worker


def executor_of(given: Executor | None, named: str) -> tuple[Executor | None, Executor | None, int]:
    """What must be shut down, what works (None: this thread), and how many workers that has."""
    if given is not None:
        return None, given, getattr(given, "_max_workers", None) or os.cpu_count() or 1
    count = os.cpu_count() or 1
    if named.startswith("dask://"):
        from distributed import Client

        client = Client(named.removeprefix("dask://"))
        return None, client.get_executor(), max(1, len(client.scheduler_info()["workers"]))
    if named == "serial":
        return None, None, 1
    made = ThreadPoolExecutor(count) if named == "threads" else ProcessPoolExecutor(count, initializer=_go_on)
    return made, made, count


def _go_on() -> None:
    """Ctrl-C is for the process that drains; a worker finishes its block."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def worked(todo: Sequence[Block], executor: Executor | None, workers: int) -> Iterator[dict[str, Any]]:
    """Lines as they are finished; at most four blocks a worker are given away at a time."""
    if executor is None:
        yield from map(work, todo)
        return
    waiting, flying = iter(todo), set[Future[Any]]()
    try:
        while True:
            for block in waiting:
                flying.add(executor.submit(work, block))
                if len(flying) >= _IN_FLIGHT * workers:
                    break
            if not flying:
                return
            done, flying = wait(flying, return_when=FIRST_COMPLETED)
            for one in done:
                yield one.result()
    except KeyboardInterrupt:
        for one in flying:
            one.cancel()
        for one in flying:
            if not one.cancelled():
                yield one.result()
        raise
