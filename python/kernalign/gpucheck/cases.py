"""Seeded cases of what a device must answer as the CPU does, and how answers differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernalign._engines.neighbors import METRICS, Neighbors

_DTYPES = ("float16", "float32", "float64")


def rows_of(seed: int) -> tuple[np.ndarray, int, Any]:
    """Rows, k and similarity of one case: of all types, near and far, tied and repeated."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 700)), int(rng.integers(1, 90))
    x = rng.standard_normal((n, d))
    kind = seed % 6
    if kind == 1:
        x = rng.standard_normal((7, d))[rng.integers(0, 7, n)] + 1e-3 * x
    elif kind == 2:
        x = x[rng.integers(0, 1 + n // 5, n)]
    elif kind == 3:
        x = rng.integers(1, 4, (n, d)).astype(np.float64)
    elif kind == 4:
        x[:, 0] = 30 * x[:, 0] + 100
    elif kind == 5:
        x[::9] *= 1e3
    return x.astype(_DTYPES[seed % len(_DTYPES)]), int(rng.integers(1, min(n, 70))), METRICS[seed // 3 % 3]


def paired_rows(seed: int, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Two sides of some of the same items, with more rows than columns or fewer."""
    rng = np.random.default_rng(1000 + seed)
    n = n or int(rng.integers(40, 400))
    p, q = (int(rng.integers(16, 60 if seed % 2 else 300)) for _ in range(2))
    x = rng.standard_normal((n, p)) + (30 if seed % 3 == 1 else 0)
    y = x[:, :9] @ rng.standard_normal((9, q)) + rng.standard_normal((n, q))
    dtype = _DTYPES[seed // 6 % len(_DTYPES)]
    return x.astype(dtype), y.astype(dtype)


def difference(found: Neighbors, expected: Neighbors) -> str:
    """Where lists differ in any bit; "" if they do not."""
    for name in ("indices", "similarities", "tie_rows"):
        a, b = getattr(found, name), getattr(expected, name)
        if a.tobytes() != b.tobytes():
            row = int(np.flatnonzero((a != b).reshape(len(a), -1).any(axis=1))[0]) if (a != b).any() else -1
            return f"{name} differ, first in row {row}"
    return ""
