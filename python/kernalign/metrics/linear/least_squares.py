"""Least squares with an intercept: sums of squares in-sample, of folds and of streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernalign._base import checks, hazards
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
from kernalign.metrics.linear import principal, regressions


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


def finish(
    fit: Fit,
    drawn: Callable[[float | None, float], Null | None] | None = None,
    metric: str = "linear_predictivity",
) -> Score:
    """Predictivity of finished sums of squares; ``drawn`` makes the null of its chance level and itself."""
    estimator = "in-sample" if fit.folds is None else "cross-validated"
    settings = {**fit.settings, "cv": fit.folds, "rank_x": fit.rank, "rounded_x": fit.rounded}
    settings["df"] = fit.free - fit.rank
    reason = fit.reason or (None if fit.total > 0 else "y does not vary over the items scored")
    settings["saturated"] = reason is None and fit.rank >= fit.free
    if reason is not None:
        return undefined(metric, fit.n, reason, estimator=estimator, settings=settings)
    if settings["saturated"]:
        warn_saturated(fit.rank, fit.free, fit.folds is None)
    value, chance = 1 - fit.error / fit.total, fit.chance
    if fit.folds is None:
        value, chance = max(0.0, value), fit.rank / fit.free
    null = Null(chance) if drawn is None else drawn(chance, value)
    return Score(
        value,
        metric=metric,
        n=fit.n,
        estimator=estimator,
        settings=settings,
        null=null,
        per_column=fit.columns,
    )


def warn_saturated(rank: int, free: int, in_sample: bool) -> None:
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


def in_sample(pair: arrays.Pair, report: Report) -> Fit:
    data = Centred.of(pair)
    reason = data.why_undefined()
    if reason is not None:
        return Fit(pair.n, 0, 0, 0, data.free, principal.how(pair.settings, "none"), reason=reason)
    return fit_of(pair, _decomposed(data, data.x.rounding, report))


def fit_of(pair: arrays.Pair, made: Decomposed) -> Fit:
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


def cross_validated(pair: arrays.Pair, folds: int, report: Report) -> Fit:
    whole = Centred.of(pair)
    reason = whole.why_undefined()
    if reason is not None:
        return Fit(pair.n, 0, 0, 0, whole.free, principal.how(pair.settings, "none"), folds, reason)
    error = total = 0.0
    errors, totals = np.zeros((2, pair.y.shape[1]))
    least: Decomposed | None = None  # the fit with the least freedom left
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
class Decomposed:
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


def _decomposed(data: Centred, rounding: Rounding, report: Report) -> Decomposed:
    p, q = data.columns
    if data.n > p:
        sums = data.products("xx xy", report=report)
        noise = data.x.noise(sums.squares[0], data.n, rounding)
        found = directions.of_gram(sums.xx, min(p, data.free), noise)
        if found.sound(found.rank):
            return Decomposed(data, found, product(found.whitener.T, sums.xy), sums.squares, "feature")
    x, y = data.stacked(report)
    squares = (x**2).sum(axis=0), (y**2).sum(axis=0)
    found = directions.of_rows(x, data.free, data.x.noise(squares[0], data.n, rounding))
    assert found.left is not None
    return Decomposed(data, found, product(found.left.T, y), squares, "qr" if data.n > p + q else "rows")


def check_folds(cv: Any, n: int) -> int:
    folds = checks.check_folds(cv, n, "cv", "an integer or None")
    checks.check_count(n - -(-n // folds), 2, "linear_predictivity (every fit of it)")
    return folds
