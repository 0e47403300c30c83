"""How well a representation's kernel fits a task: kernel-target alignment, cumulative power, source condition."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np

from kernalign import _core
from kernalign._base import checks, hazards
from kernalign._base.checks import check_folds
from kernalign._base.memory import budget_of
from kernalign._base.progress import Report, reporting
from kernalign._base.readable import Readable
from kernalign._base.score import AlignmentWarning, Score, UndefinedScoreWarning, undefined
from kernalign._base.warn import warn
from kernalign._engines.directions import of_dense
from kernalign._engines.kernel_sums import bounded
from kernalign._engines.linear import linear_sums
from kernalign._rows import arrays
from kernalign._rows.digits import Digits
from kernalign._rows.folds import dealt
from kernalign._rows.labels import as_targets
from kernalign._rows.magnitude import divided, exponent_of, restored
from kernalign._rows.matrices import centre, dense
from kernalign._rows.options import Options
from kernalign.metrics.kernel.finish import finish_cka
from kernalign.theory.spectrum import HELD, Array, Spectrum, one_side
from kernalign.theory.targets import Problem, decomposed


def kernel_target_alignment(
    x: Any, targets: Any, *, centred: bool = False, classes: bool = False, **options: Unpack[Options]
) -> Score:
    """Alignment of the linear kernel of x with that of the targets: <K, YY'> / (|K| |YY'|).

    Parameters
    ----------
    x : (n, p) array
    targets : (n,) or (n, m) numbers: y' K y / (|K| |y|^2) for one column; or, with classes=True, n class labels
    centred : centre x and the targets first (Cortes et al. 2012: CKA with the target kernel, and its exact chance
        level); False is the definition of Cristianini et al. 2001
    classes : targets are labels (integers, booleans or strings) of any number of classes, taken as one-hot columns.
        Without it integers are numbers, as for y in {-1, 1}.
    **options : normalize, clip_quantile (of x alone), threads, device, progress, memory_budget, as for `cka`

    Returns
    -------
    Score
        In [0, 1] (the V-statistic). nan, with ``reason``, where x or the targets are zero (centred: constant).

    Raises
    ------
    ValueError, TypeError
        Bad input, or another number of targets than rows.

    Notes
    -----
    One pass, as `cka`: O(n p min(n, p)), without a decomposition. Uncentred, a mean that holds over half of the energy
    of x raises an AlignmentWarning.

    See Also
    --------
    cumulative_power : where in the spectrum the task is
    kernel_alignment, cka : of two representations

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat([0, 1, 2], 50)
    >>> x = np.eye(3)[labels] + 0.3 * rng.standard_normal((150, 3))
    >>> score = ka.kernel_target_alignment(x, labels, classes=True, centred=True)
    >>> round(score, 1), round(score.chance, 2)
    (0.8, 0.01)
    """
    x, targets = arrays.aligned(("x", x), ("targets", targets))
    rows, settings = one_side(x, "x", options)
    y, centred = as_targets(targets, rows.shape[0], classes), checks.check_flag(centred, "centred")
    threads, progress = checks.check_threads(options.get("threads")), options.get("progress", False)
    checks.check_count(len(y), 2, "kernel_target_alignment")
    settings |= {"centred": centred}
    budget = budget_of(options.get("memory_budget"))
    pair = arrays.Pair(rows, _core.Rows(y, "targets"), settings, threads, progress, budget=budget)
    pair.afford_sums("kernel_target_alignment")
    with reporting(progress, "kernel_target_alignment") as report:
        sums = linear_sums(pair, centred=centred, report=report, keep=False).settled()
    keywords: dict[str, Any] = {"n": sums.n, "estimator": "biased", "settings": sums.describe()}
    if centred:
        reason = sums.why_undefined("biased")
        if reason is not None:
            return _undefined(reason.replace("y is", "targets are", 1), keywords)
        return finish_cka(sums, "biased", metric="kernel_target_alignment")
    product, square_x, square_y = (sums.pairs[side].full for side in ((0, 1), (0, 0), (1, 1)))
    if not (square_x > 0 and square_y > 0):
        return _undefined("x is zero" if not square_x > 0 else "targets are zero", keywords)
    share = sums.pairs[0, 0].total_x / (sums.n * sums.pairs[0, 0].trace_x)
    sentence = hazards.common_mean("kernel_target_alignment", {"x": share}, "; centred=True removes it")
    if sentence:
        warn(sentence, AlignmentWarning)
    value = bounded(product / (math.sqrt(square_x) * math.sqrt(square_y)))
    return Score(value, metric="kernel_target_alignment", **keywords)


@dataclass(frozen=True, repr=False)
class CumulativePower(Readable):
    """Share of the targets' power in the leading eigenfunctions of a kernel.

    Attributes
    ----------
    power : (r,) C(rho) = sum of a_l^2 over l <= rho, / all power; not decreasing, in [0, 1]
    eigenvalues : (r,) of x x' / n, descending
    powers : (r,) a_l^2 = |u_l' Y|^2 / n, summed over target columns, in the targets' squared units; inside an
        eigenspace, where they are not unique, their mean
    auc : area under C over log(rho), rho from 1 to n (flat beyond the rank), / log(n): 1 if all power is in the first
    held_out : None, or with cv (r',) the share of the power of held-out targets that is predicted from rho
        eigenfunctions and coefficients of the other folds: 1 - SSE / (sum of squares); it may fall, and be negative
    n, settings : as of a `Score`
    """

    power: Array
    eigenvalues: Array
    powers: Array
    auc: float
    held_out: Array | None
    n: int
    settings: dict[str, Any] = field(default_factory=dict)


def cumulative_power(
    x: Any,
    targets: Any,
    *,
    centred: bool | None = None,
    classes: bool = False,
    in_range: bool = False,
    cv: int | None = None,
    **options: Unpack[Options],
) -> CumulativePower:
    """Cumulative power distribution of a task in the eigenbasis of a representation (task-model alignment).

    Parameters
    ----------
    x : (n, p) array, or a `Spectrum`
    targets, classes : as for `kernel_target_alignment`
    centred : centre x and the targets first; False by default, or as the `Spectrum` was made
    in_range : divide by the power inside the range of the kernel instead of all of it, so that the curve ends at 1
    cv : number of folds for ``held_out`` (arrays only), as :func:`linear_predictivity` makes them. In-sample powers are
        optimistic: the eigenfunctions were fitted to the same items, and C(n) is 1 for any targets if x has full rank.
    **options : normalize, clip_quantile (of x alone), device, progress, memory_budget, as for `cka` (arrays only)

    Returns
    -------
    CumulativePower
        All nan, with an UndefinedScoreWarning, where the targets have no power.

    Raises
    ------
    ValueError, TypeError
        Bad input; cv out of 2..n, or with a `Spectrum`.

    Notes
    -----
    Costs of one `spectrum`, and one more per fold; memory of three. Canatar, Bordelon and Pehlevan 2021.

    See Also
    --------
    source_condition : exponents of the same
    learning_curve : what it means for the number of training items

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 8)) * [8, 7, 6, 5, 4, 3, 2, 1]
    >>> easy, hard = x[:, 0], x[:, 7]
    >>> early, late = ka.cumulative_power(x, easy), ka.cumulative_power(x, hard)
    >>> early.power[:1].round(1).tolist(), late.power[:1].round(1).tolist()
    ([0.9], [0.0])
    >>> bool(early.auc > late.auc)
    True
    """
    in_range = checks.check_flag(in_range, "in_range")
    with reporting(options.get("progress", False), "cumulative_power") as report:
        if report is not None:
            options["progress"] = report
        return _cumulative_power(x, targets, centred, classes, cv, in_range, options)


def _cumulative_power(
    x: Any, targets: Any, centred: bool | None, classes: bool, cv: int | None, in_range: bool, options: Options
) -> CumulativePower:
    problem = decomposed(x, targets, centred, classes, options)
    checks.check_count(problem.n, 2, "cumulative_power")
    powers = problem.powers()
    total = powers.sum() if in_range else problem.total
    if not total > 0:
        _warn_undefined("cumulative_power", "the targets have no power")
    curve = np.full(len(powers), np.nan)
    if total > 0:
        np.minimum(np.cumsum(powers) / total, 1.0, out=curve)
    held_out = None
    if cv is not None:
        if isinstance(x, Spectrum):
            raise TypeError("cv needs the array x, got a Spectrum")
        cv = check_folds(cv, problem.n, "cv", "an integer or None")
        rows = one_side(x, "x", options)[0]
        held = 8 * problem.spectrum.left.size + 2 * HELD * math.prod(rows.shape)
        arrays.afford(f"cumulative_power with cv={cv}", held, budget_of(options.get("memory_budget")))
        with reporting(options.get("progress", False), "cumulative_power") as report:
            held_out = _held_out(rows, problem, cv, report)
    settings = {**problem.spectrum.settings, "centred": problem.spectrum.centred, "in_range": in_range, "cv": cv}
    return CumulativePower(
        power=curve,
        eigenvalues=problem.spectrum.eigenvalues,
        powers=restored(powers, 2 * problem.exponent, "powers of the targets"),
        auc=_log_area(curve, problem.n) if len(curve) else (0.0 if total > 0 else math.nan),
        held_out=held_out,
        n=problem.n,
        settings=settings,
    )


@dataclass(frozen=True, repr=False)
class SourceCondition(Readable):
    """Power laws of a spectrum and of a task's powers in it, by least squares on logarithms.

    Attributes
    ----------
    eigenvalue_exponent : a in eta_l ~ l^-a (capacity)
    power_exponent : b in a_l^2 ~ l^-b
    source : (b - 1) / (2 a): |K^-r f| is finite for r below it; larger is an easier task
    ranks : (first, last), counted from 1, last included
    n, settings : as of a `Score`
    """

    eigenvalue_exponent: float
    power_exponent: float
    source: float
    ranks: tuple[int, int]
    n: int
    settings: dict[str, Any] = field(default_factory=dict)


def source_condition(
    x: Any,
    targets: Any,
    *,
    first: int = 1,
    last: int | None = None,
    centred: bool | None = None,
    classes: bool = False,
    **options: Unpack[Options],
) -> SourceCondition:
    """Decay exponents of the eigenvalues and of the targets' powers: how hard the task is for this kernel.

    Parameters
    ----------
    x, targets, centred, classes, **options : as for `cumulative_power`
    first, last : ranks of the fit, counted from 1, both included; by default all. Powers of exactly 0 are left out.

    Returns
    -------
    SourceCondition
        nan, with an UndefinedScoreWarning, where x has one rank only, or fewer than two ranks have power; ``source``
        also where all eigenvalues are equal.

    See Also
    --------
    cumulative_power, learning_curve

    References
    ----------
    Caponnetto and De Vito 2007; Cui, Loureiro, Krzakala and Zdeborova 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> basis = np.linalg.qr(rng.standard_normal((300, 40)))[0]
    >>> ranks = np.arange(1, 41)
    >>> x = basis * ranks**-1.0  # eigenvalues fall as l^-2
    >>> target = basis @ ranks**-1.5  # powers as l^-3
    >>> found = ka.source_condition(x, target)
    >>> round(found.eigenvalue_exponent, 2), round(found.power_exponent, 2), round(found.source, 2)
    (2.0, 3.0, 0.5)
    """
    problem = decomposed(x, targets, centred, classes, options)
    rank = problem.spectrum.rank
    low, high = checks.check_positive(first, "first"), rank if last is None else checks.check_positive(last, "last")
    settings = {**problem.spectrum.settings, "centred": problem.spectrum.centred}
    if rank < 2 and last is None and low == 1:
        _warn_undefined("source_condition", f"x has rank {rank}, and a slope needs two ranks")
        return SourceCondition(math.nan, math.nan, math.nan, (1, rank), problem.n, settings)
    if not low < high <= rank:
        given = f"{checks.shown(low)} and {checks.shown(high)}"
        raise ValueError(f"first and last must be 1 <= first < last <= rank = {rank}, got {given}")
    ranks = np.arange(low, high + 1)
    values, powers = problem.spectrum.relative[low - 1 : high], problem.powers()[low - 1 : high]
    some = powers > 0
    a = -_slope(np.log(ranks), np.log(values))
    b = math.nan
    if some.sum() > 1:
        b = -_slope(np.log(ranks[some]), np.log(powers[some]))
    else:
        _warn_undefined("source_condition", "fewer than two eigenfunctions carry power of the targets")
    source = (b - 1) / (2 * a) if a != 0 else math.nan
    if a == 0:
        _warn_undefined("source", "the eigenvalues do not decay")
    return SourceCondition(a, b, source, (low, high), problem.n, settings)


def _held_out(rows: _core.Rows, problem: Problem, folds: int, report: Report) -> Array:
    """Share of held-out power predicted from the first eigenfunctions of the other folds."""
    x, y, rounding = dense(rows), problem.targets, Digits.of(rows).rounding
    mean = np.asarray(rows.offset) if len(rows.offset) else np.zeros(x.shape[1])
    exponent = exponent_of(x)  # predictions do not depend on the scale
    x, mean = divided(x, exponent), divided(mean, exponent)
    rounding = rounding.divided(exponent)
    errors, total = [], 0.0
    for fold, test in enumerate(dealt(problem.n, folds)):
        if report:
            report(fold, folds)
        fitted, held, known, wanted = np.delete(x, test, axis=0), x[test], np.delete(y, test, axis=0), y[test]
        about = mean
        if problem.spectrum.centred:
            about = mean + fitted.mean(axis=0)
            held, wanted = centre(held, fitted), centre(wanted, known)
            fitted, known = centre(fitted), centre(known)
        u, s, vt = of_dense(fitted, about, rounding)
        functions, coefficients = held @ (vt.T / s), u.T @ known
        error = []
        total += float((wanted**2).sum())
        for function, coefficient in zip(functions.T, coefficients, strict=True):
            wanted = wanted - np.outer(function, coefficient)
            error.append(float((wanted**2).sum()))
        errors.append(error)
    if report:
        report(folds, folds)
    shortest = min(map(len, errors))
    sums = np.sum([error[:shortest] for error in errors], axis=0)
    return np.asarray(1 - sums / total) if total > 0 else np.full(shortest, np.nan)


def _log_area(curve: Array, n: int) -> float:
    ranks = np.log(np.arange(1, len(curve) + 1))
    inside = (np.diff(ranks) * (curve[1:] + curve[:-1]) / 2).sum()
    return float((inside + curve[-1] * (math.log(n) - ranks[-1])) / math.log(n))


def _slope(x: Array, y: Array) -> float:
    x = x - x.mean()
    return float(x @ (y - y.mean()) / (x @ x))


def _undefined(reason: str, keywords: dict[str, Any]) -> Score:
    return undefined("kernel_target_alignment", reason=reason, **keywords)


def _warn_undefined(what: str, reason: str) -> None:
    warn(f"{what} is undefined: {reason}", UndefinedScoreWarning)
