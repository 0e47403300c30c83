"""Predictivity: how much of y a linear function of x explains."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, Unpack

import numpy as np

from kernalign._base import checks
from kernalign._base.score import Score, undefined
from kernalign._engines.centred import Centred
from kernalign._rows import arrays
from kernalign._rows.decompositions import product
from kernalign._rows.followed import of_pairs
from kernalign._rows.labels import group_numbers
from kernalign._rows.options import Options
from kernalign.metrics.linear import least_squares, principal, regressions
from kernalign.metrics.linear.least_squares import Decomposed, check_folds, cross_validated, finish, in_sample
from kernalign.metrics.linear.paired_predictions import null_of
from kernalign.metrics.linear.regressions import MultiOutput, Regression, Statistic


def linear_predictivity(x: Any, y: Any, *, cv: Any = None, groups: Any = None, **options: Unpack[Options]) -> Score:
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
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        1 - SSE / SST, both summed over the columns of y; ``per_column`` has them one by one. In-sample: in [0, 1];
        ``chance`` is the exact mean under random pairing, rank / (n - 1): it grows with the width of x. Invariant to
        invertible linear maps of x, to rotation and isotropic scale of y, and to translation. Cross-validated: at most
        1 and below 0 where the mean of the other items predicts better; SST is about that mean. ``chance`` is the mean
        error of random pairings over the mean SST: far below 0 where x is wide. That of groups, ``chance_sd`` and
        ``p_value`` are of 999 random pairings (of all, up to 8 items; of groups of equal size), when they are first
        read, before the arrays are overwritten; None where that takes long (folds n p q > 10^8). If x (of the items
        fitted) has rank n - 1 the fit passes through every item: ``settings["saturated"]``, an AlignmentWarning, and
        the solution of least norm. nan, with ``reason``, where a side is constant.

    Notes
    -----
    When n > p: float64 products, 8 (p^2 + p q) bytes, if the ratio of singular values of x is below 1e3; else, or for
    few rows, an SVD of the rows or of their QR, 8 (p + q)^2 bytes. ``settings["df"]``: n - 1 - rank. Given splits and
    groups hold float64 copies of both sides.

    Raises
    ------
    TypeError, ValueError
        For input that is not two numeric, finite 2-D arrays with the same number of rows, or too few rows; cv is
        neither an integer in [2, n] nor such pairs, or leaves fewer than 2 rows to fit.

    See Also
    --------
    predictivity : by other regressions, or as correlations
    kernalign.stitching.RidgeStitcher : the map itself, with a penalty
    cca : both sides at once

    References
    ----------
    Kornblith et al. 2019, section 3 (linear regression).

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
    """
    return _of_pair("linear_predictivity", x, y, cv, groups, _PLAIN, options)


def predictivity(
    x: Any,
    y: Any,
    *,
    regression: Regression = "linear",
    statistic: Statistic = "r2",
    cv: Any = None,
    groups: Any = None,
    multioutput: MultiOutput | None = None,
    alpha: float | None = None,
    components: int = 25,
    **options: Unpack[Options],
) -> Score:
    """How well a regression on x predicts y: :func:`linear_predictivity` with penalties, components, correlations.

    Parameters
    ----------
    x, y, cv, groups : as for :func:`linear_predictivity`
    regression : "linear": least squares, of least norm where x has more columns than items; "ridge"; "pls": partial
        least squares (PLS2, columns centred and not scaled) with so many ``components``.
    statistic : "r2", or "pearson": correlation of every column with its prediction, over all items scored together.
        Predictions of items left out lean away from them: of unrelated sides it is below 0 by about K / n.
    multioutput : how columns are averaged: "variance_weighted" (None, of "r2"), "uniform_average" (None, of "pearson"),
        or "median"; columns that do not vary are left out. ``per_column`` has them all.
    alpha : of "ridge": the penalty, |y - x b|^2 + alpha |b|^2 of centred columns; None takes that of least generalised
        cross-validation on the items fitted, of 49 between 1e-10 and 100 times the largest squared singular value.
    components : of "pls"
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        By default that of :func:`linear_predictivity`. What is chosen by y (generalised cross-validation, PLS) has no
        chance level but by :func:`kernalign.permutation_test`; that of correlations and medians, ``chance_sd`` and
        ``p_value`` are of random pairings. ``settings["alpha"]`` are the penalties.

    Notes
    -----
    All that is no plain R^2 of least squares holds float64 copies of both sides.

    Raises
    ------
    TypeError, ValueError
        As :func:`linear_predictivity`; alpha without "ridge"; more components than x has columns, or than items fitted
        less one.

    See Also
    --------
    linear_predictivity : least squares alone
    kernalign.stitching.RidgeStitcher : the map itself
    permutation_test : chance level and p-value of any of them

    References
    ----------
    Schrimpf et al. 2018 (neural predictivity: PLS of 25 components, Pearson, median of columns); Golub, Heath and Wahba
    1979; Wold, Sjostrom and Eriksson 2001.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 100))
    >>> y = x[:, :5] + 0.1 * rng.standard_normal((200, 5))
    >>> trials = np.repeat(np.arange(100), 2)
    >>> score = ka.predictivity(x, y, cv=5, groups=trials, regression="pls", components=10, statistic="pearson")
    >>> score > 0.5, score.per_column.shape
    (True, (5,))
    """
    asked = _Asked(regression, alpha, components, statistic, multioutput)
    asked.check()
    return _of_pair("predictivity", x, y, cv, groups, asked, options)


def predictivity_of(spans: principal.Spans, *, cv: Any = None, groups: Any = None) -> Score:
    """`linear_predictivity` of sides whose directions are shared."""
    if groups is not None or of_pairs(cv):
        return _predicted("linear_predictivity", spans.pair, cv, groups, _PLAIN)
    x, y, data, route = spans.x, spans.y, spans.data, "feature" if spans.tall else "rows"
    if (
        cv is not None
        or data.why_undefined() is not None
        or (spans.tall and not x.by_products.sound(x.by_products.rank))
    ):
        folds = None if cv is None else check_folds(cv, data.n)
        return finish(in_sample(spans.pair, None) if folds is None else cross_validated(spans.pair, folds, None))
    if spans.tall:
        found = x.by_products
        predicted = product(found.whitener.T, spans.cross)
    else:
        found = x.by_rows
        predicted = spans.overlap(found, y.by_rows, (found.rank, y.by_rows.rank)).matrix * y.by_rows.values
    made = Decomposed(data, found, predicted, (x.squares, y.squares), route, spans.tall)
    return finish(least_squares.fit_of(spans.pair, made))


def _of_pair(metric: str, x: Any, y: Any, cv: Any, groups: Any, asked: _Asked, options: Options) -> Score:
    pair = arrays.pair(x, y, grouped=groups is not None, **options)
    checks.check_count(pair.n, 2, metric)
    if groups is not None or asked != _PLAIN or of_pairs(cv):
        return _predicted(metric, pair, cv, groups, asked)
    pair.afford_products(metric, 26)
    folds = None if cv is None else check_folds(cv, pair.n)
    with pair.working(metric) as report:
        fit = in_sample(pair, report) if folds is None else cross_validated(pair, folds, report)
    return finish(fit, partial(null_of, pair, folds, None, 0.0, "r2", "variance_weighted"), metric)


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


def _predicted(metric: str, pair: arrays.Pair, cv: Any, groups: Any, how: _Asked) -> Score:
    """By given splits, of whole groups, with penalties, or column by column."""
    labels = None if groups is None else group_numbers(groups, pair.kept)
    splits = regressions.splits_of(cv, labels, pair)
    if how.regression == "pls":
        most = min(pair.x.shape[1], min(len(one.train) for one in splits) - 1)
        checks.integer(how.components, "components", 1, most, limit="min(p, items fitted - 1) = ")
    pair.afford(metric, 48 * pair.n * (pair.x.shape[1] + pair.y.shape[1]))
    settings = {**principal.how(pair.settings, "rows"), **how._asdict(), "splits": len(splits)}
    settings["cv"] = "given" if of_pairs(cv) else None if cv is None else int(cv)
    if labels is not None:
        settings["groups"] = int(labels.max()) + 1
    keywords: dict[str, Any] = {"estimator": "in-sample" if cv is None else "cross-validated", "settings": settings}
    reason = Centred.of(pair).why_undefined()
    if reason is not None:
        return undefined(metric, pair.n, reason, **keywords)
    with pair.working(metric) as report:
        found = regressions.scored(pair, splits, how.regression, how.alpha, how.components, report)
    columns = found.columns(how.statistic)
    average = how.multioutput or ("variance_weighted" if how.statistic == "r2" else "uniform_average")
    settings |= {"multioutput": average, "rank_x": found.rank, "df": found.freedom}
    settings["alpha"] = tuple(found.alphas) if how.regression == "ridge" else None
    settings["components"] = how.components if how.regression == "pls" else None
    settings["saturated"] = how.regression == "linear" and not found.freedom
    if settings["saturated"]:
        least_squares.warn_saturated(found.rank, found.rank, cv is None)
    value = regressions.average(columns, found.total, average)
    if np.isnan(value):
        return undefined(metric, pair.n, "y does not vary over the items scored", **keywords)
    alpha = {"linear": 0.0, "ridge": how.alpha, "pls": None}[how.regression]
    known = alpha is not None and labels is None and how.statistic == "r2" and average != "median"
    chance, asked = found.chance if known else None, None if cv is None else splits
    null = null_of(pair, asked, labels, alpha, how.statistic, average, chance, value)
    return Score(value, metric=metric, n=pair.n, null=null, per_column=columns, **keywords)
