"""The limit of platonic-rep's random SVCCA, and its random form on request."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._rows import arrays
from kernalign._rows.decompositions import eigh, singular_values, svd
from kernalign.compat.platonic.graphs import check_paired

Basis = NDArray[np.float64]

_POWER_ITERATIONS = 2
_LEAST_GAP = 1e-5  # of the largest eigenvalue: directions are then good to 1e-11


def basis(feats: Any, cca_dim: Any, rng: np.random.Generator | None = None, name: str = "feats") -> Basis:
    """The first left singular vectors of the z-scored columns; only those of non-zero singular values.

    Exact, or, given a generator, by a random method.
    """
    rows = arrays.rows(feats, name)
    n, p = rows.shape
    q = checks.integer(cca_dim, "cca_dim", 1, min(n, p), limit=f"the smaller side of {name} = ")
    checks.check_count(n, 2, "svcca")
    x = rows.dense(0, n)
    x -= x.mean(axis=0)
    x /= np.sqrt((x * x).sum(axis=0) / (n - 1)) + 1e-8
    return _leading(x, q) if rng is None else _random(x, q, rng)


def similarity(a: Basis, b: Basis) -> float:
    """Mean canonical correlation of two orthonormal bases: the mean of the singular values of their product."""
    check_paired(len(a), len(b))
    if a.shape[1] == 0 or b.shape[1] == 0:
        return float("nan")
    return float(np.minimum(singular_values(a.T @ b), 1).mean())


def _leading(x: Basis, q: int) -> Basis:
    """From the smaller Gram matrix if its spectrum separates the q-th direction from the next, else from x itself."""
    n, p = x.shape
    size = min(n, p)
    least = max(0, size - q - 1)
    values, vectors = eigh(x @ x.T if n <= p else x.T @ x, size - least)
    values, vectors = values[::-1], vectors[:, ::-1]
    gap = values[q - 1] - (values[q] if q < size else 0)
    if gap > _LEAST_GAP * values[0]:
        u: Basis = vectors[:, :q] if n <= p else (x @ vectors[:, :q]) / np.sqrt(values[:q])
        return np.ascontiguousarray(u)
    u, s, _ = svd(x)
    return _non_zero(u, s, q, max(n, p))


def _random(x: Basis, q: int, rng: np.random.Generator) -> Basis:
    """A random start and two power iterations without oversampling, as platonic-rep's SVD has them."""
    start = x @ rng.standard_normal((x.shape[1], q))
    for _ in range(_POWER_ITERATIONS):
        start = x @ np.linalg.qr(x.T @ np.linalg.qr(start)[0])[0]
    frame = np.linalg.qr(start)[0]
    u, s, _ = svd(frame.T @ x)
    return _non_zero(frame @ u, s, q, max(x.shape))


def _non_zero(u: Basis, s: Basis, q: int, largest_side: int) -> Basis:
    rank = int((s > s[0] * largest_side * np.finfo(np.float64).eps).sum())
    return np.ascontiguousarray(u[:, : min(q, rank)])
