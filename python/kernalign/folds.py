"""Folds of a cross-validation: item i is in fold i mod K everywhere, so that sorted items are spread."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_folds(folds: Any, n: int, name: str, wanted: str = "an integer") -> int:
    """Return a number of folds as an int; it must be an integer between 2 and n."""
    if isinstance(folds, (bool, np.bool_)) or not isinstance(folds, (int, np.integer)):
        raise TypeError(f"{name} must be {wanted}, got {folds!r}")
    if not 2 <= folds <= n:
        raise ValueError(f"{name} must be between 2 and n = {n}, got {folds}")
    return int(folds)
