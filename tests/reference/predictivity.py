"""Readable float64 definitions of ridge and PLS regression and of scores of their predictions, column by column."""

import numpy as np

from reference.alignment import features


def linear(x, y, **_):
    return np.linalg.lstsq(x, y, rcond=None)[0]


def ridge(x, y, alpha=None, **_):
    """By normal equations; the penalty of least GCV with the hat matrix written out."""
    n, largest = len(x), np.linalg.svd(x, compute_uv=False)[0] ** 2
    if alpha is None:
        errors = []
        for trial in largest * np.logspace(-10, 2, 49):
            hat = x @ np.linalg.solve(x.T @ x + trial * np.eye(x.shape[1]), x.T)
            residual = y - hat @ y
            errors.append((residual**2).sum() / n / (1 - (np.trace(hat) + 1) / n) ** 2)
        alpha = largest * np.logspace(-10, 2, 49)[np.argmin(errors)]
    return np.linalg.solve(x.T @ x + alpha * np.eye(x.shape[1]), x.T @ y)


def pls(x, y, components=2, **_):
    """NIPALS, inner iterations to convergence; the map from the rotations of its weights."""
    a, b, parts = x.copy(), y.copy(), []
    for _ in range(components):
        score = b[:, np.argmax((b**2).sum(axis=0))]
        for _ in range(20_000):
            weight = a.T @ score / np.linalg.norm(a.T @ score)
            t = a @ weight
            other = b.T @ t / (t @ t)
            score, before = b @ other / (other @ other), score
            if np.linalg.norm(score - before) <= 1e-15 * np.linalg.norm(score):
                break
        load = a.T @ t / (t @ t)
        parts.append((weight, load, b.T @ t / (t @ t)))
        a, b = a - np.outer(t, load), b - np.outer(t, parts[-1][2])
    w, p, q = (np.array(one).T for one in zip(*parts, strict=True))
    return w @ np.linalg.inv(p.T @ w) @ q.T


FITS = {"linear": linear, "ridge": ridge, "pls": pls}


def predictions(x, y, splits, regression, **keywords):
    """Of every split: the items scored, their y, predictions, and the means of the items fitted."""
    x, y = features(x), features(y)
    for train, test in splits:
        mean_x, mean_y = x[train].mean(axis=0), y[train].mean(axis=0)
        b = FITS[regression](x[train] - mean_x, y[train] - mean_y, **keywords)
        yield y[test], (x[test] - mean_x) @ b + mean_y, mean_y


def columns(x, y, splits, regression, statistic, **keywords):
    """R^2 or Pearson correlation of every column, and the sums of squares about the means of the items fitted."""
    found = list(predictions(x, y, splits, regression, **keywords))
    total = sum(((own - mean) ** 2).sum(axis=0) for own, _, mean in found)
    if statistic == "r2":
        return 1 - sum(((own - guess) ** 2).sum(axis=0) for own, guess, _ in found) / total, total
    own, guess = (np.concatenate([one[at] for one in found]) for at in (0, 1))
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(own.T, guess.T, strict=True)]), total
