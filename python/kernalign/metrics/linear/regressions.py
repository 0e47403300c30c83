"""Predictions of one representation from another by least squares, ridge or PLS regression, for items left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._engines import directions
from kernalign._engines.directions import Directions, Matrix, Vector
from kernalign._rows import arrays
from kernalign._rows.decompositions import product, solve_upper, svd
from kernalign._rows.digits import Digits, Rounding
from kernalign._rows.folds import dealt
from kernalign._rows.followed import of_pairs, splits
from kernalign._rows.magnitude import divided, exponent_of

Regression: TypeAlias = Literal["linear", "ridge", "pls"]
Statistic: TypeAlias = Literal["r2", "pearson"]
MultiOutput: TypeAlias = Literal["variance_weighted", "uniform_average", "median"]

_GRID = np.logspace(-10, 2, 49)  # of penalties, relative to the largest squared singular value
_CONSTANT = 1e-14  # share of a column's squares, up to which its variation is the rounding of its mean


class Split(NamedTuple):
    """Numbers of the items fitted and of those scored."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


def splits_of(cv: Any, groups: NDArray[np.intp] | None, pair: arrays.Pair) -> list[Split]:
    """What ``cv`` asks for: all items for both (None), folds of items or of whole groups, or given splits."""
    every = np.arange(pair.n)
    if cv is None:
        return [Split(every, every)]
    if not of_pairs(cv):
        units = every if groups is None else groups
        what = "an integer, (train, test) pairs or None"
        limit = "n = " if groups is None else "the number of groups, "
        folds = checks.integer(cv, "cv", 2, int(units.max()) + 1, wanted=what, limit=limit)
        held = [np.isin(units, fold) for fold in dealt(int(units.max()) + 1, folds)]
        made = [Split(every[~fold], every[fold]) for fold in held]
    else:
        made = [Split(*one) for one in splits(cv, pair.kept)]
        for at, one in enumerate(made):
            common = np.intersect1d(*one) if groups is None else np.intersect1d(groups[one.train], groups[one.test])
            if len(common):
                what = "item" if groups is None else "group"
                raise ValueError(f"cv[{at}] must test no {what} that it trains on, got {len(common)} on both sides")
    least = min(len(one.train) for one in made)
    checks.check_count(least, 2, "predictivity (every fit of it)")
    return made


@dataclass
class Fits:
    """Sums over the items scored, column by column of y, and what the fits were."""

    error: Vector
    total: Vector
    products: Matrix  # of predictions with themselves and with y, of y with itself, and both sums, about y's mean
    count: int = 0
    rank: int = 0  # of the fit with the least freedom left
    freedom: int | None = None
    alphas: list[float] = field(default_factory=list)
    by_chance: list[float] = field(default_factory=lambda: [0.0, 0.0])  # ``error`` and ``total`` of unrelated sides

    @classmethod
    def of(cls, y: Matrix) -> Fits:
        """None yet."""
        q = y.shape[1]
        return cls(np.zeros(q), np.zeros(q), np.zeros((5, q)))

    def add(self, own: Matrix, predicted: Matrix, mean: Vector) -> None:
        """Items scored, less the mean of those fitted, and that less the mean of all."""
        self.error += ((own - predicted) ** 2).sum(axis=0)
        self.total += (own**2).sum(axis=0)
        guess, given = predicted + mean, own + mean
        sums = (guess**2, guess * given, given**2, guess, given)
        self.products += np.array([one.sum(axis=0) for one in sums])
        self.count += len(own)

    @property
    def chance(self) -> float:
        """The mean R^2 over random pairings, of weights that do not depend on y (mathematics 2.20)."""
        return 1 - self.by_chance[0] / self.by_chance[1]

    def columns(self, statistic: Statistic) -> Vector:
        """R^2 or Pearson correlation of every column of y; nan of one that does not vary over the items scored."""
        if statistic == "r2":
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(np.where(self.total > 0, 1 - self.error / self.total, np.nan))
        pp, py, yy, p, y = self.products
        spread_p, spread_y = pp - p * p / self.count, yy - y * y / self.count
        varies = spread_y > _CONSTANT * yy
        norm = np.sqrt(np.maximum(spread_p, 0) * np.maximum(spread_y, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            r = np.where(spread_p > _CONSTANT * pp, (py - p * y / self.count) / norm, 0.0)
        return np.asarray(np.where(varies, np.clip(r, -1.0, 1.0), np.nan))


class Weights(NamedTuple):
    """A fit whose weights do not depend on y: ``reach`` times the products of ``left`` with y of the items fitted."""

    split: Split
    left: Matrix
    reach: Matrix
    shrunk: Vector  # share that a prediction of the items fitted keeps of each direction


def scored(
    pair: arrays.Pair, splits: list[Split], regression: Regression, alpha: float | None, components: int, report: Any
) -> Fits:
    """Fit every split and score it; of float64 copies of both sides."""
    x, y, penalty, exponent = _sides(pair, alpha)
    found, middle = Fits.of(y), y.mean(axis=0)
    for at, (split, a, held, noise) in enumerate(_parts(pair, x, splits, exponent)):
        mean = _mean(y[split.train])
        b = y[split.train] - mean
        if regression == "pls":
            predicted, rank = product(held, _pls(a, b, components, noise)), components
        else:
            made = directions.of_rows(a, len(a) - 1, noise)
            chosen = 0.0
            if regression == "ridge":
                chosen = _generalised(made, product(_left(made).T, b), b) if penalty is None else penalty
                found.alphas.append(_moved(chosen, 2 * exponent))
            fit = _weights(split, made, held, chosen)
            predicted, rank = product(fit.reach, product(fit.left.T, b)), made.rank
            expect(found.by_chance, len(a), 0 if split.train is split.test else len(held), fit.reach, fit.shrunk)
        freedom = len(a) - 1 - rank
        if found.freedom is None or freedom < found.freedom:
            found.freedom, found.rank = freedom, rank
        found.add(y[split.test] - mean, predicted, mean - middle)
        if report is not None:
            report(at + 1, len(splits))
    return found


def fixed(pair: arrays.Pair, splits: list[Split], alpha: float) -> tuple[list[Weights], Matrix]:
    """The fits of every split, by a penalty that is given, and y."""
    x, y, penalty, exponent = _sides(pair, alpha)
    assert penalty is not None
    made = [
        _weights(split, directions.of_rows(a, len(a) - 1, noise), held, penalty)
        for split, a, held, noise in _parts(pair, x, splits, exponent)
    ]
    return made, y


def scored_again(fits: list[Weights], y: Matrix) -> Fits:
    """Score fits that were made before with this y."""
    found, middle = Fits.of(y), y.mean(axis=0)
    for split, left, reach, _ in fits:
        mean = _mean(y[split.train])
        found.add(y[split.test] - mean, product(reach, product(left.T, y[split.train] - mean)), mean - middle)
    return found


def _sides(pair: arrays.Pair, alpha: float | None) -> tuple[Matrix, Matrix, float | None, int]:
    """Both, divided by powers of two, the penalty in their units, and the exponent of x."""
    x, y = (side.dense(0, pair.n) for side in (pair.x, pair.y))
    exponents = exponent_of(x), exponent_of(y)
    penalty = None if alpha is None else _moved(alpha, -2 * exponents[0])
    return divided(x, exponents[0]), divided(y, exponents[1]), penalty, exponents[0]


def _parts(
    pair: arrays.Pair, x: Matrix, splits: list[Split], exponent: int
) -> Iterator[tuple[Split, Matrix, Matrix, Vector]]:
    """Of every split x of the items fitted and of those scored, less the former's mean, and what is rounding."""
    rounding = Digits.of(pair.x).rounding
    for split in splits:
        mean = _mean(x[split.train])
        a = x[split.train] - mean
        yield split, a, x[split.test] - mean, _noise(a, mean, rounding, exponent)


def _mean(rows: Matrix) -> Vector:
    return np.asarray(rows[0] + (rows - rows[0]).mean(axis=0))


def _weights(split: Split, made: Directions, held: Matrix, penalty: float) -> Weights:
    shrunk = made.values**2 / (made.values**2 + penalty)
    return Weights(split, _left(made), product(held, made.right * (shrunk / made.values)), shrunk)


def expect(sums: list[float], fitted: int, held: int, reach: Matrix, shrunk: Vector | None = None) -> None:
    """Add the squared errors of a fit and of the mean, averaged over random pairings, in units of y's variance.

    Predictions of the ``held`` items are products of ``reach`` with orthogonal directions of the items fitted; 0 where
    these are the items scored, whose predictions keep the shares ``shrunk`` of the directions.
    """
    if held:
        sums[0] += held * (1 + 1 / fitted) + float((reach**2).sum())
        sums[1] += held * (1 + 1 / fitted)
    else:
        assert shrunk is not None
        sums[0] += fitted - 1 - float((shrunk * (2 - shrunk)).sum())
        sums[1] += fitted - 1


def _moved(penalty: float, exponent: int) -> float:
    """In other units; 0 or infinite where float64 cannot hold it."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(penalty, exponent))


def _noise(centred: Matrix, mean: Vector, rounding: Rounding, exponent: int) -> Vector:
    """What rounding of the entries may put into each column."""
    return directions.noise(np.sqrt((centred**2).sum(axis=0)), mean, len(centred), rounding.divided(exponent))


def _left(made: Directions) -> Matrix:
    assert made.left is not None
    return made.left


def _generalised(made: Directions, targets: Matrix, y: Matrix) -> float:
    """The penalty of least generalised cross-validation, (RSS / n) / (1 - df / n)^2 summed over outputs."""
    n, s = len(y), made.values
    if not made.rank:
        return 0.0
    grid = _GRID * s[0] ** 2
    shrunk = s**2 / (s**2 + grid[:, None])
    outside = max(0.0, float((y**2).sum() - (targets**2).sum()))
    errors = ((1 - shrunk) ** 2 @ (targets**2).sum(axis=1) + outside) / n
    left = 1 - (shrunk.sum(axis=1) + 1) / n
    with np.errstate(divide="ignore"):
        return float(grid[np.argmin(np.where(left > 1e-10, errors / left**2, np.inf))])


def _pls(x: Matrix, y: Matrix, components: int, noise: Vector) -> Matrix:
    """Coefficients of PLS regression (Wold et al. 2001): every weight is the leading left singular vector of X'Y."""
    x, y, weights, loadings, scores = x.copy(), y.copy(), [], [], []
    for _ in range(components):
        cross = product(x.T, y)
        w = svd(cross)[0][:, 0]
        t = x @ w
        square = float(t @ t)
        if not square > float((noise**2).max()) or not np.any(cross):
            break  # nothing is left to explain, or to explain it by
        p, q = x.T @ t / square, y.T @ t / square
        x -= np.outer(t, p)
        y -= np.outer(t, q)
        weights.append(w)
        loadings.append(p)
        scores.append(q)
    if not weights:
        return np.zeros((x.shape[1], y.shape[1]))
    w, p, q = (np.array(one).T for one in (weights, loadings, scores))
    return product(w, solve_upper(p.T @ w, q.T))  # of loadings and later weights, orthogonal to what was taken out


def average(columns: Vector, weights: Vector, how: MultiOutput) -> float:
    """Of the columns that vary; nan if none does."""
    known = ~np.isnan(columns)
    if not known.any():
        return float("nan")
    if how == "median":
        return float(np.median(columns[known]))
    return float(np.average(columns[known], weights=None if how == "uniform_average" else weights[known]))
