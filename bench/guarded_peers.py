"""Peers of the guarded cases, and the limits that the machine sets: the flops at the rate of NumPy's own products.

A limit counts multiplications only, once for what is symmetric; "limit / ours" is the share of that rate which is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.peers import SCALES, Array, Contestant, contestant


def limit(name: str, scale: Callable[[Array, Array], float], product: Callable[[Array, Array], Any]) -> None:
    """Register a product that is timed, and by how much the work has more flops."""

    def factory() -> Contestant:
        return lambda x, y, k: product(x, y)

    contestant(name)(factory)
    SCALES[name] = scale


def _in_features(x: Array, y: Array) -> bool:
    return len(x) > x.shape[1] + y.shape[1]


limit(  # two triangles and, of features, a rectangle
    "limit-cka",
    lambda x, y: 2.0 if _in_features(x, y) else 1.0,
    lambda x, y: x.T @ y if _in_features(x, y) else x @ y.T,
)
limit(  # a triangle for each layer, and half of the product of all triangles
    "limit-models-cka",
    lambda x, y: x.shape[1] / 2 + x.shape[1] ** 2 / (4 * x.shape[2]),
    lambda x, y: x[:, 0] @ x[:, 1].T,
)


@contestant("numpy-stacked")
def numpy_stacked() -> Contestant:
    """Unbiased CKA of all layers: U-centred Gram matrices of norm 1 are the rows of one matrix, times itself."""

    def run(x: Array, y: Array, k: int) -> Array:
        n, count, _ = x.shape
        stack = np.empty((count, n * n), np.float32)
        for row, layer in zip(stack, np.moveaxis(x, 1, 0), strict=True):
            layer = layer - layer.mean(axis=0)
            gram = row.reshape(n, n)
            np.matmul(layer, layer.T, out=gram)
            np.fill_diagonal(gram, 0)
            sums = gram.sum(axis=1)
            gram -= (sums / (n - 2))[:, None]
            gram -= sums / (n - 2) - sums.sum() / ((n - 1) * (n - 2))
            np.fill_diagonal(gram, 0)
            row /= np.linalg.norm(row)
        models = count // y.shape[1]
        scores = (stack @ stack.T).reshape(models, y.shape[1], models, y.shape[1])
        return np.stack([scores[a, :, b] for a in range(models) for b in range(a + 1, models)])

    return run
