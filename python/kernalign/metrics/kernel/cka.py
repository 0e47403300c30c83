"""Kernel alignment, HSIC and CKA of two representations, finished from Moments or Gram sums."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, TypeAlias, Unpack

from kernalign._base import checks
from kernalign._base.kernels import (
    Cosine,
    Delta,
    Kernels,
    Linear,
    Precomputed,
    SideKernel,
    kernels_of,
    made_of_columns,
)
from kernalign._base.progress import reporting
from kernalign._base.score import Score, Spread
from kernalign._engines.gram_sweep import kernel_sums
from kernalign._engines.kernel_sums import KernelSums
from kernalign._engines.linear import linear_sums
from kernalign._rows import arrays
from kernalign._rows.labels import groups_of, rows_for
from kernalign._rows.options import Options
from kernalign._statistics import kernel_null
from kernalign.metrics.kernel.finish import (
    Estimator,
    finish_cka,
    finish_hsic,
    finish_kernel_alignment,
    jackknife_spread,
    warn_of_dominance,
)
from kernalign.metrics.kernel.partial import partial_cosine, residual_cka

Uncertainty: TypeAlias = Literal["jackknife"] | None
Sides: TypeAlias = tuple[SideKernel, SideKernel]


def cka(
    x: Any,
    y: Any,
    *,
    estimator: Estimator = "unbiased",
    kernel: Kernels = Linear(),  # noqa: B008 (frozen)
    given: Any = None,
    adjust: Literal["kernels", "columns"] = "kernels",
    uncertainty: Uncertainty = None,
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Centred kernel alignment of two representations of the same items.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row.
    estimator : "unbiased" (U-centred, also called debiased; n >= 4) or "biased" (n >= 2).
    kernel : ``Linear()``, ``Cosine()``, ``RBF(...)``, ``Laplacian(...)``, ``Polynomial(...)`` or ``Precomputed()`` (x
        and y are then n x n Gram matrices). A bandwidth that is a rule is each side's own, from exact medians. A pair
        ``(kernel of x, kernel of y)`` gives each side its own; ``Delta()`` takes 1-D class labels of any kind, which no
        preprocessing changes: ``cka(x, labels, kernel=(Linear(), Delta()))``.
    given : (n, r) array of what shall not count, a confound, rows as those of x.
    adjust : how it is taken out. "kernels": the score is the partial CKA, (R_xy - R_xz R_yz) / sqrt((1 - R_xz^2)
        (1 - R_yz^2)) of the three CKAs R: the cosine of what is left of both centred Gram matrices, projected on that
        of ``given`` (of U-centred distances the partial distance correlation of Szekely and Rizzo 2014, of the
        biased estimator the deconfounded CKA of Cui et al. 2022). Kernels may be three, the last of ``given``; of a
        pair it is linear. It has no p-value: under new pairings of what is left, as R's energy draws them, tests at .05
        of sides that depend on each other through ``given`` alone rejected in .2 to .6. "columns": linear CKA of the
        residuals of both sides from a linear fit on ``given``; its p-value, chance and spread are those of 999 new
        pairings of the residuals of y, fitted on ``given`` again (Freedman and Lane 1983).
    uncertainty : "jackknife" adds an exact delete-one standard error (n >= 5); with ``groups`` that of whole groups,
        to first order, with which 95 % intervals cover 83-95 %, least of 10 groups.
    groups : labels of any kind, one per row of x. Rows with one label are one thing (captions of an image, trials of a
        stimulus), and no independent evidence. The score stays; its null pairs the groups of x with those of y at
        random, whole and in the order of their rows, each with one of equal size: ``chance`` is the exact mean,
        ``chance_sd`` and ``p_value`` are those of all such pairings if they are few, else of 999 (seed 0).
    **options : what all metrics take. Preprocessing: ``clip_quantile=None | 0.95``, then ``normalize=None | "l2" |
        "standardize"``. Pairing of rows: ``pairing="auto"`` brings them into one order where both sides carry labels
        (the index of a data frame) and refuses other sets of labels, "ids" takes the items that both have, "position"
        takes row i of each; ``ids=(ids_x, ids_y)`` are labels for arrays without. ``nan_rows`` (NaN or infinity) and
        ``zero_rows`` (no direction, where the metric needs one): "error", or "drop_pair" drops the item on both sides;
        what has an entry for each row of x (``groups``, ``given``) follows these, found by labels where both have some,
        unless pairing="position". ``settings`` tell of ``pairing``, ``unpaired`` and ``dropped``. ``threads``
        (None: all cores this process may use; the result does not depend on it), ``device``, and ``progress`` (True for
        a bar on standard error, or callable(done, total)). ``memory_budget`` (bytes, or "8 GB"; None: most of what is
        free, control groups included): a call that would take more beside its input is refused before it takes any;
        100 MB, and 5 MB for each thread, are blocks of rows, tiles, and what reading the p-value takes.

    Returns
    -------
    Score
        In [-1, 1] (unbiased) or [0, 1] (biased); 1 for equal geometry, 0 at chance for the unbiased one. Chance level,
        spread, skew and p-value come from the exact permutation moments. Where a few items rule the score, so that
        moments do not make its tail, and up to n = 8, the p-value is that of pairings of the finished state, None where
        these would take long (``settings["p_method"]`` says which). That of the biased estimate is that of the unbiased
        one on the same data. nan, with ``reason``, where a side is constant.

    Notes
    -----
    <K', L'> / (|K'| |L'|), K' the double-centred (biased) or U-centred (unbiased) Gram matrix. Not invariant to
    invertible linear maps; invariant to orthogonal maps, translation and isotropic scale of each side (linear kernels,
    and RBF and Laplacian ones whose bandwidth is a rule). Holds O(p^2 + q^2) numbers when the kernel is linear and
    n > p + q, otherwise a few tiles, O(n) numbers and converted rows of at most 32 MB a side; never an n x n array, but
    where ``groups`` change places: 4 n^2 bytes a side, up to 256 MB. With adjust="columns" some 80 n (p + q) bytes.
    Skew and p-value are computed when first read, from x and y; None where these are seen to have changed since.

    Warns
    -----
    AlignmentWarning
        Linear kernel: one principal direction holds over 90 % of the variance of x or y, and CKA sees little else.

    Raises
    ------
    TypeError, ValueError
        For input that is not two numeric, finite 2-D arrays with the same number of rows, or too few rows.

    See Also
    --------
    kernel_alignment : the same without centring, so that a common mean counts
    hsic : CKA before it is scaled
    distance_correlation : dependence of any form
    mutual_knn : what is near, where CKA follows what is far apart
    Moments : linear CKA of a stream of batches

    References
    ----------
    Kornblith et al. 2019, eq. 4; Song et al. 2012, eq. 5; Szekely and Rizzo 2014; Cui et al. 2022.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((500, 20))
    >>> y = x @ rng.standard_normal((20, 8)) + 4 * rng.standard_normal((500, 8))
    >>> score = ka.cka(x, y)
    >>> round(score, 2), score.chance, score.p_value < 1e-9
    (0.33, 0.0, True)
    >>> round(ka.cka(x, 3 * x[:, ::-1] + 1), 6)
    1.0
    >>> unrelated = rng.standard_normal((500, 300))
    >>> biased = ka.cka(x, unrelated, estimator="biased")
    >>> round(biased, 2), round(biased.chance, 2), abs(ka.cka(x, unrelated)) < 0.01
    (0.12, 0.12, True)
    """
    if given is not None or not (type(adjust) is str and adjust == "kernels"):
        checks.check_choice(adjust, "adjust", ("kernels", "columns"))
        for name, value in (("uncertainty", uncertainty), ("groups", groups)):
            if value is not None:
                raise ValueError(f"{name} must be None with given, got {checks.shown(value)}")
        if given is None:
            raise ValueError(f"adjust must be left out without given, got {checks.shown(adjust)}")
        return _partial_cka(x, y, given, adjust, estimator, kernel, options)
    sums, spread = sums_of("cka", x, y, estimator, kernel, uncertainty, options, groups)
    warn_of_dominance(sums)
    return finish_cka(sums, estimator, spread)


def _partial_cka(x: Any, y: Any, given: Any, adjust: str, estimator: Any, kernel: Any, options: Options) -> Score:
    three = kernel if isinstance(kernel, tuple) and len(kernel) == 3 else None
    of_x, of_y = kernels_of(kernel if three is None else three[:2])
    of_given = (of_x if not isinstance(kernel, tuple) else Linear()) if three is None else kernels_of(three[2])[0]
    if any(isinstance(own, Precomputed) for own in (of_x, of_y, of_given)):
        raise ValueError("given needs rows, but kernel=Precomputed() takes Gram matrices")
    if adjust == "columns" and not all(isinstance(own, Linear) for own in (of_x, of_y, of_given)):
        raise ValueError(f"kernel must be Linear() with adjust='columns', got {checks.shown(kernel)}")
    pair = kernel_pair(x, y, (of_x, of_y), options)
    check_estimator(estimator, pair.n, "cka")
    with reporting(pair.progress, "cka") as report:
        if adjust == "columns":
            return residual_cka(pair, given, estimator, report, partial(finish_cka, estimator=estimator))
        return partial_cosine("cka", pair, given, (of_x, of_y, of_given), estimator, report)


def hsic(
    x: Any,
    y: Any,
    *,
    estimator: Estimator = "unbiased",
    kernel: Kernels = Linear(),  # noqa: B008 (frozen)
    uncertainty: Uncertainty = None,
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Hilbert-Schmidt independence criterion of two representations of the same items.

    Parameters and errors as in :func:`cka`.

    Returns
    -------
    Score
        "unbiased": the U-statistic of Song et al. 2012, any sign, 0 at chance. "biased": tr(KHLH) / n^2, >= 0. In the
        squared units of both kernels. Its intervals, on a log scale where it is positive, are by Student's t of as many
        degrees of freedom as the kurtosis of the delete-one values leaves. 95 % ones cover 93-99 % of normal rows from
        n = 12 on, 88-96 % of Student's t of 4 degrees, but 50-83 % of lognormal rows (n = 12 to 300), which seldom show
        their tail.

    See Also
    --------
    cka : HSIC over its largest possible value
    independence_test : whether x and y depend on each other, by HSIC
    distance_correlation : another measure of dependence, without a bandwidth

    References
    ----------
    Gretton et al. 2005; Song et al. 2012, eq. 5.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((300, 2))
    >>> y = np.abs(x)
    >>> linear, rbf = ka.hsic(x, y), ka.hsic(x, y, kernel=ka.RBF())
    >>> linear.p_value > 0.05, rbf.p_value < 1e-9
    (True, True)
    """
    sums, spread = sums_of("hsic", x, y, estimator, kernel, uncertainty, options, groups)
    return finish_hsic(sums, estimator, spread)


def kernel_alignment(
    x: Any,
    y: Any,
    *,
    estimator: Estimator = "unbiased",
    kernel: Kernels = Linear(),  # noqa: B008 (frozen)
    uncertainty: Uncertainty = None,
    **options: Unpack[Options],
) -> Score:
    """Uncentred kernel alignment of two representations of the same items.

    Parameters and errors as in :func:`cka`, but that the jackknife needs the unbiased estimator.

    Returns
    -------
    Score
        <K, L> / (|K| |L|), without the diagonals ("unbiased": each term is an unbiased U-statistic) or with them
        ("biased": the V-statistic). In [-1, 1]. Not invariant to translation: a common mean raises it towards 1, and an
        AlignmentWarning says when the mean holds over half of the energy. No closed-form chance level is known.

    See Also
    --------
    cka : the same after centring
    kernel_target_alignment : alignment of a kernel with that of a task

    References
    ----------
    Cristianini et al. 2001; Insulla, Huang and Rosasco 2025.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 200, 10)) + 0.8
    >>> round(ka.kernel_alignment(x, y), 1), abs(ka.cka(x, y)) < 0.05
    (0.6, True)
    """
    sums, spread = sums_of("kernel_alignment", x, y, estimator, kernel, uncertainty, options)
    return finish_kernel_alignment(sums, estimator, spread)


def check_estimator(estimator: Any, n: int, what: str, *, jackknife: bool = False) -> None:
    """Raise unless the estimator exists for n items."""
    if not (type(estimator) is str and estimator == "unbiased"):
        checks.check_choice(estimator, "estimator", ("unbiased", "biased"))
    if jackknife and what == "kernel_alignment" and estimator == "biased":
        raise ValueError("uncertainty='jackknife' of kernel_alignment needs estimator='unbiased', got 'biased'")
    least = 4 if estimator == "unbiased" and what != "kernel_alignment" else 2
    if n < least + jackknife:
        checks.check_count(n, least + jackknife, f"{what} ({estimator}{', jackknife' if jackknife else ''})")


def sums_of(
    metric: str,
    x: Any,
    y: Any,
    estimator: Estimator,
    kernel: Kernels,
    uncertainty: Uncertainty,
    options: Options,
    groups: Any = None,
) -> tuple[KernelSums, Spread | None]:
    """Sums of one public call by the cheaper route, and its jackknife if asked for."""
    plain = isinstance(kernel, Linear)  # in few calls
    kernels: Sides = (kernel, kernel) if isinstance(kernel, Linear) else kernels_of(kernel)
    if plain:
        pair = arrays.pair(x, y, grouped=groups is not None, devices=True, **options)
    else:
        pair = kernel_pair(x, y, kernels, options, grouped=groups is not None)
    if uncertainty is not None:
        checks.check_uncertainty(uncertainty, (None, "jackknife"))
    check_estimator(estimator, pair.n, metric, jackknife=uncertainty is not None)
    (n, p), q = pair.x.shape, pair.y.shape[1]
    linear = plain or (made_of_columns(kernels[0], p) and made_of_columns(kernels[1], q))
    feature = linear and n > p + q
    if pair.place is not None and uncertainty is not None and not feature:
        raise ValueError("uncertainty must be None where a CUDA device sums Gram matrices; device='cpu' has jackknives")
    if pair.budget is not None or groups is not None or (p + q) ** 2 + 150 * n > arrays.MUCH // 8:  # in few calls
        more = 240 if uncertainty else 0
        more += 0 if groups is None else kernel_null.exchange_bytes(n, (p, q) if linear else None)
        if linear:
            pair.afford_sums(metric, more)
        else:
            pair.afford(metric, (2 * arrays.SUMS + more) * n)
    with reporting(pair.progress, metric) as report:
        centred = metric != "kernel_alignment"
        if linear:
            sums = linear_sums(pair, centred=centred, report=report, kernels=kernels, keep=uncertainty is not None)
        else:
            sums = kernel_sums(pair, kernels, centred=centred, report=report)
        if groups is not None:
            sums.groups = groups_of(groups, pair)
        spread = jackknife_spread(sums, metric, estimator) if uncertainty else None
    return sums.settled(), spread


def kernel_pair(x: Any, y: Any, kernels: Sides, options: Options, *, grouped: bool = False) -> arrays.Pair:
    """The validated arguments of a call with a kernel of each side."""
    of_x, of_y = kernels
    if of_x is not of_y or isinstance(of_x, Delta):
        x, y = rows_for(x, y, kernels)
    square = isinstance(of_x, Precomputed), isinstance(of_y, Precomputed)
    divided = isinstance(of_x, Cosine), isinstance(of_y, Cosine)
    pair = arrays.pair(x, y, divided=divided, square=square, grouped=grouped, devices=True not in square, **options)
    if True in square and any(pair.settings.get(name) for name in ("normalize", "clip_quantile")):
        raise ValueError("normalize and clip_quantile apply to rows, but kernel=Precomputed() takes Gram matrices")
    return pair
