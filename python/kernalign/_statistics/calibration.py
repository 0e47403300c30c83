"""The calibrated score: 0 up to the null's threshold, 1 for equal representations (Gröger, Wen and Brbić 2026)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kernalign._base import checks
from kernalign._base.score import Score

_NORMAL_SKEW = 1e-3


class RandomPairings:
    """What has the scores of random pairings."""

    null: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Mean score of random pairings; of a search over layers, of the best pair of layers."""
        return float(self.null.mean())

    @property
    def sd(self) -> float:
        """Standard deviation of the same."""
        return float(self.null.std())


def calibrated_score(score: Score, alpha: float = 0.05) -> float:
    """Rescale a score by its chance level, without permutations.

    Parameters
    ----------
    score : of a metric whose chance level and spread are known in closed form
    alpha : share of random pairings that may exceed the threshold

    Returns
    -------
    float
        0 where score <= t, else (score - t) / (maximum - t), at most 1. The threshold t = chance + chance_sd q, with q
        the upper alpha quantile of the Pearson III law of the score's skewness, normal where that is not known. nan for
        nan.

    Raises
    ------
    ValueError
        The score's null distribution or its maximum is not known: use `permutation_test`.
    """
    check_alpha(alpha)
    if math.isnan(score):
        return math.nan
    if score.chance is None or score.chance_sd is None or score._maximum is None:
        raise ValueError(
            f"calibrated_score needs a score whose chance level, spread and maximum are known; those of {score.metric}"
            " are not: use permutation_test"
        )
    threshold = score.chance + score.chance_sd * pearson3_quantile(alpha, score.chance_skew or 0.0)
    return rescaled(float(score), threshold, score._maximum)


def rescaled(score: float, threshold: float, best: float) -> float:
    """0 unless the score is between the threshold and the best value (a distance's is the smaller one), then linear."""
    if (score - threshold) * (best - threshold) <= 0:
        return 0.0
    return min(1.0, (score - threshold) / (best - threshold))


def order_statistic(pool: NDArray[np.float64], alpha: float) -> float:
    """The value of rank ceil((1 - alpha) m) of m, from 1."""
    check_alpha(alpha)
    rank = min(len(pool), math.ceil((1 - alpha) * len(pool) * (1 - 1e-12)))
    return float(np.partition(pool, rank - 1)[rank - 1])


def pearson3_quantile(alpha: float, skew: float) -> float:
    """What a standardised Pearson type III variable of the given skewness exceeds with probability alpha."""
    if abs(skew) < _NORMAL_SKEW:
        return float(-special.ndtri(alpha))
    shape = 4 / skew**2
    gamma = special.gammainccinv(shape, alpha) if skew > 0 else special.gammaincinv(shape, alpha)
    return float(math.copysign(1.0, skew) * (gamma - shape) / math.sqrt(shape))


def check_alpha(alpha: float) -> None:
    """Raise unless alpha is in (0, 1)."""
    checks.number(alpha, "alpha", "in (0, 1)")
