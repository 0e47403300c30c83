"""Mean products of two matrices when whole units, such as groups of rows, change places."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Units: TypeAlias = Sequence[NDArray[np.intp]]  # of every class that changes places the rows of its units, (units, rows)


class PlaceSums(NamedTuple):
    """Sums of the entries of a matrix by the places of their rows in units: inside units of every class, and of all."""

    inside: list[Values]
    whole: Values


def feature_sums(x: Values, units: Units) -> PlaceSums:
    """Of the Gram matrix of rows."""
    inside, sums = [], []
    for own in units:
        places = x[own.T]  # place, unit, feature
        flat = places.reshape(len(places), -1)
        inside.append(flat @ flat.T)
        sums.append(places.sum(axis=1))
    both = np.concatenate(sums)
    return PlaceSums(inside, both @ both.T)


def triangle_sums(off: Values, diagonal: Values, units: Units) -> PlaceSums:
    """Of a symmetric matrix by its strict upper triangle."""
    n = len(diagonal)
    place, unit, begins = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp), [0]
    for own in units:
        place[own] = begins[-1] + np.arange(own.shape[1])
        unit[own] = (begins[-1] + n * np.arange(len(own)))[:, None]
        begins.append(begins[-1] + own.shape[1])
    kinds = begins[-1]
    rows, columns = np.triu_indices(n, 1)
    keys = place[rows] * kinds + place[columns]
    sums: list[Values] = []
    for weights in (off, off * (unit[rows] == unit[columns])):
        half = np.bincount(keys, weights, kinds * kinds).reshape(kinds, kinds)
        sums.append(np.asarray(half + half.T + np.diag(np.bincount(place, diagonal, kinds)), dtype=np.float64))
    return PlaceSums([sums[1][i:j, i:j] for i, j in itertools.pairwise(begins)], sums[0])


def mean_product(x: PlaceSums, y: PlaceSums, units: Units) -> float:
    """Mean of sum_ij A_ij B_o(i)o(j) over all orders o that exchange the units of a class, rows in their order.

    Entries inside a unit go to those at the same places in each unit of the class equally often; others to those at the
    same places in each two different units.
    """
    mean, begin = 0.0, 0
    counts = np.concatenate([np.full(own.shape[1], float(len(own))) for own in units])
    pairs = np.outer(counts, counts)
    a, b = x.whole.copy(), y.whole.copy()
    for own, inside_x, inside_y in zip(units, x.inside, y.inside, strict=True):
        mean += float((inside_x * inside_y).sum()) / len(own)
        block = slice(begin, begin + own.shape[1])
        a[block, block] -= inside_x
        b[block, block] -= inside_y
        pairs[block, block] -= len(own)
        begin = block.stop
    return mean + float((a * b / np.maximum(pairs, 1)).sum())
