"""What columns and values are preprocessed with, from the data: standard deviations and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import hazards
from kernalign._base.checks import number
from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign._rows.blocks import blocks, spans

_FEW_ROWS = 16  # in which numbers that count may be chance


def rounding_of(matrix: NDArray[Any], bf16: bool) -> float:
    """Spacing of the numbers of its dtype next to 1; 0 of integers."""
    if bf16:
        return 2.0**-7
    return float(np.finfo(matrix.dtype).eps) if matrix.dtype.kind == "f" else 0.0


def within_rounding(low: NDArray[np.float64], high: NDArray[np.float64], rounding: float) -> NDArray[np.bool_]:
    """Columns, of these least and largest values, that are constant, or are so up to the rounding of their dtype."""
    magnitude = np.maximum(np.abs(low), np.abs(high))
    return np.asarray(high / 2 - low / 2 <= rounding * magnitude)  # halves cannot overflow


def counting_column(matrix: NDArray[Any]) -> tuple[int, float] | None:
    """The column, if there is one, that counts the rows from 0 or 1 and holds over half of the variance; its share."""
    n, p = matrix.shape
    if n < _FEW_ROWS or p == 1 or matrix.dtype == np.uint16:  # which bfloat16 comes as
        return None
    first, last = matrix[0].astype(np.float64), matrix[-1].astype(np.float64)
    for column in (((first == 0) & (last == n - 1)) | ((first == 1) & (last == n))).nonzero()[0]:
        if np.array_equal(matrix[:, column].astype(np.float64) - first[column], np.arange(n)):
            with np.errstate(over="ignore", invalid="ignore"):
                total = sum(float(np.var(matrix[:, at], dtype=np.float64)) for at in range(p))
            share = (n * n - 1) / 12 / total
            return (int(column), share) if share > 0.5 else None
    return None


def look_like_dissimilarities(matrix: NDArray[Any]) -> bool:
    """Whether rows are those of a symmetric matrix, not all of one number, with a zero diagonal."""
    n, p = matrix.shape
    if n != p or n < 4 or matrix[0, 0] != 0 or matrix[-1, -1] != 0 or matrix[0, -1] != matrix[-1, 0]:
        return False
    if matrix.diagonal().any() or (matrix[0, 1:] == matrix[0, 1]).all():
        return False
    return all(np.array_equal(matrix[begin:end], matrix[:, begin:end].T) for begin, end in spans(n, n))


def standard_scale(*sources: _core.Rows, rounding: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column means and reciprocal standard deviations (ddof=1); the scale of a constant column is 0.

    A column is constant if its values are, up to ``rounding``, relative: what is left of it would be blown up to the
    size of the others. Warns of such columns, and of others that hardly vary.
    """
    n, name = sum(source.shape[0] for source in sources), sources[0].name
    if n < 2:
        raise ValueError(f"normalize='standardize' needs at least 2 rows, got {n}")
    first = sources[0].dense(0, 1)[0]  # differences from a row are exactly 0 in a constant column
    low, high, total = first, first, np.zeros_like(first)
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks(*sources):
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
            total += (block - first).sum(axis=0)
        spread = high - low
    if not (np.isfinite(spread).all() and np.isfinite(total).all()):
        raise ValueError(f"{name} spans more than float64 can hold, which gives no standard deviation; scale it down")
    mean, varies = first + total / n, ~within_rounding(low, high, rounding)
    unit = np.exp2(np.floor(np.log2(np.where(varies, spread, 1.0))))  # squares of any scale stay in range
    variance = sum((((block - mean) / unit) ** 2).sum(axis=0) for block in blocks(*sources)) / (n - 1)
    deviation = np.sqrt(variance) * unit
    scale = np.zeros_like(mean)
    with np.errstate(over="ignore"):
        np.divide(1.0, deviation, out=scale, where=varies)
    if not np.isfinite(scale).all():
        raise ValueError(f"{name} varies too little for float64 to hold 1 / standard deviation; scale it up")
    rounded, faint = int((~varies & (spread > 0)).sum()), hazards.faint(deviation[varies])
    for sentence in (hazards.rounded_columns(rounded), hazards.faint_columns(faint)):
        if sentence:
            warn(sentence.of(name), AlignmentWarning)
    return mean, scale


def clip_threshold(sources: Sequence[_core.Rows], quantile: float) -> float:
    """The value of rank int(quantile * size), from 0, among the absolute values of all sources; 16 bits at a time."""
    quantile = number(quantile, "clip_quantile", "in (0, 1]")
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
