"""Overlap of neighbours when several rows are the same thing: own group left out, groups exchanged whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kernalign._base import checks
from kernalign._engines import lists as list_engine
from kernalign._engines.neighbors import Neighbors
from kernalign._statistics.list_tail import pairing_p_value
from kernalign._statistics.pairings import Pairings


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
        x, y = (list_engine.graph_of(graph) for graph in (self.x, self.y))
        return pairing_p_value(
            Pairings.of_groups(self.labels),
            lambda orders: list_engine.permuted_overlaps(x, y, orders, self.threads).sum(axis=1),
        )


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
