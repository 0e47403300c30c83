"""LowRankStitcher: maps of a given rank, by reduced-rank regression."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kernalign._base import checks
from kernalign.stitching.linear_map import LinearStitcher, Solution
from kernalign.stitching.problem import Matrix, Problem


class LowRankStitcher(LinearStitcher):
    """x -> x S + b with the least squared error among maps S of at most ``rank`` (Izenman 1975).

    S is the least-squares map, its predictions projected on their ``rank`` strongest directions.

    Attributes
    ----------
    residual_curve_ : (r + 1,) mean squared residual of ranks 0, 1, ..., r = min(rank of x, q). The last is that of
        AffineStitcher; rank k adds the squared singular values of the predictions beyond the k-th, over n.
    rank_ : rank of S.
    Others: see :class:`~kernalign.stitching.linear_map.LinearStitcher`.

    See Also
    --------
    AffineStitcher : of any rank

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 10))
    >>> y = x[:, :2] @ rng.standard_normal((2, 6)) + 0.1 * rng.standard_normal((200, 6))
    >>> stitcher = stitching.LowRankStitcher(2).fit(x, y)
    >>> np.linalg.matrix_rank(stitcher.coef_).item(), (stitcher.residual_curve_ < 0.1).argmax().item()
    (2, 2)
    """

    _parts: ClassVar[tuple[str, ...]] = ("rank", "residual_curve")

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def _solve(self, problem: Problem) -> Solution:
        rank = checks.check_positive(self.rank, "rank")
        strength, directions = problem.strongest
        kept = directions[:rank].T
        full = problem.least_norm
        beyond = np.concatenate([np.cumsum(strength[::-1] ** 2)[::-1], [0.0]])
        curve = (float(problem.residual(full).sum()) + beyond) / problem.n
        found = min(rank, problem.rank_fitted)
        return Solution.of(problem, full @ kept @ kept.T, rank=found, residual_curve=curve)

    @property
    def rank_(self) -> int:
        return int(self._fitted().more["rank"])

    @property
    def residual_curve_(self) -> Matrix:
        return np.asarray(self._fitted().more["residual_curve"])
