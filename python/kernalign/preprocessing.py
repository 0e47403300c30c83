"""What preprocessing learns from rows before they are read: column scales, clipping thresholds, zero rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kernalign import _core

_BLOCK_ELEMENTS = 1 << 20


def blocks(*sources: _core.Rows) -> Iterator[NDArray[np.float64]]:
    """The rows of each source, a few at a time, in float64."""
    for source in sources:
        n, p = source.shape
        step = max(1, _BLOCK_ELEMENTS // p)
        for begin in range(0, n, step):
            yield source.dense(begin, min(n, begin + step))


def nonzero_rows(source: _core.Rows) -> NDArray[np.bool_]:
    """Which rows have a direction."""
    return np.concatenate([block.any(axis=1) for block in blocks(source)])


def standard_scale(*sources: _core.Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column means and reciprocal standard deviations (ddof=1); the scale of a constant column is 0."""
    n = sum(source.shape[0] for source in sources)
    if n < 2:
        raise ValueError(f"normalize='standardize' needs at least 2 rows, got {n}")
    first = sources[0].dense(0, 1)[0]  # differences from a row are exactly 0 in a constant column
    mean = first + sum((block - first).sum(axis=0) for block in blocks(*sources)) / n
    largest = np.max([np.abs(block - mean).max(axis=0) for block in blocks(*sources)], axis=0)
    unit = np.exp2(np.floor(np.log2(np.where(largest > 0, largest, 1.0))))  # squares of any scale stay in range
    variance = sum((((block - mean) / unit) ** 2).sum(axis=0) for block in blocks(*sources)) / (n - 1)
    scale = np.zeros_like(mean)
    np.divide(1.0, np.sqrt(variance) * unit, out=scale, where=largest > 0)
    return mean, scale


def clip_threshold(sources: Sequence[_core.Rows], quantile: float) -> float:
    """The value of rank int(quantile * size), from 0, among the absolute values of all sources; 16 bits at a time."""
    if isinstance(quantile, bool) or not isinstance(quantile, (int, float, np.integer, np.floating)):
        raise TypeError(f"clip_quantile must be a number in (0, 1], got {quantile!r}")
    if not 0 < quantile <= 1:
        raise ValueError(f"clip_quantile must be in (0, 1], got {quantile!r}")
    if quantile == 1:
        return float("inf")
    rank = int(quantile * sum(n * p for n, p in (source.shape for source in sources)))
    prefix = 0
    for shift in (48, 32, 16, 0):  # the bits of non-negative float64 order like the numbers
        counts = np.zeros(1 << 16, dtype=np.int64)
        for block in blocks(*sources):
            bits = np.abs(block).ravel().view(np.uint64)
            if shift < 48:
                bits = bits[(bits >> np.uint64(shift + 16)) == prefix]
            counts += np.bincount((bits >> np.uint64(shift)).astype(np.int64) & 0xFFFF, minlength=1 << 16)
        below = np.cumsum(counts)
        digit = int(np.searchsorted(below, rank, side="right"))
        rank -= int(below[digit - 1]) if digit else 0
        prefix = (prefix << 16) | digit
    return float(np.uint64(prefix).view(np.float64))
