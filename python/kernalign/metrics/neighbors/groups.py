"""Overlap of neighbours when several rows are the same thing: own group left out, groups exchanged whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kernalign._base import checks
from kernalign._engines import lists as list_engine
from kernalign._engines import permuted
from kernalign._engines.neighbors import Neighbors

_PERMUTATIONS = 999
_BATCH = 27  # of them at a time


@dataclass(frozen=True)
class GroupOverlap:
    """Weights of both neighbour graphs without pairs inside a group, and what they share.

    Attributes
    ----------
    items : weight that each row's lists share
    chance : its mean over all permitted pairings and rows
    tied : larger share of rows whose k-th place is tied
    fractional : whether the tied share it (else the smaller index has it)
    """

    x: Any
    y: Any
    labels: NDArray[np.intp]
    items: NDArray[np.float64]
    chance: float
    tied: float
    fractional: bool
    threads: int = 0

    def p_value(self) -> tuple[float, str]:
        """Share of random permitted pairings, the given one among them, that overlap at least as much."""
        rng = np.random.default_rng(0)
        x, y = (list_engine.graph_of(graph) for graph in (self.x, self.y))
        least, reached = self.items.sum() * (1 - 1e-12), 0
        for begin in range(0, _PERMUTATIONS, _BATCH):
            orders = [exchanged(self.labels, rng) for _ in range(min(_BATCH, _PERMUTATIONS - begin))]
            shared = permuted.permuted_overlaps(x, y, np.array(orders), self.threads)
            reached += int((shared.sum(axis=1) >= least).sum())
        return (1 + reached) / (_PERMUTATIONS + 1), f"{_PERMUTATIONS} restricted permutations of groups, seed 0"


def labels_of(groups: Any, n: int) -> NDArray[np.intp]:
    """Groups numbered from 0."""
    given = np.asarray(groups)
    if given.ndim != 1 or len(given) != n:
        raise ValueError(f"groups needs one label per row, got shape {given.shape} for {n} rows")
    if given.dtype.kind not in "iubUS":
        raise TypeError(f"groups must be integers or strings, got dtype {given.dtype}")
    return np.unique(given, return_inverse=True)[1].astype(np.intp)


def check_k(k: Any, labels: NDArray[np.intp]) -> int:
    """Return k; every row must have k rows of other groups."""
    checked = checks.check_k(k, len(labels))
    others = len(labels) - int(np.bincount(labels).max())
    if checked > others:
        raise ValueError(f"k must be at most {others}, the rows outside the largest group, got {k}")
    return checked


def compare(
    x: Neighbors, y: Neighbors, labels: NDArray[np.intp], k: int, *, fractional: bool, threads: int
) -> GroupOverlap:
    """The k nearest rows of other groups on both sides, from lists that hold them."""
    split = [_weights(side, labels, k) for side in (x, y)]
    fractional = fractional and all(resolved for _, _, resolved, _ in split)
    a, b = (shared if fractional else first for shared, first, _, _ in split)
    items = np.asarray(a.multiply(b).sum(axis=1), dtype=np.float64).ravel()
    tied = max(share for _, _, _, share in split)
    return GroupOverlap(a, b, labels, items, _chance(a, b, labels), tied, fractional, threads)


def exchanged(labels: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """A row for every row: the groups of each size permuted among themselves, the order inside them kept."""
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    result = np.empty(len(labels), dtype=np.intp)
    for size in np.unique(sizes):
        rows = order[starts[sizes == size][:, None] + np.arange(size)]
        result[rows] = rows[rng.permutation(len(rows))]
    return result


def _weights(side: Neighbors, labels: NDArray[np.intp], k: int) -> tuple[Any, Any, bool, float]:
    """Graphs with ties shared and broken by index, whether the lists show all that tie, and the share of tied rows."""
    n, length = side.n, side.k
    outside = labels[side.indices] != labels[:, None]
    rank = outside.cumsum(axis=1)
    if rank[:, -1].min() < k:
        raise ValueError(f"the lists must hold {k} rows of other groups each, got {rank[:, -1].min()} for one of them")
    at = (outside & (rank == k)).argmax(axis=1)[:, None]
    kth = np.take_along_axis(side.similarities, at, axis=1)
    above = (side.similarities > kth) & outside
    equal = (side.similarities == kth) & outside
    room, claims = k - above.sum(axis=1), equal.sum(axis=1)
    ended = (side.similarities[:, -1:] < kth).ravel() | (rank[:, -1] == n - np.bincount(labels)[labels])
    shared = above + equal * (room / claims)[:, None]
    first = (outside & (rank <= k)).astype(np.float64)
    ends = np.arange(n + 1, dtype=np.int64) * length
    places = side.indices.ravel(), ends
    graphs = [sparse.csr_matrix((w.ravel(), *places), shape=(n, n), copy=True) for w in (shared, first)]
    for graph in graphs:
        graph.eliminate_zeros()
    return graphs[0], graphs[1], bool(ended.all()), float((claims > room).mean())


def _chance(x: Any, y: Any, labels: NDArray[np.intp]) -> float:
    """Mean overlap of a row over all permitted pairings, exactly.

    A pair of rows of different groups goes to each pair of rows with the same places in groups of the same sizes
    equally often.
    """
    n = len(labels)
    sizes = np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    place = np.empty(n, dtype=np.intp)
    place[order] = np.arange(n) - (np.cumsum(sizes) - sizes)[labels[order]]
    kinds, kind = np.unique(np.stack([sizes[labels], place]), axis=1, return_inverse=True)
    members = sparse.csr_matrix((np.ones(n), (np.arange(n), kind.ravel())))
    sums = [(members.T @ graph @ members).toarray() for graph in (x, y)]
    size = kinds[0]
    count = np.bincount(sizes, minlength=size.max() + 1)[size].astype(np.float64)
    pairs = count[:, None] * (count - (size[:, None] == size))
    return float((sums[0] * sums[1] / np.maximum(pairs, 1)).sum() / n)
