"""Canonical correlations and principal angles: how much two representations share once scale is divided out."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.score import AlignmentWarning, Null, Score, UndefinedScoreWarning, undefined
from kernalign._base.warn import warn
from kernalign._engines.directions import Vector, nuclear_norm
from kernalign._rows import arrays
from kernalign._rows.decompositions import product, singular_values
from kernalign._rows.options import Options
from kernalign.metrics.linear import principal
from kernalign.metrics.linear.principal import Principal, Spans

Statistic: TypeAlias = Literal["rho", "r2", "eos"]

_SAME = 1e-10  # relative gap of singular values below which the directions at a cut are not determined
_SAME_SINGLE = 1e-6  # the same of float32 products
_FORCED = 0.1  # share of correlations that are 1 by count, beyond which the score says little
_SMALL_ANGLE = 0.99  # a cosine from which angles are better found from sines


def cca(x: Any, y: Any, *, statistic: Statistic = "rho", centred: bool = True, **options: Unpack[Options]) -> Score:
    """Mean canonical correlation of two representations of the same items.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 2.
    statistic : "rho": mean of the canonical correlations; "r2": mean of their squares; "eos": the sum of their squares
        over the larger rank, the eigenspace overlap score of May et al. 2019 (theirs is not ``centred``).
    centred : False leaves the column means in, as a widely used notebook does (Kornblith et al. 2019); no null then.
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        In [0, 1]: the mean over the smaller of both ranks. Ranks are numerical: constant and repeated columns do not
        count. Invariant to invertible linear maps and translation of each side. ``chance`` of "r2" is the exact mean
        under random pairing, max(rank) / (n - 1). A side of rank n - 1 makes every correlation 1 whatever the other
        is: ``settings["saturated"]``, and an AlignmentWarning; ranks that add up to more than n - 1 make as many 1 as
        there are too many: ``settings["forced"]``, and an AlignmentWarning from a tenth of them on. By random
        matrix theory, unrelated sides of these ranks have a "rho" of about ``settings["chance"]``. nan, with
        ``reason``, where a side is constant.

    Notes
    -----
    Singular values of U_x^T U_y, U the left singular vectors of the centred sides. When n > p + q these come from
    float64 products, 8 (p^2 + pq + q^2) bytes, if the ratio of singular values is below 1e3, else from a QR
    decomposition taken block by block, 8 (p + q)^2 bytes and more time. Otherwise float64 copies of both are held.
    Never an n x n array with n > p.

    Raises
    ------
    TypeError, ValueError
        For input that is not two numeric, finite 2-D arrays with the same number of rows, or too few rows.

    See Also
    --------
    svcca : of the leading directions only
    pwcca : weighted by what the directions hold of x
    ridge_cca : between CCA and CKA
    linear_predictivity : one-sided, in units of variance

    References
    ----------
    Hotelling 1936; Kornblith et al. 2019, section 3; Raghu et al. 2017.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((500, 6))
    >>> round(ka.cca(x, x @ rng.standard_normal((6, 6))), 6)
    1.0
    >>> shuffled = rng.permutation(rng.standard_normal((500, 100)))
    >>> score = ka.cca(x, shuffled, statistic="r2")
    >>> round(score, 1), round(score.chance, 1)
    (0.2, 0.2)
    """
    check_statistic(statistic)
    centred = checks.check_flag(centred, "centred")
    pair = paired("cca", x, y, options)
    with pair.working("cca") as report:
        return cca_of(Spans.of(pair, centred=centred, report=report), statistic=statistic)


def svcca(x: Any, y: Any, *, rank: int | None = None, variance: float = 0.99, **options: Unpack[Options]) -> Score:
    """Mean canonical correlation of the leading principal directions of two representations, without randomness.

    Parameters
    ----------
    x, y, **options : as for :func:`cca`.
    rank : number of directions kept of each side; if given, it overrides ``variance``.
    variance : share in (0, 1] of the sum of squared singular values that the directions kept hold at least.

    Returns
    -------
    Score
        In [0, 1]: mean singular value of U_x^T U_y, over the smaller of both numbers of directions (``settings``:
        "rank_x", "rank_y"). Invariant to rotation, isotropic scale and translation of each side. ``settings["chance"]``
        and "forced" as for :func:`cca`: of 250 directions a side of 256 items, .98 is chance.

    Raises
    ------
    TypeError, ValueError
        As for :func:`cca`; rank is not between 1 and the ranks of both sides.

    See Also
    --------
    cca : of all directions
    subspace_overlap : do the leading directions span the same?

    References
    ----------
    Raghu et al. 2017. The released code of others draws random vectors; this is the limit that it approaches.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 50))
    >>> x, y = signal + 0.1 * rng.standard_normal((2, 300, 50))
    >>> round(ka.svcca(x, y, rank=3), 2), round(ka.svcca(x, y, rank=30), 1)
    (1.0, 0.3)
    """
    checks.number(variance, "variance", "in (0, 1]")
    pair = paired("svcca", x, y, options)
    with pair.working("svcca") as report:
        return svcca_of(Spans.of(pair, report=report), rank=rank, variance=variance)


def pwcca(x: Any, y: Any, **options: Unpack[Options]) -> Score:
    """Canonical correlations averaged with the weight that their variables have in x (projection-weighted CCA).

    Parameters and errors as for :func:`cca`.

    Returns
    -------
    Score
        In [0, 1]: sum_i a_i rho_i / sum_i a_i, a_i = sum_j |<h_i, x_j>|, h_i the canonical variables of x (n-vectors of
        norm 1) and x_j its centred columns. Not symmetric: the weights are those of x. Not invariant to rotation of x.
        An AlignmentWarning says where some correlations are equal, so that the weights are not determined.

    See Also
    --------
    cca, svcca

    References
    ----------
    Morcos, Raghu and Bengio 2018, section 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((500, 5)) * [10, 1, 1, 1, 1]
    >>> y = rng.standard_normal((500, 5))
    >>> y[:, 0] += 0.2 * x[:, 0]
    >>> round(ka.pwcca(x, y), 1), round(ka.pwcca(y, x), 1), round(ka.cca(x, y), 1)
    (0.6, 0.3, 0.2)
    """
    pair = paired("pwcca", x, y, options)
    with pair.working("pwcca") as report:
        return pwcca_of(Spans.of(pair, report=report))


def principal_angles(x: Any, y: Any, rank: int, **options: Unpack[Options]) -> NDArray[np.float64]:
    """Angles between the spans of the leading ``rank`` left singular vectors of centred x and y.

    Parameters
    ----------
    x, y, **options : as for :func:`cca`.
    rank : number of directions of each side; at most the rank of either.

    Returns
    -------
    array of shape (rank,)
        Radians in [0, pi/2], ascending; nan, with an UndefinedScoreWarning, where a side is constant. Small angles come
        from their sines and are good to some 1e-14, however small (Bjorck and Golub 1973; Knyazev and Argentati 2002).
        Their cosines are the correlations that ``svcca(x, y, rank=rank)`` averages. An AlignmentWarning says where the
        next direction is as long as the last, so that the span is not determined.

    Raises
    ------
    TypeError, ValueError
        As for :func:`cca`; rank is not between 1 and the ranks of both sides.

    See Also
    --------
    subspace_overlap : mean squared cosine of these angles
    spectral_overlap : with the eigenvalues

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((100, 3)) * [9, 3, 1]
    >>> x = np.linalg.qr(x - x.mean(axis=0))[0] * [9, 3, 1]
    >>> np.degrees(ka.principal_angles(x, x[:, [0, 2]], rank=2)).round(3).tolist()
    [0.0, 90.0]
    """
    pair = paired("principal_angles", x, y, options)
    with pair.working("principal_angles") as report:
        spans = Spans.of(pair, report=report)
        rank = _check_rank(rank, spans)
        state = _leading("principal_angles", spans, rank)
    if state.reason is not None:
        warn(f"principal_angles is undefined: {state.reason}", UndefinedScoreWarning)
        return np.full(rank, np.nan)
    cosines = singular_values(state.overlap)
    if cosines[0] < _SMALL_ANGLE:
        return np.asarray(np.arccos(cosines))
    if state.x.left is None or state.y.left is None:
        state = principal.of_spans("principal_angles", spans, keep=_first(rank), rows=True)
    assert state.x.left is not None
    assert state.y.left is not None
    x, y = state.x.left[:, :rank], state.y.left[:, :rank]
    sines, cosines = singular_values(y - product(x, product(x.T, y)))[::-1], singular_values(state.overlap)
    return np.asarray(np.where(cosines**2 > 0.5, np.arcsin(np.minimum(sines, 1)), np.arccos(np.minimum(cosines, 1))))


def subspace_overlap(x: Any, y: Any, rank: int, **options: Unpack[Options]) -> Score:
    """Mean squared cosine of the principal angles between the leading ``rank`` directions of x and y.

    Parameters and errors as for :func:`principal_angles`.

    Returns
    -------
    Score
        |U_x^T U_y|^2 / rank in [0, 1]; 1 for equal spans. ``chance`` is the exact mean under random pairing of the
        items, rank / (n - 1).

    See Also
    --------
    principal_angles, svcca, spectral_overlap

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 20)) * np.linspace(3, 1, 20)
    >>> score = ka.subspace_overlap(x, x[:, :10], rank=5)
    >>> score > 0.4, round(score.chance, 3)
    (True, 0.025)
    """
    pair = paired("subspace_overlap", x, y, options)
    with pair.working("subspace_overlap") as report:
        return subspace_overlap_of(Spans.of(pair, report=report), rank=rank)


def cca_of(spans: Spans, *, statistic: Statistic = "rho") -> Score:
    """`cca` of sides whose directions are shared."""
    check_statistic(statistic)
    return finish_cca(principal.of_spans("cca", spans), statistic)


def svcca_of(spans: Spans, *, rank: int | None = None, variance: float = 0.99) -> Score:
    """`svcca`, likewise."""
    checks.number(variance, "variance", "in (0, 1]")
    if rank is not None:
        rank = _check_rank(rank, spans)
        return _finish_svcca(_leading("svcca", spans, rank), rank=rank)
    return _finish_svcca(principal.of_spans("svcca", spans, keep=_holding(variance)), variance=variance)


def pwcca_of(spans: Spans) -> Score:
    """`pwcca`, likewise."""
    return _finish_pwcca(principal.of_spans("pwcca", spans))


def subspace_overlap_of(spans: Spans, *, rank: int) -> Score:
    """`subspace_overlap`, likewise."""
    rank = _check_rank(rank, spans)
    return _finish_overlap(_leading("subspace_overlap", spans, rank), rank)


def finish_cca(state: Principal, statistic: Statistic) -> Score:
    """CCA of finished directions."""
    if state.reason is not None:
        return undefined("cca", state.n, state.reason, estimator=statistic, settings=state.describe())
    least, most = sorted(state.ranks)
    settings = state.describe(centred=state.free < state.n)
    null = None
    chance = {"rho": state.chance_rho, "r2": most / state.free, "eos": least / state.free}[statistic]
    warn_saturated("cca", state, chance)
    if statistic == "rho":
        value = nuclear_norm(state.overlap) / least
        settings["chance"] = state.chance_rho
    else:
        larger = most if statistic == "eos" else least
        value = float((state.overlap**2).sum()) / larger
        null = Null(least * most / (larger * state.free)) if settings["centred"] else None
    return Score(min(1.0, value), metric="cca", n=state.n, estimator=statistic, settings=settings, null=null)


def _finish_svcca(state: Principal, **asked: Any) -> Score:
    if state.reason is not None:
        return undefined("svcca", state.n, state.reason, settings=state.describe(**asked))
    chance = state.chance_rho
    warn_saturated("svcca", state, chance)
    value = min(1.0, nuclear_norm(state.overlap) / min(state.ranks))
    return Score(value, metric="svcca", n=state.n, settings=state.describe(**asked, chance=chance))


def _finish_pwcca(state: Principal) -> Score:
    if state.reason is not None:
        return undefined("pwcca", state.n, state.reason, settings=state.describe(weights="x"))
    warn_saturated("pwcca", state)
    if state.saturated:  # every correlation is 1
        return Score(1.0, metric="pwcca", n=state.n, settings=state.describe(weights="x"))
    variables, rho, _ = state.between.angles
    rho = np.minimum(rho, 1)
    _warn_tied(state, rho)
    weights = np.abs((variables.T * state.x.values) @ state.x.right.T).sum(axis=1)
    value = float(weights @ rho / weights.sum())
    return Score(value, metric="pwcca", n=state.n, settings=state.describe(weights="x"))


def _warn_tied(state: Principal, rho: Vector) -> None:
    """Of correlations that are equal any turn of their variables will do, and weights are not those of a turn."""
    tied = -np.diff(rho) <= (_SAME if state.double else _SAME_SINGLE)
    if tied.all() or not tied.any():
        return
    first = int(tied.argmax())
    last = first + int((~tied[first:]).argmax()) if not tied[first:].all() else len(tied)
    if state.forced > 1:
        which = f"{state.forced} canonical correlations are 1 by count (the ranks add up to more than n - 1)"
    else:
        which = f"canonical correlations {first + 1} to {last + 1} are equal"
    warn(f"pwcca: {which}, so their variables, and the weights, are not determined", AlignmentWarning)


def _finish_overlap(state: Principal, rank: int) -> Score:
    if state.reason is not None:
        return undefined("subspace_overlap", state.n, state.reason, settings=state.describe(rank=rank))
    warn_saturated("subspace_overlap", state, rank / state.free)
    value = min(1.0, float((state.overlap**2).sum()) / rank)
    null = Null(rank / state.free)
    return Score(value, metric="subspace_overlap", n=state.n, settings=state.describe(rank=rank), null=null)


def check_statistic(statistic: Any) -> None:
    """Raise unless it is one of CCA's."""
    checks.check_choice(statistic, "statistic", ("rho", "r2", "eos"))


def _check_rank(rank: Any, spans: Spans) -> int:
    """Return ``rank`` as an int; it must be possible for both shapes."""
    most = min(spans.data.n - 1, *spans.data.columns)
    return checks.integer(rank, "rank", 1, most, limit="min(n - 1, p, q) = ")


def paired(metric: str, x: Any, y: Any, options: Options) -> arrays.Pair:
    """Two validated sides of at least two items."""
    pair = arrays.pair(x, y, **options)
    checks.check_count(pair.n, 2, metric)
    pair.afford_products(metric, 26)
    return pair


def _first(rank: int) -> principal.Keep:
    return lambda values: min(rank, len(values))


def _holding(variance: float) -> principal.Keep:
    """Keep as few as hold that share of the sum of squares."""

    def keep(values: Vector) -> int:
        squares = np.cumsum(values**2)
        return min(len(values), int((squares < variance * squares[-1:]).sum()) + 1)

    return keep


def _leading(metric: str, spans: Spans, rank: int) -> Principal:
    state = principal.of_spans(metric, spans, keep=_first(rank))
    _check_cut(metric, state, rank)
    return state


def _check_cut(metric: str, state: Principal, rank: int) -> None:
    """Raise if a side has fewer directions, and warn, in the name of its caller's caller, if the cut is arbitrary."""
    if state.reason is not None:
        return
    for side, name in ((state.x, "x"), (state.y, "y")):
        if side.rank < rank:
            raise ValueError(f"rank must be at most {side.rank}, the rank of {name}, got {rank}")
        if side.rank > rank and side.values[rank - 1] - side.values[rank] <= _SAME * side.values[0]:
            warn(
                f"{metric}: singular values {rank} and {rank + 1} of {name} are equal, so the leading {rank} directions"
                " are not determined",
                AlignmentWarning,
            )


def warn_saturated(metric: str, state: Principal, chance: float | None = None) -> None:
    """Say that a side spans all that the items can, or both together so much that chance is near 1 as well."""
    if state.saturated:
        name, rank = ("x", state.ranks[0]) if state.ranks[0] >= state.free else ("y", state.ranks[1])
        warn(
            f"{metric}: {name} has {rank} independent directions among {state.n} items, all there can be, so the score"
            " is saturated whatever the other side is",
            AlignmentWarning,
        )
    elif chance is not None and state.forced > _FORCED * min(state.ranks):
        a, b = state.ranks
        warn(
            f"{metric}: ranks of {a} and {b} leave so little room among {state.n} items that {state.forced} of"
            f" {min(a, b)} canonical correlations are 1 whatever the data are; unrelated sides score about"
            f" {chance:.3f}. Take more items, or fewer directions",
            AlignmentWarning,
        )
