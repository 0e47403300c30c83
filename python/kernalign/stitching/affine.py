"""AffineStitcher: plain least squares with an intercept."""

from __future__ import annotations

from typing import ClassVar

from kernalign.stitching.linear_map import LinearStitcher, Solution
from kernalign.stitching.problem import Problem


class AffineStitcher(LinearStitcher):
    """x -> x S + b with the least squared error; of several such maps, the one with the least |S|.

    ``residual_`` is then the misalignment of the centred sides: tr Syy - tr(Syx Sxx^+ Sxy) (mathematics 2.10).

    Attributes
    ----------
    rank_ : rank of centred x; below p, the map is one of many.
    Others: see :class:`~kernalign.stitching.linear_map.LinearStitcher`.

    See Also
    --------
    RidgeStitcher : with a penalty
    ProcrustesStitcher, LowRankStitcher : other maps

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> x = np.random.default_rng(0).standard_normal((100, 3))
    >>> y = x @ [[1.0], [2.0], [3.0]] + 4
    >>> stitcher = stitching.AffineStitcher().fit(x, y)
    >>> stitcher.coef_.round(6).tolist(), stitcher.rank_
    ([[1.0, 2.0, 3.0]], 3)
    """

    _parts: ClassVar[tuple[str, ...]] = ("rank",)
    _most: ClassVar[tuple[int, int]] = (900, 505)  # triangles do not square x

    def _solve(self, problem: Problem) -> Solution:
        coef, rank = problem.least_squares()
        return Solution.of(problem, coef, rank=rank)

    @property
    def rank_(self) -> int:
        return int(self._fitted().more["rank"])
