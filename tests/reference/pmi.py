"""Pointwise mutual information, pair by pair, and the least constant that makes a kernel positive semidefinite."""

import math

import numpy as np


def counts(sequences, symbols, radius):
    """Ordered pairs of different places at most ``radius`` apart."""
    table = {(a, b): 0 for a in symbols for b in symbols}
    for sequence in sequences:
        for i, a in enumerate(sequence):
            for j, b in enumerate(sequence):
                if i != j and (radius is None or abs(i - j) <= radius):
                    table[a, b] += 1
    return np.array([[table[a, b] for b in symbols] for a in symbols])


def pmi(table):
    """log P(a, b) - log P(a) - log P(b); minus infinity where a pair was never seen."""
    p = np.asarray(table, dtype=float)
    p = p / p.sum()
    n = len(p)
    out = np.full((n, n), -np.inf)
    for i in range(n):
        for j in range(n):
            if p[i, j] > 0:
                out[i, j] = math.log(p[i, j]) - math.log(p[i].sum()) - math.log(p[:, j].sum())
    return out


def least_eigenvalue(kernel, constant):
    return np.linalg.eigvalsh(kernel + constant)[0]


def least_shift(kernel, low, high, tolerance=1e-12):
    """The least constant by bisection on the smallest eigenvalue; ``high`` must be enough and ``low`` not."""
    assert least_eigenvalue(kernel, high) > -tolerance
    assert least_eigenvalue(kernel, low) < -tolerance
    for _ in range(200):
        middle = (low + high) / 2
        if least_eigenvalue(kernel, middle) > -tolerance:
            high = middle
        else:
            low = middle
    return high
