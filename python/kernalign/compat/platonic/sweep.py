"""Linear CKA of many pairs of layers: each layer's centred Gram matrix is made once, while all of them fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._rows import arrays
from kernalign.compat.platonic import hsic
from kernalign.compat.platonic.graphs import check_paired

GRAM_BYTES = 1 << 28  # per representation, all layers together: 32 layers of 1024 items


@dataclass(frozen=True)
class Layer:
    """The rows of one layer and, if it was kept, their Gram matrix, centred as the estimator asks."""

    rows: _core.Rows
    gram: NDArray[np.float64] | None
    own: float
    unbiased: bool


def layer(feats: Any, layers: int, unbiased: bool) -> Layer:
    """One of so many layers of a representation."""
    rows = arrays.rows(feats, "feats")
    n = rows.shape[0]
    if n < 4 or 8 * n * n * layers > GRAM_BYTES:
        return Layer(rows, None, 0.0, unbiased)
    x = rows.dense(0, n)
    x -= x.mean(axis=0)
    gram = x @ x.T
    if unbiased:  # the off-diagonal row sums of centred rows are minus the diagonal
        sums = -np.diagonal(gram)
        gram += sums.sum() / ((n - 1) * (n - 2))
        gram -= sums[:, None] / (n - 2)
        gram -= sums / (n - 2)
        np.fill_diagonal(gram, 0)
    return Layer(rows, gram, _product(gram, gram, unbiased), unbiased)


def cka(a: Layer, b: Layer, eps: float) -> float:
    """What hsic.linear_cka makes of the rows."""
    if a.gram is None or b.gram is None:
        return hsic.linear_cka(a.rows, b.rows, a.unbiased, eps)
    check_paired(len(a.gram), len(b.gram))
    return hsic.ratio(_product(a.gram, b.gram, a.unbiased), a.own, b.own, eps)


def _product(k: NDArray[np.float64], m: NDArray[np.float64], unbiased: bool) -> float:
    n = len(k)
    return float(np.vdot(k, m)) / (n * (n - 3) if unbiased else 1)
