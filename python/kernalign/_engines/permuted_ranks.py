"""Ranks of the entries of two triangles: how many pairs both order alike, when the items of one change places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.progress import Report

Values = NDArray[np.float64]


def concordance(
    x: Values, y: Values, orders: NDArray[np.int32], threads: int = 0, report: Report = None
) -> NDArray[np.float64]:
    """Pairs of entries in the same order less those in the opposite one, under every order of the items of y; x and y
    are mid-ranks of condensed matrices."""
    return _core.permuted_concordance(x[None], y[None], orders, threads, report)


def concordance_of(x: Values, y: Values, n: int, threads: int = 0, report: Report = None) -> float:
    """The same of the items as they are."""
    return float(concordance(x, y, np.arange(n, dtype=np.int32)[None], threads, report)[0])
