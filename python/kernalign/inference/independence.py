"""Test of independence of two representations by HSIC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, Unpack

from scipy import special

from kernalign._base import checks
from kernalign._base.kernels import RBF, Kernels
from kernalign._base.readable import Readable
from kernalign._base.score import Score
from kernalign._rows.options import Options
from kernalign._statistics.pairings import Pairings
from kernalign.inference.permutation import permutation_test
from kernalign.inference.permuted_scores import told_of_repetition
from kernalign.metrics.kernel import cka

Method: TypeAlias = Literal["moments", "gamma", "permutation"]

_MOST_SKEW_MISSED = 0.5  # of the null, by the gamma law of its mean and variance, whose .001 is then up to .002


@dataclass(frozen=True, repr=False)
class IndependenceTest(Readable):
    """Outcome of :func:`independence_test`: ``p_value`` of ``statistic`` under random pairing, and how it was found.

    See Also
    --------
    independence_test : makes it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x, y = np.random.default_rng(0).standard_normal((2, 100, 2))
    >>> test = ka.independence_test(x, y, method="permutation", permutations=99)
    >>> test.statistic.metric, 0 < test.p_value <= 1
    ('hsic', True)
    """

    statistic: Score
    p_value: float
    method: str


def independence_test(
    x: Any,
    y: Any,
    *,
    kernel: Kernels = RBF(),  # noqa: B008 (frozen)
    method: Method = "moments",
    permutations: int = 1000,
    seed: int = 0,
    groups: Any = None,
    **options: Unpack[Options],
) -> IndependenceTest:
    """Test whether paired x and y are independent, by their HSIC under random pairing.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 6.
    kernel : as in :func:`kernalign.cka`; with a characteristic one (RBF, Laplacian) every dependence is found in the
        limit, with ``Linear()`` correlation is.
    method :
        "moments": unbiased HSIC and its p-value, from its exact permutation moments or, where these do not make its
        tail, from pairings (as of `kernalign.cka`).
        "gamma": biased HSIC and a gamma law with its exact permutation mean and variance (Kazi-Aoual et al. 1995). That
        of Gretton et al. 2008 estimates both moments, for kernels with k(a, a) = 1. Where the exact skewness is above
        that of the gamma law by more than 0.5, or a few items rule the score, the p-value is that of "moments": of
        Cauchy rows with 10 features, .01 of a gamma law had a size of .04.
        "permutation": unbiased HSIC among that of ``permutations`` random pairings, p = (1 + #{>=}) / (B + 1);
        holds both Gram matrices (see `permutation_test`).
    seed : of the random pairings.
    groups : labels of any kind, one per row of x; rows with one label are one thing, and whole groups change places, as
        for :func:`kernalign.cka`; "gamma" is then as "moments".
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    IndependenceTest
        ``p_value`` is nan where the statistic does not exist or no pairing changes it (a side is constant), or where
        ``method`` says why there is none.

    See Also
    --------
    hsic : the statistic
    permutation_test : of any metric

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 1))
    >>> y = x**2 + 0.5 * rng.standard_normal((200, 1))  # not correlated, not independent
    >>> ka.independence_test(x, y).p_value < 1e-6
    True
    >>> ka.independence_test(x, rng.permutation(y)).p_value > 0.01
    True
    """
    checks.check_choice(method, "method", ("moments", "gamma", "permutation"))
    permutations, seed = checks.check_repeats(permutations, "permutations"), checks.check_seed(seed)
    if method == "permutation":
        return _by_permutation(x, y, kernel, permutations, seed, groups, options)
    statistic = cka.hsic(x, y, kernel=kernel, groups=groups, **options)
    checks.check_count(statistic.n, 6, "independence_test")
    p_value = statistic.p_value
    name = str(statistic.settings.get("p_method", method))
    if method == "gamma":
        skew = statistic.chance_skew
        statistic = cka.hsic(x, y, estimator="biased", kernel=kernel, groups=groups, **options)
        if name.startswith("Pearson III") and _gamma_holds(statistic, skew):
            p_value, name = _gamma_tail(statistic), "gamma, exact mean and variance"
    return IndependenceTest(statistic, math.nan if p_value is None else p_value, name)


def _by_permutation(
    x: Any, y: Any, kernel: Kernels, permutations: int, seed: int, groups: Any, options: Options
) -> IndependenceTest:
    given = cka.hsic(x, y, kernel=kernel, groups=groups, **options)
    checks.check_count(given.n, 6, "independence_test")
    if given.reason is not None:
        return IndependenceTest(given, math.nan, "undefined")
    with told_of_repetition():
        drawn: Any = {"permutations": permutations, "seed": seed, "groups": groups}
        test = permutation_test("hsic", x, y, kernel=kernel, **drawn, **options)
    assert not isinstance(test, dict)
    if (test.null == test.score).all():
        return IndependenceTest(given, math.nan, "none: no pairing changes the statistic")
    return IndependenceTest(given, test.p_value, f"{permutations} permutations")


def _gamma_holds(statistic: Score, skew: float | None) -> bool:
    if not statistic.chance or not statistic.chance_sd:
        return False
    return (skew or 0.0) - 2 * statistic.chance_sd / statistic.chance <= _MOST_SKEW_MISSED


def _gamma_tail(statistic: Score) -> float:
    assert statistic.chance
    assert statistic.chance_sd
    shape = (statistic.chance / statistic.chance_sd) ** 2
    tail = float(special.gammaincc(shape, shape * float(statistic) / statistic.chance))
    return max(tail, Pairings.of_items(statistic.n).least)
