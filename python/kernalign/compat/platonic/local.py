"""CKNNA as platonic-rep evaluates it, from the edges of the neighbour graphs alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.cached import cached_property
from kernalign._base.checks import shown
from kernalign._rows import arrays
from kernalign._rows.blocks import blocks
from kernalign.compat.platonic import hsic
from kernalign.compat.platonic.graphs import check_paired, check_topk, graph
from kernalign.metrics.neighbors.cknna import sparse_hsic, sparse_trace

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Masked:
    """A kernel matrix of which only the topk largest entries of each row are left, as sorted keys i * n + j."""

    n: int
    keys: NDArray[np.int64]
    values: Values
    unbiased: bool

    @cached_property
    def own(self) -> float:
        """The similarity to itself."""
        return _similarity(self.n, self.keys, self.values, self.values, self.unbiased)


def masked(feats: Any, topk: int | None, name: str = "feats", *, unbiased: bool = True) -> Masked:
    """Keep the topk largest inner products of every row; if unbiased those of a row with itself do not count."""
    rows = arrays.rows(feats, name)
    n = rows.shape[0]
    k = n - 1 if topk is None else check_topk(topk)
    if k < 2:
        raise ValueError(f"CKNNA requires topk >= 2, got {k}")
    if k > n:
        raise ValueError(f"CKNNA requires topk <= {n}, the number of rows, got {shown(k)}")
    found = graph(feats, k, name)
    index, value = found.index.astype(np.int64), found.value
    if not unbiased:
        index, value = _with_self(index, value, _square_norms(rows), k)
    keys = (np.arange(n, dtype=np.int64)[:, None] * n + index).ravel()
    order = np.argsort(keys)
    return Masked(n, keys[order], value.ravel()[order], unbiased)


def cknna(a: Masked, b: Masked, eps: float, distance_agnostic: bool = False) -> float:
    """Similarity of the masked kernels over the geometric mean of their self-similarities, plus eps."""
    check_paired(a.n, b.n)
    keys, at_a, at_b = np.intersect1d(a.keys, b.keys, assume_unique=True, return_indices=True)
    if distance_agnostic:
        return len(keys) / (math.sqrt(len(a.keys) * len(b.keys)) + eps)
    cross = _similarity(a.n, keys, a.values[at_a], b.values[at_b], a.unbiased)
    return hsic.ratio(cross, a.own, b.own, eps)


def _similarity(n: int, keys: NDArray[np.int64], p: Values, q: Values, unbiased: bool) -> float:
    """HSIC of two sparse matrices P and Q, not symmetric, with the same sorted entries; O(entries)."""
    if unbiased:
        return math.nan if n < 4 else sparse_hsic(n, keys, p, q) / (n * (n - 3))
    (p_rows, q_rows), (p_columns, q_columns) = (
        [np.bincount(at, values, n) for values in (p, q)] for at in (keys // n, keys % n)
    )
    chained = float(p_rows @ q_columns + p_columns @ q_rows)
    return sparse_trace(n, keys, p, q) - chained / n + float(p.sum()) * float(q.sum()) / n**2


def _with_self(index: NDArray[np.int64], value: Values, square: Values, k: int) -> tuple[NDArray[np.int64], Values]:
    """Let the row itself compete by (value descending, index ascending) and keep the k best."""
    own = np.arange(len(index), dtype=np.int64)[:, None]
    index, value = np.concatenate([index, own], axis=1), np.concatenate([value, square[:, None]], axis=1)
    order = np.lexsort((index, -value), axis=1)[:, :k]
    return np.take_along_axis(index, order, axis=1), np.take_along_axis(value, order, axis=1)


def _square_norms(rows: _core.Rows) -> Values:
    """Of every row, summed in feature order as the engine sums inner products, so that equal rows tie."""
    return np.concatenate([np.cumsum(block * block, axis=1)[:, -1] for block in blocks(rows)])
