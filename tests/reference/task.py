"""Naive task-aware quantities from whole n x n kernels: KTA, GCV and KARE by inversion, kernel ridge by simulation."""

import numpy as np


def centring(n):
    return np.eye(n) - 1 / n


def columns(y):
    y = np.asarray(y, dtype=float)
    return y[:, None] if y.ndim == 1 else y


def one_hot(labels):
    return np.array([[float(label == name) for name in sorted(set(labels))] for label in labels])


def kta(x, y, centred=False):
    """<K, YY'> / (|K| |YY'|)."""
    h = centring(len(x)) if centred else np.eye(len(x))
    k, target = h @ x @ x.T @ h, h @ columns(y) @ columns(y).T @ h
    return (k * target).sum() / np.sqrt((k**2).sum() * (target**2).sum())


def cumulative_power(x, y):
    """C(rho) for rho = 1..n, in the eigenbasis of x x'."""
    vectors = np.linalg.eigh(x @ x.T)[1][:, ::-1]
    power = ((vectors.T @ columns(y)) ** 2).sum(axis=1)
    return np.cumsum(power) / (columns(y) ** 2).sum()


def held_out_power(x, y, folds, ranks, centred=False):
    """Held-out share of power predicted by regression on the first principal directions of the other folds."""
    errors, total, given_x, given_y = np.zeros(ranks), 0.0, x, columns(y)
    for test in folds:
        train = [i for i in range(len(x)) if i not in set(test)]
        x, y = given_x, given_y
        if centred:
            x, y = x - x[train].mean(axis=0), y - y[train].mean(axis=0)
        directions = np.linalg.eigh(x[train].T @ x[train])[1][:, ::-1]
        total += (columns(y)[test] ** 2).sum()
        for rho in range(1, ranks + 1):
            v = directions[:, :rho]
            weights = np.linalg.lstsq(x[train] @ v, columns(y)[train], rcond=None)[0]
            errors[rho - 1] += ((columns(y)[test] - x[test] @ v @ weights) ** 2).sum()
    return 1 - errors / total


def kare(x, y, ridge):
    """The definition: two inverses of n x n."""
    n = len(x)
    inverse = np.linalg.inv(x @ x.T / n + ridge * np.eye(n))
    y = columns(y)
    return np.trace(y.T @ inverse @ inverse @ y) / n / (np.trace(inverse) / n) ** 2


def gcv(x, y, ridge, intercept=False):
    """Generalised cross-validation of ridge regression with penalty n * ridge, from its hat matrix."""
    n, y = len(x), columns(y)
    h = centring(n) if intercept else np.eye(n)
    k = h @ x @ x.T @ h
    hat = k @ np.linalg.inv(k + n * ridge * np.eye(n)) + (np.eye(n) - h)
    residual = (np.eye(n) - hat) @ y
    return (residual**2).sum() / n / ((n - np.trace(hat)) / n) ** 2


def kappa(eta, samples, ridge):
    """The fixed point by bisection."""
    low, high = 0.0, ridge + sum(eta)
    for _ in range(2000):
        middle = (low + high) / 2
        if ridge + middle * sum(e / (middle + samples * e) for e in eta) > middle:
            low = middle
        else:
            high = middle
    return high


def simulated_error(x, y, samples, ridge, noise, repeats, seed=0):
    """Mean squared error over all items of kernel ridge regressions trained on random ones."""
    rng = np.random.default_rng(seed)
    y, errors = columns(y), []
    for _ in range(repeats):
        chosen = rng.choice(len(x), samples)
        given = y[chosen] + np.sqrt(noise) * rng.normal(size=(samples, y.shape[1]))
        gram = x[chosen] @ x[chosen].T + ridge * np.eye(samples)
        predicted = x @ (x[chosen].T @ np.linalg.solve(gram, given))
        errors.append(((predicted - y) ** 2).sum() / len(x))
    return float(np.mean(errors))
