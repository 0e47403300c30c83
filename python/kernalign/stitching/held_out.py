"""Predictions of y from x by least squares through the origin: in-sample, leave-one-out (PRESS) or by folds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.checks import check_folds
from kernalign._rows.blocks import row_blocks
from kernalign._rows.folds import dealt
from kernalign.stitching.problem import Matrix, Problem
from kernalign.stitching.state import LeastSquaresState

CV: TypeAlias = int | Literal["press"] | None
Block: TypeAlias = Callable[[int, int], Matrix]  # rows begin .. end of the targets
Items: TypeAlias = NDArray[np.int64]
Predicted: TypeAlias = tuple[Items, Matrix]  # items, their predictions

_SATURATED = 1e-10


def check_cv(cv: Any, n: int) -> CV:
    """Return ``cv``: None, "press", or a number of folds between 2 and n."""
    if cv is None or (isinstance(cv, str) and cv == "press"):
        return cv  # type: ignore[return-value]
    return check_folds(cv, n, "cv", "None, 'press' or a number of folds")


def fit(x: _core.Rows, y: Block, columns: int, *, without: Items | None = None, intercept: bool = False) -> Problem:
    """Least squares of the ``columns`` of y on x, ``without`` some items, which ascend.

    The rows are read in blocks that are small for both sides.
    """
    state = LeastSquaresState()
    for begin, end in row_blocks(x, columns=columns):
        rows, targets = x.dense(begin, end), y(begin, end)
        if without is not None:
            held = _between(without, begin, end) - begin
            rows, targets = np.delete(rows, held, axis=0), np.delete(targets, held, axis=0)
        if len(rows):
            state.update(rows, targets)
    return state.finish(intercept=intercept)


def predictions(x: _core.Rows, y: Block, problem: Problem, cv: CV) -> Iterator[Predicted]:
    """Predictions of all items, block by block; ``problem`` is fit(x, y).

    Raises
    ------
    ValueError
        cv="press" where an item alone determines a direction of x: no fit without it predicts it.
    """
    if isinstance(cv, int):
        yield from _by_folds(x, y, len(problem.mean_y), cv)
        return
    s, vectors, targets = problem.spectrum
    whiten = vectors / s
    for begin, end in row_blocks(x, columns=len(problem.mean_y)):
        u = x.dense(begin, end) @ whiten
        predicted, items = u @ targets, np.arange(begin, end)
        if cv == "press":
            left = 1 - (u**2).sum(axis=1)
            if not (left > _SATURATED).all():
                item = begin + int(np.argmin(left))
                raise ValueError(
                    f"cv='press' needs more items than independent columns to predict from, but item {item} alone "
                    f"determines a direction of them (leverage 1)"
                )
            given = y(begin, end)
            predicted = given - (given - predicted) / left[:, None]
        yield items, predicted


def _by_folds(x: _core.Rows, y: Block, columns: int, folds: int) -> Iterator[Predicted]:
    for fold in dealt(x.shape[0], folds):
        coef = fit(x, y, columns, without=fold).least_norm
        for items, rows in fold_rows(x, columns, fold):
            yield items, rows @ coef


def fold_rows(x: _core.Rows, columns: int, fold: Items) -> Iterator[Predicted]:
    """The items of a fold and their rows, in blocks small enough for ``columns`` as well."""
    for begin, end in row_blocks(x, columns=columns):
        items = _between(fold, begin, end)
        if len(items):
            yield items, x.dense(begin, end)[items - begin]


def _between(items: Items, begin: int, end: int) -> Items:
    return items[slice(*np.searchsorted(items, (begin, end)))]


def items_of(side: _core.Rows, items: Items) -> Matrix:
    """Rows of items that ascend."""
    begin, end = int(items[0]), int(items[-1]) + 1
    return np.asarray(side.dense(begin, end)[items - begin])
