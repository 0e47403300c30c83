"""Executors that are made here, and what must be known of those that were given."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from kernalign._base.threads import allowed


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """So many processes of this machine, which end after the tasks under way if the work is given up."""
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


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


def again(pool: Any) -> ProcessPoolExecutor:
    """A pool like one that broke, whose processes are ended: one begun while it broke would be waited for for ever."""
    for process in list((pool._processes or {}).values()):
        process.kill()
    how = {"mp_context": pool._mp_context, "initializer": pool._initializer, "initargs": pool._initargs}
    return ProcessPoolExecutor(pool._max_workers, **how)


def workers_of(executor: Any) -> int:
    """How many tasks an executor works on at a time."""
    client = getattr(executor, "_client", None)  # of Dask
    if client is not None:
        return max(1, *map(int, client.nthreads().values()), len(client.nthreads()))
    return int(getattr(executor, "_max_workers", None) or allowed(0))
