"""Readable float64 definitions of the CCA family, shapes, matchings and linear predictivity."""

from itertools import permutations
from math import lcm

import numpy as np
from scipy import linalg, optimize

from reference.alignment import centred_features, features
from reference.folds import fold_numbers


def projector(x):
    """Orthogonal projection of the items' space onto the columns of x."""
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    u = u[:, s > max(x.shape) * np.finfo(float).eps * s[0]]
    return u @ u.T


def rank(x):
    return int(np.linalg.matrix_rank(x))


def canonical_correlations(x, y, center=True):
    """Square roots of the leading eigenvalues of P_x P_y P_x."""
    x, y = (centred_features(a) if center else features(a) for a in (x, y))
    p, q = projector(x), projector(y)
    values = np.linalg.eigvalsh(p @ q @ p)[::-1]
    return np.sqrt(np.clip(values[: min(rank(x), rank(y))], 0, 1))


def leading(x, count):
    """The first left singular vectors of centred x."""
    return np.linalg.svd(centred_features(x), full_matrices=False)[0][:, :count]


def directions_for(x, variance):
    s = np.linalg.svd(centred_features(x), compute_uv=False)
    shares = np.cumsum(s**2) / (s**2).sum()
    return 1 + int(np.flatnonzero(shares >= variance)[0])


def svcca(x, y, rank=None, variance=0.99):
    u, v = (leading(a, directions_for(a, variance) if rank is None else rank) for a in (x, y))
    return float(np.linalg.svd(u.T @ v, compute_uv=False).mean())


def pwcca(x, y):
    """Morcos et al. 2018: canonical variables of x as n-vectors, weighted by what they share with x's columns."""
    x, y = centred_features(x), centred_features(y)
    (u, _, _), (v, _, _) = (np.linalg.svd(a, full_matrices=False) for a in (x, y))
    u, v = u[:, : rank(x)], v[:, : rank(y)]
    a, rho, _ = np.linalg.svd(u.T @ v, full_matrices=False)
    weights = [sum(abs(h @ column) for column in x.T) for h in (u @ a).T]
    return float(np.average(rho, weights=weights))


def ridge_kernel(x, ridge):
    """X (X^T X + ridge |X|^2 I)^-1 X^T of centred x."""
    x = centred_features(x)
    penalty = ridge * (x**2).sum() * np.eye(x.shape[1])
    return x @ np.linalg.pinv(x.T @ x + penalty, rcond=1e-13) @ x.T


def root(k):
    """Symmetric square root of a PSD matrix."""
    values, vectors = np.linalg.eigh(k)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def fidelity(x, y):
    """NBS by its other definition: tr (K^1/2 L K^1/2)^1/2 / sqrt(tr K tr L) of centred Gram matrices."""
    k, g = (centred_features(a) @ centred_features(a).T for a in (x, y))
    half = root(k)
    values = np.linalg.eigvalsh(half @ g @ half)
    values[values < 1e-14 * len(k) * values.max()] = 0  # the root of what is rounding would not be
    return float(np.sqrt(values).sum() / np.sqrt(np.trace(k) * np.trace(g)))


def procrustes(x, y):
    """|X - Y Q| with Q from SciPy, after padding to one width."""
    x, y = centred_features(x), centred_features(y)
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in (x, y))
    rotation, _ = linalg.orthogonal_procrustes(y, x)
    return float(np.linalg.norm(x - y @ rotation))


def whitened(x, alpha, centred=True):
    """Partial whitening in the columns' space, X (alpha I + (1 - alpha) (X'X)^-1/2), scaled to the norm of X."""
    x = centred_features(x) if centred else features(x)
    values, vectors = np.linalg.eigh(x.T @ x)
    inverse = np.where(values > 1e-12 * values[-1], 1 / np.sqrt(np.maximum(values, 1e-300)), 0.0)
    made = x @ (alpha * np.eye(x.shape[1]) + (1 - alpha) * (vectors * inverse) @ vectors.T)
    return made * np.linalg.norm(x) / np.linalg.norm(made)


def nuclear_cosine(x, y):
    return float(np.linalg.svd(x.T @ y, compute_uv=False).sum() / (np.linalg.norm(x) * np.linalg.norm(y)))


def one_to_one(x, y):
    """Mean correlation of the best injection of the narrower side's columns, all of them tried."""
    if x.shape[1] > y.shape[1]:
        x, y = y, x
    p, q = x.shape[1], y.shape[1]
    r = np.corrcoef(features(x).T, features(y).T)[:p, p:]
    return max(float(np.mean([r[i, j] for i, j in enumerate(choice)])) for choice in permutations(range(q), p))


def soft_correlation(x, y, direction="both", absolute=True):
    """Mean best match of the columns of x, of those of y, or the mean of both."""
    r = np.corrcoef(features(x).T, features(y).T)[: x.shape[1], x.shape[1] :]
    r = np.abs(r) if absolute else r
    of = {"x": np.mean([max(row) for row in r]), "y": np.mean([max(column) for column in r.T])}
    return float(of[direction] if direction in of else (of["x"] + of["y"]) / 2)


def squared_column_distances(x, y):
    x, y = centred_features(x), centred_features(y)
    return np.array([[((a - b) ** 2).sum() for b in y.T] for a in x.T])


def transport_cost(cost):
    """The cheapest plan with equal weights on each side: columns repeated until they match one to one."""
    p, q = cost.shape
    size = lcm(p, q)
    spread = np.repeat(np.repeat(cost, size // p, axis=0), size // q, axis=1)
    return float(spread[optimize.linear_sum_assignment(spread)].sum() / size)


def soft_matching(x, y):
    return float(np.sqrt(transport_cost(squared_column_distances(x, y))))


def with_ones(x):
    return np.column_stack([np.ones(len(x)), x])


def linear_predictivity(x, y):
    """1 - SSE / SST of the least-squares fit with an intercept."""
    x, y = features(x), features(y)
    fitted = with_ones(x) @ np.linalg.lstsq(with_ones(x), y, rcond=None)[0]
    return float(1 - ((y - fitted) ** 2).sum() / ((y - y.mean(axis=0)) ** 2).sum())


def cross_validated_predictivity(x, y, folds):
    """The same for items left out, a fold at a time, about the mean of the items fitted."""
    x, y = features(x), features(y)
    error = total = 0.0
    for fold in range(folds):
        held = fold_numbers(len(x), folds) == fold
        mean_x, mean_y = x[~held].mean(axis=0), y[~held].mean(axis=0)
        coefficients = np.linalg.lstsq(x[~held] - mean_x, y[~held] - mean_y, rcond=None)[0]
        error += (((x[held] - mean_x) @ coefficients + mean_y - y[held]) ** 2).sum()
        total += ((y[held] - mean_y) ** 2).sum()
    return float(1 - error / total)
