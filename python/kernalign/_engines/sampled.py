"""Exact neighbours of some rows among all of them, and what such a sample says of the whole."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.progress import Report

Lists: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]
Values: TypeAlias = NDArray[np.float64]

_ROWS = 2000
_Z = 1.959964  # 95 %


def sampled_rows(n: int) -> NDArray[np.int32]:
    """The rows that are looked at exactly: the same for every array of n rows, ascending; all if n <= 2000."""
    if n <= _ROWS:
        return np.arange(n, dtype=np.int32)
    return np.sort(np.random.default_rng(0).choice(n, _ROWS, replace=False)).astype(np.int32)


def lists_of(scorer: _core.ExactRows, queries: NDArray[np.int32], k: int, threads: int, report: Report = None) -> Lists:
    """Indices, similarities and ties of the k nearest of every query row, the bits of the whole search."""
    indices, similarities, tied = scorer.search(queries, k, threads, report)
    return indices, similarities, tied.view(np.bool_)


def shared(a: NDArray[np.int32], b: NDArray[np.int32]) -> Values:
    """Number of common entries of list i of a and list i of b."""
    both = np.sort(np.concatenate([a, b], axis=1), axis=1)
    counts: Values = (both[:, 1:] == both[:, :-1]).sum(axis=1).astype(np.float64)
    return counts


def stderr(values: Values, n: int) -> float:
    """Standard error of the mean of values of rows drawn from n without replacement."""
    m = len(values)
    return 0.0 if m == n else float(values.std(ddof=1) * math.sqrt((1 - m / n) / m))


def hoeffding(mean: float, rows: int, n: int) -> tuple[float, float]:
    """Interval that holds the mean over n rows of values in [0, 1] with 95 % certainty (Serfling 1974)."""
    half = math.sqrt((1 - (rows - 1) / n) * math.log(2 / 0.05) / (2 * rows)) if rows < n else 0.0
    return max(0.0, mean - half), min(1.0, mean + half)


def corrected(mean: float, differences: Values, n: int) -> tuple[float, tuple[float, float]]:
    """Estimate and 95 % interval of a mean over n rows, from a surrogate's mean and its errors in a sample of rows.

    Two standard errors, widened by 3/m: differences that up to three rows in m show may be missing from the sample.
    """
    m = len(differences)
    estimate = mean + float(differences.mean())
    half = _Z * stderr(differences, n) + (3 / m if m < n else 0.0)
    return estimate, (max(0.0, estimate - half), min(1.0, estimate + half))
