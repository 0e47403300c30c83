"""Exact skewness of neighbour overlaps under random pairing, from counts of three-edge patterns in each graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Values = NDArray[np.float64]
_ROUNDING = 1e-13

Pattern: TypeAlias = tuple[int, ...]  # the vertex at each end of three edges: (i1, j1, i2, j2, i3, j3)


def pattern_sums(graphs: Sequence[Any]) -> list[Values]:
    """What `skews` needs of the graphs (sparse, no diagonal): (L, patterns) sums of 1, 2 and 3 edges, in O(n k^2)."""
    return [np.array([_injective(graph, edges) for graph in graphs]) for edges in (1, 2, 3)]


def list_pattern_sums(lists: NDArray[np.int32]) -> list[Values]:
    """The same of one graph, given as (n, k) neighbour indices."""
    n, k = lists.shape
    ends = np.arange(0, lists.size + 1, k)
    graph = sparse.csr_matrix((np.ones(lists.size), lists.ravel(), ends), shape=(n, n))
    graph.sort_indices()
    return pattern_sums([graph])


def skews(n: int, x: list[Values], y: list[Values]) -> Values:
    """(L_x, L_y) skewness of the overlaps of all pairs of graphs under random pairing of n >= 6 items.

    E[T^3] of T = sum A_ij B_p(i)p(j) is a sum over the ways in which the ends of three edges coincide: edges of A in
    that pattern, times edges of B, over the ordered choices of as many items. 0 where the overlap does not vary.
    """
    if n < 6:
        raise ValueError(f"the third moment needs at least 6 items, got {n}")
    first, second, third = (
        np.einsum("ap,bp,p->ab", a, b, _chances(n, edges)) for edges, a, b in zip((1, 2, 3), x, y, strict=True)
    )
    variance = second - first**2
    central = third - 3 * first * second + 2 * first**3
    varies = variance > _ROUNDING * first**2
    return np.where(varies, central / np.where(varies, variance, 1.0) ** 1.5, 0.0)


@cache
def _patterns(edges: int) -> tuple[Pattern, ...]:
    """All ways in which the ends of so many edges coincide, no edge being a loop: vertices numbered as they appear."""
    found: list[Pattern] = [()]
    for slot in range(2 * edges):
        found = [
            (*pattern, vertex)
            for pattern in found
            for vertex in range(max(pattern, default=-1) + 2)
            if slot % 2 == 0 or vertex != pattern[-1]
        ]
    return tuple(found)


def _chances(n: int, edges: int) -> Values:
    return np.array([1 / math.perm(n, max(pattern) + 1) for pattern in _patterns(edges)])


def _injective(matrix: Any, edges: int) -> Values:
    """Sum of products of edge weights over choices of different items for the vertices, for every pattern."""
    whole = {pattern: _sum(pattern, matrix) for pattern in {_canonical(p) for p in _patterns(edges)}}
    return np.array(
        [sum(sign * whole[_canonical(merged)] for merged, sign in _mergers(pattern)) for pattern in _patterns(edges)]
    )


@cache
def _mergers(pattern: Pattern) -> tuple[tuple[Pattern, int], ...]:
    """Patterns that arise when vertices coincide, with the Moebius function of the partition that merges them."""
    found = []
    for partition in _partitions(max(pattern) + 1):
        merged = tuple(partition[vertex] for vertex in pattern)
        if any(merged[at] == merged[at + 1] for at in range(0, len(merged), 2)):
            continue  # a loop: its weight is 0
        sizes = np.bincount(partition)
        found.append((merged, math.prod((-1) ** (size - 1) * math.factorial(size - 1) for size in sizes.tolist())))
    return tuple(found)


def _partitions(count: int) -> list[Pattern]:
    found: list[Pattern] = [()]
    for _ in range(count):
        found = [(*p, block) for p in found for block in range(max(p, default=-1) + 2)]
    return found


@cache
def _canonical(pattern: Pattern) -> Pattern:
    """The same for all orders of the edges and all names of the vertices."""
    edges = [pattern[at : at + 2] for at in range(0, len(pattern), 2)]
    forms = []
    for order in itertools.permutations(edges):
        names: dict[int, int] = {}
        forms.append(tuple(names.setdefault(vertex, len(names)) for edge in order for vertex in edge))
    return min(forms)


def _sum(pattern: Pattern, matrix: Any) -> float:
    """Sum of products of edge weights over all choices of items for the vertices, equal ones too."""
    links: dict[tuple[int, int], Any] = {}
    for at in range(0, len(pattern), 2):
        i, j = pattern[at], pattern[at + 1]
        edge, key = (matrix, (i, j)) if i < j else (matrix.T.tocsr(), (j, i))
        links[key] = links[key].multiply(edge).tocsr() if key in links else edge
    vertices = max(pattern) + 1
    if len(links) == 3 and vertices == 3:
        (_, a), (_, b), (_, c) = sorted(links.items())  # (0, 1), (0, 2), (1, 2)
        return float((a @ c).multiply(b).sum())
    weights = [np.ones(matrix.shape[0]) for _ in range(vertices)]
    while links:
        degree = np.bincount([v for key in links for v in key], minlength=vertices)
        key = next(k for k in links if 1 in (degree[k[0]], degree[k[1]]))
        link = links.pop(key)
        if degree[key[1]] == 1:
            leaf, root, pull = key[1], key[0], link
        else:
            leaf, root, pull = key[0], key[1], link.T
        weights[root] = weights[root] * (pull @ weights[leaf])
        weights[leaf] = np.full(1, 1.0)
    return math.prod(float(w.sum()) for w in weights)
