"""Sampling errors by explicit deletions, and by explicit scores of parts of the items."""

import numpy as np

from reference import neighbors
from reference.alignment import METRICS, centred_linear, linear, off_diagonal


def deletions(name, estimator, x, y):
    """The metric on the items without item i, for every i; the ratio itself is recomputed."""
    metric = METRICS[name, estimator]
    kernel = linear if name == "kernel_alignment" else centred_linear
    k, g = kernel(x), kernel(y)
    rest = [np.delete(np.arange(len(k)), i) for i in range(len(k))]
    return np.array([metric(k[np.ix_(r, r)], g[np.ix_(r, r)]) for r in rest])


def stderr(values):
    """sqrt((n-1)/n sum (v_i - mean)^2)."""
    n = len(values)
    return float(np.sqrt((n - 1) / n * ((values - values.mean()) ** 2).sum()))


def stderr_of_groups(influences, labels):
    """sqrt(G/(G-1) sum over groups of (sum of influences)^2) / n; an influence is n times what an item moves."""
    n, names = len(influences), sorted(set(labels))
    squares = [sum(v for v, label in zip(influences, labels, strict=True) if label == name) ** 2 for name in names]
    return float(np.sqrt(len(names) / (len(names) - 1) * sum(squares)) / n)


def deleted_products(k, g):
    """<K^U, L^U> / (m(m-3)) of the m = n - 1 items other than i, for every i, in O(n^2) (mathematics 3.6)."""
    k, g = off_diagonal(k), off_diagonal(g)
    rows_k, rows_g, edges = k.sum(axis=1), g.sum(axis=1), (k * g).sum(axis=1)
    m = len(k) - 1
    middle = (rows_k.sum() - 2 * rows_k) * (rows_g.sum() - 2 * rows_g) / ((m - 1) * (m - 2))
    paths = rows_k @ rows_g - rows_k * rows_g - k @ rows_g - g @ rows_k + edges
    return (edges.sum() - 2 * edges + middle - 2 * paths / (m - 2)) / (m * (m - 3))


def fast_deletions(name, x, y):
    """As ``deletions`` of an unbiased metric, for n too large to delete one by one."""
    kernel = linear if name == "kernel_alignment" else centred_linear
    k, g = kernel(x), kernel(y)
    if name == "hsic":
        return deleted_products(k, g)

    def product(a, b):
        if name == "cka":
            return deleted_products(a, b)
        edges = (off_diagonal(a) * off_diagonal(b)).sum(axis=1)
        return edges.sum() - 2 * edges

    return product(k, g) / np.sqrt(product(k, k) * product(g, g))


def deleted_overlaps(x, y, k, metric):
    """mutual_knn, ties by index, of the items without item i, for every i: n searches."""
    n = len(x)
    values = []
    for i in range(n):
        weights = [
            neighbors.index_weights(neighbors.lists(neighbors.in_order(np.delete(side, i, axis=0), metric), k), n - 1)
            for side in (x, y)
        ]
        values.append(neighbors.mutual(*weights, k))
    return np.array(values)


def part_scores(score, n, k, count, divisions):
    """score(items, k) of ``count`` parts of n items (or groups), divided at random: (divisions, count); as many
    neighbours in proportion, interpolated."""
    size = n // count
    orders = np.random.default_rng(count).permuted(np.tile(np.arange(n), (divisions, 1)), axis=1)
    near = max(1, round(k * (size - 1) / (n - 1), 1))
    below, found = int(near), np.empty((divisions, count))
    for row, order in zip(found, orders, strict=True):
        for part in range(count):
            items = np.sort(order[part * size : (part + 1) * size])
            row[part] = (below + 1 - near) * score(items, below)
            if near > below:
                row[part] += (near - below) * score(items, below + 1)
    return found, near


def stderr_of_parts(score, n, k, divisions):
    """The variance of halves over 2, less what its neighbours k' < k add over k: linear in 1/k', from quarters."""
    variance, places = [], [k]
    for count in (2, 4):
        found, near = part_scores(score, n, k, count, divisions[count])
        variance.append(np.mean([np.var(row, ddof=1) for row in found]) * (n // count) / n)
        places.append(near)
    slope = (variance[1] - variance[0]) / (1 / places[2] - 1 / places[1])
    whole = max(variance[0] + slope * (1 / k - 1 / places[1]), variance[0] * places[1] / k)
    return float(np.sqrt(min(variance[0], 1.3 * whole)))
