"""Representational similarity analysis: agreement of two dissimilarity matrices over all pairs of items."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import checks
from kernalign._base.kernels import Distance
from kernalign._base.packing import packable
from kernalign._base.progress import Report, reporting
from kernalign._base.score import Fixed, Null, Score, Spread, undefined
from kernalign._engines.gram_source import Side, make_side
from kernalign._engines.gram_sweep import GramSweep
from kernalign._engines.kernel_sums import KernelSums, bounded
from kernalign._engines.permuted_grams import GATHER, PermutedTriangles
from kernalign._rows import arrays
from kernalign._rows.digits import beyond_casting, row_errors
from kernalign._rows.labels import groups_of
from kernalign._rows.magnitude import lengths
from kernalign._rows.options import Options
from kernalign._statistics import kernel_null, pair_influence
from kernalign._statistics.kernel_null import PairMatrix
from kernalign._statistics.null_tail import COST, LONG, Law, Scores, Tail, exchange_null, refused_null
from kernalign._statistics.pairings import Labels, Pairings
from kernalign.metrics.kernel.ranks import mid_ranks

Dissimilarity: TypeAlias = Literal["correlation", "cosine", "euclidean", "sqeuclidean"]
Comparison: TypeAlias = Literal["spearman", "pearson", "kendall", "cosine"]
Vector: TypeAlias = NDArray[np.float64]

RANKED = ("spearman", "kendall")
_BYTES = {"spearman": 45, "kendall": 70}  # of a pair of items


def rsa(
    x: Any,
    y: Any,
    *,
    distance: Dissimilarity = "correlation",
    comparison: Comparison = "spearman",
    uncertainty: Literal["jackknife"] | None = None,
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Agreement of the dissimilarities that x and y put between items, over the n (n - 1) / 2 pairs.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 3.
    distance : "correlation" (1 - Pearson correlation of two rows), "cosine" (1 - cosine), "euclidean" or "sqeuclidean".
    comparison : "spearman" (mid-ranks), "pearson", "kendall" (tau-a: ties count as neither) or "cosine".
    uncertainty : "jackknife" adds a standard error from the influence of every item (within a few per cent of deleting
        each once; not for "kendall"), with ``groups`` of every group. Holds all dissimilarities.
    groups : labels of rows that are one thing, exchanged whole by the null, as for :func:`kernalign.cka`; not known for
        "kendall".
    **options : as for :func:`kernalign.cka`.

    Returns
    -------
    Score
        In [-1, 1]. ``chance`` is the exact mean over random pairings of the items (Mantel's null: 0, but for
        "cosine"), ``chance_sd`` is exact too (not known for "kendall"), and the p-value is that of all pairings up to 8
        items, else of 999 (seed 0): None for "kendall" and for over 1800 items.

    Notes
    -----
    "pearson" and "cosine" are reduced from tiles: O(n) numbers are held. Ranks need the dissimilarities themselves, in
    float64: "spearman" holds up to 45 bytes for each pair of items while it sorts ("kendall" 70), 2.2 GB for
    n = 10,000. Dissimilarities that differ by less than their rounding count as tied, and those that the rounding of
    the entries may have made of 0 as 0.

    Raises
    ------
    ValueError
        A row of zeros with "cosine", a constant row with "correlation" (zero_rows="drop_pair" drops both sides of such
        an item), fewer than 3 rows.

    See Also
    --------
    cka : of similarities, centred
    distance_correlation
    permutation_test : with groups or blocks of items

    References
    ----------
    Kriegeskorte, Mur and Bandettini 2008; Mantel 1967. The whitened cosine of squared Euclidean dissimilarities is
    biased linear CKA (Diedrichsen et al. 2021): use :func:`kernalign.cka`.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> model = rng.standard_normal((60, 30))
    >>> brain = model @ rng.standard_normal((30, 40)) + 5 * rng.standard_normal((60, 40))
    >>> score = ka.rsa(model, brain)
    >>> round(score, 2), score.p_value <= 0.001
    (0.49, True)
    >>> round(ka.rsa(model, brain, distance="euclidean", comparison="kendall"), 2)
    0.38
    """
    check(distance, comparison)
    check_uncertainty(uncertainty, comparison)
    pair = arrays.pair(x, y, **read_as(distance), grouped=groups is not None, **options)
    checks.check_count(pair.n, 3, "rsa")
    with reporting(pair.progress, "rsa") as report:
        return of_pair(
            pair, distance, comparison, report, uncertain=uncertainty is not None, groups=groups_of(groups, pair)
        )[0]


def of_pair(
    pair: arrays.Pair,
    distance: Dissimilarity,
    comparison: Comparison,
    report: Report,
    *,
    uncertain: bool,
    groups: Labels | None = None,
) -> tuple[Score, Vector | None]:
    """The score of two sides and, where it is ``uncertain`` and exists, the influence of every item on it."""
    held = _BYTES.get(comparison, 16 if uncertain else 0) * pair.n * (pair.n - 1) // 2
    pair.afford("rsa", arrays.BLOCKS + held, "comparison='pearson' holds no ranks")
    sides = [distance_side(rows, distance, comparison, pair.threads) for rows in (pair.x, pair.y)]
    if comparison in RANKED:
        ranks = [ranked(side, comparison, report) for side in sides]
        score = finish_ranked(ranks[0], ranks[1], distance, comparison, pair.settings, groups)
        values = [side.values for side in ranks]
    else:
        sweep = GramSweep(sides, centred=comparison == "pearson", threads=pair.threads, report=report)
        sums = sweep.sums(0, 1, pair.settings)
        sums.groups = groups
        score = finish_reduced(sums, distance, comparison)
        values = [side.condensed(restored=False) for side in sides] if uncertain else []
    if not uncertain or math.isnan(score):
        return score, None
    if comparison == "pearson":
        values = [side - side.mean() for side in values]
    moved = pair_influence.influences(values[0], values[1], pair.n, ranked=comparison == "spearman")
    score._spread = Spread(pair_influence.stderr(moved, groups), "jackknife", "atanh")
    return score, moved


def check_uncertainty(uncertainty: Any, comparison: Any) -> None:
    """Raise unless the sampling error is known."""
    if uncertainty is not None:
        checks.check_uncertainty(uncertainty, (None, "jackknife"))
        if comparison == "kendall":
            raise ValueError("uncertainty='jackknife' of rsa is not known for comparison='kendall'")


def check(distance: Any, comparison: Any) -> None:
    """Raise unless both are known."""
    checks.check_choice(distance, "distance", ("correlation", "cosine", "euclidean", "sqeuclidean"))
    checks.check_choice(comparison, "comparison", ("spearman", "pearson", "kendall", "cosine"))


def check_kind(n: int, distance: Any = "correlation", comparison: Any = "spearman") -> tuple[Any, Any]:
    """Both options; raises unless they are known and rsa exists for n items."""
    check(distance, comparison)
    checks.check_count(n, 3, "rsa")
    return distance, comparison


def read_as(distance: Dissimilarity) -> dict[str, Any]:
    """How rows are prepared: of rows of unit norm |u - v|^2 / 2 = 1 - u.v, without its cancellation."""
    return {"divided": distance in ("correlation", "cosine"), "zero_mean": distance == "correlation"}


def distance_side(rows: _core.Rows, distance: Dissimilarity, comparison: Comparison, threads: int) -> Side:
    """One representation with its dissimilarities; ranks do not see the root of a distance."""
    squared = comparison in RANKED or distance != "euclidean"
    return make_side([rows], Distance(squared=squared), threads, double=comparison in RANKED)


@packable
@dataclass(frozen=True)
class Ranks:
    """Mid-ranks of the dissimilarities of one representation, and what every score needs of them.

    Attributes
    ----------
    values : of the n (n - 1) / 2 pairs of items, less their mean for "spearman"
    moments : of the symmetric matrix of ``values`` ("spearman")
    untied : pairs of dissimilarities that are not tied ("kendall")
    reason : why there is no score, with {} for the name of the side
    """

    n: int
    values: Vector
    moments: PairMatrix | None = None
    untied: int = 0
    reason: str | None = None


def ranked(side: Side, comparison: Comparison, report: Report) -> Ranks:
    """The ranks of one representation; up to 37 bytes for each pair of items meanwhile, 8 for the result."""
    n, equal = side.source.n, "all dissimilarities of {} are equal"
    if side.rounded:
        return Ranks(n, np.zeros(0), reason=equal + beyond_casting(side.rows[0]))
    squares = side.condensed(restored=False, report=report)
    if not math.isfinite(squares.max()):
        return Ranks(n, squares[:0], reason="{} spans more than float64 can hold")
    _settle(squares, side)
    ranks = mid_ranks(squares)
    if comparison == "kendall":
        untied = len(ranks) * (len(ranks) - 1) // 2 - _tied_pairs(ranks)
        return Ranks(n, ranks, untied=untied, reason=None if untied else equal)
    ranks -= (len(ranks) + 1) / 2
    sums = pair_influence.row_sums(ranks, n)
    moments = PairMatrix(n, 0.0, 2 * float(ranks @ ranks), float(sums @ sums))
    return Ranks(n, ranks, moments, reason=None if moments.square > 0 else equal)


def _settle(squares: Vector, side: Side) -> None:
    """Squared distances of rows that the rounding of their entries may have told apart become 0."""
    (rows,), n, place = side.rows, side.source.n, int(squares.argmax())
    if not squares[place] > 0:
        return
    begins = np.cumsum([0, *range(n - 1, 1, -1)])
    i = int(np.searchsorted(begins, place, side="right")) - 1
    j = place - int(begins[i]) + i + 1
    errors = row_errors(rows) * (math.sqrt(squares[place]) / lengths(rows.dense(i, i + 1) - rows.dense(j, j + 1))[0])
    for i, begin in enumerate(begins):
        row = squares[begin : begin + n - 1 - i]
        row[row <= np.maximum(errors[i], errors[i + 1 :]) ** 2] = 0.0


def finish_ranked(
    x: Ranks,
    y: Ranks,
    distance: Dissimilarity,
    comparison: Comparison,
    settings: dict[str, Any],
    groups: Labels | None = None,
) -> Score:
    """rsa of two sides that were ranked."""
    settings = _settings(settings, distance, comparison, groups)
    for name, side in (("x", x), ("y", y)):
        if side.reason is not None:
            return undefined("rsa", x.n, side.reason.format(name), settings=settings)
    if comparison == "kendall":
        return _kendall(x, y, settings, Null(0.0 if groups is None else None))
    assert x.moments is not None
    assert y.moments is not None
    scale = 1 / (math.sqrt(x.moments.square) * math.sqrt(y.moments.square))
    _, variance = kernel_null.pairing_moments(x.moments, y.moments)
    value, sd = bounded(2 * float(x.values @ y.values) * scale), math.sqrt(variance) * scale
    null = _null(x.n, groups, lambda: (x.values, y.values), value, 0.0, sd, scale)
    return Score(value, metric="rsa", n=x.n, settings=settings, null=null)


def _settings(settings: dict[str, Any], distance: str, comparison: str, groups: Labels | None) -> dict[str, Any]:
    grouped = {} if groups is None else {"groups": int(groups.max()) + 1}
    return {**settings, "distance": distance, "comparison": comparison, "backend": "cpu", **grouped}


def finish_reduced(sums: KernelSums, distance: Dissimilarity, comparison: Comparison) -> Score:
    """rsa without ranks, of sums over tiles: a cosine of matrices, less a constant first so that nothing cancels."""
    n, settings = sums.n, _settings(sums.settings, distance, comparison, sums.groups)
    own = [sums.hollow[s, s] for s in (0, 1)]
    sides = [PairMatrix.of(n, o) for o in own]
    mean, variance = kernel_null.pairing_moments(*sides)
    squares = [side.square - (side.total**2 / (n * (n - 1)) if comparison == "pearson" else 0.0) for side in sides]
    for index, name in enumerate("xy"):
        if not math.isfinite(squares[index]):
            return undefined("rsa", n, f"{name} spans more than float64 can hold", settings=settings)
        made = sums.sides and sums.sides[index]
        if not squares[index] > sums.noise(index) or (made and made.rounded):
            reason = f"all dissimilarities of {name} are {'equal' if comparison == 'pearson' else 'zero'}"
            return undefined("rsa", n, reason, settings=settings)
    scale = 1 / (math.sqrt(squares[0]) * math.sqrt(squares[1]))
    subtracted = mean if comparison == "pearson" else 0.0
    value, sd = bounded((sums.hollow[0, 1].full - subtracted) * scale), math.sqrt(variance) * scale
    settings |= {"accumulation": "float64", "products": sums.describe()["products"]}
    assert sums.sides is not None
    x, y = sums.sides

    def triangles() -> tuple[Vector, Vector]:
        both = x.condensed(), y.condensed()
        for one in both:
            one /= one.max() or 1.0
            one -= one.mean() if comparison == "pearson" else 0.0
            one /= math.sqrt(2 * one @ one)
        return both

    null = _null(n, sums.groups, triangles, value, (mean - subtracted) * scale, sd, 1.0)
    return Score(value, metric="rsa", n=n, settings=settings, null=null)


def _null(
    n: int,
    groups: Labels | None,
    triangles: Callable[[], tuple[Vector, Vector]],
    value: float,
    mean: float,
    sd: float,
    scale: float,
) -> Null:
    """Of ``scale`` times the product of both triangles under pairings."""
    refused = f"none: {LONG}" if n * n // 2 * GATHER > COST else None

    def made() -> PermutedTriangles:
        x, y = triangles()
        return PermutedTriangles(x[None], y[None], n)

    if groups is not None:
        if refused:
            return Null(None, p_value=Fixed(None, refused))
        return exchange_null(groups, made(), scale, None)
    if not sd:
        return Null(mean)

    def scores() -> Scores:
        engine = made()
        return lambda orders: (scale * engine.products(orders)[:, 0, 0] - mean) / sd

    if refused:  # nothing finished is kept
        return refused_null(mean, sd, refused)
    tail = Tail((value - mean) / sd, partial(Pairings.of_items, n), partial(Law, None, "", False), scores)
    return Null(mean, sd, None, tail.p_value, tail.quantile)


def _kendall(x: Ranks, y: Ranks, settings: dict[str, Any], null: Null) -> Score:
    from scipy import stats  # slow to import

    count = len(x.values) * (len(x.values) - 1) // 2
    with np.errstate(all="ignore"):  # of its p-value, where very many are tied
        tau_b = float(stats.kendalltau(x.values, y.values, method="asymptotic").statistic)
    value = bounded(tau_b * math.sqrt(x.untied) * math.sqrt(y.untied) / count)
    return Score(value, metric="rsa", n=x.n, settings=settings, null=null)


def _tied_pairs(values: Vector) -> int:
    counts = np.unique(values, return_counts=True)[1].astype(object)
    return int((counts * (counts - 1) // 2).sum())
