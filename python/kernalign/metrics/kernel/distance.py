"""Alignment of the distances, instead of the similarities, that two representations put between items."""

from __future__ import annotations

import math
from typing import Any, Unpack

from kernalign._base import checks
from kernalign._base.kernels import Distance
from kernalign._base.progress import reporting
from kernalign._base.score import Null, Score, undefined
from kernalign._engines.gram_sweep import kernel_sums
from kernalign._engines.kernel_sums import KernelSums
from kernalign._rows import arrays
from kernalign._rows.labels import groups_of
from kernalign._rows.magnitude import power_of_two
from kernalign._rows.options import Options
from kernalign._statistics import kernel_null
from kernalign.metrics.kernel.cka import Uncertainty, check_estimator
from kernalign.metrics.kernel.finish import Estimator, finish_cka, jackknife_spread
from kernalign.metrics.kernel.partial import partial_cosine


def distance_alignment(x: Any, y: Any, *, estimator: Estimator = "biased", **options: Unpack[Options]) -> Score:
    """Mean squared difference of the squared Euclidean distances of x and y: 0 if they are the same.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 2.
    estimator : "biased": the mean over all n^2 pairs, or "unbiased": over the n (n - 1) pairs of different items.
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        >= 0, in the fourth power of the data's units; smaller is closer, so ``z`` is negative where x and y agree.
        ``chance`` and ``chance_sd`` are the exact permutation moments. Invariant to orthogonal maps and translation of
        each side, not to scale. With rows of unit norm (normalize="l2"), the biased estimate is
        4 [(C_x - C_y)^2 + 2 C_x C_y (1 - A)], where A is the biased kernel alignment of the rows and C^2 the mean
        squared entry of a Gram matrix.

    Notes
    -----
    Holds a few tiles, O(n) numbers and converted rows of at most 32 MB a side.

    See Also
    --------
    distance_correlation : of distances that are not squared, whatever their scale
    procrustes : another distance in the data's own units

    References
    ----------
    Insulla, Huang and Rosasco 2025, whose 8 C (1 - A) holds for C = 1 only.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((100, 3))
    >>> round(ka.distance_alignment(x, -x[:, ::-1]), 6)
    0.0
    >>> ka.distance_alignment(x, 2 * x) > 1
    True
    """
    pair = arrays.pair(x, y, devices=True, **options)
    check_distance_alignment(estimator, pair.n)
    pair.afford("distance_alignment", 2 * arrays.SUMS * pair.n)
    with reporting(pair.progress, "distance_alignment") as report:
        sums = kernel_sums(pair, Distance(squared=True), centred=False, report=report)
    return finish_distance_alignment(sums, estimator)


def check_distance_alignment(estimator: Any, n: int) -> None:
    """Raise unless the estimator exists for n items."""
    checks.check_choice(estimator, "estimator", ("unbiased", "biased"))
    checks.check_count(n, 2, f"distance_alignment ({estimator})")


def finish_distance_alignment(sums: KernelSums, estimator: Estimator) -> Score:
    """Distance alignment of the sums of squared distances that were not centred."""
    n, pairs = sums.n, sums.pairs
    count = n * n if estimator == "biased" else n * (n - 1)
    settings = sums.describe(normalisation="n^2" if estimator == "biased" else "n(n-1)")
    own = [pairs[s, s].full * power_of_two(2 * sums.exponents[s]) for s in (0, 1)]
    cross = 2 * sums.unit
    value = (own[0] + own[1] - cross * pairs[0, 1].full) / count
    lost = own == [0.0, 0.0] and any(pairs[s, s].full > 0 for s in (0, 1))
    if lost or not math.isfinite(value):
        reason = f"x and y span {'less' if lost else 'more'} than float64 can hold"
        return undefined("distance_alignment", n, reason, estimator=estimator, settings=settings, maximum=None)
    mean, variance = kernel_null.pairing_moments(*(kernel_null.PairMatrix.of(n, pairs[s, s]) for s in (0, 1)))
    null = Null((own[0] + own[1] - cross * mean) / count, cross * math.sqrt(variance) / count)
    return Score(
        max(0.0, value),
        metric="distance_alignment",
        n=n,
        estimator=estimator,
        settings=settings,
        null=null,
        maximum=None,
    )


def distance_correlation(
    x: Any,
    y: Any,
    *,
    estimator: Estimator = "unbiased",
    given: Any = None,
    uncertainty: Uncertainty = None,
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Squared distance correlation: dependence of any form, 0 only (in the limit) if x and y are independent.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row.
    estimator : "unbiased": the bias-corrected dCor^2, the cosine of U-centred matrices of Euclidean distances (n >= 4);
        "biased": the cosine of double-centred ones (n >= 2).
    given : (n, r) array of a confound, rows as those of x: the score is the partial distance correlation, of what is
        left of both centred matrices after their projection on that of ``given``; see :func:`kernalign.cka`.
    uncertainty : "jackknife" adds an exact delete-one standard error.
    groups : n labels of rows that are one thing, exchanged whole by the null, as for :func:`kernalign.cka`.
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        In [-1, 1] (unbiased) or [0, 1]: the *square* of the distance correlation. It is CKA with the kernel
        -|a - b|, and has its exact null moments and p-value.

    Notes
    -----
    Holds what `distance_alignment` does.

    See Also
    --------
    cka, hsic
    independence_test : with any kernel

    References
    ----------
    Szekely, Rizzo and Bakirov 2007; Szekely and Rizzo 2014.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((300, 1))
    >>> score = ka.distance_correlation(x, x**2)
    >>> round(score, 2), score.p_value < 1e-9, round(ka.cka(x, x**2), 2)
    (0.27, True, -0.02)
    """
    checks.check_uncertainty(uncertainty, (None, "jackknife"))
    pair = arrays.pair(x, y, grouped=groups is not None, devices=True, **options)
    check_estimator(estimator, pair.n, "distance_correlation", jackknife=uncertainty is not None)
    of_rows = 2 * arrays.SUMS + (240 if uncertainty else 0)
    of_rows += 0 if groups is None else kernel_null.exchange_bytes(pair.n, None)
    pair.afford("distance_correlation", of_rows * pair.n)
    with reporting(pair.progress, "distance_correlation") as report:
        if given is not None:
            for name, value in (("uncertainty", uncertainty), ("groups", groups)):
                if value is not None:
                    raise ValueError(f"{name} must be None with given, got {checks.shown(value)}")
            return partial_cosine(
                "distance_correlation", pair, given, (Distance(levelled=True),) * 3, estimator, report
            )
        sums = kernel_sums(pair, Distance(levelled=True), centred=True, report=report)
        sums.groups = groups_of(groups, pair)
        spread = jackknife_spread(sums, "distance_correlation", estimator) if uncertainty else None
    return finish_cka(sums.settled(), estimator, spread, metric="distance_correlation")
