"""How much each item moves the agreement of two matrices of pairs of items."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernalign._statistics.pairings import Labels

Values = NDArray[np.float64]


def deleted(x: Values, y: Values, n: int, *, centred: bool) -> Values:
    """Minus n - 1 times what the cosine of x and y, strict upper triangles row by row, or their correlation if
    ``centred`` changes by when an item is deleted; O(n^2), and an array of the size of x. The mean over the items is 0.
    """
    product, own_x, own_y = (_without_one(a * b, n) for a, b in ((x, y), (x, x), (y, y)))
    if centred:
        sum_x, sum_y, pairs = _without_one(x, n), _without_one(y, n), (n - 1) * (n - 2) / 2
        product, own_x, own_y = (
            a - b * c / pairs for a, b, c in ((product, sum_x, sum_y), (own_x, sum_x, sum_x), (own_y, sum_y, sum_y))
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = product / (np.sqrt(own_x) * np.sqrt(own_y))
    return np.asarray((n - 1) * (scores.mean() - scores))


def _without_one(condensed: Values, n: int) -> Values:
    """Its sum without the pairs of each item."""
    return np.asarray(condensed.sum() - row_sums(condensed, n))


def influences(x: Values, y: Values, n: int) -> Values:
    """Influence of every item on the correlation of x and y, strict upper triangles of ranks less their mean
    (mathematics 3.6): an infinitesimal jackknife.

    An item moves the ranks of the pairs of others too. O(n^2 log n), and some arrays of the size of x. The mean over
    the items is 0.
    """
    square_x, square_y = float(x @ x) / len(x), float(y @ y) / len(y)
    product, own_x, own_y, pairs = x * y, x * x, y * y, len(x)
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
    """Standard error of a score from what every item moves, or whole groups of them; nan where that does not exist."""
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
