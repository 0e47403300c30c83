"""What neighbour lists have in common, and the sums of their graphs: the extension's calls on finished lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from kernalign._core import (
    Graph,
    common_subsequences,
    cycles,
    edge_products,
    edge_sums,
    edit_distances,
    fractional_overlap,
    graph_products,
    graph_sums,
    in_degrees,
    nearest_neighbors,
    overlap_curve,
    overlaps_without_one,
    permuted_overlaps,
    rank_similarities,
    shared_counts,
    subset_overlaps,
)

__all__ = [
    "Graph",
    "common_subsequences",
    "cycles",
    "edge_products",
    "edge_sums",
    "edit_distances",
    "fractional_overlap",
    "graph_of",
    "graph_products",
    "graph_sums",
    "in_degrees",
    "nearest_neighbors",
    "overlap_curve",
    "overlaps_without_one",
    "permuted_overlaps",
    "rank_similarities",
    "shared_counts",
    "subset_overlaps",
]


def graph_of(given: Any) -> Graph:
    """The graph of (n, k) neighbour indices, or of an (n, n) sparse matrix of weights."""
    if sparse.issparse(given):
        rows = given.tocsr()
        return Graph(rows.indices.astype(np.int32), rows.indptr.astype(np.int64), rows.data.astype(np.float64))
    lists = np.asarray(given, dtype=np.int32)
    n, k = lists.shape
    return Graph(lists.ravel(), np.arange(0, n * k + 1, k, dtype=np.int64))
