"""Exact neighbours of some rows among all of them, and what such a sample says of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.progress import Report

Lists: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]
Values: TypeAlias = NDArray[np.float64]

_ROWS = 2000
_TILE = 1 << 21  # values of a tile of queries against rows, and of a block of rows
_MARGIN = 16
_UNIT = 2.0**-53
_Z = 1.959964  # 95 %


def sampled_rows(n: int) -> NDArray[np.int32]:
    """The rows that are looked at exactly: the same for every array of n rows, ascending; all if n <= 2000."""
    if n <= _ROWS:
        return np.arange(n, dtype=np.int32)
    return np.sort(np.random.default_rng(0).choice(n, _ROWS, replace=False)).astype(np.int32)


def lists_of(
    source: _core.Rows,
    scorer: _core.ExactRows,
    queries: NDArray[np.int32],
    k: int,
    metric: str,
    threads: int,
    report: Report = None,
) -> Lists:
    """Indices, similarities and ties of the k nearest of every query row, proven as in the native search.

    Float64 tiles choose candidates and the scorer finds their values in feature order. Products in other orders differ
    by less than the slack, so a row is proven if its k-th value beats the worst candidate's product by more; another
    is scored against all rows. Memory O(tile). The products are NumPy's, on the threads of its BLAS.
    """
    n = source.shape[0]
    keep = min(n, k + 1 + _MARGIN)
    shift, longest = _statistics(source, metric)
    wanted = np.concatenate([_prepared(source, int(i), int(i) + 1, metric, shift) for i in queries])
    best = np.full((len(queries), keep), -np.inf)
    at = np.full((len(queries), keep), -1, dtype=np.int32)
    for begin, end in _steps(n, max(1, min(_TILE // len(queries), _TILE // source.shape[1]))):
        block = _prepared(source, begin, end, metric, shift)
        product = wanted @ block.T
        if metric == "euclidean":
            product = 2 * product - _squares(wanted)[:, None] - _squares(block)
        own = np.flatnonzero((queries >= begin) & (queries < end))
        product[own, queries[own] - begin] = -np.inf
        better = np.flatnonzero(product.max(axis=1) > best.min(axis=1))
        if len(better):
            values = np.concatenate([best[better], product[better]], axis=1)
            names = np.broadcast_to(np.arange(begin, end, dtype=np.int32), (len(better), end - begin))
            order = np.argpartition(values, -keep, axis=1)[:, -keep:]
            best[better] = np.take_along_axis(values, order, axis=1)
            at[better] = np.take_along_axis(np.concatenate([at[better], names], axis=1), order, axis=1)
        if report is not None:
            report(end, n)
    indices, similarities, tied = scorer.nearest(queries, at, k, threads)
    if keep < n:
        size = _squares(wanted)
        scale = size + longest**2 if metric == "euclidean" else np.sqrt(size) * longest
        slack = (8 * source.shape[1] + 64) * (_UNIT * scale + 1e-320)
        unproven = np.flatnonzero(~(similarities[:, -1] > best.min(axis=1) + slack))
        everything = np.arange(n, dtype=np.int32)[None]
        for row in unproven:
            answer = scorer.nearest(queries[row : row + 1], everything, k, threads)
            indices[row], similarities[row], tied[row] = (part[0] for part in answer)
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


def _steps(n: int, size: int) -> Iterator[tuple[int, int]]:
    return ((begin, min(n, begin + size)) for begin in range(0, n, size))


def _squares(rows: Values) -> Values:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def _statistics(source: _core.Rows, metric: str) -> tuple[Values | None, float]:
    """The mean row (euclidean only) and the norm of the longest prepared row."""
    n, p = source.shape
    if metric == "cosine":
        return None, 1.0
    steps = list(_steps(n, max(1, _TILE // p)))
    shift = sum((source.dense(*step).sum(axis=0) for step in steps), np.zeros(p)) / n if metric == "euclidean" else None
    longest = max(float(_squares(_prepared(source, *step, metric, shift)).max()) for step in steps)
    return shift, math.sqrt(longest)


def _prepared(source: _core.Rows, begin: int, end: int, metric: str, shift: Values | None) -> Values:
    rows = source.dense(begin, end)
    if metric == "cosine":
        rows /= np.abs(rows).max(axis=1, keepdims=True)
        rows /= np.sqrt(_squares(rows))[:, None]
    elif shift is not None:
        rows -= shift
    return rows
