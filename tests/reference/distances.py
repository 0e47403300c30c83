"""Readable float64 definitions of distance alignment and distance correlation from whole distance matrices."""

import numpy as np

from reference.alignment import centre, inner, squared_distances, u_centre


def distances(x):
    return np.sqrt(squared_distances(x))


def distance_alignment(x, y, estimator="biased"):
    """Mean of (d_x^2 - d_y^2)^2, with the pairs of an item with itself or without."""
    n = len(x)
    squares = (squared_distances(x) - squared_distances(y)) ** 2
    return float(squares.sum() / (n**2 if estimator == "biased" else n * (n - 1)))


def dcov2_v(x, y):
    """V-statistic of the squared distance covariance (Szekely, Rizzo and Bakirov 2007)."""
    return inner(centre(distances(x)), centre(distances(y))) / len(x) ** 2


def distance_correlation(x, y, estimator="unbiased"):
    """dCor^2: biased by double centring, bias-corrected by U-centring (Szekely and Rizzo 2014)."""
    centred = u_centre if estimator == "unbiased" else centre
    a, b = centred(distances(x)), centred(distances(y))
    return inner(a, b) / np.sqrt(inner(a, a) * inner(b, b))


def induced_kernel(x):
    """(|a| + |b| - |a - b|) / 2, the kernel that distances induce."""
    length = np.sqrt((np.asarray(x, float) ** 2).sum(axis=1))
    return (length[:, None] + length - distances(x)) / 2
