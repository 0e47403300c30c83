"""Representational similarity analysis: agreement of two dissimilarity matrices over all pairs of items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import checks
from kernalign._base.kernels import Distance, Precomputed
from kernalign._base.progress import Report, reporting
from kernalign._base.score import Score, Spread
from kernalign._engines.gram_source import Side, make_side
from kernalign._engines.gram_sweep import GramSweep
from kernalign._rows import arrays, followed
from kernalign._rows.dissimilarities import given_dissimilarities
from kernalign._rows.labels import group_numbers, groups_of
from kernalign._rows.matrices import dense
from kernalign._rows.options import Options
from kernalign._statistics import pair_influence
from kernalign._statistics.pairings import Labels
from kernalign.metrics.kernel.dissimilarities import averages
from kernalign.metrics.kernel.rsa_ranks import finish_ranked, ranked, together_of_ranks
from kernalign.metrics.kernel.rsa_sums import WHITENED, finish_reduced, together_of_sides, whitened_by

Dissimilarity: TypeAlias = Literal["correlation", "cosine", "euclidean", "sqeuclidean", "precomputed"]
Comparison: TypeAlias = Literal[
    "spearman", "pearson", "kendall", "tau_b", "rho_a", "cosine", "whitened_cosine", "whitened_pearson"
]
Vector: TypeAlias = NDArray[np.float64]

DISTANCES = ("correlation", "cosine", "euclidean", "sqeuclidean", "precomputed")
COMPARISONS = ("spearman", "pearson", "kendall", "tau_b", "rho_a", "cosine", "whitened_cosine", "whitened_pearson")
RANKED = ("spearman", "rho_a", "kendall", "tau_b")
_JACKKNIFED = ("spearman", "pearson", "cosine")
_RANKED = 45, 136  # bytes for each pair of items while it is ranked; with its influence
_MEANT = 0, 64  # the same of dissimilarities as they are


def rsa(
    x: Any,
    y: Any,
    *,
    distance: Dissimilarity = "correlation",
    comparison: Comparison = "spearman",
    covariance: Any = None,
    conditions: Any = None,
    uncertainty: Literal["jackknife"] | None = None,
    groups: Any = None,
    **options: Unpack[Options],
) -> Score:
    """Agreement of the dissimilarities that x and y put between items, over the n (n - 1) / 2 pairs.

    Parameters
    ----------
    x, y : (n, p) and (n, q) arrays, paired by row; n >= 3. With distance="precomputed" dissimilarities: (n, n),
        symmetric, with a zero diagonal; or vectors of n (n - 1) / 2, row by row as those of SciPy (which are made
        matrices: 8 n^2 bytes).
    distance : "correlation" (1 - Pearson correlation of two rows), "cosine" (1 - cosine), "euclidean", "sqeuclidean" or
        "precomputed". Those of repeated measurements are made by :func:`kernalign.dissimilarities`.
    comparison : "spearman" (mid-ranks), "rho_a" (its mean over random orders of what is tied), "kendall" (tau-a: ties
        count as neither), "tau_b" (over pairs that are not tied), "pearson", "cosine", or "whitened_cosine" and
        "whitened_pearson": the same of dissimilarities whitened by the covariance that their estimates have.
    covariance : of the estimates of the n conditions, for whitened comparisons: (n, n), positive definite, or (n,)
        variances. None: equal and independent; the whitened cosine is then biased CKA of the matrices, in O(n) numbers.
        Otherwise seven n x n matrices are held.
    conditions : a label of any kind for each row, where rows of x and y are the same single trials: the averages of
        conditions are compared, which are then the items. Trials are paired, and dropped, as rows are elsewhere;
        ``zero_rows`` is of averages. :func:`kernalign.dissimilarities` does the same to one side.
    uncertainty : "jackknife" adds a standard error from deleting every item once ("pearson" and "cosine") or from its
        influence ("spearman": less by 5 % of 40 items and by 15 to 25 % of 8 to 15, and nearer to the true error), with
        ``groups`` of every group. Holds all dissimilarities. 95 % intervals of "pearson" cover 90 to 95 %, and of heavy
        tails, where few distances rule, 60 to 90 %.
    groups : labels of rows that are one thing, exchanged whole by the null, as for :func:`kernalign.cka`.
    **options : as for :func:`kernalign.cka`; ``normalize`` and ``clip_quantile`` need rows.

    Returns
    -------
    Score
        In [-1, 1]. ``chance`` is the exact mean over random pairings of the items (Mantel's null: 0, but for "cosine"
        and "whitened_cosine"), ``chance_sd`` is exact too (not known for "kendall", "tau_b" and with ``covariance``).
        The p-value is that of all pairings up to 8 items, else of 999 (seed 0), of over 2000 items those of 2000 evenly
        spaced ones; None where they take long: with ``groups`` over 2000 items, for over 350 items of "kendall" and
        "tau_b", 290 with ``covariance``. That of whitened comparisons without it
        is that of unbiased CKA of the dissimilarities, of any number of items.

    Notes
    -----
    "pearson", "cosine" and whitened comparisons are reduced from tiles: O(n) numbers are held. Ranks need the
    dissimilarities themselves, in float64: they take up to 45 bytes for each pair of items while they are sorted, 2.2
    GB for n = 10,000. Dissimilarities that differ by less than their rounding count as tied, and those that the
    rounding of the entries may have made of 0 as 0.

    Raises
    ------
    ValueError
        A row of zeros with "cosine", a constant row with "correlation" (zero_rows="drop_pair" drops both sides of such
        an item), fewer than 3 rows; a matrix that is not symmetric or whose diagonal is not zero with "precomputed".

    See Also
    --------
    dissimilarities : condition averages, Mahalanobis and cross-validated dissimilarities
    evaluate_models : several models against several subjects, with noise ceiling and tests
    cka : of similarities, centred
    distance_correlation
    permutation_test : with groups or blocks of items

    References
    ----------
    Kriegeskorte, Mur and Bandettini 2008; Mantel 1967; Nili et al. 2014 (tau-a); Schütt et al. 2023 (rho-a);
    Diedrichsen et al. 2021 (whitened; that of squared Euclidean dissimilarities is biased linear CKA).

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
    >>> from scipy.spatial.distance import pdist
    >>> round(ka.rsa(pdist(model), pdist(brain), distance="precomputed"), 2)
    0.54
    """
    check(distance, comparison)
    check_uncertainty(uncertainty, comparison)
    trials: dict[str, Any] = {}
    if conditions is not None:
        x, y, trials = of_conditions(x, y, conditions, distance, options)
    x, y = as_given(x, y, distance)
    pair = arrays.pair(x, y, **read_as(distance), grouped=groups is not None, **options)
    pair.settings.update(trials)
    if distance == "precomputed":
        check_no_rows(pair.settings)
    checks.check_count(pair.n, 3, "rsa")
    noise = None
    if covariance is not None:
        if comparison not in WHITENED:
            raise ValueError(
                f"covariance is for comparison='whitened_cosine' or 'whitened_pearson', got {comparison!r}"
            )
        given = followed.covariance(covariance, pair.kept)
        noise = given / np.abs(given).max()
    with reporting(pair.progress, "rsa") as report:
        uncertain, labels = uncertainty is not None, groups_of(groups, pair)
        return of_pair(pair, distance, comparison, report, uncertain=uncertain, groups=labels, covariance=noise)[0]


def as_given(x: Any, y: Any, distance: Dissimilarity) -> tuple[Any, Any]:
    """Both sides, dissimilarities as matrices."""
    if distance != "precomputed":
        return x, y
    return given_dissimilarities(x, "x"), given_dissimilarities(y, "y")


def of_conditions(
    x: Any, y: Any, conditions: Any, distance: Dissimilarity, options: Options
) -> tuple[Any, Any, dict[str, Any]]:
    """The averages of the conditions of both sides, whose single trials are paired first, and how these were."""
    if distance == "precomputed":
        raise ValueError("conditions are of single trials, but distance='precomputed' takes dissimilarities")
    asked: Any = {name: options.pop(name) for name in ("pairing", "ids", "nan_rows") if name in options}
    given, items = arrays.same_items([("x", x), ("y", y)], asked)
    numbers = group_numbers(conditions, items.kept, "conditions")
    means = [averages(dense(arrays.rows(rows, name)), numbers) for rows, name in zip(given, "xy", strict=True)]
    return means[0], means[1], items.settings


def of_pair(
    pair: arrays.Pair,
    distance: Dissimilarity,
    comparison: Comparison,
    report: Report,
    *,
    uncertain: bool,
    groups: Labels | None = None,
    covariance: Vector | None = None,
) -> tuple[Score, Vector | None]:
    """The score of two sides and, where it is ``uncertain`` and exists, the influence of every item on it."""
    if covariance is None:
        held = (_RANKED if comparison in RANKED else _MEANT)[uncertain] * pair.n * (pair.n - 1) // 2
        pair.afford("rsa", held, "comparison='pearson' holds no ranks")
    else:
        pair.afford("rsa", 56 * pair.n**2, "without covariance little is held")
    sides = [distance_side(rows, distance, comparison, pair.threads) for rows in (pair.x, pair.y)]
    settings = settings_of(pair.settings, distance, comparison, groups)
    if covariance is not None:
        settings["covariance"] = True
        return whitened_by((sides[0], sides[1]), covariance, comparison, settings, groups), None
    if comparison in RANKED:
        ranks = [ranked(side, comparison, report) for side in sides]
        together = together_of_ranks(pair.n, pair.threads)
        score = finish_ranked(ranks[0], ranks[1], comparison, settings, together, groups, pair.threads)
        values = [side.values for side in ranks]
    else:
        sweep = GramSweep(sides, centred=comparison != "cosine", threads=pair.threads, report=report)
        sums = sweep.sums(0, 1, pair.settings)
        sums.groups = groups
        score = finish_reduced(sums, comparison, settings, together_of_sides(pair.n, comparison, pair.threads))
        values = [side.condensed(restored=False) for side in sides] if uncertain else []
    if not uncertain or math.isnan(score):
        return score, None
    if comparison == "spearman":
        moved = pair_influence.influences(values[0], values[1], pair.n)
    else:
        centred = comparison == "pearson"
        values = [side - side.mean() for side in values] if centred else values
        moved = pair_influence.deleted(values[0], values[1], pair.n, centred=centred)
    score._spread = Spread(pair_influence.stderr(moved, groups), "jackknife", "atanh")
    return score, moved


def triangles(
    layers: Sequence[_core.Rows], distance: Dissimilarity, comparison: Comparison, threads: int
) -> Vector | None:
    """(layers, pairs of items) dissimilarities, or their ranks, whose products are scores; nan where there is no score.
    None of comparisons that are no such products."""
    found = []
    for rows in layers if comparison in (*_JACKKNIFED, "rho_a") else ():
        side = distance_side(rows, distance, comparison, threads)
        if comparison in RANKED:
            ranks = ranked(side, comparison, None)
            m, values = side.source.n * (side.source.n - 1) // 2, ranks.values
            values = values if ranks.reason is None else np.full(m, np.nan)
            norm = math.sqrt(m * (m * m - 1) / 12) if comparison == "rho_a" else float(np.linalg.norm(values))
        else:
            values = side.condensed(restored=False)
            largest = float(np.abs(values).max())
            values -= values.mean() if comparison == "pearson" else 0.0
            norm = float(np.linalg.norm(values))
            norm = norm if norm > 1e-12 * largest * math.sqrt(len(values)) else math.nan
        found.append(values / norm)
    return np.array(found) if found else None


def settings_of(settings: dict[str, Any], distance: str, comparison: str, groups: Labels | None) -> dict[str, Any]:
    """What a score says of how it was found."""
    grouped = {} if groups is None else {"groups": int(groups.max()) + 1}
    return {**settings, "distance": distance, "comparison": comparison, "backend": "cpu", **grouped}


def jackknifed(given: Mapping[str, Any]) -> bool:
    """Whether the influence of items is known, with these keyword arguments."""
    return given.get("comparison", "spearman") in _JACKKNIFED


def check_uncertainty(uncertainty: Any, comparison: Any) -> None:
    """Raise unless the sampling error is known."""
    if uncertainty is not None:
        checks.check_uncertainty(uncertainty, (None, "jackknife"))
        if not jackknifed({"comparison": comparison}):
            raise ValueError(f"uncertainty='jackknife' of rsa is not known for comparison={comparison!r}")


def check(distance: Any, comparison: Any) -> None:
    """Raise unless both are known."""
    checks.check_choice(distance, "distance", DISTANCES)
    checks.check_choice(comparison, "comparison", COMPARISONS)


def check_kind(n: int, distance: Any = "correlation", comparison: Any = "spearman") -> tuple[Any, Any]:
    """Both options; raises unless they are known and rsa exists for n items."""
    check(distance, comparison)
    checks.check_count(n, 3, "rsa")
    return distance, comparison


def check_no_rows(settings: dict[str, Any]) -> None:
    """Raise where rows would be changed, but dissimilarities are given."""
    if any(settings.get(name) is not None for name in ("normalize", "clip_quantile")):
        raise ValueError("normalize and clip_quantile apply to rows, but distance='precomputed' takes dissimilarities")


def read_as(distance: Dissimilarity) -> dict[str, Any]:
    """How rows are prepared: of rows of unit norm |u - v|^2 / 2 = 1 - u.v, without its cancellation."""
    if distance == "precomputed":
        return {"square": True}
    return {"divided": distance in ("correlation", "cosine"), "zero_mean": distance == "correlation"}


def distance_side(rows: _core.Rows, distance: Dissimilarity, comparison: Comparison, threads: int) -> Side:
    """One representation with its dissimilarities; ranks do not see the root of a distance."""
    if distance == "precomputed":
        return make_side([rows], Precomputed(), threads, double=True)
    squared = comparison in RANKED or distance != "euclidean"
    return make_side([rows], Distance(squared=squared), threads, double=comparison in RANKED)
