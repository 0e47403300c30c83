"""Executors, made here or given: kept busy with a few tasks for each worker, and made again where they broke."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from kernalign._base.threads import allowed

_AHEAD = 4  # tasks in flight for each worker
_BREAKS = 3  # of a pool, without a finished task between them
_LOOK = 1.0  # seconds after which a pool is asked whether it broke: a task sent while it did is answered by nobody


def windowed(
    executor: Executor, call: Callable[[Any], Any], todo: Sequence[Any], *, drained: bool = False, own: bool = False
) -> Iterator[Any]:
    """What a call makes of each task, as it comes; a pool that broke is made again, and gets what was under way again.

    ``drained``: after Ctrl-C, what workers have begun is waited for, and comes too. ``own``: the executor is a pool
    that nobody else uses, whose processes are ended where the work is given up.
    """
    waiting = list(reversed(todo))
    running: dict[Future[Any], Any] = {}
    breaks, first = 0, executor
    try:
        while waiting or running:
            broken: BaseException | None = None
            refused: BaseException | None = None
            while waiting and len(running) < _AHEAD * workers_of(executor):
                task = waiting.pop()
                try:
                    running[executor.submit(call, task)] = task
                except (BrokenExecutor, OSError, ValueError) as error:  # a breaking pool closes pipes of new workers
                    waiting.append(task)
                    refused = error
                    break
            ended = wait(running, _LOOK, FIRST_COMPLETED).done if running else set()
            if running and not ended and not getattr(executor, "_broken", False):
                continue
            for future in ended:
                task = running.pop(future)
                try:
                    part = future.result()
                except BrokenExecutor as error:
                    broken = error
                    waiting.append(task)
                    continue
                breaks = 0
                yield part
            if broken is not None or not ended:
                waiting += running.values()
                running.clear()
                breaks += 1
                if not isinstance(executor, ProcessPoolExecutor) or breaks > _BREAKS:
                    raise broken or refused or BrokenExecutor("a task was answered by nobody")
                _end(executor)
                executor, own = again(executor), True
    except KeyboardInterrupt:
        if drained:
            for future in running:
                future.cancel()
            for future in running:
                if not future.cancelled() and future.exception() is None:
                    yield future.result()
            running.clear()
        raise
    finally:
        if not own:
            for future in running:
                future.cancel()
        elif running:
            _end(executor)
        if executor is not first:
            executor.shutdown(wait=False)


@contextmanager
def processes(count: int, begin: Callable[..., None], *given: Any) -> Iterator[Executor]:
    """So many processes of this machine, each of which begins with this call; Ctrl-C is for the one that gave them
    work."""
    how: dict[str, Any] = {"initializer": _begin, "initargs": (begin, *given)}
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), **how)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False)


def _begin(begin: Callable[..., None], *given: Any) -> None:
    leave_interrupts()
    begin(*given)


def leave_interrupts() -> None:
    """Ignore Ctrl-C, which reaches all processes of a terminal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def cluster(scheduler: str, option: str) -> Iterator[Executor]:
    """The workers of a Dask cluster, for the ``option`` that names its scheduler."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(f"{option} needs Dask: pip install 'kernalign[dask]'") from error
    try:
        client = Client(scheduler)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{option} must be the address of a Dask scheduler (tcp://host:8786), got {scheduler}: {error}"
        ) from error
    with client, client.get_executor(retries=2) as executor:
        yield executor


def _end(pool: Any) -> None:
    """End the processes of a pool: what they were at can be done again, and one that was begun while the pool broke
    would be waited for for ever."""
    for process in list((pool._processes or {}).values()):
        process.kill()


def again(pool: Any) -> ProcessPoolExecutor:
    """A pool like one that broke."""
    how = {"mp_context": pool._mp_context, "initializer": pool._initializer, "initargs": pool._initargs}
    return ProcessPoolExecutor(pool._max_workers, max_tasks_per_child=pool._max_tasks_per_child, **how)


def workers_of(executor: Any) -> int:
    """How many tasks an executor works on at a time."""
    client = getattr(executor, "_client", None)  # of Dask
    if client is not None:
        return max(1, *map(int, client.nthreads().values()), len(client.nthreads()))
    return int(getattr(executor, "_max_workers", None) or allowed(0))
