"""ProcrustesStitcher: rotation, optional reflection and scale."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kernalign._base import checks
from kernalign._rows.decompositions import svd
from kernalign.stitching.linear_map import LinearStitcher, Solution
from kernalign.stitching.problem import Problem


class ProcrustesStitcher(LinearStitcher):
    """x -> scale · x Q + b with orthogonal Q (Schönemann 1966), both sides centred.

    Where p and q differ, the narrower side is filled with zero columns to the width of the wider; Q is the block that
    matters of the orthogonal map between them. Only x'y and the norms are needed: no matrix is inverted, and normal
    equations serve data of any condition.

    Parameters
    ----------
    scale : fit a scale |x'y|_* / |x|^2 (nuclear and Frobenius norms); False keeps distances as they are.
    reflection : allow Q to mirror (all of O(d)); False asks for det Q = 1 (Kabsch). With p != q the zero columns can
        always absorb a mirror, so this makes no difference.

    Attributes
    ----------
    scale_ : the scale, 1.0 if not fitted.
    Others: see :class:`~kernalign.stitching.linear_map.LinearStitcher`.

    See Also
    --------
    AffineStitcher : any linear map
    kernalign.procrustes : what is left after it

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 4))
    >>> turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    >>> stitcher = stitching.ProcrustesStitcher().fit(x, 2 * x @ turn + 1)
    >>> round(stitcher.scale_, 6), np.allclose(stitcher.transform(x), 2 * x @ turn + 1)
    (2.0, True)
    """

    _products_only: ClassVar[bool] = True
    _parts: ClassVar[tuple[str, ...]] = ("scale",)

    def __init__(self, scale: bool = True, *, reflection: bool = True) -> None:
        self.scale = scale
        self.reflection = reflection

    def _solve(self, problem: Problem) -> Solution:
        for name in ("scale", "reflection"):
            checks.check_flag(getattr(self, name), name)
        gram, cross = problem.products
        left, strength, right = svd(cross)
        if not self.reflection and cross.shape[0] == cross.shape[1] and np.linalg.det(left @ right) < 0:
            left[:, -1] *= -1
            strength[-1] *= -1
        power = float(np.trace(gram))
        scale = float(strength.sum()) / power if self.scale and power > 0 else 1.0
        return Solution.of(problem, scale * (left @ right), scale=scale)

    @property
    def scale_(self) -> float:
        return float(self._fitted().more["scale"])
