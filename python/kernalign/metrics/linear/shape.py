"""Procrustes distance, normalised Bures similarity and its angle: shapes compared up to rotation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Unpack

import numpy as np

from kernalign._base import checks
from kernalign._base.progress import Report
from kernalign._base.score import AlignmentWarning, Null, Score, undefined
from kernalign._base.warn import warn
from kernalign._engines import directions
from kernalign._engines.centred import Centred
from kernalign._engines.directions import Matrix, Vector
from kernalign._rows import arrays
from kernalign._rows.decompositions import product, svd
from kernalign._rows.options import Options
from kernalign._statistics.null_tail import DrawnTail
from kernalign._statistics.pairings import Orders, Pairings
from kernalign.metrics.linear import principal
from kernalign.metrics.linear.cca import warn_saturated
from kernalign.metrics.linear.paired_shapes import narrow, paired_shapes
from kernalign.metrics.linear.principal import Principal, Products, Spans, how

# Below this 1 - NBS the difference of norms has lost too many digits, and the residual itself is summed. Float32
# products of 256 columns or more were measured to be wrong by up to 3e-8; those of streams by up to 2.4e-7.
_CLOSE = {True: 1e-5, False: 2e-2}  # of float64 and of float32 products
_RESOLUTION = {True: 1e-14, False: 1e-6}  # 1 - NBS below this is rounding in a stream


Statistic = Literal["angular", "euclidean"]


def procrustes(x: Any, y: Any, *, alpha: float = 1.0, centred: bool = True, **options: Unpack[Options]) -> Score:
    """Procrustes distance: what is left of x and y after the best rotation or reflection of one onto the other.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 2. The narrower one is padded with zero columns.
    alpha : in [0, 1]: each side is first whitened in part, its singular values s made proportional to
        ``alpha * s + 1 - alpha`` with their sum of squares kept: 1 not at all, 0 wholly, where the cosine is that of
        canonical correlations and invariant to invertible linear maps. Between them it matters in which units s is, as
        in netrep: scale the sides alike, for one by ``normalize`` or by their norm.
    centred : False leaves the column means in: a mean in common is then a shape in common.
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        min_Q |X - Y Q| = sqrt(|X|^2 + |Y|^2 - 2 |X^T Y|_*), X and Y centred, >= 0, in the units of the data and neither
        squared nor divided by n; 0 for equal shapes. A metric. The Bures distance of the Gram matrices. ``chance``,
        ``chance_sd`` and ``p_value``, small where the distance is, are those of 999 random pairings (of all, up to 8
        items), when they are first read, before the arrays are overwritten: no closed form is known, and that of
        rotations in place of pairings is wrong where rows differ in length. None where that takes long (beyond some 200
        features) or the rows are seen to have changed. nan, with ``reason``, where a side is constant.

    Notes
    -----
    Products are float64, or float32 added in float64 for 16- and 32-bit floats of many columns; where the
    shapes nearly agree, the residual itself is summed in float64. Holds 24 p q bytes, or float64 copies of both when
    n <= p + q.

    Raises
    ------
    TypeError, ValueError
        For input that is not two numeric, finite 2-D arrays with the same number of rows, or too few rows.

    See Also
    --------
    nbs, angular_distance : free of the scale
    kernalign.stitching.ProcrustesStitcher : the map itself
    kernalign.embedding.fit_similarity : for points in a few dimensions

    References
    ----------
    Schoenemann 1966; Williams et al. 2021; Ding et al. 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 10))
    >>> turn = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    >>> round(ka.procrustes(x, x @ turn + 3), 5)
    0.0
    >>> noisy = ka.procrustes(x, x @ turn + 0.1 * rng.standard_normal((200, 10)))
    >>> round(noisy / np.sqrt(200 * 10), 2)
    0.1
    """
    return finish_procrustes(_of_pair("procrustes", x, y, alpha, centred, options))


def nbs(x: Any, y: Any, *, alpha: float = 1.0, centred: bool = True, **options: Unpack[Options]) -> Score:
    """Normalised Bures similarity: |X^T Y|_* / (|X| |Y|) of centred x and y, the fidelity of their Gram matrices.

    Parameters, memory and errors as for :func:`procrustes`.

    Returns
    -------
    Score
        In [0, 1]; 1 for equal shapes. Invariant to rotation, isotropic scale and translation of each side; counts the
        variance of a direction once where CKA squares it. Chance and p-value as for :func:`procrustes`, read
        before the arrays are overwritten.

    See Also
    --------
    angular_distance : its arc cosine, a metric
    procrustes : the same in the data's units
    cka : weighs directions by variance twice

    References
    ----------
    Tang et al. 2020; Harvey et al. 2024; Cloos et al. 2024.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 10))
    >>> turn = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    >>> round(ka.nbs(x, 5 * x @ turn), 6), round(ka.nbs(x, rng.standard_normal((200, 10))), 1)
    (1.0, 0.2)
    """
    return finish_nbs(_of_pair("nbs", x, y, alpha, centred, options))


def angular_distance(x: Any, y: Any, *, alpha: float = 1.0, centred: bool = True, **options: Unpack[Options]) -> Score:
    """Angle between two shapes: the arc cosine of :func:`nbs`, a metric.

    Parameters, memory and errors as for :func:`procrustes`.

    Returns
    -------
    Score
        Radians in [0, pi/2]; 0 for equal shapes. Small angles are 2 arcsin(d / 2), d the Procrustes distance of the
        sides scaled to norm 1, so that they are not lost in the rounding of a cosine; with ``alpha`` < 1 they are below
        1e-7. Chance and p-value as for :func:`procrustes`, read before the arrays are overwritten.

    See Also
    --------
    nbs : its cosine
    procrustes

    References
    ----------
    Williams et al. 2021, eq. 5.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y, z = rng.standard_normal((3, 100, 5))
    >>> xy, yz, xz = ka.angular_distance(x, y), ka.angular_distance(y, z), ka.angular_distance(x, z)
    >>> bool(xz <= xy + yz), round(np.degrees(xy))
    (True, 80)
    """
    return finish_angular_distance(_of_pair("angular_distance", x, y, alpha, centred, options))


def shape_distance(
    x: Any,
    y: Any,
    *,
    alpha: float = 1.0,
    statistic: Statistic = "angular",
    centred: bool = True,
    **options: Unpack[Options],
) -> Score:
    """Distance of shapes that are whitened in part: Procrustes at ``alpha`` 1, canonical correlations at 0.

    Parameters
    ----------
    x, y, alpha, centred, **options : as for :func:`procrustes`, whose memory and errors it has, too
    statistic : "angular": :func:`angular_distance`, in radians; "euclidean": :func:`procrustes`, in the data's units.

    Returns
    -------
    Score
        That of the function that ``statistic`` names. A metric for every ``alpha``.

    See Also
    --------
    angular_distance, procrustes
    gulp, ridge_cca : whitened up to a ridge

    References
    ----------
    Williams et al. 2021.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 10)) * np.arange(1, 11)
    >>> y = x @ rng.standard_normal((10, 10))  # another shape, but a linear map away
    >>> [round(ka.shape_distance(x, y, alpha=alpha), 1) for alpha in (0, 1)]
    [0.0, 0.5]
    """
    finish = _finisher(statistic)
    return finish(_of_pair("shape_distance", x, y, alpha, centred, options), "shape_distance")


@dataclass(frozen=True)
class Shapes:
    """Norms of both centred sides, in units of 2^exponents, and ``gap`` = 1 - NBS, good even where it is small."""

    n: int
    norms: tuple[float, float]
    gap: float
    exponents: tuple[int, int]
    settings: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None
    scores: Callable[[Orders], Vector] | str | None = None  # NBS of pairings, why it takes long; None without rows

    def null(self, of: Callable[[Vector], Vector] | None = None) -> Null | None:
        """Of random pairings, with ``of`` of a distance that is made of NBS."""
        if self.scores is None:
            return None
        return DrawnTail(Pairings.of_items(self.n), None, self.scores, of, max(0.0, 1 - self.gap)).null()


def finish_procrustes(shapes: Shapes, metric: str = "procrustes") -> Score:
    """Procrustes distance of finished sums."""
    if shapes.reason is not None:
        return undefined(metric, shapes.n, shapes.reason, settings=shapes.settings, maximum=None)
    unit = max(shapes.exponents)
    a, b = (math.ldexp(norm, e - unit) for norm, e in zip(shapes.norms, shapes.exponents, strict=True))
    try:
        value = math.ldexp(math.hypot(a - b, math.sqrt(2 * a * b * shapes.gap)), unit)
    except OverflowError:
        return undefined(metric, shapes.n, "it is larger than float64 can hold", settings=shapes.settings)

    def apart(similarity: Vector) -> Vector:
        return np.ldexp(np.hypot(a - b, np.sqrt(2 * a * b * np.maximum(0.0, 1 - similarity))), unit)

    return Score(value, metric=metric, n=shapes.n, settings=shapes.settings, null=shapes.null(apart), maximum=None)


def finish_nbs(shapes: Shapes) -> Score:
    """Normalised Bures similarity of finished sums."""
    if shapes.reason is not None:
        return undefined("nbs", shapes.n, shapes.reason, settings=shapes.settings)
    value = max(0.0, 1 - shapes.gap)
    return Score(value, metric="nbs", n=shapes.n, settings=shapes.settings, null=shapes.null())


def finish_angular_distance(shapes: Shapes, metric: str = "angular_distance") -> Score:
    """Angular distance of finished sums."""
    if shapes.reason is not None:
        return undefined(metric, shapes.n, shapes.reason, settings=shapes.settings, maximum=None)
    value = min(math.pi / 2, 2 * math.asin(min(math.sqrt(2 * shapes.gap) / 2, 1.0)))
    null = shapes.null(lambda similarity: np.arccos(np.minimum(similarity, 1.0)))
    return Score(value, metric=metric, n=shapes.n, settings=shapes.settings, null=null, maximum=None)


def _finisher(statistic: Statistic) -> Callable[[Shapes, str], Score]:
    checks.check_choice(statistic, "statistic", ("angular", "euclidean"))
    return finish_angular_distance if statistic == "angular" else finish_procrustes


def of_stream(products: Products, metric: str, alpha: float = 1.0) -> Shapes:
    """From the products of a stream; warns where a distance is below what they resolve."""
    engine, double = products.engine, products.double
    if checks.number(alpha, "alpha", "in [0, 1]") != 1:
        return whitened(metric, principal.of_stream(products, metric), engine.exponents, alpha)
    reason = products.why_undefined()
    if reason is not None:
        return Shapes(engine.n, (0, 0), 0, (0, 0), products.settings, reason)
    norms = math.sqrt(engine.product(0, 0).trace()), math.sqrt(engine.product(1, 1).trace())
    gap = max(0.0, 1 - directions.nuclear_norm(engine.product(0, 1), norms[0] * norms[1]) / (norms[0] * norms[1]))
    if metric != "nbs" and gap < _RESOLUTION[double]:
        angle = math.sqrt(2 * _RESOLUTION[double])
        warn(
            f"{metric}: the shapes are so alike that {'float64' if double else 'float32'} products of a stream do not"
            f" resolve the distance: the angle is somewhere between 0 and {angle:.1g}. The function, given all rows,"
            " does",
            AlignmentWarning,
        )
    return Shapes(engine.n, norms, gap, engine.exponents, products.settings)


def procrustes_of(spans: Spans, *, alpha: float = 1.0) -> Score:
    """`procrustes` of sides whose directions are shared."""
    return finish_procrustes(_of_spans("procrustes", spans, alpha))


def nbs_of(spans: Spans, *, alpha: float = 1.0) -> Score:
    """`nbs`, likewise."""
    return finish_nbs(_of_spans("nbs", spans, alpha))


def angular_distance_of(spans: Spans, *, alpha: float = 1.0) -> Score:
    """`angular_distance`, likewise."""
    return finish_angular_distance(_of_spans("angular_distance", spans, alpha))


def shape_distance_of(spans: Spans, *, alpha: float = 1.0, statistic: Statistic = "angular") -> Score:
    """`shape_distance`, likewise."""
    return _finisher(statistic)(_of_spans("shape_distance", spans, alpha), "shape_distance")


def _of_spans(metric: str, spans: Spans, alpha: float) -> Shapes:
    """Of few rows by the overlap of all directions, if none was left out and the shapes do not nearly agree."""
    data = spans.data
    if checks.number(alpha, "alpha", "in [0, 1]") != 1:
        exponents = data.x.exponent, data.y.exponent
        return whitened(metric, principal.of_spans(metric, spans), exponents, alpha)
    if not spans.tall and data.why_undefined() is None:
        x, y = spans.x.by_rows, spans.y.by_rows
        if x.rank and y.rank and not x.rounded and not y.rounded:
            scaled = x.values[:, None] * spans.overlap(x, y, (x.rank, y.rank)).matrix * y.values
            a, b = float(np.linalg.norm(x.values)), float(np.linalg.norm(y.values))
            gap = 1 - directions.nuclear_norm(scaled, a * b) / (a * b)
            if gap >= _CLOSE[True]:
                settings = how(spans.pair.settings, "rows")
                return Shapes(data.n, (a, b), gap, (data.x.exponent, data.y.exponent), settings)
    return _of_data(spans.pair, data, None)


def whitened(metric: str, found: Principal, exponents: tuple[int, int], alpha: float) -> Shapes:
    """Of sides whose singular values s are alpha s + 1 - alpha, times what keeps the sum of their squares."""
    settings = {**found.describe(), "alpha": alpha}
    if found.reason is not None:
        return Shapes(found.n, (0, 0), 0, (0, 0), settings, found.reason)
    if alpha == 0:
        warn_saturated(metric, found)
    norms, values = [], []
    for side, exponent in zip((found.x, found.y), exponents, strict=True):
        norms.append(float(np.linalg.norm(side.values)))
        values.append(_mixed(side.values, exponent, alpha))
    a, b = values
    rank_x, rank_y = found.ranks
    nuclear = directions.nuclear_norm(a[:rank_x, None] * found.overlap * b[:rank_y], 1.0)
    return Shapes(found.n, (norms[0], norms[1]), max(0.0, 1 - nuclear), exponents, settings)


def _mixed(values: Vector, exponent: int, alpha: float) -> Vector:
    """Singular values, whitened in part, of length 1."""
    mixed = alpha * values + math.ldexp(1 - alpha, -exponent)
    mixed /= mixed.max()  # squares of any scale stay in range
    return np.asarray(mixed / np.linalg.norm(mixed))


def _of_pair(metric: str, x: Any, y: Any, alpha: float, centred: bool, options: Options) -> Shapes:
    alpha, centred = checks.number(alpha, "alpha", "in [0, 1]"), checks.check_flag(centred, "centred")
    pair = arrays.pair(x, y, **options)
    checks.check_count(pair.n, 2, metric)
    pair.afford_products(metric, 8)
    if not centred:
        pair.settings["centred"] = False
    with pair.working(metric) as report:
        if alpha == 1:
            data = Centred.of(pair, centred=centred)
            return replace(_of_data(pair, data, report), scores=paired_shapes(data))
        spans = Spans.of(pair, centred=centred, report=report)

        def part(whole: Matrix, at: int) -> Matrix:
            side, exponent = ((spans.x, spans.data.x.exponent), (spans.y, spans.data.y.exponent))[at]
            found = directions.of_rows(whole, spans.data.free, side.noise)
            assert found.left is not None
            return found.left * _mixed(found.values, exponent, alpha)

        return replace(_of_spans(metric, spans, alpha), scores=paired_shapes(spans.data, part))


def _of_data(pair: arrays.Pair, data: Centred, report: Report) -> Shapes:
    feature = pair.n > sum(data.columns)
    settings = how(pair.settings, "feature" if feature else "rows", data.double or not feature)
    reason = data.why_undefined()
    if reason is not None:
        return Shapes(pair.n, (0, 0), 0, (0, 0), settings, reason)
    norms, gap = _by_products(data, report) if feature else _by_rows(data, report)
    return Shapes(pair.n, norms, gap, (data.x.exponent, data.y.exponent), settings)


def _by_products(data: Centred, report: Report) -> tuple[tuple[float, float], float]:
    sums = data.products("xy", double=data.double, report=report)
    a, b = (math.sqrt(float(squares.sum())) for squares in sums.squares)
    gap = 1 - directions.nuclear_norm(sums.xy, a * b) / (a * b)
    if gap < _CLOSE[data.double]:
        gap = _gap(sums.xy, data.blocks(), a, b)
    return (a, b), gap


def _by_rows(data: Centred, report: Report) -> tuple[tuple[float, float], float]:
    """With few rows; a wide side is turned onto as many columns as it has rows, which changes no shape."""
    x, y = (narrow(side) for side in data.stacked(report))
    a, b = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    xy = product(x.T, y)
    gap = 1 - directions.nuclear_norm(xy, a * b) / (a * b)
    return (a, b), _gap(xy, [(x, y)], a, b) if gap < _CLOSE[True] else gap


def _gap(xy: Matrix, blocks: Iterable[tuple[Matrix, Matrix]], a: float, b: float) -> float:
    """1 - NBS as half of |X / |X| - Y Q / |Y||^2, with the best orthogonal Q; the wider side takes the place of X."""
    p, q = xy.shape
    u, _, vt = svd(xy.T if p >= q else xy)
    rotation = product(u, vt)  # its rows are orthonormal
    total = 0.0
    for x, y in blocks:
        residual = x / a - product(y / b, rotation) if p >= q else y / b - product(x / a, rotation)
        total += float(np.vdot(residual, residual))
    return total / 2
