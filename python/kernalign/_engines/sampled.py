"""Exact neighbours of some rows among all of them, and what such a sample says of the whole."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.progress import Report
from kernalign._rows.blocks import blocks, spans

Lists: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]
Values: TypeAlias = NDArray[np.float64]

ROWS = 2000
_Z = 1.959964  # 95 %


def sampled_rows(n: int, count: int = ROWS) -> NDArray[np.int32]:
    """The rows that are looked at exactly: the same for every array of n rows, ascending; all if there are no more."""
    if n <= count:
        return np.arange(n, dtype=np.int32)
    return np.sort(np.random.default_rng(0).choice(n, count, replace=False)).astype(np.int32)


def lists_of(
    scorer: _core.ExactRows,
    queries: NDArray[np.int32],
    k: int,
    threads: int,
    report: Report = None,
    of: _core.ExactRows | None = None,
) -> Lists:
    """Indices, similarities and ties of the k nearest of every query row, the bits of the whole search; queries are
    rows of another array if that is given."""
    indices, similarities, tied = scorer.search(queries, k, threads, report, of)
    return indices, similarities, tied.view(np.bool_)


def edge_products(
    rows: _core.Rows, queries: NDArray[np.int32], lists: NDArray[np.int32]
) -> tuple[Values, Values, Values, float]:
    """What the engine's `edge_products` gives, but along the lists of some rows alone."""
    n, p = rows.shape
    mean = sum((block.sum(axis=0) for block in blocks(rows)), np.zeros(p)) / n
    centred = (block - mean for block in blocks(rows))
    square, projection = zip(*[((block * block).sum(axis=1), block @ mean) for block in centred], strict=True)
    values = np.empty(lists.shape)
    for begin, end in spans(len(queries), p * (1 + lists.shape[1])):
        own, others = (
            rows.taken(some).dense(0, len(some)) - mean
            for some in (queries[begin:end].astype(np.intp), lists[begin:end].ravel().astype(np.intp))
        )
        values[begin:end] = np.einsum("id,ikd->ik", own, others.reshape(end - begin, -1, p))
    return values, np.concatenate(square), np.concatenate(projection), float(mean @ mean)


def shared(a: NDArray[np.int32], b: NDArray[np.int32]) -> Values:
    """Number of common entries of list i of a and list i of b."""
    both = np.sort(np.concatenate([a, b], axis=1), axis=1)
    counts: Values = (both[:, 1:] == both[:, :-1]).sum(axis=1).astype(np.float64)
    return counts


def stderr(values: Values, n: int) -> float:
    """Standard error of the mean of values of rows drawn from n without replacement."""
    m = len(values)
    if m == 1 < n:
        return math.nan
    return 0.0 if m == n else float(values.std(ddof=1) * math.sqrt((1 - m / n) / m))


def ratio_stderr(above: Values, left: Values, right: Values, n: int) -> float:
    """Standard error of sum(above) / sqrt(sum(left) sum(right)), of rows drawn as for `stderr`, to first order."""
    a, b, c = (float(values.mean()) for values in (above, left, right))
    return stderr((above - a * (left / b + right / c) / 2) / math.sqrt(b * c), n)


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
