"""Folds of a cross-validation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dealt(count: int, folds: int) -> list[NDArray[np.int64]]:
    """Numbers of the items of each fold, ascending: every run of ``folds`` items has one in each, in an order drawn
    with seed 0, so that neither sorted items nor labels that come in cycles are left out together."""
    runs = -(-count // folds)
    places = np.random.default_rng(0).permuted(np.tile(np.arange(folds), (runs, 1)), axis=1)
    items = (places + folds * np.arange(runs)[:, None]).T
    return [own[own < count] for own in items]
