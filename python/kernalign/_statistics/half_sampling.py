"""Standard errors of neighbour overlaps from the scores of disjoint, hence independent, parts of the items."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kernalign._base.progress import Report
from kernalign._engines import lists as list_engine
from kernalign._statistics.pairings import Labels

_DIVISIONS = {2: 200, 4: 64}  # random divisions of the items into halves, and into quarters
_FEWEST = 12  # items
HELD = 480  # bytes for each of them, of the parts
_QUARTERED = 30, 4  # items and neighbours from which on quarters are large enough
_UNSURE = 1.3  # the extrapolated variance is itself uncertain by a third

Values = NDArray[np.float64]


def check(n: int, k: int, groups: Labels | None = None) -> None:
    """Raise unless n items have a half-sampling error of the overlap of k neighbours."""
    if groups is None:
        units, others, what, bound = n, n, "items", "n / 2"
    else:
        sizes = np.bincount(groups)
        units, others = len(sizes), n - int(sizes.max())
        what, bound = "groups", "half of the rows outside the largest"
    if units < _FEWEST or 2 * k > others:
        got = f"n = {n} and k = {k}" if groups is None else f"{units} groups, {others} rows outside and k = {k}"
        raise ValueError(f"uncertainty='half-sampling' needs at least {_FEWEST} {what} and k <= {bound}, got {got}")


def list_length(n: int, k: int) -> int:
    """Length of lists of which a random quarter holds as many members as it needs of nearly every list."""
    return min(n - 1, 2 * k + 20)


def part_scores(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    k: int,
    items: Callable[[Values, int], Values],
    threads: int,
    report: Report = None,
    groups: Labels | None = None,
) -> list[Values]:
    """Scores of parts of the items: (divisions, 2) of halves and, of enough items, (divisions, 4) of quarters.

    ``items(number of common neighbours, k)`` is a score of each item. A part has neighbours as near as the k of all:
    fewer, in proportion, and interpolated between whole numbers. The parts are the same for every n and k. a and b are
    lists of length `list_length`; items whose list is too short for a part are left out of it. Parts are of whole
    ``groups``, if there are any; the lists are then of other groups.
    """
    n = len(a) if groups is None else int(groups.max()) + 1
    counts = (2, 4) if n >= _QUARTERED[0] and k >= _QUARTERED[1] else (2,)
    found = []
    for count in counts:
        size, divisions = n // count, _DIVISIONS[count]
        chosen, rng = np.zeros((divisions, count, n), dtype=bool), np.random.default_rng(count)
        for parts in chosen:
            np.put_along_axis(parts, rng.permutation(n)[: size * count].reshape(count, size), True, axis=1)
        if groups is not None:
            chosen = chosen.take(groups, axis=2)
        near = _near(n, k, count)
        scores, below = np.zeros(_DIVISIONS[count] * count), int(near)
        for length, weight in ((below, below + 1 - near), (below + 1, near - below)):
            if weight > 0:
                numbers = list_engine.subset_overlaps(a, b, length, chosen.reshape(-1, len(a)), threads, report)
                scores += weight * (numbers @ items(np.arange(length + 1.0), length) / numbers.sum(axis=1))
        found.append(scores.reshape(-1, count))
    return found


def stderr(parts: list[Values], n: int, k: int) -> float:
    """Standard error of the score of all n items, or groups, from the scores of parts (mathematics 3.6).

    Disjoint parts are independent samples, so their variance, over the number of parts, estimates that of all, but for
    what k' < k neighbours add, in proportion to 1/k': extrapolated from halves and quarters to k, for no more than
    halves say. Of halves alone it is too large, up to 1.5 times.
    """
    half, *quarter = (float(scores.var(axis=1, ddof=1).mean()) * (n // scores.shape[1]) / n for scores in parts)
    variance = half
    if quarter:
        in_all, in_half, in_quarter = (1 / _near(n, k, count) for count in (1, 2, 4))
        whole = half - (quarter[0] - half) * (in_half - in_all) / (in_quarter - in_half)
        variance = min(half, _UNSURE * max(whole, half * in_all / in_half))
    return float(np.sqrt(variance))


def _near(n: int, k: int, count: int) -> float:
    """Neighbours among the others of one of ``count`` parts that are as near as the k among all others."""
    return max(1.0, round(k * (n // count - 1) / (n - 1), 1))
