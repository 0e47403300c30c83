"""Readable definitions of what several models and subjects are compared by, conditions repeated in fact."""

import numpy as np

from . import rsa


def repeated(values, n, counts):
    """The pairs of all copies, without those of a condition and its own copies."""
    full, copies = rsa.square(values, n), np.repeat(np.arange(n), counts)
    return np.array([full[a, b] for i, a in enumerate(copies) for b in copies[i + 1 :] if a != b])


def score(a, b, n, counts, comparison):
    return rsa.COMPARISONS[comparison](repeated(a, n, counts), repeated(b, n, counts))


def best_mean(vectors, comparison, covariance=None):
    """Of norm 1, less their mean before, whitened, or of ranks."""
    vectors = np.asarray(vectors, dtype=float)
    if comparison in ("spearman", "rho_a", "kendall", "tau_b"):
        return np.mean([rsa.mid_ranks(v) for v in vectors], axis=0).round(9)
    if comparison.endswith("pearson"):
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    inverse = np.eye(vectors.shape[1])
    if comparison.startswith("whitened"):
        n = round((1 + np.sqrt(1 + 8 * vectors.shape[1])) / 2)
        inverse = np.linalg.inv(rsa.estimates_covariance(np.eye(n) if covariance is None else covariance))
    return np.mean([v / np.sqrt(v @ inverse @ v) for v in vectors], axis=0)


def ceiling(subjects, comparison):
    """Lower and upper bound of every subject."""
    subjects = np.asarray(subjects)
    compare = rsa.COMPARISONS[comparison]
    best = best_mean(subjects, comparison)
    lower = [compare(best_mean(np.delete(subjects, i, axis=0), comparison), one) for i, one in enumerate(subjects)]
    return np.array(lower), np.array([compare(best, one) for one in subjects])


def noise_covariance(trials, conditions):
    """Residuals of single trials and their degrees of freedom."""
    names = list(dict.fromkeys(conditions))
    residuals = np.array(
        [
            x - np.mean([y for y, d in zip(trials, conditions, strict=True) if d == c], axis=0)
            for x, c in zip(trials, conditions, strict=True)
        ]
    )
    return residuals, len(trials) - len(names)


def schaefer_strimmer(residuals, freedom):
    """Every correlation by its own, and the variance of its estimate."""
    n, p = residuals.shape
    covariance = residuals.T @ residuals / freedom
    standard = residuals / np.sqrt(np.diag(covariance))
    over = under = 0.0
    for i in range(p):
        for j in range(p):
            if i != j:
                w = standard[:, i] * standard[:, j]
                over += n / (freedom**2 * (n - 1)) * ((w - w.mean()) ** 2).sum()
                under += (w.sum() / freedom) ** 2
    kept = 1 - min(1.0, over / under)
    return np.where(np.eye(p, dtype=bool), covariance, kept * covariance)


def crossnobis(trials, conditions, runs, covariance):
    """Products of differences in one run and in the others."""
    names, inverse = list(dict.fromkeys(conditions)), np.linalg.inv(covariance)
    conditions, runs = np.array(conditions), np.array(runs)

    def mean(condition, there):
        return trials[(conditions == condition) & there].mean(axis=0)

    found = []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            products = []
            for run in np.unique(runs):
                here, others = runs == run, runs != run
                products.append((mean(a, here) - mean(b, here)) @ inverse @ (mean(a, others) - mean(b, others)))
            found.append(np.mean(products))
    return np.array(found)
