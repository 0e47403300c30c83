"""Covariance of many channels from few residuals, shrunk towards what can be estimated well."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from kernalign._rows.decompositions import product

Array = NDArray[np.float64]


def ledoit_wolf(residuals: Array, freedom: int) -> Array:
    """Towards a multiple of the identity (Ledoit and Wolf 2004), for so many degrees of freedom."""
    n, p = residuals.shape
    covariance = product(residuals.T, residuals) / n
    level = float(np.trace(covariance)) / p
    spread = float(np.vdot(covariance, covariance)) - p * level**2
    lengths = np.einsum("ij,ij->i", residuals, residuals)
    error = (float(lengths @ lengths) / n - float(np.vdot(covariance, covariance))) / n
    share = min(max(error / spread, 0.0), 1.0) if spread > 0 else 1.0
    covariance *= 1 - share
    covariance.flat[:: p + 1] += share * level
    return np.asarray(covariance * (n / freedom))


def diagonal_shrinkage(residuals: Array, freedom: int) -> Array:
    """Towards the variances: correlations are shrunk by what their errors share (Schäfer and Strimmer 2005)."""
    n, p = residuals.shape
    covariance = product(residuals.T, residuals) / freedom
    deviations = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        standard = np.where(deviations > 0, residuals / deviations, 0.0)
    correlations = product(standard.T, standard) / freedom
    squares = standard**2
    lengths = squares.sum(axis=1)
    own = np.diag(correlations)
    off = float(np.vdot(correlations, correlations) - own @ own)
    products = float(lengths @ lengths - np.vdot(squares, squares))  # squared, of all pairs of channels
    error = n / (freedom**2 * (n - 1)) * (products - off * freedom**2 / n)
    share = min(max(error / off, 0.0), 1.0) if off > 0 else 1.0
    variances = np.diag(covariance).copy()
    covariance *= 1 - share
    covariance.flat[:: p + 1] = variances
    return covariance


def diagonal(residuals: Array, freedom: int) -> Array:
    """The variances alone."""
    return np.asarray(np.diag(np.einsum("ij,ij->j", residuals, residuals) / freedom))


SHRINKAGE: Mapping[str, Callable[[Array, int], Array]] = {
    "ledoit_wolf": ledoit_wolf,
    "diagonal_shrinkage": diagonal_shrinkage,
    "diagonal": diagonal,
}
