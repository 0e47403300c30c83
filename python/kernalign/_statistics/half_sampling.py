"""Standard errors of neighbour overlaps by half-sampling: random halves of the items, neighbours from longer lists."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kernalign._base.progress import Report
from kernalign._base.score import Spread
from kernalign._engines import lists as list_engine

_HALVES = 100

Values = NDArray[np.float64]


def list_length(n: int, k: int) -> int:
    """Length of lists of which a random half holds k members of nearly every list."""
    return min(n - 1, 4 * k + 40)


def spread(
    a: NDArray[np.int32], b: NDArray[np.int32], k: int, items: Callable[[Values, int], Values], threads: int
) -> Spread:
    """Spread of the mean over items of ``items(number of common neighbours, k)``."""
    return Spread(stderr(half_scores(a, b, k, items, threads), len(a)), "half-sampling")


def half_scores(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    k: int,
    items: Callable[[Values, int], Values],
    threads: int,
    report: Report = None,
) -> Values:
    """Mean over the items of random halves of ``items(number of common neighbours, k)``; the same halves for every n.

    a and b are lists of length `list_length`; items whose list is too short for a half are left out of it.
    """
    n, half = len(a), len(a) // 2
    rng = np.random.default_rng(0)
    halves = np.zeros((_HALVES, n), dtype=bool)
    for chosen in halves:
        chosen[rng.permutation(n)[:half]] = True
    numbers = list_engine.subset_overlaps(a, b, k, halves, threads, report)
    return np.asarray(numbers @ items(np.arange(k + 1.0), k) / numbers.sum(axis=1))


def stderr(values: Values, n: int) -> float:
    """Standard error of the score of n items from those of halves.

    Half of the items are drawn without replacement, k stays, and the variance of the half's score, times m / (n - m)
    for m of n items, estimates that of the whole: slightly too large rather than too small (a bootstrap would make
    duplicates, which are each other's neighbours).
    """
    half = n // 2
    return float(values.std(ddof=1) * np.sqrt(half / (n - half)))
