"""Scores and nulls of kernel alignment, HSIC and CKA from finished sums."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from kernalign import _core
from kernalign._base import hazards
from kernalign._base.score import AlignmentWarning, Null, Score, Spread, UndefinedScoreWarning, undefined
from kernalign._base.warn import warn
from kernalign._engines.kernel_sums import KernelSums, bounded
from kernalign._statistics import jackknife, kernel_null

Estimator: TypeAlias = Literal["unbiased", "biased"]


def finish_cka(sums: KernelSums, estimator: Estimator, spread: Spread | None = None, metric: str = "cka") -> Score:
    """CKA of finished sums, or another ``metric`` that is the same cosine."""
    reason = sums.why_undefined(estimator)
    if reason is not None:
        return undefined(metric, sums.n, reason, estimator=estimator, settings=sums.describe())
    if estimator == "unbiased":
        value = sums.unbiased_cka()
        null = kernel_null.unbiased_null(sums, value, 1.0)
    else:
        norm = math.sqrt(sums.centred(0, 0)) * math.sqrt(sums.centred(1, 1))
        value, null = bounded(sums.centred(0, 1) / norm), doubly_centred_null(sums, 1 / norm)
    return Score(
        value, metric=metric, n=sums.n, estimator=estimator, settings=sums.describe(), null=null, spread=spread
    )


def warn_of_dominance(sums: KernelSums, metric: str = "cka") -> None:
    """Say that one direction holds nearly all of the variance of a side, of which linear CKA then sees nothing else."""
    for side, name in enumerate("xy"):
        share = sums.top_share_bound(side)
        if share > hazards.DOMINANT:
            sentence: Any = hazards.dominant(share, f" of {name}", at_least=True)
            warn(sentence.of(metric), AlignmentWarning)


def finish_hsic(sums: KernelSums, estimator: Estimator, spread: Spread | None = None) -> Score:
    """HSIC of finished sums."""
    if sums.no_kernel is not None:
        return undefined("hsic", sums.n, sums.no_kernel, estimator=estimator, settings=sums.describe())
    n, unit = sums.n, sums.unit
    null: Null | None = None
    if estimator == "unbiased":
        factor = unit / (n * (n - 3))
        value = sums.u_centred(0, 1) * factor
        norms = (math.sqrt(max(0.0, sums.u_centred(side, side))) for side in (0, 1))
        if sums.why_undefined("unbiased") is None:
            null = kernel_null.unbiased_null(sums, sums.unbiased_cka(), math.prod(norms) * factor)
    else:
        value = sums.centred(0, 1) * unit / n**2
        if all(side.definite for side in sums.sides or ()):
            value = max(0.0, value)
        null = doubly_centred_null(sums, unit / n**2)
    settings = sums.describe(normalisation="n(n-3)" if estimator == "unbiased" else "n^2")
    lost = value == 0 and sums.unit == 0
    if lost or not math.isfinite(value):
        reason = f"it is {'smaller' if lost else 'larger'} than float64 can hold"
        return undefined("hsic", n, reason, estimator=estimator, settings=settings, maximum=None)
    return Score(
        value, metric="hsic", n=n, estimator=estimator, settings=settings, null=null, maximum=None, spread=spread
    )


def finish_kernel_alignment(sums: KernelSums, estimator: Estimator, spread: Spread | None = None) -> Score:
    """Kernel alignment of finished sums that were not centred."""
    reason = sums.why_unaligned(estimator)
    if reason is not None:
        return undefined("kernel_alignment", sums.n, reason, estimator=estimator, settings=sums.describe())
    own = sums.pairs[0, 0], sums.pairs[1, 1]
    if estimator == "unbiased":
        product, square_x, square_y = (_core.off_diagonal_product(sums.hollow[key]) for key in ((0, 1), (0, 0), (1, 1)))
    else:
        product, square_x, square_y = (pair.full for pair in (sums.pairs[0, 1], *own))
    shares = [pair.total_x / (sums.n * pair.trace_x) if pair.trace_x > 0 else 0.0 for pair in own]
    consequence = ", which alone brings the score near 1; cka removes it"
    sentence = hazards.common_mean("kernel_alignment", dict(zip("xy", shares, strict=True)), consequence)
    if sentence:
        warn(sentence, AlignmentWarning)
    value = bounded(product / (math.sqrt(square_x) * math.sqrt(square_y)))
    settings = sums.describe(mean_share=tuple(shares))
    return Score(value, metric="kernel_alignment", n=sums.n, estimator=estimator, settings=settings, spread=spread)


def jackknife_spread(sums: KernelSums, metric: str, estimator: str) -> Spread:
    """Exact delete-one standard error of a metric of sums that still have their engine's state; of groups, if known."""
    centred, cosine = metric != "kernel_alignment", metric != "hsic"
    deleted = jackknife.deleted_scores(sums, estimator, centred=centred, cosine=cosine)
    stderr = jackknife.jackknife_stderr(deleted, sums.groups)
    if math.isnan(stderr):
        reason = "without one of the items the score does not exist"
        warn(f"the jackknife of {metric} is undefined: {reason}", UndefinedScoreWarning)
    if metric != "hsic":
        return Spread(stderr, "jackknife", "atanh")
    return Spread(stderr, "jackknife", "log", None if math.isnan(stderr) else jackknife.freedom(deleted, sums.groups))


def biased_null(sums: KernelSums, scale: float, *, along_centre: bool = True) -> Null:
    """Exact permutation mean and variance of scale * <HKH, HLH> (Kazi-Aoual et al. 1995), or of what is left of it
    without the parts ``along_centre``, whose product no pairing changes."""
    n = sums.n
    traces = [sums.centred_trace(side) for side in (0, 1)]
    mean = scale * traces[0] * traces[1] / (n - 1) if along_centre else 0.0
    if n < 4:
        return Null(mean)
    squares, diagonals = ([f(0), f(1)] for f in (lambda s: sums.centred(s, s), sums.centred_diagonal))
    variance = _core.centred_variance(n, traces[0], squares[0], diagonals[0], traces[1], squares[1], diagonals[1])
    return Null(mean, scale * math.sqrt(max(0.0, variance)))


def doubly_centred_null(sums: KernelSums, scale: float, *, along_centre: bool = True) -> Null:
    """The same with the p-value of the unbiased estimate; with groups, of the score itself."""
    if sums.groups is not None:
        norms = (math.sqrt(sums.centred(side, side)) for side in (0, 1))
        less = 0.0 if along_centre else scale * sums.centred_trace(0) * sums.centred_trace(1) / (sums.n - 1)
        return kernel_null.grouped_null(sums, math.prod(norms) * scale, unbiased=False, less=less)
    null = biased_null(sums, scale, along_centre=along_centre)
    if sums.n < 4 or sums.why_undefined("unbiased") is not None:
        return null
    unbiased = kernel_null.unbiased_null(sums, sums.unbiased_cka(), 1.0)

    def p_value() -> tuple[float | None, str]:
        assert unbiased.p_value is not None
        p, method = unbiased.p_value()
        return p, f"{method}, of the unbiased estimate"

    return replace(null, p_value=p_value, quantile=unbiased.quantile)
