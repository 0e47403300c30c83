"""Scores of all pairs of layers under every pairing of the items, or under some random ones."""

from itertools import permutations

import numpy as np

from reference.alignment import inner, u_centre


def pairings(n):
    """All n! of them."""
    return [list(p) for p in permutations(range(n))]


def random_pairings(n, count, seed):
    rng = np.random.default_rng(seed)
    return [rng.permutation(n) for _ in range(count)]


def cka_scores(layers_x, layers_y, orders):
    """(pairings, L_x, L_y) unbiased CKA of linear kernels, side y relabelled."""
    k = [u_centre(x @ x.T) for x in layers_x]
    g = [u_centre(y @ y.T) for y in layers_y]
    k, g = (np.array([m / np.sqrt(inner(m, m)) for m in side]) for side in (k, g))
    return np.array([np.einsum("aij,bij->ab", k, g[:, order][:, :, order], optimize=True) for order in orders])


def self_cka(layers):
    return cka_scores(layers, layers, [np.arange(len(layers[0]))])[0]


def overlaps(graphs_x, graphs_y, k, orders):
    """(pairings, L_x, L_y) shared weight / (n k) of dense graphs, side y relabelled."""
    a, b = np.array(graphs_x), np.array(graphs_y)
    n = a.shape[1]
    flat = a.reshape(len(a), -1)
    return np.array([flat @ b[:, order][:, :, order].reshape(len(b), -1).T for order in orders]) / (n * k)


def covariance(scores):
    """Over the pairings, of every two pairs of layers: (L_x, L_y, L_x, L_y)."""
    centred = scores - scores.mean(axis=0)
    return np.einsum("pab,pcd->abcd", centred, centred) / len(scores)
