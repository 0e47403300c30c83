"""Readable float64 definitions of kernel alignment, HSIC and CKA from whole n x n matrices."""

from itertools import permutations

import numpy as np


def features(x):
    """The given numbers as float64 (exact for every dtype that the package reads, up to 2^53)."""
    return np.asarray(x).astype(np.float64)


def centred_features(x):
    """Column-centred features; the mean is taken in extended precision so that a large offset costs nothing."""
    x = features(x)
    wide = x.astype(np.longdouble)
    return (wide - wide.mean(axis=0)).astype(np.float64)


def linear(x):
    x = features(x)
    return x @ x.T


def centred_linear(x):
    """Linear kernel of the centred features: the same as ``linear`` for every centred statistic, but accurate."""
    return linear(centred_features(x))


def squared_distances(x):
    x = features(x)
    return np.array([((x - row) ** 2).sum(axis=1) for row in x])


def rbf(x, fraction=1.0, bandwidth=None):
    """exp(-d^2 / 2 sigma^2); sigma is given, or a fraction of the median distance over all n^2 entries."""
    d2 = squared_distances(x)
    sigma = fraction * np.median(np.sqrt(d2)) if bandwidth is None else bandwidth
    return np.exp(-d2 / (2 * sigma**2))


def median_distance(x, diagonal=True):
    """Median Euclidean distance over all n^2 entries, or over those off the diagonal."""
    d = np.sqrt(squared_distances(x))
    return float(np.median(d if diagonal else d[~np.eye(len(d), dtype=bool)]))


def laplacian(x, fraction=1.0, bandwidth=None):
    """exp(-d / sigma) of Euclidean distances; sigma as for ``rbf``."""
    sigma = fraction * median_distance(x) if bandwidth is None else bandwidth
    return np.exp(-np.sqrt(squared_distances(x)) / sigma)


def polynomial(x, degree, offset=1.0):
    return (linear(x) + offset) ** degree


def cosine_similarity(x):
    return linear(l2_rows(x))


def delta(labels):
    """1 for items of one class, else 0."""
    return np.array([[float(a == b) for b in labels] for a in labels])


def off_diagonal(k):
    return k - np.diag(np.diag(k))


def centre(k):
    """HKH with H = I - 11'/n: rows and columns sum to zero."""
    k = k - k.mean(axis=0)
    return k - k.mean(axis=1, keepdims=True)


def u_centre(k):
    """U-centring of Szekely and Rizzo: off-diagonal rows sum to zero, the diagonal is zero."""
    n = len(k)
    k = off_diagonal(k)
    rows = k.sum(axis=1)
    u = k - (rows[:, None] + rows[None, :]) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return off_diagonal(u)


def inner(a, b):
    return float((a * b).sum())


def hsic_b(k, g):
    """n^-2 tr(KHLH)."""
    return inner(centre(k), centre(g)) / len(k) ** 2


def hsic_u(k, g):
    """<K^U, L^U> / (n(n-3))."""
    n = len(k)
    return inner(u_centre(k), u_centre(g)) / (n * (n - 3))


def hsic_u_song(k, g):
    """The three-term formula of Song et al. (2012), which must equal ``hsic_u``."""
    n = len(k)
    k, g = off_diagonal(k), off_diagonal(g)
    one = np.ones(n)
    middle = (one @ k @ one) * (one @ g @ one) / ((n - 1) * (n - 2))
    return float((np.trace(k @ g) + middle - 2 / (n - 2) * (one @ k @ g @ one)) / (n * (n - 3)))


def hsic_u_brute_force(k, g):
    """The U-statistic itself: the mean of k_ij (l_ij + l_qr - 2 l_iq) over all ordered 4-tuples of distinct items."""
    terms = [k[i, j] * (g[i, j] + g[q, r] - 2 * g[i, q]) for i, j, q, r in permutations(range(len(k)), 4)]
    return float(np.mean(terms))


def cosine(a, b):
    return inner(a, b) / np.sqrt(inner(a, a) * inner(b, b))


def cka_b(k, g):
    return cosine(centre(k), centre(g))


def cka_u(k, g):
    return cosine(u_centre(k), u_centre(g))


def ka_v(k, g):
    return cosine(k, g)


def ka_u(k, g):
    return cosine(off_diagonal(k), off_diagonal(g))


def partial(k, g, m, centred):
    """Cosine of what is left of two centred matrices after their projection on a third, matrix by matrix."""
    k, g, m = (centred(one) for one in (k, g, m))
    return cosine(*(one - inner(one, m) / inner(m, m) * m for one in (k, g)))


def residuals(x, z):
    """Of every column of x from a least-squares fit on z and a constant."""
    design = np.column_stack([np.ones(len(x)), z])
    return x - design @ np.linalg.lstsq(design, x, rcond=None)[0]


METRICS = {
    ("cka", "biased"): cka_b,
    ("cka", "unbiased"): cka_u,
    ("hsic", "biased"): hsic_b,
    ("hsic", "unbiased"): hsic_u,
    ("kernel_alignment", "biased"): ka_v,
    ("kernel_alignment", "unbiased"): ka_u,
}


def metric(name, estimator, x, y):
    """Linear-kernel value of a metric by its public name."""
    kernel = linear if name == "kernel_alignment" else centred_linear
    return METRICS[name, estimator](kernel(x), kernel(y))


def r2_cca(x, y):
    """Mean squared canonical correlation, not centred (as in the published notebook)."""
    qx, qy = np.linalg.qr(features(x))[0], np.linalg.qr(features(y))[0]
    return float(((qx.T @ qy) ** 2).sum() / min(qx.shape[1], qy.shape[1]))


def l2_rows(x):
    x = features(x)
    return x / np.sqrt((x**2).sum(axis=1, keepdims=True))


def standardized(x):
    """Columns of mean 0 and standard deviation 1 (ddof=1); constant columns become 0."""
    constant = (features(x) == features(x)[0]).all(axis=0)
    x = centred_features(x)
    sd = np.where(constant, 0, x.std(axis=0, ddof=1))
    return np.divide(x, sd, out=np.zeros_like(x), where=sd > 0)


def clipped(x, quantile):
    """Clamp to the entry of rank int(quantile * size) among all absolute values."""
    x = features(x)
    rank = int(quantile * x.size)
    limit = np.inf if rank >= x.size else np.sort(np.abs(x), axis=None)[rank]
    return np.clip(x, -limit, limit)


def golden():
    """The published example: RandomState(1337), 100 x 10 Gaussian features and a noisy copy."""
    rng = np.random.RandomState(1337)
    x = rng.randn(100, 10)
    return x, rng.randn(100, 10) + x
