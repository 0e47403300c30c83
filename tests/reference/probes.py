"""Naive probes and paired statistics: objectives written out, Newton's method, binomials summed term by term."""

import math

import numpy as np


def standardised(x, by):
    """Columns minus the mean of ``by``, divided by its standard deviation; constant columns become 0."""
    sd = by.std(axis=0, ddof=1)
    return np.where(sd > 0, (x - by.mean(axis=0)) / np.where(sd > 0, sd, 1), 0.0)


def log_loss(w, c, z, numbers, l2):
    """Mean cross-entropy and penalty, row by row."""
    total = 0.0
    for row, number in zip(z, numbers, strict=True):
        logits = [float(row @ w[:, k] + c[k]) for k in range(len(c))]
        total += math.log(sum(math.exp(value - logits[number]) for value in logits))
    return total / len(z) + l2 / 2 * (w**2).sum()


def logistic(z, numbers, l2, steps=50):
    """Multinomial logistic regression by Newton's method on the whole Hessian."""
    n, p = z.shape
    classes = max(numbers) + 1
    design = np.hstack([z, np.ones((n, 1))])
    goal = np.eye(classes)[numbers]
    ridge = np.kron(np.eye(classes), np.diag([l2] * p + [0.0]))
    theta = np.zeros((classes, p + 1))
    for _ in range(steps):
        logits = design @ theta.T
        prob = np.exp(logits - logits.max(axis=1, keepdims=True))
        prob /= prob.sum(axis=1, keepdims=True)
        gradient = ((prob - goal).T @ design / n).ravel() + ridge @ theta.ravel()
        hessian = ridge.copy()
        for row, q in zip(design, prob, strict=True):
            hessian += np.kron(np.diag(q) - np.outer(q, q), np.outer(row, row)) / n
        theta = theta - (np.linalg.pinv(hessian, rcond=1e-13) @ gradient).reshape(theta.shape)
    return theta[:, :-1].T, theta[:, -1] - theta[:, -1].mean()


def ridge(z, y, l2):
    """Ridge regression with an unpenalised intercept by the normal equations."""
    mean = y.mean(axis=0)
    weights = np.linalg.solve(z.T @ z / len(z) + l2 * np.eye(z.shape[1]), z.T @ (y - mean) / len(z))
    return weights, mean


def mcnemar(first, second):
    """Two-sided exact p: twice the smaller binomial tail of the discordant pairs, at most 1."""
    b = sum(f and not s for f, s in zip(first, second, strict=True))
    c = sum(s and not f for f, s in zip(first, second, strict=True))
    tail = sum(math.comb(b + c, i) for i in range(min(b, c) + 1)) / 2 ** (b + c)
    return b, c, min(1.0, 2 * tail)


def wilson(successes, n, z=1.959963984540054):
    """Both roots p of (share - p)^2 = z^2 p (1 - p) / n."""
    share = successes / n
    roots = np.roots([1 + z**2 / n, -(2 * share + z**2 / n), share**2])
    return min(roots.real), max(roots.real)


def jackknife(statistic, items):
    """Standard error from the delete-one values of a statistic of a list."""
    values = [statistic(items[:i] + items[i + 1 :]) for i in range(len(items))]
    mean = sum(values) / len(values)
    return math.sqrt((len(values) - 1) / len(values) * sum((v - mean) ** 2 for v in values))
