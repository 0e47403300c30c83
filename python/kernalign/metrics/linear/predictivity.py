"""Linear predictivity: how much of y a linear function of x explains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np

from kernalign import _core
from kernalign._base import checks
from kernalign._base.checks import check_folds
from kernalign._base.progress import Report, reporting
from kernalign._base.score import AlignmentWarning, Null, Score, undefined
from kernalign._base.warn import warn
from kernalign._engines import directions
from kernalign._engines.centred import Centred, Fold
from kernalign._engines.directions import Directions, Matrix
from kernalign._rows import arrays
from kernalign._rows.arrays import Options
from kernalign.metrics.linear import principal


def linear_predictivity(x: Any, y: Any, *, cv: int | None = None, **options: Unpack[Options]) -> Score:
    """Share of the variance of y that a linear function of x explains, by least squares with an intercept.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 2. Not symmetric: x predicts y.
    cv : None scores the items that were fitted; an integer K in [2, n] fits K times on all items but a fold and scores
        that fold. Item i is in fold i mod K, so that sorted items are spread; shuffle the rows of both for other folds.
    **options : as for :func:`kernalign.cka`. ``threads`` holds products, not the decompositions by NumPy.

    Returns
    -------
    Score
        1 - SSE / SST, both summed over the columns of y. In-sample: in [0, 1]; ``chance`` is the exact mean under
        random pairing, rank / (n - 1): it grows with the width of x. Invariant to invertible linear
        maps of x, to rotation and isotropic scale of y, and to translation. Cross-validated: at most 1 and below 0
        where the mean of the other items predicts better; SST is about that mean. If x (of the items fitted) has rank
        n - 1 the fit passes through every item: ``settings["saturated"]``, an AlignmentWarning, and the solution of
        least norm. nan, with ``reason``, where a side is constant.

    Notes
    -----
    When n > p: float64 products, 8 (p^2 + p q) bytes, if the ratio of singular values of x is below 1e3; else, or for
    few rows, an SVD of the rows or of their QR, 8 (p + q)^2 bytes. ``settings["df"]``: n - 1 - rank.

    Raises
    ------
    TypeError, ValueError
        For input that is not two numeric, finite 2-D arrays with the same number of rows, or too few rows; cv is not
        an integer in [2, n], or leaves fewer than 2 rows to fit.

    References
    ----------
    Kornblith et al. 2019, section 3 (linear regression); Schrimpf et al. 2018 (neural predictivity).
    """
    pair = arrays.pair(x, y, **options)
    checks.check_count(pair.n, 2, "linear_predictivity")
    folds = None if cv is None else _check_folds(cv, pair.n)
    with reporting(pair.progress, "linear_predictivity") as report:
        fit = _in_sample(pair, report) if folds is None else _cross_validated(pair, folds, report)
    return finish(fit)


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


def finish(fit: Fit) -> Score:
    """Predictivity of finished sums of squares."""
    estimator = "in-sample" if fit.folds is None else "cross-validated"
    settings = {**fit.settings, "cv": fit.folds, "rank_x": fit.rank, "df": fit.free - fit.rank}
    reason = fit.reason or (None if fit.total > 0 else "y does not vary over the items scored")
    settings["saturated"] = reason is None and fit.rank >= fit.free
    if reason is not None:
        return undefined("linear_predictivity", fit.n, reason, estimator=estimator, settings=settings)
    if settings["saturated"]:
        effect = "the score is 1 whatever y is" if fit.folds is None else "the fit passes through all items fitted"
        warn(
            f"linear_predictivity: x has {fit.rank} independent directions among {fit.free + 1} items, so {effect}",
            AlignmentWarning,
        )
    value = 1 - fit.error / fit.total
    null = None
    if fit.folds is None:
        value, null = max(0.0, value), Null(fit.rank / fit.free)
    return Score(value, metric="linear_predictivity", n=fit.n, estimator=estimator, settings=settings, null=null)


def of_stream(engine: _core.MomentSums, double: bool) -> Fit:
    """From the products of a stream; warns where squaring the condition number of x has cost too much."""
    settings = _settings({"normalize": None, "clip_quantile": None}, "stream", double)
    xx, total = engine.product(0, 0), float(engine.product(1, 1).trace())
    for square, name in ((float(xx.trace()), "x"), (total, "y")):
        reason = principal.why_undefined(square, name)
        if reason is not None:
            return Fit(engine.n, 0, 0, 0, engine.n - 1, settings, reason=reason)
    found = principal.stream_directions(xx, engine.n - 1, double, "linear_predictivity", "x")
    error = total - _explained(found, engine.product(0, 1))
    return Fit(engine.n, max(0.0, error), total, found.rank, engine.n - 1, settings)


def _in_sample(pair: arrays.Pair, report: Report) -> Fit:
    data = Centred.of(pair)
    reason = data.why_undefined()
    if reason is not None:
        return Fit(pair.n, 0, 0, 0, data.free, _settings(pair.settings, "none"), reason=reason)
    found, against, total, route = _decomposed(data, report)
    error = max(0.0, total - _explained(found, against))
    return Fit(pair.n, error, total, found.rank, data.free, _settings(pair.settings, route))


def _cross_validated(pair: arrays.Pair, folds: int, report: Report) -> Fit:
    whole = Centred.of(pair)
    reason = whole.why_undefined()
    if reason is not None:
        return Fit(pair.n, 0, 0, 0, whole.free, _settings(pair.settings, "none"), folds, reason)
    error = total = 0.0
    least: tuple[int, int] | None = None  # freedom and rank of the fit with the least freedom left
    routes = set()
    for remainder in range(folds):
        data = Centred.of(pair, fold=Fold(remainder, folds, held=False))
        found, against, _, route = _decomposed(data, None)
        coefficients = _coefficients(found, against)
        unit = np.ldexp(1.0, 2 * (data.y.exponent - whole.y.exponent))  # every fit has its own scale
        for x, y in data.held_out().blocks():
            residual = y - x @ coefficients
            total += float(np.vdot(y, y) * unit)
            error += float(np.vdot(residual, residual) * unit)
        if least is None or data.free - found.rank < least[0] - least[1]:
            least = data.free, found.rank
        routes.add(route)
        if report is not None:
            report(remainder + 1, folds)
    assert least is not None
    return Fit(pair.n, error, total, least[1], least[0], _settings(pair.settings, "+".join(sorted(routes))), folds)


def _decomposed(data: Centred, report: Report) -> tuple[Directions, Matrix, float, str]:
    """Directions of x, what they are multiplied with to predict y, the sum of squares of y, and the route.

    The second is x^T y, or y (its rows as those of the left directions) where these are known.
    """
    p, q = data.columns
    if data.n > p:
        sums = data.products("xx xy", report=report)
        found = directions.of_gram(sums.xx, min(p, data.free))
        if found.sound(found.rank):
            return found, sums.xy, float(sums.squares[1].sum()), "feature"
    x, y = data.stacked(report)
    route = "qr" if data.n > p + q else "rows"
    return directions.of_rows(x, data.free), y, float(np.vdot(y, y)), route


def _explained(found: Directions, against: Matrix) -> float:
    """|U^T Y|^2"""
    if found.left is not None:
        return float(((found.left.T @ against) ** 2).sum())
    return float((((found.right / found.values).T @ against) ** 2).sum())


def _coefficients(found: Directions, against: Matrix) -> Matrix:
    """The least-squares solution of least norm."""
    if found.left is not None:
        return np.asarray((found.right / found.values) @ (found.left.T @ against))
    return np.asarray((found.right / found.values**2) @ (found.right.T @ against))


def _check_folds(cv: Any, n: int) -> int:
    folds = check_folds(cv, n, "cv", "an integer or None")
    checks.check_count(n - -(-n // folds), 2, "linear_predictivity (every fit of it)")
    return folds


def _settings(given: dict[str, Any], route: str, double: bool = True) -> dict[str, Any]:
    products = "float64" if double else "float32"
    return {**given, "route": route, "products": products, "accumulation": "float64", "backend": "cpu"}
