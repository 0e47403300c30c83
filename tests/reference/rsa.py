"""Readable float64 definitions of representational similarity analysis; ties are exact, or within rounding."""

from fractions import Fraction
from itertools import combinations

import numpy as np

TIE = 1e-11  # relative to the larger of two dissimilarities
ZERO = {"float64": 1e-15, "float32": 2e-7, "float16": 1e-3}  # distances of rows of length 1, of entries so rounded


def _unit(row, zero_mean):
    row = row.astype(np.longdouble)
    row = row - row.mean() if zero_mean else row
    return row / np.sqrt((row**2).sum())


def dissimilarities(x, distance):
    """Of all pairs i < j, row by row; angles as half the squared distance of unit rows, so that nothing cancels."""
    zero = ZERO.get(str(np.asarray(x).dtype), 0.0)
    x = np.asarray(x).astype(np.float64)
    if distance in ("correlation", "cosine"):
        x = np.array([_unit(row, distance == "correlation") for row in x])
    squares = np.concatenate([((x[i + 1 :] - row) ** 2).sum(axis=1) for i, row in enumerate(x)])
    squares[squares <= zero**2 * (x**2).sum(axis=1).mean()] = 0
    root = {"euclidean": np.sqrt, "sqeuclidean": np.asarray}.get(distance, lambda v: v / 2)
    return root(squares).astype(np.float64)


def order_signs(values):
    """Matrix of -1, 0, 1: which of two is larger, 0 for a tie."""
    values = np.asarray(values)
    scale = np.maximum(np.maximum(values[:, None], values), 1e-4 * np.mean(values))
    difference = values[:, None] - values
    return np.where(np.abs(difference) <= TIE * scale, 0.0, np.sign(difference))


def mid_ranks(values):
    signs = order_signs(values)
    return (signs > 0).sum(axis=1) + ((signs == 0).sum(axis=1) + 1) / 2


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def pearson(a, b):
    return cosine(a - a.mean(), b - b.mean())


def spearman(a, b):
    return pearson(mid_ranks(a), mid_ranks(b))


def tau_a(a, b):
    """Concordant less discordant pairs, over all pairs."""
    m = len(a)
    return float((order_signs(a) * order_signs(b)).sum() / (m * (m - 1)))


def tau_b(a, b):
    """The same over pairs that are tied in neither, by the geometric mean of both counts."""
    x, y = order_signs(a), order_signs(b)
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


def rho_a(a, b):
    """Spearman's coefficient as it would be without ties, whose norm is that of the ranks 1 to m."""
    m = len(a)
    x, y = (mid_ranks(v) - (m + 1) / 2 for v in (a, b))
    return float(12 * (x @ y) / (m * (m * m - 1)))


def estimates_covariance(covariance):
    """Of the squared distances of all pairs i < j, up to a factor, where true distances are 0 (Diedrichsen 2021)."""
    n = len(covariance)
    contrasts = np.array([np.eye(n)[i] - np.eye(n)[j] for i, j in combinations(range(n), 2)])
    return (contrasts @ covariance @ contrasts.T) ** 2


def whitened_cosine(a, b, covariance=None):
    n = round((1 + np.sqrt(1 + 8 * len(a))) / 2)
    inverse = np.linalg.inv(estimates_covariance(np.eye(n) if covariance is None else covariance))
    return float(a @ inverse @ b / np.sqrt((a @ inverse @ a) * (b @ inverse @ b)))


def whitened_pearson(a, b, covariance=None):
    return whitened_cosine(a - a.mean(), b - b.mean(), covariance)


COMPARISONS = {
    "pearson": pearson,
    "spearman": spearman,
    "rho_a": rho_a,
    "kendall": tau_a,
    "tau_b": tau_b,
    "cosine": cosine,
    "whitened_cosine": whitened_cosine,
    "whitened_pearson": whitened_pearson,
}


def rsa(x, y, distance="correlation", comparison="spearman"):
    return COMPARISONS[comparison](dissimilarities(x, distance), dissimilarities(y, distance))


def weighted(a, b, weights, comparison):
    """The comparison where item i counts weights[i] times, and a pair of items the product of theirs."""
    first, second = np.triu_indices(len(weights), 1)
    w = weights[first] * weights[second]
    w = w / w.sum()
    if comparison == "spearman":
        a, b = (((signs > 0) + (signs == 0) / 2) @ w for signs in (order_signs(a), order_signs(b)))
    if comparison != "cosine":
        a, b = a - a @ w, b - b @ w
    return float(w @ (a * b) / np.sqrt((w @ a**2) * (w @ b**2)))


def influences(x, y, distance, comparison, step=1e-5):
    """n times the derivative of rsa by the weight of each item, numerically."""
    a, b, n = dissimilarities(x, distance), dissimilarities(y, distance), len(x)
    more, less = (
        np.array([weighted(a, b, 1 + sign * step * row, comparison) for row in np.eye(n)]) for sign in (1, -1)
    )
    return n * (more - less) / (2 * step)


def square(values, n):
    """The symmetric matrix with zero diagonal of a condensed vector."""
    out = np.zeros((n, n))
    out[np.triu_indices(n, 1)] = values
    return out + out.T


def exact_squared_distances(x):
    """Integers."""
    return [sum((int(a) - int(b)) ** 2 for a, b in zip(x[i], x[j], strict=True)) for i, j in _pairs(x)]


def exact_angles(x, zero_mean):
    """Rational numbers that order like 1 - cosine of integer rows: -sign(c) c^2 of the cosine c."""
    rows = [[Fraction(int(v)) for v in row] for row in x]
    if zero_mean:
        rows = [[v - sum(row) / len(row) for v in row] for row in rows]
    products = [[sum(a * b for a, b in zip(r, s, strict=True)) for s in rows] for r in rows]
    out = []
    for i, j in _pairs(x):
        c = products[i][j]
        out.append(-(1 if c > 0 else -1) * c * c / (products[i][i] * products[j][j]))
    return out


def exact_ranks(values):
    """Mid-ranks of numbers that compare exactly."""
    order = {value: i for i, value in enumerate(sorted(set(values)))}
    codes = np.array([order[value] for value in values])
    counts = np.bincount(codes)
    return (np.cumsum(counts) - (counts - 1) / 2)[codes]


def _pairs(x):
    return combinations(range(len(x)), 2)
