"""Test risk of kernel ridge regression from one spectrum: the KARE path and the theory's learning curve."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.readable import Readable
from kernalign._rows import vectors
from kernalign._rows.magnitude import exponent_of, restored
from kernalign._rows.matrices import Array
from kernalign._rows.options import Options
from kernalign.theory.targets import Problem, decomposed

_LARGE = 2.0**900


@dataclass(frozen=True, repr=False)
class KarePath(Readable):
    """Estimated test risk of kernel ridge regression for each ridge.

    Attributes
    ----------
    ridges : (m,) as given, in the units of the eigenvalues of x x' / n
    risk : (m,) estimated mean squared error on new items, noise included, summed over target columns
    best : the ridge of the least risk
    n, settings : as of a `Score`
    """

    ridges: Array
    risk: Array
    best: float
    n: int
    settings: dict[str, Any] = field(default_factory=dict)


def kare(
    x: Any,
    targets: Any,
    ridges: Any,
    *,
    centred: bool | None = None,
    classes: bool = False,
    **options: Unpack[Options],
) -> KarePath:
    """Kernel alignment risk estimator along a path of ridges: y'(K/n + r)^-2 y / n over (tr (K/n + r)^-1 / n)^2.

    Parameters
    ----------
    x : (n, p) array, or a `Spectrum`; K = x x'
    targets : (n,) or (n, m) numbers; with classes=True class labels, taken as one-hot columns
    ridges : numbers >= 0, added to K / n: the usual ridge of sum (f - y)^2 + ridge |f|^2, divided by n. Zero only where
        K has full rank.
    centred : centre x and the targets first, which is regression with an unpenalised intercept: the trace is then over
        the n - 1 directions that are left. False by default, or as the `Spectrum` was made.
    **options : normalize, clip_quantile (of x alone), device, progress, memory_budget, as for `cka` (arrays only)

    Returns
    -------
    KarePath
        The same numbers as generalised cross-validation. One ridge more costs O(rank). Memory of a `spectrum`.

    Raises
    ------
    ValueError, TypeError
        A ridge is negative or not finite, or 0 where K is rank-deficient; bad input.

    See Also
    --------
    learning_curve : the error by theory
    kernalign.stitching.ridge_path : the same, output by output, with leave-one-out errors

    References
    ----------
    Jacot, Simsek, Spadaro, Hongler and Gabriel 2020; Golub, Heath and Wahba 1979 (GCV).

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 20))
    >>> target = x[:, 0] + rng.standard_normal(100)
    >>> path = ka.kare(x, target, [1e-4, 1e-1, 1e2])
    >>> path.risk.round(1).tolist(), path.best
    ([1.3, 1.2, 1.9], 0.1)
    """
    path = vectors.nonnegative(ridges, "ridges")
    problem = decomposed(x, targets, centred, classes, options)
    n, (values, exponent) = problem.n, problem.spectrum.scaled_eigenvalues
    null = n - int(problem.spectrum.centred) - len(values)  # directions in which K is 0
    if null > 0 and (path == 0).any():
        raise ValueError(f"ridges must be positive where K is rank-deficient (rank {len(values)} of {n}), got 0")
    scaled = _scaled(path, exponent)
    if null > 0 and not scaled.all():
        raise ValueError(f"ridges must be above 1e-308 of the largest eigenvalue, got {path[scaled == 0][0]:g}")
    risk = np.array([_risk(problem, values, null, float(ridge)) for ridge in scaled])
    best = float(path[risk.argmin()])
    risk = restored(risk, 2 * problem.exponent, "risks")
    settings = {**problem.spectrum.settings, "centred": problem.spectrum.centred}
    return KarePath(path, risk, best, n, settings)


@dataclass(frozen=True, repr=False)
class LearningCurve(Readable):
    """Expected error of kernel ridge regression against the number of training items, by theory.

    Attributes
    ----------
    samples : (m,) numbers of training items
    error : (m,) expected squared error on the noise-free targets, averaged over the items; infinite at gamma = 1
    kappa : (m,) effective ridge: the unique root of kappa = ridge + kappa sum eta / (kappa + P eta)
    gamma : (m,) P sum eta^2 / (kappa + P eta)^2, in [0, 1]
    n, settings : as of a `Score`
    """

    samples: Array
    error: Array
    kappa: Array
    gamma: Array
    n: int
    settings: dict[str, Any] = field(default_factory=dict)


def learning_curve(
    x: Any,
    targets: Any,
    samples: Any,
    ridge: float = 0.0,
    *,
    noise: float = 0.0,
    centred: bool | None = None,
    classes: bool = False,
    **options: Unpack[Options],
) -> LearningCurve:
    """Expected generalisation error when P of these items, drawn at random, train a kernel ridge regression.

    Parameters
    ----------
    x : (n, p) array, or a `Spectrum`; its n items stand for the population
    targets, centred, classes, **options : as for `kare`
    samples : numbers of training items P, each >= 1
    ridge : >= 0, of sum (f - y)^2 + ridge |f|^2 over the P items (P times the ridge of `kare`)
    noise : >= 0, variance of noise added to each training target column

    Returns
    -------
    LearningCurve
        error = (sum a_l^2 (kappa / (kappa + P eta_l))^2 + power outside the kernel's range) / (1 - gamma) + noise m
        gamma / (1 - gamma), with m target columns.

    Raises
    ------
    ValueError, TypeError
        samples, ridge or noise out of range; bad input.

    See Also
    --------
    kare : the error on new items, estimated from these
    cumulative_power

    References
    ----------
    Bordelon, Canatar and Pehlevan 2020; Canatar, Bordelon and Pehlevan 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((500, 20))
    >>> curve = ka.learning_curve(x, x @ rng.standard_normal(20), [5, 10, 40], ridge=1e-3)
    >>> bool(curve.error[0] > curve.error[1] > curve.error[2])
    True
    """
    sizes = vectors.nonnegative(samples, "samples")
    if (sizes < 1).any():
        raise ValueError(f"samples must be at least 1, got {sizes.min():g}")
    ridge, noise = (checks.check_nonnegative(value, name) for value, name in ((ridge, "ridge"), (noise, "noise")))
    problem = decomposed(x, targets, centred, classes, options)
    (values, exponent), powers = problem.spectrum.scaled_eigenvalues, problem.powers()
    outside, noise_power = problem.residual / problem.n, noise * problem.targets.shape[1]
    kappa, gamma, error, noisy = (np.empty(len(sizes)) for _ in range(4))
    scaled_ridge = float(_scaled(np.array([ridge]), exponent)[0])
    for i, size in enumerate(sizes):
        kappa[i] = effective_ridge(values, size, scaled_ridge)
        learnt = size * values / (kappa[i] + size * values)
        gamma[i] = min(1.0, (learnt**2).sum() / size)
        error[i] = _grown(float(powers @ (1 - learnt) ** 2) + outside, gamma[i])
        noisy[i] = _grown(noise_power * gamma[i], gamma[i])
    settings = {**problem.spectrum.settings, "centred": problem.spectrum.centred, "ridge": ridge, "noise": noise}
    error = restored(error, 2 * problem.exponent, "errors") + noisy
    if scaled_ridge < _LARGE:
        kappa = restored(kappa, exponent, "effective ridges")
    else:
        kappa[:] = ridge
    return LearningCurve(sizes, error, kappa, gamma, problem.n, settings)


def effective_ridge(eigenvalues: NDArray[np.float64], samples: float, ridge: float) -> float:
    """The unique kappa >= 0 with kappa = ridge + kappa sum eta / (kappa + P eta), to 1e-13 of its size.

    Zero if ridge = 0 and P is at least the number of (positive) eigenvalues.
    """
    from scipy import optimize  # slow to import

    eta = np.asarray(eigenvalues, dtype=np.float64)
    eta = eta[eta > 0]
    if ridge == 0 and samples >= len(eta):
        return 0.0
    if len(eta) == 0:
        return ridge
    exponent = exponent_of(eta)
    if exponent:
        scaled = float(_scaled(np.array([ridge]), exponent)[0])
        if scaled == _LARGE:
            return ridge
        return math.ldexp(effective_ridge(np.ldexp(eta, -exponent), samples, scaled), exponent)

    def excess(log_kappa: float) -> float:  # increasing, so that there is one root
        kappa = math.exp(log_kappa)
        return float(1 - ridge / kappa - (eta / (kappa + samples * eta)).sum())

    high = math.log(ridge + eta.sum()) + 1e-9
    low = math.log(ridge) - 1e-9 if ridge > 0 else high - 1
    while excess(low) > 0:
        low -= 2 * (high - low)
    return math.exp(optimize.brentq(excess, low, high, xtol=1e-14, rtol=1e-14))


def _scaled(ridges: Array, exponent: int) -> Array:
    """Ridges / 2^exponent; what no eigenvalue counts against may be cut to a large number."""
    with np.errstate(over="ignore", under="ignore"):
        return np.minimum(np.ldexp(ridges, -exponent), _LARGE)


def _grown(missed: float, gamma: float) -> float:
    return missed / (1 - gamma) if gamma < 1 else (math.inf if missed > 0 else 0.0)


def _risk(problem: Problem, values: Array, null: int, ridge: float) -> float:
    """KARE of one ridge; the resolvent is divided by its largest entry, which cancels."""
    n, least = problem.n, ridge if null > 0 else float(values[-1]) + ridge
    weights = least / (values + ridge)
    missed = float(weights**2 @ (problem.coefficients**2).sum(axis=1)) + problem.residual
    return missed / n / ((float(weights.sum()) + null) / n) ** 2
