"""Delete-one jackknife by n explicit deletions."""

import numpy as np

from reference.alignment import METRICS, centred_linear, linear


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
