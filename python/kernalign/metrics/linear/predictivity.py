"""Linear predictivity: how much of y a linear function of x explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Unpack

import numpy as np

from kernalign._base import checks, hazards
from kernalign._base.checks import check_folds
from kernalign._base.progress import Report
from kernalign._base.score import AlignmentWarning, Null, Score, undefined
from kernalign._base.warn import warn
from kernalign._engines import directions
from kernalign._engines.centred import Centred, Fold
from kernalign._engines.directions import Directions, Matrix, Vector
from kernalign._rows import arrays
from kernalign._rows.decompositions import product
from kernalign._rows.digits import Rounding
from kernalign._rows.folds import dealt
from kernalign._rows.followed import of_pairs
from kernalign._rows.labels import group_numbers
from kernalign._rows.options import Options
from kernalign.metrics.linear import principal, regressions
from kernalign.metrics.linear.paired_predictions import null_of
from kernalign.metrics.linear.regressions import MultiOutput, Regression, Statistic


def linear_predictivity(
    x: Any,
    y: Any,
    *,
    cv: Any = None,
    groups: Any = None,
    regression: Regression = "linear",
    alpha: float | None = None,
    components: int = 25,
    statistic: Statistic = "r2",
    multioutput: MultiOutput | None = None,
    **options: Unpack[Options],
) -> Score:
    """Share of the variance of y that a linear function of x explains, by least squares with an intercept.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 2. Not symmetric: x predicts y.
    cv : None scores the items that were fitted; an integer K in [2, n] fits K times on all items but a fold and scores
        that fold. Each run of K items has one in every fold, in an order drawn with seed 0, so that sorted items are
        spread and labels that come in cycles are not left out together; shuffle the rows of both for other folds.
        Or pairs (train, test) of indices of the rows of x, as scikit-learn's splitters yield them.
    groups : labels of any kind, one per row of x; rows with one label are one thing (trials of a stimulus). With an
        integer cv, whole groups, as they come, are dealt to folds in the same way; given splits must not part one.
        Without cv the score stays.
    regression : "linear": least squares, of least norm where x has more columns than items; "ridge"; "pls": partial
        least squares (PLS2, columns centred and not scaled) with so many ``components``.
    alpha : of "ridge": the penalty, |y - x b|^2 + alpha |b|^2 of centred columns; None takes that of least generalised
        cross-validation on the items fitted, of 49 between 1e-10 and 100 times the largest squared singular value.
    statistic : "r2", or "pearson": correlation of every column with its prediction, over all items scored together.
        Predictions of items left out lean away from them: of unrelated sides it is below 0 by about K / n.
    multioutput : how columns are averaged: "variance_weighted" (None, of "r2"), "uniform_average" (None, of "pearson"),
        or "median"; columns that do not vary are left out. ``per_column`` has them all.
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        1 - SSE / SST, both summed over the columns of y (or as ``statistic`` and ``multioutput`` say). In-sample: in
        [0, 1]; ``chance`` is the exact mean under random pairing, rank / (n - 1): it grows with the width of x.
        Invariant to invertible linear maps of x, to rotation and isotropic scale of y, and to translation.
        Cross-validated: at most 1 and below 0 where the mean of the other items predicts better; SST is about that
        mean. ``chance`` is the mean error of random pairings over the mean SST: far below 0 where x is wide. What is
        chosen by y (generalised cross-validation, PLS) has no chance level but by :func:`kernalign.permutation_test`.
        Those of correlations, medians and groups, ``chance_sd`` and ``p_value`` are of 999 random pairings (of all, up
        to 8 items; of groups of equal size), when they are first read, before the arrays are overwritten; None where
        that takes long (folds n p q > 10^8). If x (of the items fitted) has rank n - 1 the fit passes through every
        item: ``settings["saturated"]``, an AlignmentWarning, and the solution of least norm. nan, with ``reason``,
        where a side is constant.

    Notes
    -----
    When n > p: float64 products, 8 (p^2 + p q) bytes, if the ratio of singular values of x is below 1e3; else, or for
    few rows, an SVD of the rows or of their QR, 8 (p + q)^2 bytes. ``settings["df"]``: n - 1 - rank. Given splits,
    groups and all that is no plain R^2 hold float64 copies of both sides. ``settings["alpha"]`` are the penalties.

    Raises
    ------
    TypeError, ValueError
        For input that is not two numeric, finite 2-D arrays with the same number of rows, or too few rows; cv is
        neither an integer in [2, n] nor such pairs, or leaves fewer than 2 rows to fit; more components than x has
        columns, or than items fitted less one.

    See Also
    --------
    kernalign.stitching.RidgeStitcher : with a penalty
    cca : both sides at once

    References
    ----------
    Kornblith et al. 2019, section 3 (linear regression); Schrimpf et al. 2018 (neural predictivity: PLS of 25
    components, Pearson, median of columns); Golub, Heath and Wahba 1979; Wold, Sjostrom and Eriksson 2001.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 100))
    >>> noise = rng.standard_normal((200, 5))
    >>> score = ka.linear_predictivity(x, noise)
    >>> round(score, 1), round(score.chance, 1)
    (0.5, 0.5)
    >>> left_out = ka.linear_predictivity(x, noise, cv=5)
    >>> left_out < 0, left_out.p_value > 0.05
    (True, True)
    >>> y = x[:, :5] + 0.1 * noise
    >>> round(ka.linear_predictivity(x, y, cv=5), 1)
    1.0
    >>> trials = np.repeat(np.arange(100), 2)
    >>> score = ka.linear_predictivity(x, y, cv=5, groups=trials, regression="pls", components=10, statistic="pearson")
    >>> score > 0.5, score.per_column.shape
    (True, (5,))
    """
    how = _Asked(regression, alpha, components, statistic, multioutput)
    how.check()
    pair = arrays.pair(x, y, grouped=groups is not None, **options)
    checks.check_count(pair.n, 2, "linear_predictivity")
    if groups is not None or how != _PLAIN or of_pairs(cv):
        return _predicted(pair, cv, groups, how)
    pair.afford_products("linear_predictivity", 26)
    folds = None if cv is None else _check_folds(cv, pair.n)
    with pair.working("linear_predictivity") as report:
        fit = _in_sample(pair, report) if folds is None else _cross_validated(pair, folds, report)
    return finish(fit, partial(null_of, pair, folds, None, 0.0, "r2", "variance_weighted"))


class _Asked(NamedTuple):
    """How to predict and what to score."""

    regression: Regression = "linear"
    alpha: float | None = None
    components: int = 25
    statistic: Statistic = "r2"
    multioutput: MultiOutput | None = None

    def check(self) -> None:
        checks.check_choice(self.regression, "regression", ("linear", "ridge", "pls"))
        checks.check_choice(self.statistic, "statistic", ("r2", "pearson"))
        checks.check_choice(self.multioutput, "multioutput", (None, "variance_weighted", "uniform_average", "median"))
        if self.regression != "ridge" and self.alpha is not None:
            raise ValueError(f"alpha must be None unless regression='ridge', got {checks.shown(self.alpha)}")
        if self.alpha is not None:
            checks.number(self.alpha, "alpha", "finite and not negative")
        checks.integer(self.components, "components", 1)


_PLAIN = _Asked()


def _predicted(pair: arrays.Pair, cv: Any, groups: Any, how: _Asked) -> Score:
    """By given splits, of whole groups, with penalties, or column by column."""
    labels = None if groups is None else group_numbers(groups, pair.kept)
    splits = regressions.splits_of(cv, labels, pair)
    if how.regression == "pls":
        most = min(pair.x.shape[1], min(len(one.train) for one in splits) - 1)
        checks.integer(how.components, "components", 1, most, limit="min(p, items fitted - 1) = ")
    pair.afford("linear_predictivity", 48 * pair.n * (pair.x.shape[1] + pair.y.shape[1]))
    settings = {**principal.how(pair.settings, "rows"), **how._asdict(), "splits": len(splits)}
    settings["cv"] = "given" if of_pairs(cv) else None if cv is None else int(cv)
    if labels is not None:
        settings["groups"] = int(labels.max()) + 1
    keywords: dict[str, Any] = {"estimator": "in-sample" if cv is None else "cross-validated", "settings": settings}
    reason = Centred.of(pair).why_undefined()
    if reason is not None:
        return undefined("linear_predictivity", pair.n, reason, **keywords)
    with pair.working("linear_predictivity") as report:
        found = regressions.scored(pair, splits, how.regression, how.alpha, how.components, report)
    columns = found.columns(how.statistic)
    average = how.multioutput or ("variance_weighted" if how.statistic == "r2" else "uniform_average")
    settings |= {"multioutput": average, "rank_x": found.rank, "df": found.freedom}
    settings["alpha"] = tuple(found.alphas) if how.regression == "ridge" else None
    settings["components"] = how.components if how.regression == "pls" else None
    settings["saturated"] = how.regression == "linear" and not found.freedom
    if settings["saturated"]:
        _warn_saturated(found.rank, found.rank, cv is None)
    value = regressions.average(columns, found.total, average)
    if np.isnan(value):
        return undefined("linear_predictivity", pair.n, "y does not vary over the items scored", **keywords)
    alpha = {"linear": 0.0, "ridge": how.alpha, "pls": None}[how.regression]
    known = alpha is not None and labels is None and how.statistic == "r2" and average != "median"
    chance, asked = found.chance if known else None, None if cv is None else splits
    null = null_of(pair, asked, labels, alpha, how.statistic, average, chance, value)
    return Score(value, metric="linear_predictivity", n=pair.n, null=null, per_column=columns, **keywords)


@dataclass(frozen=True)
class Fit:
    """Sums of squares of a fit, the rank of x, and the directions that the items fitted leave free."""

    n: int
    error: float
    total: float
    rank: int
    free: int
    settings: dict[str, Any] = field(default_factory=dict)
    folds: int | None = None
    reason: str | None = None
    rounded: int = 0  # directions of x that are no longer than the rounding of its entries
    columns: Vector | None = None  # R^2 of every column of y, where these are known
    chance: float | None = None  # of items left out


def finish(fit: Fit, drawn: Callable[[float | None, float], Null | None] | None = None) -> Score:
    """Predictivity of finished sums of squares; ``drawn`` makes the null of its chance level and itself."""
    estimator = "in-sample" if fit.folds is None else "cross-validated"
    settings = {**fit.settings, "cv": fit.folds, "rank_x": fit.rank, "rounded_x": fit.rounded}
    settings["df"] = fit.free - fit.rank
    reason = fit.reason or (None if fit.total > 0 else "y does not vary over the items scored")
    settings["saturated"] = reason is None and fit.rank >= fit.free
    if reason is not None:
        return undefined("linear_predictivity", fit.n, reason, estimator=estimator, settings=settings)
    if settings["saturated"]:
        _warn_saturated(fit.rank, fit.free, fit.folds is None)
    value, chance = 1 - fit.error / fit.total, fit.chance
    if fit.folds is None:
        value, chance = max(0.0, value), fit.rank / fit.free
    null = Null(chance) if drawn is None else drawn(chance, value)
    return Score(
        value,
        metric="linear_predictivity",
        n=fit.n,
        estimator=estimator,
        settings=settings,
        null=null,
        per_column=fit.columns,
    )


def _warn_saturated(rank: int, free: int, in_sample: bool) -> None:
    effect = "the score is 1 whatever y is" if in_sample else "the fit passes through all items fitted"
    warn(
        f"linear_predictivity: x has {rank} independent directions among {free + 1} items, so {effect}",
        AlignmentWarning,
    )


def of_stream(products: principal.Products) -> Fit:
    """From the products of a stream; warns where squaring the condition number of x has cost too much."""
    engine, settings = products.engine, products.settings
    free = engine.n - 1
    reason = products.why_undefined()
    if reason is not None:
        return Fit(engine.n, 0, 0, 0, free, settings, reason=reason)
    found = principal.stream_directions(products, 0, free, "linear_predictivity")
    if not found.rank:
        reason = principal.all_rounding("x", products.roundings[0])
        return Fit(engine.n, 0, 0, 0, free, settings, reason=reason)
    total = float(engine.product(1, 1).trace())
    error = total - float((product(found.whitener.T, engine.product(0, 1)) ** 2).sum())
    return Fit(engine.n, max(0.0, error), total, found.rank, free, settings, rounded=found.rounded)


def _in_sample(pair: arrays.Pair, report: Report) -> Fit:
    data = Centred.of(pair)
    reason = data.why_undefined()
    if reason is not None:
        return Fit(pair.n, 0, 0, 0, data.free, principal.how(pair.settings, "none"), reason=reason)
    return _fit(pair, _decomposed(data, data.x.rounding, report))


def predictivity_of(spans: principal.Spans, *, cv: Any = None, groups: Any = None) -> Score:
    """`linear_predictivity` of sides whose directions are shared."""
    if groups is not None or of_pairs(cv):
        return _predicted(spans.pair, cv, groups, _PLAIN)
    x, y, data, route = spans.x, spans.y, spans.data, "feature" if spans.tall else "rows"
    if (
        cv is not None
        or data.why_undefined() is not None
        or (spans.tall and not x.by_products.sound(x.by_products.rank))
    ):
        folds = None if cv is None else _check_folds(cv, data.n)
        return finish(_in_sample(spans.pair, None) if folds is None else _cross_validated(spans.pair, folds, None))
    if spans.tall:
        found = x.by_products
        predicted = product(found.whitener.T, spans.cross)
    else:
        found = x.by_rows
        predicted = spans.overlap(found, y.by_rows, (found.rank, y.by_rows.rank)).matrix * y.by_rows.values
    return finish(_fit(spans.pair, _Decomposed(data, found, predicted, (x.squares, y.squares), route, spans.tall)))


def _fit(pair: arrays.Pair, made: _Decomposed) -> Fit:
    data = made.data
    reason = made.why_undefined(data.x.rounding, data.y.rounding)
    rank, settings = made.found.rank, principal.how(pair.settings, made.route)
    if reason is None:
        made.warn(data.x.rounding)
    error, rounded = max(0.0, made.total - made.explained), made.found.rounded
    columns = _r_squared(made.squares[1] - made.own_explained, made.squares[1]) if made.by_columns else None
    return Fit(pair.n, error, made.total, rank, data.free, settings, None, reason, rounded, columns)


def _r_squared(error: Vector, total: Vector) -> Vector:
    """Of every column; nan of one that does not vary."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, 1 - error / total, np.nan))


def _cross_validated(pair: arrays.Pair, folds: int, report: Report) -> Fit:
    whole = Centred.of(pair)
    reason = whole.why_undefined()
    if reason is not None:
        return Fit(pair.n, 0, 0, 0, whole.free, principal.how(pair.settings, "none"), folds, reason)
    error = total = 0.0
    errors, totals = np.zeros((2, pair.y.shape[1]))
    least: _Decomposed | None = None  # the fit with the least freedom left
    routes, roundings, by_chance = set(), (whole.x.rounding, whole.y.rounding), [0.0, 0.0]
    for at, held in enumerate(dealt(pair.n, folds)):
        data = Centred.of(pair, fold=Fold(held))
        made = _decomposed(data, roundings[0], None)
        reached = made.found.right / made.found.values
        unit = np.ldexp(1.0, 2 * (data.y.exponent - whole.y.exponent))  # every fit has its own scale
        for x, y in data.held_out().blocks():
            reach = product(x, reached)
            residual = y - product(reach, made.predicted)
            regressions.expect(by_chance, data.n, len(x), reach)
            total += float(np.vdot(y, y) * unit)
            error += float(np.vdot(residual, residual) * unit)
            totals += (y**2).sum(axis=0) * unit
            errors += (residual**2).sum(axis=0) * unit
        if least is None or made.freedom < least.freedom:
            least = made
        routes.add(made.route)
        if report is not None:
            report(at + 1, folds)
    assert least is not None
    reason = least.why_undefined(*roundings)
    if reason is None:
        least.warn(roundings[0])
    found, settings = least.found, principal.how(pair.settings, "+".join(sorted(routes)))
    columns, chance = _r_squared(errors, totals), 1 - by_chance[0] / by_chance[1]
    return Fit(
        pair.n, error, total, found.rank, least.data.free, settings, folds, reason, found.rounded, columns, chance
    )


@dataclass(frozen=True)
class _Decomposed:
    """Directions of x, and ``predicted``: the product of the left ones with y; ``squares`` are of columns."""

    data: Centred
    found: Directions
    predicted: Matrix
    squares: tuple[Vector, Vector]
    route: str
    by_columns: bool = True  # of y; else by its directions

    @property
    def own_explained(self) -> Vector:
        """Of every column of y."""
        return np.asarray((self.predicted**2).sum(axis=0))

    @property
    def total(self) -> float:
        return float(self.squares[1].sum())

    @property
    def freedom(self) -> int:
        return self.data.free - self.found.rank

    @property
    def explained(self) -> float:
        """|U^T Y|^2"""
        return float((self.predicted**2).sum())

    def why_undefined(self, *roundings: Rounding) -> str | None:
        """The reason where a side does not vary but by rounding, or None."""
        sides = self.data.x, self.data.y
        for name, side, squares, rounding in zip("xy", sides, self.squares, roundings, strict=True):
            if (squares <= side.noise(squares, self.data.n, rounding) ** 2).all():
                return principal.all_rounding(name, rounding)
        return None

    def warn(self, rounding: Rounding) -> None:
        """Of directions of x that are rounding, and of columns that may be."""
        principal.warn_of_rounding("linear_predictivity", "x", self.found, rounding)
        squares = self.squares[0]
        varies = squares > self.data.x.noise(squares, self.data.n, rounding) ** 2
        faint = hazards.faint_columns(hazards.faint(np.sqrt(squares[varies])))
        if faint is not None:
            warn(faint.of("linear_predictivity, x"), AlignmentWarning)


def _decomposed(data: Centred, rounding: Rounding, report: Report) -> _Decomposed:
    p, q = data.columns
    if data.n > p:
        sums = data.products("xx xy", report=report)
        noise = data.x.noise(sums.squares[0], data.n, rounding)
        found = directions.of_gram(sums.xx, min(p, data.free), noise)
        if found.sound(found.rank):
            return _Decomposed(data, found, product(found.whitener.T, sums.xy), sums.squares, "feature")
    x, y = data.stacked(report)
    squares = (x**2).sum(axis=0), (y**2).sum(axis=0)
    found = directions.of_rows(x, data.free, data.x.noise(squares[0], data.n, rounding))
    assert found.left is not None
    return _Decomposed(data, found, product(found.left.T, y), squares, "qr" if data.n > p + q else "rows")


def _check_folds(cv: Any, n: int) -> int:
    folds = check_folds(cv, n, "cv", "an integer or None")
    checks.check_count(n - -(-n // folds), 2, "linear_predictivity (every fit of it)")
    return folds
