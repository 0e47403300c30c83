"""Scores of pairings by explicit loops: unbiased CKA of the directions in which rows differ from the row before."""

from __future__ import annotations

import numpy as np


def directions(x: np.ndarray) -> np.ndarray:
    """Unit differences of every row from the one before, the first from the last; 0 where there is none."""
    out = np.zeros(x.shape)
    for i in range(len(x)):
        step = x[i] - x[i - 1]
        length = np.sqrt((step**2).sum())
        out[i] = step / length if length > 0 else 0
    return out


def u_centred(k: np.ndarray) -> np.ndarray:
    """U-centred (Szekely and Rizzo 2014), entry by entry."""
    n = len(k)
    k = k - np.diag(np.diag(k))
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                out[i, j] = k[i, j] - (k[i].sum() + k[j].sum()) / (n - 2) + k.sum() / ((n - 1) * (n - 2))
    return out


def score(x: np.ndarray, y: np.ndarray, order: np.ndarray) -> float:
    """Of the pairing of row i of x with row order[i] of y."""
    a, b = (u_centred(z @ z.T) for z in (directions(x), directions(y[order])))
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))
