"""The exact delete-one jackknife of neighbour overlap, from lists that are one longer than needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernalign import half_sampling


def deleted(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.float64]:
    """Mean share of common neighbours without item i, for every i; a and b are (n, k + 1) lists, k <= n - 2.

    Without i, a list that held it among its k nearest holds its (k+1)-th instead. O(n k log k) time, O(nk) memory.
    """
    n, k = len(a), a.shape[1] - 1
    nearest_a, nearest_b, next_a, next_b = a[:, :k], b[:, :k], a[:, k:], b[:, k:]
    common = half_sampling.places(nearest_a, nearest_b) >= 0
    enters_a, enters_b = (nearest_b == next_a).any(axis=1), (nearest_a == next_b).any(axis=1)
    change = np.zeros(n)  # of the sum over the lists, when i leaves them
    np.add.at(change, nearest_a.ravel(), np.repeat(enters_a, k))
    np.add.at(change, nearest_b.ravel(), np.repeat(enters_b, k))
    both = (next_a == next_b)[:, 0].astype(np.float64) - 1
    np.add.at(change, nearest_a[common], np.repeat(both, k)[common.ravel()])
    shared = common.sum(axis=1)
    values: NDArray[np.float64] = (shared.sum() - shared + change) / ((n - 1) * k)
    return values
