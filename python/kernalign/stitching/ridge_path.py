"""The whole ridge path, many penalties by many outputs, from one decomposition: GCV and exact leave-one-out errors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kernalign import _core
from kernalign._base import checks
from kernalign._base.progress import ProgressArgument, check_progress, reporting
from kernalign._base.readable import Readable
from kernalign._rows import arrays
from kernalign._rows.blocks import spans
from kernalign._rows.vectors import nonnegative
from kernalign.stitching.problem import Matrix, Problem
from kernalign.stitching.state import LeastSquaresState

_GRID = np.logspace(-10, 2, 49)
_BLOCK_ELEMENTS = 1 << 21
_SATURATED = 1e-10  # share of degrees of freedom below which what is left of a residual is rounding


@dataclass(frozen=True, repr=False)
class RidgePath(Readable):
    """Errors of ridge regression for every penalty.

    Attributes
    ----------
    alphas : (a,) penalties, as given.
    gcv : (a, q) generalised cross-validation: (RSS / n) / (1 - df / n)^2 of each output; inf where no degree of freedom
        is left. It estimates the mean squared error on new items, noise included, and is mathematics 2.9's KARE.
    loo : (a, q) mean squared leave-one-out error (PRESS / n), exact; None unless asked for.
    df : (a,) effective degrees of freedom, the intercept's included.
    best : the alpha with the least error summed over outputs, by ``loo`` where there is one.

    See Also
    --------
    ridge_path : makes it

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> path = stitching.ridge_path(*rng.standard_normal((2, 50, 4)), [1e-6, 1e6])
    >>> path.df.round(1).tolist()
    [5.0, 1.0]
    """

    alphas: Matrix
    gcv: Matrix
    df: Matrix
    loo: Matrix | None = None
    _spectrum: tuple[Matrix, Matrix, Matrix] = field(repr=False, default=())  # type: ignore[assignment]

    @classmethod
    def of(cls, problem: Problem, alphas: Any = None) -> RidgePath:
        """The path of a problem; ``alphas`` None is the grid of :class:`RidgeStitcher`."""
        s, vectors, targets = problem.spectrum
        grid = _GRID * float(s[0] if len(s) else 1) ** 2 if alphas is None else nonnegative(alphas, "alphas")
        shrunk = _shrinkage(s, grid)
        off_range = problem.residual(problem.least_norm)
        squares = (1 - shrunk) ** 2 @ targets**2 + off_range
        df = shrunk.sum(axis=1) + problem.intercept
        left = 1 - df / problem.n
        free = left > _SATURATED
        gcv = np.full(squares.shape, np.inf)
        np.divide(squares / problem.n, left[:, None] ** 2, out=gcv, where=free[:, None])
        return cls(grid, gcv, df, None, (s, vectors, targets))

    @property
    def best(self) -> float:
        errors = self.gcv if self.loo is None else self.loo
        return float(self.alphas[np.argmin(errors.sum(axis=1))])

    def coef(self, alpha: float) -> Matrix:
        """The p x q map for a penalty (any, not only those of the path)."""
        s, vectors, targets = self._spectrum
        shrunk = _shrinkage(s, np.array([checks.check_nonnegative(alpha, "alpha")]))[0]
        return np.asarray(vectors @ (targets * (shrunk / s)[:, None]))

    def left_out(self, x: _core.Rows, y: _core.Rows, problem: Problem, progress: ProgressArgument = False) -> RidgePath:
        """The same with leave-one-out errors, by one pass over the rows that the problem was made from.

        The error of item i is its residual over 1 - h_i (Allen 1974), h_i = [1/n +] |diag(d) u_i|^2 its leverage.
        """
        s, vectors, targets = self._spectrum
        shrunk = _shrinkage(s, self.alphas)
        weights = (shrunk.T[:, :, None] * targets[:, None, :]).reshape(len(s), self.gcv.size)
        whiten = vectors / s
        squares = np.zeros(self.gcv.shape)
        width = self.gcv.size + x.shape[1]
        with reporting(progress, "leave-one-out") as report:
            for begin, end in spans(problem.n, width, elements=_BLOCK_ELEMENTS, report=report):
                u = (x.dense(begin, end) - problem.mean_x) @ whiten
                left = 1 - problem.intercept / problem.n - u**2 @ shrunk.T
                left[left <= _SATURATED] = 0  # the item alone determines a direction: no fit without it predicts it
                error = (u @ weights).reshape(end - begin, *self.gcv.shape)
                np.subtract((y.dense(begin, end) - problem.mean_y)[:, None, :], error, out=error)
                with np.errstate(divide="ignore", invalid="ignore"):
                    error /= left[:, :, None]
                squares += (error**2).sum(axis=0)
        return replace(self, loo=np.where(np.isnan(squares), np.inf, squares) / problem.n)


def ridge_path(
    x: Any, y: Any, alphas: Any = None, *, leave_one_out: bool = False, progress: ProgressArgument = False
) -> RidgePath:
    """Ridge regression of y (n, q) on x (n, p) with an intercept, for every penalty at once.

    One decomposition of x'x serves all penalties and outputs; leave-one-out errors take one more pass over the rows.
    Holds O((p + q)^2) and, for leave-one-out, a block of 16 MB.

    Raises
    ------
    TypeError, ValueError
        For bad arrays, or ``alphas`` that are not finite numbers >= 0.

    See Also
    --------
    RidgePath : what it returns
    RidgeStitcher : fits with the best
    kernalign.kare : generalised cross-validation, of a spectrum

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((80, 30))
    >>> y = x[:, :1] + rng.standard_normal((80, 1))
    >>> path = stitching.ridge_path(x, y, [0.01, 10.0, 1e5], leave_one_out=True)
    >>> path.best, path.loo.ravel().round(1).tolist()
    (10.0, [1.2, 1.1, 1.8])
    """
    pair = arrays.pair(x, y, advise=False)
    checks.check_count(pair.n, 2, "ridge_path")
    check_progress(progress)
    checks.check_flag(leave_one_out, "leave_one_out")
    if alphas is not None:
        nonnegative(alphas, "alphas")
    problem = LeastSquaresState().update(x, y).finish()
    path = RidgePath.of(problem, alphas)
    return path.left_out(pair.x, pair.y, problem, progress) if leave_one_out else path


def _shrinkage(s: Matrix, alphas: Matrix) -> Matrix:
    """(a, r) factors s^2 / (s^2 + alpha), without overflow."""
    return 1 / (1 + (np.sqrt(alphas)[:, None] / s) ** 2)
