"""Standard errors of neighbour overlaps by half-sampling: random halves of the items, neighbours from longer lists."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kernalign._base.score import Spread

_HALVES = 100


def list_length(n: int, k: int) -> int:
    """Length of lists of which a random half holds k members of nearly every list."""
    return min(n - 1, 4 * k + 40)


def spread(
    a: NDArray[np.int32], b: NDArray[np.int32], k: int, score: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Spread:
    """Spread of the mean over items of ``score(number of common neighbours)``."""
    return Spread(stderr(half_scores(a, b, k, score), len(a)), "half-sampling")


def half_scores(
    a: NDArray[np.int32], b: NDArray[np.int32], k: int, score: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Mean over the items of random halves of ``score(number of common neighbours)``; the same halves for every n.

    a and b are lists of length `list_length`.
    """
    n, half = len(a), len(a) // 2
    place = places(a, b)
    rng = np.random.default_rng(0)
    values = np.empty(_HALVES)
    for at in range(_HALVES):
        chosen = np.zeros(n, dtype=bool)
        chosen[rng.permutation(n)[:half]] = True
        values[at] = score(shared_in(a, b, place, chosen, k)).mean()
    return values


def stderr(values: NDArray[np.float64], n: int) -> float:
    """Standard error of the score of n items from those of halves.

    Half of the items are drawn without replacement, k stays, and the variance of the half's score, times m / (n - m)
    for m of n items, estimates that of the whole: slightly too large rather than too small (a bootstrap would make
    duplicates, which are each other's neighbours).
    """
    half = n // 2
    return float(values.std(ddof=1) * np.sqrt(half / (n - half)))


def shared_in(
    a: NDArray[np.int32], b: NDArray[np.int32], place: NDArray[np.intp], chosen: NDArray[np.bool_], k: int
) -> NDArray[np.float64]:
    """Common neighbours of the chosen items among the chosen items; items whose list is too short are left out."""
    in_a, in_b = chosen[a[chosen]], chosen[b[chosen]]
    rank_a, rank_b = in_a.cumsum(axis=1), in_b.cumsum(axis=1)
    first_a, first_b = in_a & (rank_a <= k), in_b & (rank_b <= k)
    at = place[chosen]
    common = first_a & (at >= 0) & np.take_along_axis(first_b, np.maximum(at, 0), axis=1)
    enough = (rank_a[:, -1] >= k) & (rank_b[:, -1] >= k)
    counts: NDArray[np.float64] = common[enough].sum(axis=1).astype(np.float64)
    return counts


def places(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.intp]:
    """Where in list i of b each index of list i of a is, or -1."""
    order = np.argsort(b, axis=1)
    rows = np.arange(len(a), dtype=np.int64)[:, None] * len(a)
    keys = (rows + np.take_along_axis(b, order, axis=1)).ravel()
    at = np.searchsorted(keys, (rows + a).ravel())
    at = np.minimum(at, len(keys) - 1)
    found = (keys[at] == (rows + a).ravel()).reshape(a.shape)
    within = np.take_along_axis(order, (at % b.shape[1]).reshape(a.shape), axis=1)
    return np.where(found, within, -1)
