"""Moments of HSIC-like statistics over random pairings of the items: closed forms beside plain enumeration."""

from itertools import permutations
from math import perm

import numpy as np
from scipy import special

from reference.alignment import centre, inner, u_centre


def enumerate_products(a, b):
    """<A, P B P'> for every permutation P of the items."""
    return np.array([inner(a, b[np.ix_(p, p)]) for p in permutations(range(len(a)))])


def drawn_products(a, b, pairings=999, seed=0):
    """<A, P B P'> for the given pairing and so many random ones."""
    rng = np.random.default_rng(seed)
    orders = [np.arange(len(a)), *(rng.permutation(len(a)) for _ in range(pairings))]
    return np.array([inner(a, b[np.ix_(p, p)]) for p in orders])


def exchanges(labels):
    """Every order that gives whole groups the places of groups of their size, rows in order; the given one first."""
    members = [np.flatnonzero(labels == g) for g in range(labels.max() + 1)]
    for order in permutations(range(len(members))):
        if all(len(members[a]) == len(members[b]) for a, b in enumerate(order)):
            renamed = np.empty(len(labels), dtype=int)
            for a, b in enumerate(order):
                renamed[members[a]] = members[b]
            yield renamed


def share(values):
    """Share of the values that reach the first, but for rounding."""
    return float(np.mean(values >= values[0] - 1e-12 * np.abs(values).max()))


def concentration(k, g):
    """n times the product, over both sides, of the sum of the squared shares of the rows in |K^U|^2."""
    shares = [(u**2).sum(axis=1) / inner(u, u) for u in (u_centre(k), u_centre(g))]
    return float(len(k) * np.prod([share @ share for share in shares]))


def u_variance(n):
    """Variance of unbiased CKA under random pairing, whatever the data."""
    return 2 / (n * (n - 3))


def u_third_moment(k, g):
    """E[Z^3] of Z = <K^U, P L^U P'>; sums over more distinct items than there are vanish."""
    n = len(k)
    a, b = u_centre(k), u_centre(g)
    t1, t2 = (a**3).sum(), (b**3).sum()
    d1, d2 = np.trace(a @ a @ a), np.trace(b @ b @ b)

    def over(value, terms):
        return value / perm(n, terms) if n >= terms else 0.0

    return float(
        t1 * t2 * (over(4, 2) + over(24, 3) + over(56, 4))
        + over(8 * d1 * d2, 3)
        + over(24 * (t1 - d1) * (t2 - d2), 4)
        + over(12 * (2 * d1 - 4 * t1) * (2 * d2 - 4 * t2), 5)
        + over((16 * t1 - 8 * d1) * (16 * t2 - 8 * d2), 6)
    )


def u_skew(k, g):
    """Skewness of unbiased HSIC or CKA over random pairings."""
    n = len(k)
    a, b = u_centre(k), u_centre(g)
    sd = np.sqrt(u_variance(n) * inner(a, a) * inner(b, b))
    return u_third_moment(k, g) / sd**3


def leading_skew(k, g):
    """sqrt(8) r_x r_y with r = tr(S^3) / tr(S^2)^(3/2): the large-n limit of the skewness."""
    ratio = [np.trace(c @ c @ c) / inner(c, c) ** 1.5 for c in (centre(k), centre(g))]
    return float(np.sqrt(8) * ratio[0] * ratio[1])


def pearson3_tail(z, skew):
    """Upper tail of the standardised Pearson type III law of this skewness; normal below |skew| = 1e-3."""
    if abs(skew) < 1e-3:
        return float(special.ndtr(-z))
    shape = 4 / skew**2
    position = max(0.0, shape + 2 * z / skew)
    return float(special.gammaincc(shape, position) if skew > 0 else special.gammainc(shape, position))


def b_mean(k, g):
    """Mean of <HKH, P HLH P'>."""
    return float(np.trace(centre(k)) * np.trace(centre(g)) / (len(k) - 1))


def b_mean_cka(k, g):
    """Mean of biased CKA: sqrt(PR_x PR_y) / (n - 1) with the participation ratios PR."""
    a, b = centre(k), centre(g)
    ratio_x, ratio_y = np.trace(a) ** 2 / inner(a, a), np.trace(b) ** 2 / inner(b, b)
    return float(np.sqrt(ratio_x * ratio_y) / (len(k) - 1))


def b_variance(k, g):
    """Variance of <HKH, P HLH P'> (Kazi-Aoual et al. 1995)."""
    n = len(k)
    a, b = centre(k), centre(g)
    t, t2, t3 = np.trace(a), inner(a, a), (np.diag(a) ** 2).sum()
    s, s2, s3 = np.trace(b), inner(b, b), (np.diag(b) ** 2).sum()
    first = 2 * ((n - 1) * t2 - t**2) * ((n - 1) * s2 - s**2) / ((n - 1) ** 2 * (n + 1) * (n - 2))
    left = n * (n + 1) * t3 - (n - 1) * (t**2 + 2 * t2)
    right = n * (n + 1) * s3 - (n - 1) * (s**2 + 2 * s2)
    return float(first + left * right / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3)))


def sum_over_items(weights, pattern):
    """Sum of products of weights over choices of different items for the vertices of a pattern of edges."""
    items = np.array(list(permutations(range(len(weights)), max(pattern) + 1)))
    ends = items[:, list(pattern)]
    return np.prod([weights[ends[:, at], ends[:, at + 1]] for at in range(0, len(pattern), 2)], axis=0).sum()
