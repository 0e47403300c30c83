"""RidgeStitcher: least squares with a penalty, chosen by cross-validation if asked."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from kernalign._base import checks
from kernalign._rows import arrays
from kernalign.stitching.linear_map import LinearStitcher, Solution
from kernalign.stitching.problem import Matrix, Problem
from kernalign.stitching.ridge_path import RidgePath
from kernalign.stitching.state import LeastSquaresState


class RidgeStitcher(LinearStitcher):
    """x -> x S + b minimising |x S + b - y|^2 + alpha |S|^2, summed over items and outputs; b is not penalised.

    Parameters
    ----------
    alpha : a number >= 0 (0: least squares of least norm), or a rule that chooses from ``alphas`` by the error summed
        over outputs. All alphas and outputs cost one eigendecomposition. "gcv": generalised cross-validation, which
        needs no second pass, so streams can have it too; but where x has as many columns as items, one item that comes
        twice makes its score 0 as alpha goes to 0. "loo": the leave-one-out error, by a second pass over the rows of
        ``fit``, which does not have this fault.
    alphas : candidates for a rule; None: 49, log-spaced from 1e-10 to 100 times the largest eigenvalue of x'x.

    Attributes
    ----------
    alpha_ : the penalty used.
    alphas_, gcv_ : after a rule, the candidates (a,) and their GCV scores (a, q), else None; see :func:`ridge_path`.
    Others: see :class:`~kernalign.stitching.linear_map.LinearStitcher`.

    See Also
    --------
    AffineStitcher : without a penalty
    ridge_path : the errors of all penalties

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 40))
    >>> y = x[:, :3] + rng.standard_normal((100, 3))
    >>> stitcher = stitching.RidgeStitcher("gcv").fit(x[:60], y[:60])
    >>> plain = stitching.AffineStitcher().fit(x[:60], y[:60])
    >>> stitcher.score(x[60:], y[60:]) > plain.score(x[60:], y[60:])
    True
    """

    _parts: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: Any = "gcv", *, alphas: Any = None) -> None:
        self.alpha = alpha
        self.alphas = alphas

    def fit(self, x: Any, y: Any) -> Self:
        """Fit to x (n, p) and y (n, q); see :meth:`LinearStitcher.fit`."""
        if not (isinstance(self.alpha, str) and self.alpha == "loo"):
            return super().fit(x, y)
        pair, state = arrays.pair(x, y, advise=False), LeastSquaresState().update(x, y)
        problem = self._problem(state)
        problem.warn(type(self).__name__)
        self._solution = _from_path(problem, RidgePath.of(problem, self.alphas).left_out(pair.x, pair.y, problem))
        self._state = state
        return self

    def _solve(self, problem: Problem) -> Solution:
        if isinstance(self.alpha, str):
            if self.alpha == "loo":
                raise ValueError("alpha='loo' needs all rows at once: use fit, or alpha='gcv' for streams and moments")
            if self.alpha != "gcv":
                raise ValueError(f"alpha must be a number, 'gcv' or 'loo', got {checks.shown(self.alpha)}")
            return _from_path(problem, RidgePath.of(problem, self.alphas))
        alpha = checks.check_nonnegative(self.alpha, "alpha")
        coef = problem.ridge(alpha) if alpha > 0 else problem.least_squares()[0]
        return Solution.of(problem, coef, alpha=alpha)

    @property
    def alpha_(self) -> float:
        return float(self._fitted().more["alpha"])

    @property
    def alphas_(self) -> Matrix | None:
        return self._fitted().more.get("path_alphas")

    @property
    def gcv_(self) -> Matrix | None:
        return self._fitted().more.get("gcv")


def _from_path(problem: Problem, path: RidgePath) -> Solution:
    return Solution.of(problem, path.coef(path.best), alpha=path.best, path_alphas=path.alphas, gcv=path.gcv)
