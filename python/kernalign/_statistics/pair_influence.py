"""How much each item moves the agreement of two matrices of pairs of items: an infinitesimal jackknife."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernalign._statistics.pairings import Labels

Values = NDArray[np.float64]


def influences(x: Values, y: Values, n: int, *, ranked: bool) -> Values:
    """Influence of every item on the cosine of x and y, strict upper triangles row by row (mathematics 3.6).

    With ``ranked`` x and y are ranks less their mean, and an item moves the ranks of the pairs of others too. O(n^2 log
    n), and some arrays of the size of x. The mean over the items is 0.
    """
    square_x, square_y = float(x @ x) / len(x), float(y @ y) / len(y)
    product, own_x, own_y = x * y, x * x, y * y
    if ranked:
        pairs = len(x)
        moved_x, moved_y = (_RanksAbove(side) for side in (x, y))
        product += (moved_x(y) + moved_y(x)) * pairs
        own_x += 2 * pairs * moved_x(x)
        own_y += 2 * pairs * moved_y(y)
    norm = math.sqrt(square_x) * math.sqrt(square_y)
    cosine = float(x @ y) / len(x) / norm
    product /= norm
    product -= cosine / 2 * (own_x / square_x + own_y / square_y)
    product -= product.mean()
    return 2 / (n - 1) * row_sums(product, n)


def stderr(of_items: Values, groups: Labels | None = None) -> float:
    """Standard error of a score from the influence of every item, or of whole groups of them."""
    n, moved = len(of_items), of_groups(of_items, groups)
    count = len(moved)
    return math.sqrt(float(moved @ moved) * count / (count - 1)) / n


def of_groups(of_items: Values, groups: Labels | None) -> Values:
    """What every group moves, to first order: the sum over its items. Without groups, every item is one."""
    return of_items if groups is None else np.bincount(groups, of_items).astype(np.float64)


class _RanksAbove:
    """Mean over all pairs of what those hold whose rank is above a pair's, half of those of the same rank."""

    def __init__(self, ranks: Values) -> None:
        self._order = np.argsort(ranks, kind="stable")
        first = np.flatnonzero(np.diff(ranks[self._order], prepend=-np.inf))
        self._bounds = np.append(first, len(ranks))

    def __call__(self, values: Values) -> Values:
        after = np.append(np.cumsum(values[self._order][::-1])[::-1], 0.0)
        of_run = (after[self._bounds[:-1]] + after[self._bounds[1:]]) / (2 * len(values))
        above = np.empty(len(values))
        above[self._order] = np.repeat(of_run, np.diff(self._bounds))
        return above


def row_sums(condensed: Values, n: int) -> Values:
    """Of a symmetric n x n matrix with a zero diagonal, from its upper triangle."""
    sums, begin = np.zeros(n), 0
    for i in range(n - 1):
        row = condensed[begin : begin + n - 1 - i]
        sums[i] += row.sum()
        sums[i + 1 :] += row
        begin += n - 1 - i
    return sums
