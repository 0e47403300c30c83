"""Products of structures whose items change places, for many orders at a time: the extension's calls."""

from kernalign._core import permuted_features, permuted_overlaps, permuted_triangles

__all__ = ["permuted_features", "permuted_overlaps", "permuted_triangles"]
