"""Diagnostics of a representation from its singular values and from plain comparisons of rows."""

import numpy as np


def spectrum(x):
    """Participation ratio and share of the first principal direction."""
    x = np.asarray(x, dtype=np.float64)
    values = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    return values.sum() ** 2 / (values**2).sum(), values[0] / values.sum()


def mean_share(x):
    return float((x.mean(axis=0) ** 2).sum() / (x**2).sum(axis=1).mean())


def duplicates(x):
    return sum(any(np.array_equal(x[i], x[j]) for j in range(i)) for i in range(len(x)))
