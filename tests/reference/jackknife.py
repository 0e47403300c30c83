"""Delete-one jackknife by n explicit deletions."""

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
