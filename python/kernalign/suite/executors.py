"""Who does the blocks of a suite: this thread, threads, processes, Dask, or any executor."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from kernalign._base.threads import allowed
from kernalign.comparison.tasks.pools import cluster, workers_of
from kernalign.suite.blocks import Block
from kernalign.suite.work import work

_IN_FLIGHT = 4  # blocks for each worker


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
    made = ThreadPoolExecutor(count) if named == "threads" else ProcessPoolExecutor(count, initializer=_go_on)
    try:
        yield made
    finally:
        made.shutdown(cancel_futures=True)


def _go_on() -> None:
    """Ctrl-C is for the process that drains; a worker finishes its block."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def worked(todo: Sequence[Block], executor: Executor | None) -> Iterator[dict[str, Any]]:
    """Lines as they are finished; at most four blocks a worker are given away at a time."""
    if executor is None:
        yield from map(work, todo)
        return
    waiting, flying, most = iter(todo), set[Future[Any]](), _IN_FLIGHT * workers_of(executor)
    try:
        while True:
            for block in waiting:
                flying.add(executor.submit(work, block))
                if len(flying) >= most:
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
