"""Linear predictivity: how much of y a linear function of x explains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Unpack

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
from kernalign._rows.options import Options
from kernalign.metrics.linear import principal


def linear_predictivity(x: Any, y: Any, *, cv: int | None = None, **options: Unpack[Options]) -> Score:
    """Share of the variance of y that a linear function of x explains, by least squares with an intercept.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 2. Not symmetric: x predicts y.
    cv : None scores the items that were fitted; an integer K in [2, n] fits K times on all items but a fold and scores
        that fold. Item i is in fold i mod K, so that sorted items are spread; shuffle the rows of both for other folds.
    **options : as for :func:`kernalign.cka`.

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

    See Also
    --------
    kernalign.stitching.RidgeStitcher : with a penalty
    cca : both sides at once

    References
    ----------
    Kornblith et al. 2019, section 3 (linear regression); Schrimpf et al. 2018 (neural predictivity).

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
    >>> ka.linear_predictivity(x, noise, cv=5) < 0
    True
    >>> y = x[:, :5] + 0.1 * noise
    >>> round(ka.linear_predictivity(x, y, cv=5), 1)
    1.0
    """
    pair = arrays.pair(x, y, **options)
    checks.check_count(pair.n, 2, "linear_predictivity")
    pair.afford_products("linear_predictivity", 26)
    folds = None if cv is None else _check_folds(cv, pair.n)
    with pair.working("linear_predictivity") as report:
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
    rounded: int = 0  # directions of x that are no longer than the rounding of its entries


def finish(fit: Fit) -> Score:
    """Predictivity of finished sums of squares."""
    estimator = "in-sample" if fit.folds is None else "cross-validated"
    settings = {**fit.settings, "cv": fit.folds, "rank_x": fit.rank, "rounded_x": fit.rounded}
    settings["df"] = fit.free - fit.rank
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


def predictivity_of(spans: principal.Spans, *, cv: int | None = None) -> Score:
    """`linear_predictivity` of sides whose directions are shared."""
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
    return finish(_fit(spans.pair, _Decomposed(data, found, predicted, (x.squares, y.squares), route)))


def _fit(pair: arrays.Pair, made: _Decomposed) -> Fit:
    data = made.data
    reason = made.why_undefined(data.x.rounding, data.y.rounding)
    rank, settings = made.found.rank, principal.how(pair.settings, made.route)
    if reason is None:
        made.warn(data.x.rounding)
    error = max(0.0, made.total - made.explained)
    return Fit(pair.n, error, made.total, rank, data.free, settings, reason=reason, rounded=made.found.rounded)


def _cross_validated(pair: arrays.Pair, folds: int, report: Report) -> Fit:
    whole = Centred.of(pair)
    reason = whole.why_undefined()
    if reason is not None:
        return Fit(pair.n, 0, 0, 0, whole.free, principal.how(pair.settings, "none"), folds, reason)
    error = total = 0.0
    least: _Decomposed | None = None  # the fit with the least freedom left
    routes, roundings = set(), (whole.x.rounding, whole.y.rounding)
    for remainder in range(folds):
        data = Centred.of(pair, fold=Fold(remainder, folds, held=False))
        made = _decomposed(data, roundings[0], None)
        coefficients = made.coefficients
        unit = np.ldexp(1.0, 2 * (data.y.exponent - whole.y.exponent))  # every fit has its own scale
        for x, y in data.held_out().blocks():
            residual = y - product(x, coefficients)
            total += float(np.vdot(y, y) * unit)
            error += float(np.vdot(residual, residual) * unit)
        if least is None or made.freedom < least.freedom:
            least = made
        routes.add(made.route)
        if report is not None:
            report(remainder + 1, folds)
    assert least is not None
    reason = least.why_undefined(*roundings)
    if reason is None:
        least.warn(roundings[0])
    found, settings = least.found, principal.how(pair.settings, "+".join(sorted(routes)))
    return Fit(pair.n, error, total, found.rank, least.data.free, settings, folds, reason, found.rounded)


@dataclass(frozen=True)
class _Decomposed:
    """Directions of x, and ``predicted``: the product of the left ones with y; ``squares`` are of columns."""

    data: Centred
    found: Directions
    predicted: Matrix
    squares: tuple[Vector, Vector]
    route: str

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

    @property
    def coefficients(self) -> Matrix:
        """The least-squares solution of least norm."""
        return product(self.found.right / self.found.values, self.predicted)

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
