"""Exact skewness of neighbour overlaps under random pairing, from counts of three-edge patterns in each graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
_ROUNDING = 1e-13

Pattern: TypeAlias = tuple[int, ...]  # the vertex at each end of three edges: (i1, j1, i2, j2, i3, j3)


# edges that hang together, in the order of `edge_sums` (csrc/lists.hpp)
_CONNECTED = (
    *("01", "0101", "0110", "0102", "0120", "1020"),
    *("010101", "010110", "010203", "010230", "012030", "102030"),
    *("010102", "010120", "101002", "101020", "011002", "011020"),
    *("010213", "010231", "012013", "012031", "011202", "011220"),
)


def pattern_sums(edge_sums: Sequence[Values]) -> list[Values]:
    """What `skews` needs of graphs: (L, patterns) sums of 1, 2 and 3 edges, from the `lists.edge_sums` of each."""
    whole, signs = _expansion()
    products = [np.append(sums, 1.0)[whole].prod(axis=1) for sums in edge_sums]
    injective = np.array([(signs * one).sum(axis=1) for one in products])
    return np.split(injective, np.cumsum([len(_patterns(edges)) for edges in (1, 2)]), axis=1)


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


@cache
def _expansion() -> tuple[NDArray[np.intp], Values]:
    """Sums over different items for the vertices, from `edge_sums`, where vertices may coincide.

    Of every merged pattern the places of its parts, padded with that of a 1; and of every pattern the signs with which
    merged ones add up to it.
    """
    patterns = [_canonical(pattern) for edges in (1, 2, 3) for pattern in _patterns(edges)]
    terms = {p: [(_canonical(merged), sign) for merged, sign in _mergers(p)] for p in set(patterns)}
    known = {merged: at for at, merged in enumerate(terms)}
    place = {_canonical(tuple(map(int, pattern))): at for at, pattern in enumerate(_CONNECTED)}
    whole = np.full((len(known), 3), len(_CONNECTED))
    for merged, at in known.items():
        for slot, part in enumerate(_components(merged)):
            whole[at, slot] = place[_canonical(part)]
    signs = np.zeros((len(patterns), len(known)))
    for at, pattern in enumerate(patterns):
        for merged, sign in terms[pattern]:
            signs[at, known[merged]] += sign
    return whole, signs


def _components(pattern: Pattern) -> list[Pattern]:
    """The parts of a pattern that share no vertex."""
    found: list[Pattern] = []
    for at in range(0, len(pattern), 2):
        edge = pattern[at : at + 2]
        touched = [part for part in found if set(part) & set(edge)]
        found = [part for part in found if part not in touched] + [sum(touched, ()) + edge]
    return found


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
