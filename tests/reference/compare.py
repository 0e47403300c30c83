"""Naive layer search: clip, normalise and score every pair of layers with plain loops (Huh et al. 2024)."""

import numpy as np


def clipped(layers, quantile):
    """One threshold for a 3-D array, one for each array of a list: the value of rank int(q * size), from 0."""

    def threshold(values):
        return np.sort(np.abs(values).ravel())[int(quantile * values.size)]

    if isinstance(layers, np.ndarray):
        t = threshold(layers)
        return [np.clip(layers[:, at], -t, t) for at in range(layers.shape[1])]
    return [np.clip(layer, -threshold(layer), threshold(layer)) for layer in layers]


def unit_rows(layers):
    return [layer / np.sqrt((layer**2).sum(axis=1, keepdims=True)) for layer in layers]


def overlap(x, y, k):
    """Mean share of common neighbours by inner product."""
    lists = []
    for side in (x, y):
        gram = side @ side.T
        np.fill_diagonal(gram, -np.inf)
        lists.append(np.argsort(-gram, axis=1)[:, :k])
    return np.mean([len(set(a) & set(b)) / k for a, b in zip(*lists, strict=True)])


def unbiased_cka(x, y):
    """Cosine of the U-centred Gram matrices."""
    grams = []
    for side in (x, y):
        n = len(side)
        gram = side @ side.T
        np.fill_diagonal(gram, 0)
        sums = gram.sum(axis=1)
        gram = gram - sums[:, None] / (n - 2) - sums / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(gram, 0)
        grams.append(gram)
    a, b = grams
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


def best(scores):
    """Largest score and the first pair of layers that has it, row by row; nan is no score."""
    found, at = -np.inf, None
    for i, row in enumerate(scores):
        for j, value in enumerate(row):
            if value > found:
                found, at = value, (i, j)
    return found, at


def largest_of_shuffles(x_layers, y_layers, score, shuffles, seed=0):
    """The best score over all pairs of layers, for random pairings that all layers share."""
    rng = np.random.default_rng(seed)
    n = len(x_layers[0])
    values = []
    for _ in range(shuffles):
        order = rng.permutation(n)
        values.append(max(score(x, y[order]) for x in x_layers for y in y_layers))
    return np.sort(values)
