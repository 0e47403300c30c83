"""Chance levels of the neighbour-list metrics: means over random pairings of the items.

Under a random relabelling of one side, its list at item i is a uniformly random ordered k-subset of the other n - 1
items, so any statistic of the two lists of one item inherits its mean, whatever the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, permutations
from math import comb, factorial, lgamma

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kernalign._engines import lists as list_engine

_LONGEST = 40  # the partitions of larger numbers are too many to enumerate
_NEGLIGIBLE = 1e-12
_SAMPLES = 20_000
_ENUMERATED = 20_000


def jaccard(n: int, k: int) -> float:
    """Mean of m / (2k - m) for m common items of two random k-subsets of n - 1."""
    m, p = _shared(n, k)
    return float((p * m / (2 * k - m)).sum())


def ranks(n: int, k: int, *, jaccard: bool) -> float:
    """Mean rank similarity: the ranks of a common item are independent and uniform, whatever the others' are."""
    m, p = _shared(n, k)
    some = m > 0
    m, p = m[some], p[some]
    place = np.arange(1, k + 1, dtype=np.float64)
    one = float((2 / ((1 + np.abs(place[:, None] - place)) * (place[:, None] + place))).mean())
    harmonic = np.cumsum(1 / np.arange(1, k + 1))[m.astype(np.intp) - 1]
    weight = m / (2 * k - m) if jaccard else 1.0
    return one * float((p * weight * m / harmonic).sum())


def cycle(n: int, k: int, in_degrees: NDArray[np.int32]) -> float:
    """Mean over items of the chance that k random others include one of the d that point to the item."""
    others = n - 1 - in_degrees.astype(np.float64)
    possible = others >= k
    log_missed = _log_choose(others[possible], k) - _log_choose(np.float64(n - 1), k)
    return float(1 - np.exp(log_missed).sum() / n)


def common_subsequence(n: int, k: int) -> float | None:
    """Mean LCS / k; None where subsets so large that E[LIS] is not tabulated have a say."""
    m, p = _shared(n, k)
    if p[m > _LONGEST].sum() > _NEGLIGIBLE:
        return None
    lengths = np.array([increasing_subsequence(int(size)) if size <= _LONGEST else 0.0 for size in m])
    return float((p * lengths).sum() / k)


@lru_cache(maxsize=64)
def edit(n: int, k: int) -> tuple[float, str]:
    """Mean of 1 - Levenshtein / k, and how it was found.

    Only the places of the m common items matter: they are enumerated where few enough, else sampled (fixed seed).
    """
    mean, method = 0.0, "exact"
    for m, p in zip(*_shared(n, k), strict=True):
        if m == 0 or p < _NEGLIGIBLE:
            continue
        if comb(k, int(m)) ** 2 * factorial(int(m)) <= _ENUMERATED:
            second = _all_placements(k, int(m))
        else:
            second = _some_placements(k, int(m), max(_SAMPLES // 10, int(_SAMPLES * p)))
            method = "lists of many common items sampled"
        mean += float(p) * _mean_edit(second)
    return mean, method


def _all_placements(k: int, m: int) -> NDArray[np.int32]:
    """Second lists for the first list 0..k-1, with m of its symbols in all ways; the other symbols are k..2k-1."""
    own = range(k, 2 * k)
    lists = []
    for places in combinations(range(k), m):
        for symbols in permutations(range(k), m):
            row = list(own)
            for place, symbol in zip(places, symbols, strict=True):
                row[place] = symbol
            lists.append(row)
    return np.array(lists, dtype=np.int32)


def _some_placements(k: int, m: int, samples: int) -> NDArray[np.int32]:
    rng = np.random.default_rng(m)
    lists = np.tile(np.arange(k, 2 * k, dtype=np.int32), (samples, 1))
    places = rng.permuted(np.tile(np.arange(k), (samples, 1)), axis=1)[:, :m]
    symbols = rng.permuted(np.tile(np.arange(k, dtype=np.int32), (samples, 1)), axis=1)[:, :m]
    np.put_along_axis(lists, places, symbols, axis=1)
    return lists


def _mean_edit(second: NDArray[np.int32]) -> float:
    rows, k = second.shape
    first = np.tile(np.arange(k, dtype=np.int32), (rows, 1))
    # The kernel wants as many rows as indices, none in its own list: symbols become rows beyond the lists, and those
    # rows hold the padding k rows beyond the symbols.
    padding = np.tile(np.arange(rows + 2 * k, rows + 3 * k, dtype=np.int32), (3 * k, 1))
    padding[2 * k :] -= 2 * k
    a, b = np.concatenate([first + rows, padding]), np.concatenate([second + rows, padding])
    return float(1 - list_engine.edit_distances(a, b)[:rows].mean() / k)


@lru_cache(maxsize=128)
def increasing_subsequence(m: int) -> float:
    """Mean length of the longest increasing subsequence of a random permutation of m (Schensted; hook lengths)."""
    total = sum(shape[0] * np.exp(2 * _log_tableaux(shape) - lgamma(m + 1)) for shape in _partitions(m, m) if shape)
    return float(total)


def _partitions(m: int, largest: int) -> Iterator[tuple[int, ...]]:
    if m == 0:
        yield ()
        return
    for part in range(min(m, largest), 0, -1):
        for rest in _partitions(m - part, part):
            yield (part, *rest)


def _log_tableaux(shape: tuple[int, ...]) -> float:
    """Log of the number of standard Young tableaux of the shape, by the formula of Frobenius."""
    rows = len(shape)
    edges = [part + rows - 1 - at for at, part in enumerate(shape)]
    value = lgamma(sum(shape) + 1) - sum(lgamma(edge + 1) for edge in edges)
    for at, edge in enumerate(edges):
        value += sum(np.log(edge - other) for other in edges[at + 1 :])
    return float(value)


def _shared(n: int, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and probabilities of the number of common items of two random k-subsets of n - 1."""
    m = np.arange(max(0, 2 * k - (n - 1)), k + 1, dtype=np.float64)
    rest = np.float64(n - 1 - k)
    log_p = _log_choose(np.float64(k), m) + _log_choose(rest, k - m) - _log_choose(np.float64(n - 1), k)
    return m, np.exp(log_p)


def _log_choose(n: NDArray[np.float64] | np.float64, k: NDArray[np.float64] | float) -> NDArray[np.float64]:
    value = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return np.asarray(value, dtype=np.float64)
