"""Ridge CCA: the continuum of similarities between CCA and CKA."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.readable import Readable
from kernalign._base.score import Null, Score, UndefinedScoreWarning, undefined
from kernalign._base.warn import warn
from kernalign._engines.directions import Directions, Vector
from kernalign._rows import vectors
from kernalign._rows.options import Options
from kernalign.metrics.linear import principal
from kernalign.metrics.linear.cca import paired, warn_saturated
from kernalign.metrics.linear.principal import Principal


@dataclass(frozen=True, repr=False)
class CCAPath(Readable):
    """Similarity of two representations between CCA (ridge 0) and CKA (ridge to infinity).

    Attributes
    ----------
    ridges : as given, in units of the total variance of each side
    scores : biased CKA of the kernels X (X^T X + ridge |X|^2 I)^-1 X^T: normalised ridge CCA
    chance : exact means of the scores under random pairing
    gulp : root mean squared difference of the two kernels in units of 1/n, that is, the GULP distance of the sides
        scaled to |X|^2 = n

    See Also
    --------
    ridge_cca : makes it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 100, 30))
    >>> path = ka.ridge_cca(x, y, [0.01, 1.0])
    >>> (path.scores - path.chance).round(1).tolist()
    [0.0, 0.0]
    """

    ridges: NDArray[np.float64]
    scores: NDArray[np.float64]
    chance: NDArray[np.float64]
    gulp: NDArray[np.float64]
    n: int
    settings: dict[str, Any] = field(default_factory=dict)


def ridge_cca(x: Any, y: Any, ridges: Any, **options: Unpack[Options]) -> CCAPath:
    """Ridge CCA for many ridges from one decomposition: the continuum from CCA to CKA.

    Parameters
    ----------
    x, y, **options : as for :func:`cca`.
    ridges : non-negative numbers, in units of the total variance of each side, so that scale does not matter.

    Returns
    -------
    CCAPath
        With w_i = s_i^2 / (s_i^2 + ridge * sum s^2) on the principal directions of each side,
        scores = sum_ij w_i (U_x^T U_y)_ij^2 w'_j / (|w| |w'|). Ridge 0: |U_x^T U_y|^2 / sqrt(rank_x rank_y), which is
        ``cca(statistic="r2")`` for equal ranks; for large ridges: ``cka(estimator="biased")``. A small ridge counts all
        directions alike that are longer than it: how alike are the linear readouts of both (Harvey et al. 2024).
        All nan, with an UndefinedScoreWarning, where a side is constant.

    Raises
    ------
    TypeError, ValueError
        As for :func:`cca`; ridges are not finite numbers >= 0 (at least one).

    See Also
    --------
    cca, cka : the two ends of it
    kernalign.stitching.ridge_path

    References
    ----------
    Vinod 1976; Boix-Adsera et al. 2022 (GULP), lemma 1.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((300, 20)) * np.geomspace(1, 0.01, 20)
    >>> y = x @ rng.standard_normal((20, 20)) + 0.1 * rng.standard_normal((300, 20))
    >>> path = ka.ridge_cca(x, y, [1e-6, 1e-2, 1e2])
    >>> path.scores.round(1).tolist()
    [0.7, 1.0, 0.8]
    >>> round(ka.cka(x, y, estimator="biased"), 1)
    0.8
    """
    penalties = vectors.nonnegative(ridges, "ridges")
    pair = paired("ridge_cca", x, y, options)
    with pair.working("ridge_cca") as report:
        state = principal.of_spans("ridge_cca", principal.Spans.of(pair, report=report))
    return _finish(state, penalties)


def gulp(x: Any, y: Any, ridge: float = 0.01, **options: Unpack[Options]) -> Score:
    """GULP distance: by how much the best ridge predictions of a target from x and from y differ, at most.

    Parameters
    ----------
    x, y, **options : as for :func:`cca`.
    ridge : >= 0, of the ridge regressions, of sides that are centred and scaled to |X|^2 = n.

    Returns
    -------
    Score
        |A - B|, >= 0, of A = X (X^T X + ridge n I)^-1 X^T, which takes a target to its prediction, and the like of y: a
        bound on how far both predictions of any target of norm 1 lie apart. 0 if x is y up to rotation and scale, or
        with ridge 0 up to any invertible linear map. At most sqrt(rank_x + rank_y). ``chance`` is the root of its exact
        mean square under random pairing, above the mean by ``chance_sd**2 / (2 chance)`` of a spread that is not known
        in closed form, and small.

    Notes
    -----
    Cost, memory and errors as for :func:`ridge_cca`, which has many ridges at once.

    See Also
    --------
    ridge_cca : the similarity that it belongs to
    procrustes : by rotations

    References
    ----------
    Boix-Adsera et al. 2022, definition 1 and lemma 1.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 200, 5))
    >>> mixed = x @ rng.standard_normal((5, 5))
    >>> round(ka.gulp(x, 3 * x + 1, 0.1), 4), round(ka.gulp(x, mixed, 0), 4), ka.gulp(x, mixed, 0.1) > 0.1
    (0.0, 0.0, True)
    """
    penalty = np.array([checks.check_nonnegative(ridge, "ridge")])
    pair = paired("gulp", x, y, options)
    with pair.working("gulp") as report:
        return _finish_gulp(principal.of_spans("gulp", principal.Spans.of(pair, report=report)), penalty)


def gulp_of(spans: principal.Spans, *, ridge: float = 0.01) -> Score:
    """`gulp` of sides whose directions are shared."""
    penalty = np.array([checks.check_nonnegative(ridge, "ridge")])
    return _finish_gulp(principal.of_spans("gulp", spans), penalty)


def _finish_gulp(state: Principal, penalty: Vector) -> Score:
    settings = state.describe(ridge=float(penalty[0]))
    if state.reason is not None:
        return undefined("gulp", state.n, state.reason, settings=settings, maximum=None)
    found = _finish(state, penalty, "gulp")
    a, b = (_shrunk(side, float(penalty[0])) for side in (state.x, state.y))
    chance = np.sqrt(max(0.0, a @ a + b @ b - 2 * a.sum() * b.sum() / state.free))  # overlaps are 1 / free in the mean
    null = Null(float(chance))
    return Score(float(found.gulp[0]), metric="gulp", n=state.n, settings=settings, null=null, maximum=None)


def _finish(state: Principal, penalties: Vector, metric: str = "ridge_cca") -> CCAPath:
    if state.reason is not None:
        warn(f"{metric} is undefined: {state.reason}", UndefinedScoreWarning)
        none = np.full(len(penalties), np.nan)
        return CCAPath(penalties, none, none.copy(), none.copy(), state.n, state.describe())
    if not penalties.all():
        warn_saturated(metric, state)
    squares = state.overlap**2
    scores, chance, gulp = np.empty((3, len(penalties)))
    for i, ridge in enumerate(penalties):
        a, b = (_shrunk(side, float(ridge)) for side in (state.x, state.y))
        cross, norms = float(a @ squares @ b), (float(a @ a), float(b @ b))
        scores[i] = min(1.0, cross / np.sqrt(norms[0] * norms[1]))
        chance[i] = a.sum() * b.sum() / (state.free * np.sqrt(norms[0] * norms[1]))
        gulp[i] = np.sqrt(max(0.0, sum(norms) - 2 * cross))
    return CCAPath(penalties, scores, chance, gulp, state.n, state.describe())


def _shrunk(side: Directions, ridge: float) -> Vector:
    squares = (side.values / side.values[0]) ** 2
    weights: Vector = squares / (squares + ridge * squares.sum())
    return weights
