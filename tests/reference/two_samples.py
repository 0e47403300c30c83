"""Readable float64 definitions of the maximum mean discrepancy of two samples."""

from itertools import combinations

import numpy as np


def distances(a, b):
    return np.sqrt(np.array([((b - row) ** 2).sum(axis=1) for row in a]))


def pooled_median(x, y, off_diagonal=False):
    """Median Euclidean distance over all entries of the pooled matrix, or over those off its diagonal."""
    both = np.vstack([x, y])
    d = distances(both, both)
    return float(np.median(d[~np.eye(len(d), dtype=bool)] if off_diagonal else d))


def cosine(a, b):
    a, b = (z / np.sqrt((z**2).sum(axis=1, keepdims=True)) for z in (a, b))
    return a @ b.T


# Of rows a and rows b; width is that of the two that need one.
KERNELS = {
    "linear": lambda a, b, width: a @ b.T,
    "cosine": lambda a, b, width: cosine(a, b),
    "polynomial": lambda a, b, width: (a @ b.T + 0.5) ** 3,
    "rbf": lambda a, b, width: np.exp(-(distances(a, b) ** 2) / (2 * width**2)),
    "laplacian": lambda a, b, width: np.exp(-distances(a, b) / width),
}


def grams(x, y, kernel, width=1.0):
    """k(x, x), k(y, y), k(x, y)"""
    k = KERNELS[kernel]
    return k(x, x, width), k(y, y, width), k(x, y, width)


def biased(kx, ky, kxy):
    return float(kx.mean() + ky.mean() - 2 * kxy.mean())


def unbiased(kx, ky, kxy):
    n, m = kxy.shape
    within = (kx.sum() - np.trace(kx)) / (n * (n - 1)) + (ky.sum() - np.trace(ky)) / (m * (m - 1))
    return float(within - 2 * kxy.mean())


def h_blocks(kx, ky, kxy, length):
    """Of each whole block of `length` rows: the mean of h over ordered pairs of different rows."""
    values = []
    for begin in range(0, min(kxy.shape) // length * length, length):
        block = range(begin, begin + length)
        h = [kx[i, j] + ky[i, j] - kxy[i, j] - kxy[j, i] for i in block for j in block if i != j]
        values.append(np.mean(h))
    return np.array(values)


def all_splits(pooled, n, estimator):
    """The estimate for every way to deal the rows of a pooled Gram matrix to samples of n and the rest."""
    values, size = [], len(pooled)
    for chosen in combinations(range(size), n):
        a, b = list(chosen), [i for i in range(size) if i not in chosen]
        values.append(estimator(pooled[np.ix_(a, a)], pooled[np.ix_(b, b)], pooled[np.ix_(a, b)]))
    return np.array(values)


def gaussian_mmd(distance, width=1.0):
    """Population value for N(0, 1) and N(distance, 1) and a Gaussian kernel (one dimension)."""
    total = width**2 + 2
    return 2 * width / np.sqrt(total) * (1 - np.exp(-(distance**2) / (2 * total)))
