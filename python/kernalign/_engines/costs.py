"""What sums over linear kernels cost by each route, and so which layers of a comparison go through one sweep."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

# Nanoseconds on one thread of a CPU with AVX-512, as bench/costs.py fits them; only their ratios matter, and these are
# alike where all products are faster or slower.
CALL = 27_000.0  # one pair by itself, from its rows to its score
NUMBER = 0.9  # of its rows
PRODUCT = 0.0072  # a multiply-add of columns
LAYER = 14_000.0  # of a sweep
SWEPT = 2.0  # a number of its rows
GRAM_PRODUCT = 0.013  # a multiply-add of rows
ENTRY = 1.0  # of an upper triangle, widened
PAIR = 0.03  # the product of two such entries


class Choice(NamedTuple):
    """Which layers go through one sweep of their Gram matrices, and what all pairs cost then."""

    swept: tuple[bool, ...]
    cost: float


def by_pair(n: int, p: Any, q: Any) -> Any:
    """One pair by itself, whose Gram matrices are made where they have fewer multiply-adds."""
    products = np.minimum(p * p + p * q + q * q, n * (p + q))
    return CALL + n * (p + q) * NUMBER + n * products * PRODUCT


def by_sweep(n: int, widths: Any) -> float:
    """All pairs of some layers, each of whose Gram matrices is made once."""
    entries, count = n * (n - 1) / 2, len(widths)
    layers = LAYER + n * widths * SWEPT + entries * (widths * GRAM_PRODUCT + ENTRY)
    return float(layers.sum() + entries * count * (count + 1) / 2 * PAIR)


def uses_features(n: int, p: Any, q: Any) -> Any:
    """Whether a pair by itself has fewer multiply-adds in products of columns than in Gram matrices."""
    return n > p + q


@lru_cache(maxsize=8)
def choose(n: int, widths: tuple[int, ...], groups: tuple[Hashable, ...], *, joint: bool = True) -> Choice:
    """The cheapest way to the pairs of layers of different groups (of all, if there is one).

    All layers go through the sweep, if that may be (``joint``), there is more than one pair and it costs less; else
    those that have too many columns beside some partner, and the other pairs go one by one.
    """
    numbers = {name: at for at, name in enumerate(dict.fromkeys(groups))}
    p, group = np.array(widths, dtype=float), np.array([numbers[name] for name in groups])
    apart = group[:, None] < group if len(numbers) > 1 else np.triu(np.ones((len(p), len(p)), dtype=bool))
    wide = ~uses_features(n, p, p.max())
    if wide.sum() < 2:
        wide[:] = False
    pairs = apart & uses_features(n, p[:, None], p)
    alone = by_pair(n, p[:, None], p)
    if apart.sum() == 1:
        return Choice(tuple(map(bool, wide)), float(alone[apart].sum()))
    cost = float(alone[pairs].sum()) + by_sweep(n, p[wide])
    together = by_sweep(n, p)
    if joint and together < cost:
        return Choice((True,) * len(p), together)
    return Choice(tuple(map(bool, wide)), cost)
