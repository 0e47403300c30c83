"""How many threads may work: what the caller, the environment and the machine allow, for libraries that we call too."""

from __future__ import annotations

import math
import os
import threading
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

_LARGE = 1024  # rows and columns of a matrix from which on LAPACK gains by threads more than these lose by waiting

chosen = 0  # by `kernalign.set_threads`; 0: all that are allowed


def told() -> int:
    """The number that the environment variable of the package says; 0 if none."""
    return _named("KERNALIGN_NUM_THREADS", strict=True) or 0


def allowed(threads: int) -> int:
    """So many as were asked for; of 0, those that were chosen or else all that this process may use."""
    return threads or chosen or min(len(os.sched_getaffinity(0)), most())


@cache
def most() -> int:
    """The limit of the environment and of the control group; found once."""
    limits = [_named("OMP_NUM_THREADS"), _named("LOKY_MAX_CPU_COUNT")]
    return min([1 << 16, *filter(None, limits), max(1, math.ceil(_quota()))])


def _named(name: str, *, strict: bool = False) -> int | None:
    """The number that a variable of the environment holds, the first of a list; None if there is none."""
    given = os.environ.get(name, "")
    first = given.split(",")[0].strip()
    if first.isdecimal() and int(first) > 0:
        return int(first)
    if strict and given:
        raise ValueError(f"the environment variable {name} must be a positive integer, got {given!r}")
    return None


def _quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """CPUs' worth of time that the control groups of this process leave it; at most 65,536."""
    least = float(1 << 16)
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return least
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / controllers if controllers else root
        inner = base / path.strip("/")
        for folder in (inner, *inner.parents):
            if folder == base.parent:
                break
            try:
                if controllers:
                    parts = [(folder / f"cpu.cfs_{part}_us").read_text() for part in ("quota", "period")]
                else:
                    parts = (folder / "cpu.max").read_text().split()
                quota, period = float(parts[0]), float(parts[1])  # "max" where there is none, or -1
            except (OSError, ValueError, IndexError):
                continue
            if quota > 0 and period > 0:
                least = min(least, quota / period)
    return least


class held:
    """A context in which the BLAS of NumPy and SciPy works with no more threads than it should: with one on matrices of
    up to 1024 rows or columns (``size``), where others wait for each other, else with those that are allowed.

    The counts are the process's: of several contexts at a time the least counts, and the last one gives them back.
    """

    _lock = threading.Lock()
    _counts: ClassVar[list[int]] = []
    _before: ClassVar[list[int]] = []

    def __init__(self, threads: int, size: int) -> None:
        self._count = 1 if size <= _LARGE else allowed(threads)

    def __enter__(self) -> None:
        with self._lock:
            if not self._counts:
                self._before[:] = [library.get_num_threads() for library in _libraries()]
            self._counts.append(self._count)
            self._apply()

    def __exit__(self, *error: object) -> None:
        with self._lock:
            if self._count in self._counts:  # unless a fork has come between
                self._counts.remove(self._count)
            self._apply()

    def _apply(self) -> None:
        for library, before in zip(_libraries(), self._before, strict=True):
            count = min([before, *self._counts])
            if library.get_num_threads() != count:  # being told makes OpenBLAS start all threads of a forked process
                library.set_num_threads(count)


def _forked() -> None:
    """In a forked process no other thread is there to let go of the lock."""
    held._lock = threading.Lock()
    held._counts.clear()


os.register_at_fork(after_in_child=_forked)


@cache
def _libraries() -> list[Any]:
    import scipy.linalg  # noqa: F401  (whose BLAS must be loaded to be found)
    from threadpoolctl import ThreadpoolController

    found: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found
