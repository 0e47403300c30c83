"""The limit of platonic-rep's random SVCCA, and its random form on request."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import arrays
from kernalign.compat.platonic.graphs import check_paired

Basis = NDArray[np.float64]

_POWER_ITERATIONS = 2


def basis(feats: Any, cca_dim: Any, rng: np.random.Generator | None = None, name: str = "feats") -> Basis:
    """The first left singular vectors of the z-scored columns; only those of non-zero singular values.

    Exact, or, given a generator, from a random start and two power iterations without oversampling.
    """
    rows = arrays.rows(feats, name)
    n, p = rows.shape
    q = operator.index(cca_dim)
    if not 1 <= q <= min(n, p):
        raise ValueError(f"cca_dim must be between 1 and {min(n, p)}, the smaller side of {name}, got {cca_dim!r}")
    arrays.check_count(n, 2, "svcca")
    x = rows.dense(0, n)
    x -= x.mean(axis=0)
    x /= np.sqrt((x * x).sum(axis=0) / (n - 1)) + 1e-8
    if rng is None:
        u, s, _ = np.linalg.svd(x, full_matrices=False)
    else:
        start = x @ rng.standard_normal((p, q))
        for _ in range(_POWER_ITERATIONS):
            start = x @ np.linalg.qr(x.T @ np.linalg.qr(start)[0])[0]
        frame = np.linalg.qr(start)[0]
        u, s, _ = np.linalg.svd(frame.T @ x, full_matrices=False)
        u = frame @ u
    rank = int((s > s[0] * max(n, p) * np.finfo(np.float64).eps).sum())
    return np.ascontiguousarray(u[:, : min(q, rank)])


def similarity(a: Basis, b: Basis) -> float:
    """Mean canonical correlation of two orthonormal bases: the mean of the singular values of their product."""
    check_paired(len(a), len(b))
    if a.shape[1] == 0 or b.shape[1] == 0:
        return float("nan")
    return float(np.minimum(np.linalg.svd(a.T @ b, compute_uv=False), 1).mean())
