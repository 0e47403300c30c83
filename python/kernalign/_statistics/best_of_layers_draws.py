"""Draws of the largest score of a layer search: normal scores of their exact covariance, bent to their skewness."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Values = NDArray[np.float64]
Singles = NDArray[np.float32]

_BLOCK = 64  # draws at a time, each with both signs
_ROUNDING = 1e-6  # of a variance: correlations are products in float32
_NORMAL_SKEW = 1e-3
_SKEWS = 17  # that are bent exactly; between them linearly
_MOST, _PER_UNIT = 8, 8  # places of normal scores: from -8 to 8, eight a unit


@dataclass(frozen=True)
class Law:
    """Scores of all pairs of layers under random pairing, by their exact means, covariances and skewness.

    ``parts``: (R, S, weight) whose weight R kron S add up to the covariance; ``sd``: its roots, 0 where rounding alone
    is left; ``skew``: None or nan counts as 0.

    A score has the Pearson III law of its skewness, at the normal quantile that is drawn for it. Sums are made in one
    order, element by element, so that neither the threads nor the kernels of a BLAS matter.
    """

    parts: list[tuple[Values, Values, float]]
    mean: Values
    sd: Values
    skew: Values | None

    def maxima(self, draws: int, seed: int) -> Values:
        """The largest score of every draw, ascending; normal scores are in single precision."""
        rng = np.random.Generator(np.random.SFC64(seed))
        unit = np.where(self.sd > 0, self.sd, 1.0).T[:, :, None].astype(np.float32)
        sides = [(math.sqrt(weight) * factor(x), factor(y)) for x, y, weight in self.parts]
        tables = self._tables()
        found: list[Values] = []
        for _ in range(0, draws, 2 * _BLOCK):
            normal = sum(_field(rng, *pair) for pair in sides) / unit
            found += [_read(tables, one).max(axis=(0, 1)) for one in (normal, -normal)]
        return np.sort(np.concatenate(found)[:draws])

    def _tables(self) -> Values:
        """(L_y, L_x, places) scores of every pair at evenly spaced normal scores."""
        skew = np.zeros_like(self.sd) if self.skew is None else np.where(self.sd > 0, np.nan_to_num(self.skew), 0.0)
        low, high = float(skew.min()), float(skew.max())
        nodes = bent(np.linspace(low, high, _SKEWS)[:, None], np.arange(-_MOST, _MOST, 1 / _PER_UNIT))
        along = (skew - low) / (high - low if high > low else 1.0) * (_SKEWS - 1)
        node = np.minimum(along.astype(np.intp), _SKEWS - 2)
        along = (along - node)[:, :, None]
        standard = (1 - along) * nodes[node] + along * nodes[node + 1]
        return np.asarray(self.mean[:, :, None] + self.sd[:, :, None] * standard).swapaxes(0, 1)


def bent(skew: Values, normal: Values) -> Values:
    """Quantiles of the standardised Pearson III law of a skewness, where the standard normal one has these."""
    size = np.maximum(np.abs(skew), _NORMAL_SKEW)
    shape, turned = 4 / size**2, np.where(skew < 0, -normal, normal)
    lower = special.gammaincinv(shape, special.ndtr(np.minimum(turned, 0)))
    upper = special.gammainccinv(shape, special.ndtr(-np.maximum(turned, 0)))
    standard = (np.where(turned < 0, lower, upper) - shape) / np.sqrt(shape)
    return np.where(np.abs(skew) < _NORMAL_SKEW, normal, np.where(skew < 0, -standard, standard))


def factor(covariance: Values) -> Values:
    """Lower triangular F with F F' = covariance; a variance that rounding alone has left counts as 0."""
    rest = (covariance + covariance.T) / 2
    least, made = _ROUNDING * np.diag(rest), np.zeros_like(rest)
    for i in range(len(rest)):
        if rest[i, i] > least[i]:
            made[i:, i] = rest[i:, i] / math.sqrt(rest[i, i])
            rest[i:, i:] -= np.outer(made[i:, i], made[i:, i])
    return made


def _field(rng: np.random.Generator, left: Values, right: Values) -> Singles:
    """(L_y, L_x, _BLOCK): draws of G N' F', N standard normal."""
    normal = rng.standard_normal((len(left), len(right), _BLOCK), dtype=np.float32)
    return _times(right, np.ascontiguousarray(_times(left, normal).swapaxes(0, 1)))


def _times(lower: Values, normal: Singles) -> Singles:
    """The product with the first axis, without a BLAS."""
    weights, out = lower.astype(np.float32), np.zeros_like(normal)
    for i in range(len(weights)):
        out[i:] += weights[i:, i, None, None] * normal[i]
    return out


def _read(tables: Values, normal: NDArray[np.floating[Any]]) -> Values:
    """Scores at normal ones, between the places of the tables linearly."""
    size = tables.shape[2]
    along = np.clip((normal + np.float32(_MOST)) * np.float32(_PER_UNIT), 0, size - 1.001)
    below = along.astype(np.intp)
    along -= below
    below += size * np.arange(tables.size // size).reshape(*tables.shape[:2], 1)
    scores: Values = tables.ravel().take(below)
    scores += along * (tables.ravel()[1:].take(below) - scores)
    return scores
