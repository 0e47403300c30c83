"""Mid-ranks of many non-negative numbers, where numbers that differ by rounding only are ties."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Keys = NDArray[np.uint64]

_ROUNDING = 1e-13  # of float64 squared distances, relative
_PRODUCT, _LARGE = 1e-14, 1e-7  # of those from inner products, in mean ones; smaller ones are sums of differences
_CHUNK = 1 << 20


def mid_ranks(values: Vector) -> Vector:
    """Ranks from 1 on, ties their mean, written over ``values``.

    Neighbours in order are tied if they differ by no more than the rounding of squared distances.
    """
    mean = float(values.mean())
    order, ordered = _sorted(values)
    tied = np.zeros(len(values) + 1, dtype=bool)  # tied[i]: ranks i and i + 1 (from 1)
    for begin, low, high in _neighbours(ordered):
        bound = _ROUNDING * high
        bound[high >= _LARGE * mean] += _PRODUCT * mean
        tied[begin + 1 : begin + 1 + len(low)] = high - low <= bound
    del ordered, low, high
    ranks = np.arange(1.0, len(values) + 1)
    begins, ends = np.flatnonzero(tied[1:] & ~tied[:-1]), np.flatnonzero(tied[:-1] & ~tied[1:])
    ranks[tied[1:] | tied[:-1]] = np.repeat((begins + ends) / 2 + 1, ends - begins + 1)
    values[order] = ranks
    return values


def _sorted(values: Vector) -> tuple[Keys, Vector]:
    """Like argsort and the sorted values, several times faster.

    Bits of non-negative float64 order like the numbers. The upper ones and the index, packed into one integer, are
    sorted; if numbers that differ in the lower bits only come out of order, they are put right afterwards.
    """
    width = np.uint64(max(1, (len(values) - 1).bit_length()))
    keys = values.view(np.uint64) << np.uint64(1)  # without the sign
    keys >>= width
    keys <<= width
    for begin in range(0, len(keys), _CHUNK):
        keys[begin : begin + _CHUNK] |= np.arange(begin, min(len(keys), begin + _CHUNK), dtype=np.uint64)
    keys.sort()
    same = np.zeros(len(values) + 1, dtype=bool)  # same[i]: upper bits of i - 1 and i
    for begin, low, high in _neighbours(keys):
        same[begin + 1 : begin + 1 + len(low)] = low >> width == high >> width
    keys &= (np.uint64(1) << width) - np.uint64(1)
    ordered = values[keys]
    # Differences of the size of rounding are ties, in whatever order.
    if any((low - high > _ROUNDING * low).any() for _, low, high in _neighbours(ordered)):
        runs = np.flatnonzero(same[1:] | same[:-1])
        right = runs[np.argsort(ordered[runs])]
        ordered[runs] = ordered[right]
        keys[runs] = keys[right]
    return keys, ordered


def _neighbours(values: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
    """Elements and the ones after them, chunk by chunk, with where a chunk begins; one chunk at least."""
    for begin in range(0, max(1, len(values) - 1), _CHUNK):
        end = min(len(values) - 1, begin + _CHUNK)
        yield begin, values[begin:end], values[begin + 1 : end + 1]
