"""What neighbour lists have in common, and the sums of their graphs: the extension's calls on finished lists."""

from kernalign._core import (
    common_subsequences,
    cycles,
    edge_products,
    edit_distances,
    fractional_overlap,
    graph_sums,
    in_degrees,
    nearest_neighbors,
    overlap_curve,
    shared_counts,
)

__all__ = [
    "common_subsequences",
    "cycles",
    "edge_products",
    "edit_distances",
    "fractional_overlap",
    "graph_sums",
    "in_degrees",
    "nearest_neighbors",
    "overlap_curve",
    "shared_counts",
]
