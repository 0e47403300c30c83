"""Naive float64 oracles of the neighbour engine and of the list metrics; never imports the package."""

from __future__ import annotations

import itertools
import math

import numpy as np


def similarities(x, metric):
    """The n x n matrix of similarities, with -inf on the diagonal."""
    x = np.asarray(x, dtype=np.float64)
    if metric == "cosine":
        x = x / np.sqrt((x * x).sum(axis=1))[:, None]
    s = -np.stack([((x - row) ** 2).sum(axis=1) for row in x]) if metric == "euclidean" else x @ x.T
    np.fill_diagonal(s, -np.inf)
    return s


def directions(x):
    """Rows divided, exactly, by what the odd integers of their entries, which are these times powers of two, have in
    common: the same for all rows that are exactly parallel, but for a power of two."""
    numerators = [[value.as_integer_ratio()[0] for value in row if value] for row in x.tolist()]
    common = [math.gcd(*(abs(whole) // (whole & -whole) for whole in row)) for row in numerators]
    return x / np.array(common, dtype=np.float64)[:, None]


def squares(x):
    """|x_i|^2 as the contract says: feature by feature in 16 lanes, whose halves are added until one is left."""
    lanes = np.zeros((len(x), 16))
    for feature, column in enumerate(x.T):
        lanes[:, feature % 16] += column * column
    while lanes.shape[1] > 1:
        lanes = lanes[:, : lanes.shape[1] // 2] + lanes[:, lanes.shape[1] // 2 :]
    return lanes[:, 0]


def in_order(x, metric):
    """The same, summed feature by feature as the contract says, so that equal values are equal bits."""
    x = np.asarray(x, dtype=np.float64)
    if metric == "cosine":
        x = directions(x)
        x = x * (1 / np.sqrt(squares(x)))[:, None]
    s = np.zeros((len(x), len(x)))
    for column in x.T:
        s = s - (column[:, None] - column) ** 2 if metric == "euclidean" else s + column[:, None] * column
    np.fill_diagonal(s, -np.inf)
    return s


def lists(s, k):
    """Indices of the k largest of each row, ties by index."""
    return np.argsort(-s, axis=1, kind="stable")[:, :k].astype(np.int32)


def fractional_weights(s, k):
    """w_ij: 1 above the k-th value of row i, (k - number above) / (number tied) at it."""
    kth = -np.sort(-s, axis=1)[:, k - 1 : k]
    above, tied = s > kth, s == kth
    return above + tied * ((k - above.sum(axis=1)) / tied.sum(axis=1))[:, None]


def index_weights(a, n):
    w = np.zeros((n, n))
    np.put_along_axis(w, a.astype(np.int64), 1.0, axis=1)
    return w


def mutual(w, v, k):
    return float((w * v).sum(axis=1).mean() / k)


def relabelled(w, order):
    return w[np.ix_(order, order)]


def permutation_moments(w, v, k):
    """Mean and variance of the overlap over all n! pairings."""
    n = len(w)
    values = [mutual(w, relabelled(v, p), k) for p in itertools.permutations(range(n))]
    return float(np.mean(values)), float(np.var(values))


def permuted_lists(b, order):
    """Neighbour lists after item i was renamed order[i]."""
    out = np.empty_like(b)
    out[np.asarray(order)] = np.asarray(order)[b]
    return out


def lcs(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, u in enumerate(a):
        for j, v in enumerate(b):
            table[i + 1, j + 1] = table[i, j] + 1 if u == v else max(table[i, j + 1], table[i + 1, j])
    return int(table[-1, -1])


def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, u in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, v in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (u != v))
    return row[-1]


def rank_similarity(a, b):
    """Of two lists of one item: by the definition of Klabunde et al. (2025)."""
    a, b = list(a), list(b)
    both = [j for j in a if j in b]
    if not both:
        return 0.0
    ranks = [(a.index(j) + 1, b.index(j) + 1) for j in both]
    return sum(2 / ((1 + abs(r - s)) * (r + s)) for r, s in ranks) / sum(1 / m for m in range(1, len(both) + 1))


def jaccard(a, b):
    return len(set(a) & set(b)) / len(set(a) | set(b))


def second_order_cosine(x, y, a, b):
    """Of every item: the cosine of its cosine distances to the neighbours of either side."""
    distances = [1 - similarities(side, "cosine") for side in (x, y)]
    values = []
    for i, (own, other) in enumerate(zip(a, b, strict=True)):
        u, v = (side[i, sorted({*own, *other})] for side in distances)
        values.append(float(u @ v / np.sqrt((u @ u) * (v @ v))))
    return np.array(values)


def cycle(a, b):
    return np.mean([any(i in a[j] for j in b[i]) for i in range(len(a))])


def cknna(x, y, k, variant):
    """Dense CKNNA of linear kernels, straight from the definitions."""
    kernels = [np.asarray(v, dtype=np.float64) @ np.asarray(v, dtype=np.float64).T for v in (x, y)]
    n = len(kernels[0])
    masks = []
    for kernel in kernels:
        s = kernel.copy()
        np.fill_diagonal(s, -np.inf)
        masks.append(index_weights(lists(s, k), n))
    both = masks[0] * masks[1]
    if variant == "platonic":
        own = [song(m * g, m * g) for m, g in zip(masks, kernels, strict=True)]
        return song(both * kernels[0], both * kernels[1]) / np.sqrt(own[0] * own[1])
    centred = [u_centred(g) if variant == "ucentred" else g - g.mean(axis=1, keepdims=True) for g in kernels]
    own = [(m * c * c).sum() for m, c in zip(masks, centred, strict=True)]
    return (both * centred[0] * centred[1]).sum() / np.sqrt(own[0] * own[1])


def song(k, m):
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    return (k * m.T).sum() + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * (k @ m).sum() / (n - 2)


def u_centred(kernel):
    n = len(kernel)
    k = kernel - np.diag(np.diag(kernel))
    rows = k.sum(axis=1)
    out = k - rows[:, None] / (n - 2) - rows[None] / (n - 2) + k.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(out, 0)
    return out


def cka_u(x, y):
    k, m = (u_centred(np.asarray(v) @ np.asarray(v).T) for v in (x, y))
    return (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())


def edge_sums(weights):
    """Sums of products of one, two and three weights over the ways in which edges can be connected."""
    ways = """ij; ij,ij ij,ji ij,il ij,li ji,li; ij,ij,ij ij,ij,ji ij,il,im ij,il,mi ij,li,mi ji,li,mi
        ij,ij,il ij,ij,li ji,ji,il ji,ji,li ij,ji,il ij,ji,li ij,il,jm ij,il,mj ij,li,jm ij,li,mj ij,jl,il ij,jl,li"""
    edges = [way.rstrip(";") for way in ways.split()]
    return np.array([np.einsum(f"{way}->", *[weights] * len(way.split(",")), optimize=True) for way in edges])
