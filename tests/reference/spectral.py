"""Naive spectra of whole n x n kernels, and alignments written as sums over their eigenfunctions."""

import numpy as np


def features(x, centred):
    x = np.asarray(x).astype(np.float64)
    return x - x.mean(axis=0) if centred else x


def eigen(x, centred=False):
    """Eigenvalues of x x' / n, descending, and eigenfunctions with mean square 1 over the items, as columns."""
    x = features(x, centred)
    values, vectors = np.linalg.eigh(x @ x.T / len(x))
    return values[::-1], vectors[:, ::-1] * np.sqrt(len(x))


def cosines(x, y, centred=False):
    """Phi_ij = mean over the items of phi_i(x) phi_j(y)."""
    return eigen(x, centred)[1].T @ eigen(y, centred)[1] / len(x)


def overlap(x, y, rank, centred=False):
    return cosines(x, y, centred)[:rank, :rank] ** 2


def band(x, y, start, stop, centred=False):
    """sum over the band of eta_i eta_j Phi_ij^2 / (|eta_x| |eta_y|)."""
    (eta_x, _), (eta_y, _) = eigen(x, centred), eigen(y, centred)
    top = weight = 0.0
    for i in range(start, stop):
        for j in range(start, stop):
            top += eta_x[i] * eta_y[j] * cosines(x, y, centred)[i, j] ** 2
    weight = np.sqrt((eta_x[start:stop] ** 2).sum() * (eta_y[start:stop] ** 2).sum())
    return top / weight


def without_the_square(x, y):
    """The seed's first form, E3: sum of <f_i, f_j>, where f_i = sqrt(eta_i) phi_i, over the same norms."""
    (eta_x, f), (eta_y, g) = eigen(x), eigen(y)
    f, g = f * np.sqrt(np.maximum(eta_x, 0)), g * np.sqrt(np.maximum(eta_y, 0))
    return (f.T @ g / len(f)).sum() / np.sqrt((eta_x**2).sum() * (eta_y**2).sum())
