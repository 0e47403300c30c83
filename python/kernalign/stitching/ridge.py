"""RidgeStitcher: least squares with a penalty, chosen by generalised cross-validation if asked."""

from __future__ import annotations

from typing import Any, ClassVar

from kernalign import arrays
from kernalign.stitching.linear_map import LinearStitcher, Solution
from kernalign.stitching.problem import Matrix, Problem
from kernalign.stitching.ridge_path import RidgePath


class RidgeStitcher(LinearStitcher):
    """x -> x S + b minimising |x S + b - y|^2 + alpha |S|^2, summed over items and outputs; b is not penalised.

    Parameters
    ----------
    alpha : a number >= 0 (0: least squares of least norm), or "gcv": of ``alphas``, the one with the least generalised
        cross-validation score, summed over outputs. All alphas and outputs cost one eigendecomposition; the score needs
        no second pass, so streams can have it too.
    alphas : candidates for "gcv"; None: 49, log-spaced from 1e-10 to 100 times the largest eigenvalue of x'x.

    Attributes
    ----------
    alpha_ : the penalty used.
    alphas_, gcv_ : after "gcv", the candidates (a,) and their scores (a, q), else None; see also :func:`ridge_path`.
    Others: see :class:`~kernalign.stitching.linear_map.LinearStitcher`.
    """

    _parts: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: Any = "gcv", *, alphas: Any = None) -> None:
        self.alpha = alpha
        self.alphas = alphas

    def _solve(self, problem: Problem) -> Solution:
        if isinstance(self.alpha, str):
            if self.alpha != "gcv":
                raise ValueError(f"alpha must be a number or 'gcv', got {self.alpha!r}")
            path = RidgePath.of(problem, self.alphas)
            return Solution.of(problem, path.coef(path.best), alpha=path.best, path_alphas=path.alphas, gcv=path.gcv)
        alpha = arrays.check_nonnegative(self.alpha, "alpha")
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
