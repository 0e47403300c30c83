"""What subjects leave to be explained: noise ceilings, and the reliability of halves."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.readable import Readable
from kernalign._statistics.compared_pairs import Weighting, ceilings
from kernalign.inference import subject_dissimilarities
from kernalign.metrics.kernel.rsa import Comparison

Array = NDArray[np.float64]

_OPPOSITE = -1 + 1e-12  # a correlation of -1, but for rounding
_CORRELATIONS = ("spearman", "pearson", "rho_a", "whitened_pearson")


@dataclass(frozen=True, repr=False)
class NoiseCeiling(Readable):
    """Between what bounds the score of the true model would be.

    Attributes
    ----------
    lower : mean score of each subject with the best mean of the others: what one can be sure of
    upper : mean score of each subject with the best mean of all, its own noise with them: what no model exceeds
    lower_of, upper_of : (subjects,) of each
    comparison, subjects, conditions : how, and of how many

    See Also
    --------
    noise_ceiling : finds it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> subjects = 1 + np.arange(45) / 9 + np.random.default_rng(0).normal(size=(6, 45))
    >>> found = ka.noise_ceiling(subjects)
    >>> print(f"{found.lower:.2f} to {found.upper:.2f} of {found.subjects} subjects")
    0.82 to 0.87 of 6 subjects
    """

    lower: float
    upper: float
    lower_of: Array = field(repr=False)
    upper_of: Array = field(repr=False)
    comparison: str
    subjects: int
    conditions: int


def noise_ceiling(subjects: Any, *, comparison: Comparison = "spearman", covariance: Any = None) -> NoiseCeiling:
    """Bounds of the mean score that a model could reach, from how far subjects (or repeats) agree.

    Parameters
    ----------
    subjects : dissimilarities of two or more subjects: a dict or list of matrices, vectors or
        :class:`kernalign.Dissimilarities`, paired by the labels of their conditions where they have any; or an array
        (subjects, n, n) or (subjects, n (n - 1) / 2)
    comparison, covariance : as for :func:`kernalign.rsa`

    Returns
    -------
    NoiseCeiling
        The best mean is that of dissimilarities of norm 1 ("cosine"), less their mean before ("pearson"), of the same
        whitened, or of ranks: no vector has a larger mean score, and of ranks no order has a larger mean Spearman
        coefficient or rho-a. For "kendall" and "tau_b" the order of the mean ranks stands in the place of the best one.
        A bound is nan where subjects cancel, so that their mean is flat.

    Notes
    -----
    O(subjects n^2 log n); the dissimilarities are held in float64 (and two n x n matrices of whitened ones).

    Raises
    ------
    ValueError, TypeError
        Fewer than two subjects, fewer than three conditions, or dissimilarities that are all equal.

    See Also
    --------
    evaluate_models : with the scores of models, their errors and tests
    split_half : the same question as one correlation

    References
    ----------
    Nili et al. 2014; Schütt et al. 2023; mathematics 3.11.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.uniform(size=190)
    >>> subjects = truth + 0.3 * rng.normal(size=(12, 190))
    >>> found = ka.noise_ceiling(subjects, comparison="pearson")
    >>> print(f"{found.lower:.2f} to {found.upper:.2f}")
    0.67 to 0.73
    """
    given = subject_dissimilarities.read({}, subjects, comparison, covariance)
    count, n = len(given.subjects), given.compared.n
    if count < 2:
        raise ValueError("subjects must be at least two for a noise ceiling, got one")
    weighting = Weighting(np.ones(n, dtype=np.intp))
    scaled = given.compared.scale(given.of_subjects, weighting)
    lower, upper = ceilings(given.compared, scaled, weighting, np.ones(count, dtype=np.intp))
    return NoiseCeiling(float(lower.mean()), float(upper.mean()), lower, upper, comparison, count, n)


@dataclass(frozen=True, repr=False)
class SplitHalf(Readable):
    """How well the mean of all subjects or repeats is known.

    Attributes
    ----------
    reliability : 2 r / (1 + r) of the mean correlation r of two halves (Spearman and Brown): of the mean of all of
        them; below 0, and unbounded, where halves disagree
    correlation : r
    correlations : of each split
    comparison, subjects, conditions : how, and of how many

    See Also
    --------
    split_half : finds it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> subjects = np.arange(45) / 9 + np.random.default_rng(0).normal(size=(6, 45))
    >>> found = ka.split_half(subjects)
    >>> print(f"{found.reliability:.2f} from {found.correlation:.2f}, {len(found.correlations)} splits")
    0.93 from 0.87, 10 splits
    """

    reliability: float
    correlation: float
    correlations: Array = field(repr=False)
    comparison: str
    subjects: int
    conditions: int


def split_half(
    subjects: Any,
    *,
    comparison: Comparison = "spearman",
    covariance: Any = None,
    splits: int = 100,
    seed: int = 0,
) -> SplitHalf:
    """Correlation of the mean dissimilarities of two halves of the subjects (or runs), corrected for their length.

    Parameters
    ----------
    subjects : as for :func:`kernalign.noise_ceiling`
    comparison : "spearman", "pearson", "rho_a" or "whitened_pearson"; the correction is for correlations
    covariance : as for :func:`kernalign.rsa`
    splits : so many random halves, or all of them if they are not more
    seed : of the random ones

    Returns
    -------
    SplitHalf
        Of an odd number of subjects one half has one more. nan where subjects cancel in a half, whose mean is flat.

    Notes
    -----
    O(splits n^2 log n). The dissimilarities are averaged as for the noise ceiling of the comparison.

    Raises
    ------
    ValueError, TypeError
        As for :func:`kernalign.noise_ceiling`; a comparison that is not a correlation.

    See Also
    --------
    noise_ceiling : what a model can reach with single subjects

    References
    ----------
    Spearman 1910; Brown 1910; mathematics 3.11.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> subjects = rng.uniform(size=190) + rng.normal(size=(12, 190))
    >>> found = ka.split_half(subjects, comparison="pearson")
    >>> print(f"{found.reliability:.2f}")
    0.51
    """
    checks.check_choice(comparison, "comparison", _CORRELATIONS)
    splits, seed = checks.check_repeats(splits, "splits"), checks.check_seed(seed)
    given = subject_dissimilarities.read({}, subjects, comparison, covariance)
    count, n = len(given.subjects), given.compared.n
    if count < 2:
        raise ValueError("subjects must be at least two to be split in halves, got one")
    weighting = Weighting(np.ones(n, dtype=np.intp))
    scaled = given.compared.scale(given.of_subjects, weighting)
    found = []
    for half in _halves(count, splits, seed):
        first = scaled[half].sum(axis=0)
        second = given.compared.settled((scaled.sum(axis=0) - first)[None], weighting)
        found.append(given.compared.of_mean(first[None], second, weighting)[0])
    correlation = float(np.mean(found))
    reliability = -math.inf if correlation < _OPPOSITE else 2 * correlation / (1 + correlation)
    return SplitHalf(reliability, correlation, np.array(found), comparison, count, n)


def _halves(count: int, splits: int, seed: int) -> list[NDArray[np.intp]]:
    """The smaller halves: all, or random ones; of an even number those that have the first."""
    size = count // 2
    fixed = int(count % 2 == 0)
    if math.comb(count - fixed, size - fixed) <= splits:
        rest = itertools.combinations(range(fixed, count), size - fixed)
        return [np.array([*range(fixed), *half], dtype=np.intp) for half in rest]
    rng = np.random.default_rng(seed)
    return [np.sort(rng.permutation(count)[:size]) for _ in range(splits)]
