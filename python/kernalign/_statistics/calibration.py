"""The calibrated score: 0 up to the null's threshold, 1 for equal representations (Gröger, Wen and Brbić 2026)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.score import Score
from kernalign._statistics.tails import pearson3_quantile


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
        the upper alpha quantile of the law that the score's p-value is read from: Pearson III, or random pairings where
        that does not hold. nan for nan.

    Raises
    ------
    ValueError
        The score's null distribution or its maximum is not known, or it has no p-value: use `permutation_test`.

    See Also
    --------
    Score : ``corrected`` subtracts the mean under chance alone
    permutation_test : where the null is not known

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, unrelated = rng.standard_normal((2, 100, 8))
    >>> related = x + rng.standard_normal(x.shape)
    >>> ka.calibrated_score(ka.mutual_knn(x, unrelated, k=5))
    0.0
    >>> round(ka.calibrated_score(ka.mutual_knn(x, related, k=5)), 1)
    0.1
    """
    check_alpha(alpha)
    if not isinstance(score, Score):
        raise TypeError(f"score must be a Score, got {checks.shown(score)}")
    if math.isnan(score):
        return math.nan
    if score.chance is None or score.chance_sd is None or score._maximum is None:
        raise ValueError(
            f"calibrated_score needs a score whose chance level, spread and maximum are known; those of {score.metric}"
            " are not: use permutation_test"
        )
    assert score._null is not None
    if score._null.quantile is None:
        quantile: float | None = pearson3_quantile(alpha, score.chance_skew or 0.0)
    else:
        quantile = score._null.quantile(alpha)
    if quantile is None:
        _ = score.p_value
        why = score.settings["p_method"]
        raise ValueError(f"calibrated_score needs the null distribution of {score.metric}, got {why}")
    return rescaled(float(score), score.chance + score.chance_sd * quantile, score._maximum)


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


def check_alpha(alpha: float) -> None:
    """Raise unless alpha is in (0, 1)."""
    checks.number(alpha, "alpha", "in (0, 1)")
