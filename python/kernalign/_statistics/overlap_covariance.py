"""Exact covariance of neighbour overlaps between pairs of layers, under random pairing of the items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

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


def graph_covariance(graphs: Sequence[Any], n: int) -> GraphCovariance:
    """Products of all pairs of layers of one side, in O(n k) each.

    ``graphs``: of every layer the (n, k) neighbour indices, or an (n, n) sparse matrix of weights whose rows sum to k
    (tied neighbours share their places).
    """
    check_items(n)
    edges = [_edges(graph, n) for graph in graphs]
    k = float(edges[0][1].sum()) / n
    degrees = np.empty((len(edges), n))
    for layer, (keys, weights) in enumerate(edges):
        sums = np.bincount(keys // n, weights, n)
        if not np.allclose(sums, k, rtol=1e-9):
            raise ValueError(f"every row of every graph must have the same sum of weights {k:g}, as of k neighbours")
        degrees[layer] = np.bincount(keys % n, weights, n) - k
    same, reverse = _edge_products(edges, n)
    spread = degrees @ degrees.T
    constant = n * k * k / (n - 1)
    return GraphCovariance(
        n,
        k,
        spread,
        (same + reverse) / 2 - constant - spread / (2 * (n - 2)),
        (same - reverse) / 2 - spread / (2 * n),
        pattern_sums([_matrix(keys, weights, n) for keys, weights in edges]) if n >= THIRD_MOMENT else [],
        all(bool((weights == 1).all()) for _, weights in edges),
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


def _edges(graph: Any, n: int) -> tuple[NDArray[np.int64], Values]:
    """Ordered pairs i * n + j of a graph, ascending, and their weights."""
    if sparse.issparse(graph):
        if graph.shape != (n, n):
            raise ValueError(f"a graph of {n} items must be ({n}, {n}), got {graph.shape}")
        coo = graph.tocoo()
        keys, weights = coo.row.astype(np.int64) * n + coo.col, coo.data.astype(np.float64)
    else:
        lists = np.asarray(graph)
        if lists.ndim != 2 or len(lists) != n or lists.dtype.kind not in "iu":
            raise ValueError(f"neighbour lists of {n} items must be ({n}, k) integers, got {lists.shape} {lists.dtype}")
        keys = (np.arange(n, dtype=np.int64)[:, None] * n + lists).ravel()
        weights = np.ones(len(keys))
    order = np.argsort(keys)
    return keys[order], weights[order]


def _matrix(keys: NDArray[np.int64], weights: Values, n: int) -> Any:
    return sparse.csr_matrix((weights, (keys // n, keys % n)), shape=(n, n))


def _edge_products(edges: list[tuple[NDArray[np.int64], Values]], n: int) -> tuple[Values, Values]:
    """sum A_ij A'_ij and sum A_ij A'_ji of all pairs of graphs."""
    keys = np.concatenate([k for k, _ in edges])
    weights = np.concatenate([w for _, w in edges])
    layer = np.repeat(np.arange(len(edges)), [len(k) for k, _ in edges])
    known, place = np.unique(keys, return_inverse=True)
    shape = (len(edges), len(known))
    forward = sparse.csr_matrix((weights, (layer, place)), shape=shape)
    turned = known % n * n + known // n
    at = np.minimum(np.searchsorted(known, turned), len(known) - 1)
    there = (known[at] == turned)[place]
    backward = sparse.csr_matrix((weights[there], (layer[there], at[place][there])), shape=shape)
    return (forward @ forward.T).toarray(), (forward @ backward.T).toarray()


def check_items(n: int) -> None:
    if n < 4:
        raise ValueError(f"the covariance of a layer search needs at least 4 items, got {n}")
