"""Fits the constants of the cost model of linear kernels (kernalign._engines.costs) to what this machine takes.

    env -u OPENBLAS_CORETYPE python -m bench.costs

Times pairs by features and sweeps of several layers, on one thread, and finds the constants, none of them negative,
that err least relative to each time. Prints them beside those in use, and the ratio of both times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import nnls

from bench.case import gaussian
from bench.machine import describe_machine, warn_about_environment
from bench.run import one_thread

SHAPES = [(n, p) for n in (100, 300, 1000, 3000) for p in (16, 64, 256, 512)]
LAYERS = (3, 12, 40)
SECONDS = 0.1  # at least, of one figure


def measured(call: Callable[[], Any]) -> float:
    """Nanoseconds of CPU time: the least of some."""
    call()
    times: list[float] = []
    while sum(times) < SECONDS or len(times) < 3:
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e9 * min(times)


def pairs(n: int, p: int) -> tuple[list[float], float]:
    """What the model multiplies CALL, NUMBER and PRODUCT with, and the time."""
    import kernalign

    x, y = gaussian(n, p, 1), gaussian(n, p, 2)
    return [1, n * 2 * p, n * 3 * p * p], measured(lambda: kernalign.cka(x, y, threads=1))


def sweeps(n: int, p: int, count: int) -> tuple[list[float], float]:
    """The same of LAYER, SWEPT, GRAM_PRODUCT, ENTRY and PAIR."""
    from kernalign._base.kernels import Linear
    from kernalign._engines import gram_source, gram_sweep
    from kernalign._rows import arrays

    given = [arrays.rows(gaussian(n, p, seed)) for seed in range(count)]

    def call() -> Any:
        sides = [gram_source.make_side([rows], Linear(), 1) for rows in given]
        return gram_sweep.GramSweep(sides, centred=True, threads=1).unbiased_cosines()

    entries = n * (n - 1) / 2
    parts = [count, count * n * p, count * entries * p, count * entries, entries * count * (count + 1) / 2]
    return parts, measured(call)


def fitted(names: tuple[str, ...], rows: list[tuple[list[float], float]]) -> None:
    """Print the constants that fit these rows, and how well those in use do."""
    from kernalign._engines import costs

    parts, times = np.array([row for row, _ in rows]), np.array([taken for _, taken in rows])
    found, _ = nnls(parts / times[:, None], np.ones(len(times)))
    used = np.array([getattr(costs, name) for name in names])
    ratios = parts @ used / times
    for name, new, old in zip(names, found, used, strict=True):
        print(f"  {name:8s} fitted {new:12.4g}   in use {old:12.4g}")
    print(f"  those in use: model / time {np.median(ratios):.2f} ({ratios.min():.2f}-{ratios.max():.2f})")


def main() -> None:
    """Measure and fit both routes."""
    warn_about_environment()
    print(describe_machine())
    with one_thread():
        print("a pair by features:")
        fitted(("CALL", "NUMBER", "PRODUCT"), [pairs(n, p) for n, p in SHAPES if n > 2 * p])
        print("a sweep:")
        names = ("LAYER", "SWEPT", "GRAM_PRODUCT", "ENTRY", "PAIR")
        fitted(names, [sweeps(n, p, count) for n, p in SHAPES if n * p < 10**6 for count in LAYERS])


if __name__ == "__main__":
    main()
