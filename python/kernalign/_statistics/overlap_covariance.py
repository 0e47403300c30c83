"""Exact covariance of neighbour overlaps between pairs of layers, under random pairing of the items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kernalign._engines import lists as list_engine
from kernalign._statistics.overlap_skew import pattern_sums

Values = NDArray[np.float64]

THIRD_MOMENT = 6  # items that it needs


@dataclass(frozen=True)
class GraphCovariance:
    """Products of the neighbour graphs of one side's layers, split so that covariances are products of two sides.

    A graph's n x n matrix of weights, with constant row sums k, is a constant part, one that its in-degrees determine,
    and the symmetric and antisymmetric rest. Random relabelling leaves each part where it is, so different parts never
    correlate, and inside a part the covariance of <A, P B P'> and <A', P B' P'> is <A, A'> <B, B'> / dimension.
    """

    n: int
    k: float
    degrees: Values
    symmetric: Values
    antisymmetric: Values
    patterns: list[Values] = field(repr=False)
    whole: bool  # all weights are 0 or 1, so that overlaps are whole numbers / (n k)


def graph_covariance(
    graphs: Sequence[Any], n: int, *, edge_sums: Sequence[Values] | None = None, threads: int = 0
) -> GraphCovariance:
    """Products of all pairs of layers of one side, in O(n k) each.

    ``graphs``: of every layer the (n, k) neighbour indices, or an (n, n) sparse matrix of weights whose rows sum to k
    (tied neighbours share their places). ``edge_sums``: those of each, if known.
    """
    check_items(n)
    sums = np.array([_row_sums(graph, n) for graph in graphs])
    k = float(sums.mean())
    if not np.allclose(sums, k, rtol=1e-9):
        raise ValueError(f"every row of every graph must have the same sum of weights {k:g}, as of k neighbours")
    made = [list_engine.graph_of(graph) for graph in graphs]
    same, reverse, degrees = list_engine.graph_products(made, threads)
    if edge_sums is None:
        edge_sums = [list_engine.edge_sums(graph, threads) for graph in made]
    spread = degrees - n * k * k
    constant = n * k * k / (n - 1)
    return GraphCovariance(
        n,
        k,
        spread,
        (same + reverse) / 2 - constant - spread / (2 * (n - 2)),
        (same - reverse) / 2 - spread / (2 * n),
        pattern_sums(edge_sums) if n >= THIRD_MOMENT else [],
        not any(sparse.issparse(graph) and bool((graph.data != 1).any()) for graph in graphs),
    )


def knn_covariance(x: GraphCovariance, y: GraphCovariance) -> Values:
    """(L_x, L_y, L_x, L_y): covariance of the overlaps of two pairs of layers under random pairing."""
    return np.asarray(sum(weight * np.einsum("ac,bd->abcd", a, b) for a, b, weight in parts(x, y)))


def parts(x: GraphCovariance, y: GraphCovariance) -> list[tuple[Values, Values, float]]:
    """Products of both sides with the weights that make covariances of overlaps / k of them."""
    n, unit = x.n, (x.n * x.k) ** -2.0
    return [
        (x.degrees, y.degrees, unit * (n - 1) / (n * (n - 2)) ** 2),
        (x.symmetric, y.symmetric, unit * 2 / (n * (n - 3))),
        (x.antisymmetric, y.antisymmetric, unit * 2 / ((n - 1) * (n - 2))),
    ]


def _row_sums(graph: Any, n: int) -> Values:
    if sparse.issparse(graph):
        if graph.shape != (n, n):
            raise ValueError(f"a graph of {n} items must be ({n}, {n}), got {graph.shape}")
        return np.asarray(graph.sum(axis=1), dtype=np.float64).ravel()
    lists = np.asarray(graph)
    if lists.ndim != 2 or len(lists) != n or lists.dtype.kind not in "iu":
        raise ValueError(f"neighbour lists of {n} items must be ({n}, k) integers, got {lists.shape} {lists.dtype}")
    return np.full(n, float(lists.shape[1]))


def check_items(n: int) -> None:
    if n < 4:
        raise ValueError(f"the covariance of a layer search needs at least 4 items, got {n}")
