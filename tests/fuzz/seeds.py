"""Writes the seeds of the fuzz targets anew: inputs that go deep, as the targets take them apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from kernalign import _core

SEEDS = Path(__file__).parent / "seeds"
RNG = np.random.default_rng(0)


def moments(n: int, p: int, q: int, *, wide: bool) -> bytes:
    """A packed state; columns, rows to add, float64 products and centring come before it."""
    sides = [_core.Rows(RNG.normal(size=(n, cols)), name) for name, cols in (("x", p), ("y", q))]
    state = _core.Moments(p, q, double_precision=wide)
    state.update(*sides, 1, None)
    return bytes([p - 1, q - 1, 5, not wide, 1]) + state.pack().tobytes()


def neighbors(dtype: Any, element: int, similarity: int, *, repeated: bool = False) -> bytes:
    """Rows after their shape, queries and candidates; what is done to rows comes last."""
    n, d, k, q, c = 12, 4, 3, 2, 5
    rows = np.round(RNG.normal(size=(n, d)) * 3)
    rows[rows == 0] = 1
    rows = rows[np.arange(n) % 5] * (1 + np.arange(n) % 3)[:, None] if repeated else rows
    asked = RNG.integers(0, n, q * (1 + c)).astype("<i4")
    return (
        bytes([element, similarity, n - 2, d - 1, k - 1, q, c, 0])
        + asked.tobytes()
        + rows.astype(dtype).tobytes()
        + b"\x01\x01"
    )


def lists(n: int, k: int) -> bytes:
    """Two sides of lists."""
    sides = [[RNG.permutation(np.delete(np.arange(n), i))[:k] for i in range(n)] for _ in "ab"]
    return (
        bytes([n - 2, k - 1, k // 2, 0])
        + np.array(sides, dtype="i1").tobytes()
        + bytes([70])  # subsets
        + bytes(RNG.integers(0, 2, n).tolist())
    )


FILES = {
    "fuzz_moments/few": moments(7, 2, 3, wide=True),
    "fuzz_moments/block": moments(1030, 1, 2, wide=True),
    "fuzz_moments/narrow": moments(1030, 3, 1, wide=False),
    "fuzz_neighbors/float32": neighbors("<f4", 2, 0),
    "fuzz_neighbors/float64": neighbors("<f8", 3, 1),
    "fuzz_neighbors/float16": neighbors("<f2", 0, 2),
    "fuzz_neighbors/parallel": neighbors("<f4", 2, 0, repeated=True),
    "fuzz_neighbors/integers": neighbors("i1", 4, 2, repeated=True),
    "fuzz_lists/short": lists(6, 2),
    "fuzz_lists/long": lists(20, 19),
}

if __name__ == "__main__":
    for name, data in FILES.items():
        path = SEEDS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
