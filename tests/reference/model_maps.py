"""Correlation of two model-by-model matrices and its node jackknife, by explicit loops."""

import numpy as np
from scipy import stats


def pairs(matrix, models):
    return np.array([matrix[i, j] for at, i in enumerate(models) for j in models[at + 1 :]])


def correlation(a, b, models, name):
    function = stats.spearmanr if name == "spearman" else stats.pearsonr
    return float(function(pairs(a, models), pairs(b, models)).statistic)


def node_jackknife(a, b, families, name):
    without = []
    for family in sorted(set(families)):
        models = [i for i, label in enumerate(families) if label != family]
        without.append(correlation(a, b, models, name))
    count = len(without)
    return float(np.sqrt((count - 1) / count * ((np.array(without) - np.mean(without)) ** 2).sum()))


def rectangular_jackknife(a, b, name):
    function = stats.spearmanr if name == "spearman" else stats.pearsonr
    total = 0.0
    for axis, count in enumerate(a.shape):
        without = [
            function(np.delete(a, i, axis).ravel(), np.delete(b, i, axis).ravel()).statistic for i in range(count)
        ]
        total += (count - 1) / count * ((np.array(without) - np.mean(without)) ** 2).sum()
    return float(np.sqrt(total))


def benjamini_hochberg(p):
    m, order = len(p), np.argsort(p)
    adjusted, smallest = np.empty(m), 1.0
    for rank in range(m, 0, -1):
        smallest = min(smallest, p[order[rank - 1]] * m / rank)
        adjusted[order[rank - 1]] = smallest
    return adjusted
