"""Which of two representations is closer to a third: the difference of two scores on the same items."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base import checks
from kernalign._base.intervals import student_quantile
from kernalign._base.memory import budget_of
from kernalign._base.progress import reporting
from kernalign._base.readable import Readable
from kernalign._base.score import AlignmentWarning, UndefinedScoreWarning
from kernalign._base.warn import warn
from kernalign._engines.linear import linear_sums
from kernalign._engines.neighbors import METRICS as SIMILARITIES
from kernalign._engines.neighbors import Metric, find
from kernalign._rows import arrays
from kernalign._rows.dissimilarities import given_dissimilarities
from kernalign._rows.items import either
from kernalign._rows.labels import group_numbers
from kernalign._rows.options import Options, check_asked
from kernalign._statistics import half_sampling, jackknife, pair_influence
from kernalign._statistics.pairings import Labels
from kernalign._statistics.tails import student_tail
from kernalign.inference.permuted_scores import told_of_repetition
from kernalign.metrics.kernel.cka import check_estimator
from kernalign.metrics.kernel.finish import Estimator
from kernalign.metrics.kernel.rsa import Comparison, Dissimilarity, check, check_no_rows, check_uncertainty
from kernalign.metrics.neighbors.groups import check_k, join_groups, longer_outside, searched_length
from kernalign.metrics.neighbors.search import Search, join
from kernalign.metrics.record import OfDissimilarities, OfGrams, OfLists
from kernalign.metrics.registry import METRICS, as_named

Values = NDArray[np.float64]

_NEAR_CHANCE = 3.0


@dataclass(frozen=True, repr=False)
class PairedDifference(Readable):
    """score(a, y) - score(b, y) of the same items, and its sampling error.

    Attributes
    ----------
    metric, n : what was measured, on how many items
    score_a, score_b : the two scores
    difference : score_a - score_b: positive if a is closer to y
    stderr : standard error of the difference; what both scores owe to the same items cancels in it
    z, p_value : difference / stderr, and the two-sided p-value of no difference by Student's t, with one degree of
        freedom less than there are items or groups
    method : "jackknife" or "half-sampling"
    settings : estimator or k, similarity, and preprocessing

    See Also
    --------
    compare_scores : makes it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal((200, 10))
    >>> a, b = y + rng.standard_normal((2, 200, 10))
    >>> result = ka.compare_scores("cka", a, b, y)
    >>> low, high = result.interval(0.95)
    >>> bool(low < 0 < high), result.method
    (True, 'jackknife')
    """

    metric: str
    n: int
    score_a: float
    score_b: float
    stderr: float
    method: str
    settings: dict[str, Any] = field(repr=False)

    @property
    def difference(self) -> float:
        return self.score_a - self.score_b

    @property
    def z(self) -> float:
        if self.difference == 0 or math.isnan(self.difference):
            return self.difference
        if math.isnan(self.stderr):
            return math.nan
        return self.difference / self.stderr if self.stderr > 0 else math.copysign(math.inf, self.difference)

    @property
    def _freedom(self) -> int:
        return int(self.settings.get("groups", self.n)) - 1

    @property
    def p_value(self) -> float:
        return 2 * student_tail(abs(self.z), self._freedom)

    def _shown(self) -> list[tuple[str, Any]]:
        return [*super()._shown(), ("difference", self.difference), ("p_value", self.p_value)]

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided interval of the difference, by Student's t as the p-value is."""
        half = student_quantile(level, self._freedom) * self.stderr
        return self.difference - half, self.difference + half


def compare_scores(
    metric: str,
    a: Any,
    b: Any,
    y: Any,
    *,
    uncertainty: str | None = None,
    k: int = 10,
    estimator: Estimator = "unbiased",
    similarity: Metric = "cosine",
    distance: Dissimilarity = "correlation",
    comparison: Comparison = "spearman",
    groups: Any = None,
    **options: Unpack[Options],
) -> PairedDifference:
    """Test whether a is closer to y than b is, on the same items.

    Parameters
    ----------
    metric : "cka", "hsic", "kernel_alignment" (linear kernels), "rsa", "mutual_knn" or "jaccard_knn" (ties shared)
    a, b, y : (n, p), (n, q) and (n, r) arrays, paired by row
    uncertainty : None or the method of the metric: "jackknife" (exact delete-one values of the difference; of rsa the
        influence of every item) or "half-sampling" (the same random parts of the items for both scores; neighbour
        metrics, of at least 12 items and k <= n / 2). "bootstrap" is refused: an item that is drawn twice is its own
        nearest neighbour.
    k, similarity : of the neighbour metrics, as ``k`` and ``metric`` of `mutual_knn`; ``metric`` is what is compared
    distance, comparison : of rsa; comparison "spearman", "pearson" or "cosine". With distance="precomputed" a, b and y
        are dissimilarities
    estimator : "unbiased" or "biased", of the others
    groups : labels of any kind, one per row of a; rows with the same label are one thing (captions of an image), and
        the error is that of whole groups. Neighbours are those of other groups. At least 12 groups for neighbour
        metrics; of fewer than 30 any error is a rough one
    **options : pairing and dropping of rows, preprocessing, threads and progress as for `cka`; ``ids`` are those of a,
        b and y

    Returns
    -------
    PairedDifference
        nan where a score does not exist; stderr and p_value are nan, with a warning, where over 1 % of the rows share
        their k-th place. The error is for scores above chance: an AlignmentWarning says if both are
        within three standard deviations of it, where the statistics are degenerate and `permutation_test` answers.

    Raises
    ------
    ValueError, TypeError
        Bad input, as for the metric itself; uncertainty="bootstrap".

    See Also
    --------
    PairedDifference : what it returns
    permutation_test : whether there is any relation at all

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> y = rng.standard_normal((200, 10))
    >>> near, far = y + rng.standard_normal(y.shape), y + 2 * rng.standard_normal(y.shape)
    >>> result = ka.compare_scores("cka", near, far, y)
    >>> round(result.difference, 1), result.p_value < 1e-3
    (0.3, True)
    """
    metric = as_named(metric)
    checks.check_choice(metric, "metric", tuple(name for name, record in METRICS.items() if _method(record.states)))
    states: Any = METRICS[metric].states
    method = _method(states)
    checks.check_uncertainty(uncertainty, (None, method))
    check_asked(options)
    checks.check_choice(similarity, "similarity", SIMILARITIES)
    checks.check_choice(estimator, "estimator", ("unbiased", "biased"))
    checks.integer(k, "k", 1)
    if not isinstance(states, OfGrams):
        checks.check_unread(estimator=(estimator, "unbiased"))
    triangles = METRICS[metric].takes_dissimilarities({"distance": distance})
    if isinstance(states, OfDissimilarities):
        check(distance, comparison)
        check_uncertainty("jackknife", comparison)
        if triangles:
            check_no_rows({**options})
            a, b, y = (given_dissimilarities(given, name) for given, name in ((a, "a"), (b, "b"), (y, "y")))
    else:
        checks.check_unread(distance=(distance, "correlation"), comparison=(comparison, "spearman"))
    if not isinstance(states, OfLists):
        checks.check_unread(similarity=(similarity, "cosine"))
    needed = METRICS[metric].undirected({"metric": similarity, "distance": distance})
    undirected = either(*needed, "zero" if options.get("normalize") == "l2" else "")
    given, items = arrays.same_items([("a", a), ("b", b), ("y", y)], options, undirected, square=triangles)
    labels = None if groups is None else group_numbers(groups, items.kept)
    if labels is None and not triangles:
        for side, name in zip(given, "aby", strict=True):
            arrays.warn_of_repetition(side, name)
    with reporting(options.pop("progress", False), metric) as report, told_of_repetition():
        if isinstance(states, OfDissimilarities):
            kind = distance, comparison
            n, scores, stderr, settings = _influenced(metric, states, given, kind, labels, options, report)
        elif method == "jackknife":
            n, scores, stderr, settings = _jackknifed(metric, states, given, estimator, labels, options, report)
        else:
            n, scores, stderr, settings = _half_sampled(metric, states, given, k, similarity, labels, options, report)
    if labels is not None:
        settings = settings | {"groups": int(labels.max()) + 1}
    return PairedDifference(metric, n, scores[0], scores[1], stderr, method, {**settings, **items.settings})


def _method(states: Any) -> str:
    """How the sampling error of a difference of two scores is found; empty where it is not known."""
    if isinstance(states, OfDissimilarities) or (isinstance(states, OfGrams) and states.distance is None):
        return "jackknife"
    return "half-sampling" if isinstance(states, OfLists) and states.of_shared is not None else ""


def _jackknifed(
    metric: str, states: OfGrams, given: Any, estimator: Estimator, labels: Labels | None, options: Any, report: Any
) -> Any:
    scores, deleted, chances = [], [], []
    for done, x in enumerate(given[:2]):
        pair = arrays.pair(x, given[2], names=("ab"[done], "y"), **options)
        check_estimator(estimator, pair.n, metric, jackknife=True)
        pair.afford_sums(metric, 320)
        sums = linear_sums(pair, centred=states.centred)
        sums.groups = labels
        reason = sums.why_undefined(estimator) if states.centred and states.cosine else None
        if reason is not None:
            return _undefined(metric, reason, "ab"[done], pair)
        deleted.append(jackknife.deleted_scores(sums, estimator, centred=states.centred, cosine=states.cosine))
        scores.append(states.finish(sums, estimator))
        chances.append(scores[-1].z)
        if report is not None:
            report(done + 1, 2)
    _warn_near_chance(metric, chances)
    stderr = jackknife.jackknife_stderr(deleted[0] - deleted[1], labels)
    return pair.n, tuple(map(float, scores)), stderr, {**pair.settings, "estimator": estimator, "kernel": "linear"}


def _influenced(
    metric: str, states: OfDissimilarities, given: Any, kind: Any, labels: Labels | None, options: Any, report: Any
) -> Any:
    scores, moved = [], []
    for done, x in enumerate(given[:2]):
        states.check(len(x), *kind)
        pair = arrays.pair(x, given[2], **states.read_as(kind[0]), names=("ab"[done], "y"), **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedScoreWarning)  # which names x
            score, of_items = states.of_pair(pair, *kind, None, uncertain=True, groups=labels)
        if score.reason is not None:
            return _undefined(metric, score.reason, "ab"[done], pair)
        scores.append(score)
        moved.append(of_items)
        if report is not None:
            report(done + 1, 2)
    _warn_near_chance(metric, [score.z for score in scores])
    return pair.n, tuple(map(float, scores)), pair_influence.stderr(moved[0] - moved[1], labels), scores[0].settings


def _undefined(metric: str, reason: str, which: str, pair: arrays.Pair) -> Any:
    named = re.sub(r"\bx\b", which, reason)
    warn(f"{metric} is undefined: {named}", UndefinedScoreWarning)
    return pair.n, (math.nan, math.nan), math.nan, pair.settings


def _half_sampled(
    metric: str,
    states: OfLists,
    given: Any,
    k: int,
    similarity: Metric,
    labels: Labels | None,
    options: Any,
    report: Any,
) -> Any:
    threads = checks.check_threads(options.get("threads"))
    prepared = {name: options[name] for name in ("normalize", "clip_quantile") if name in options}
    rows = [arrays.rows(v, name, **prepared) for v, name in zip(given, "aby", strict=True)]
    n = rows[0].shape[0]
    k = checks.check_k(k, n)
    half_sampling.check(n, k, labels)
    length = half_sampling.list_length(n, k)
    if labels is not None:
        check_k(k, labels)
        length = searched_length(n, length, int(np.bincount(labels).max()))
    held = (3 * 56 * length + half_sampling.HELD) * n
    arrays.afford(f"the difference of {metric} of {n} rows", held, budget_of(options.get("memory_budget")), threads)
    lists = []
    for done, side in enumerate(rows):
        lists.append(find(side, length, similarity, "native", threads, None, sets=False))
        if report is not None:
            report(done + 1, len(rows))
    pairs = [arrays.Pair(side, rows[2], prepared, threads) for side in rows[:2]]
    near = [one.first(k) for one in lists]
    found = [join(pair, one, near[2], similarity, "fractional") for pair, one in zip(pairs, near, strict=False)]
    longer, units = tuple(one.lists for one in lists), n
    if labels is not None:
        found = [
            join_groups((one, longer[2]), (pair.x, pair.y), labels, k, "fractional", joined.settings, threads)
            for one, pair, joined in zip(longer, pairs, found, strict=False)
        ]
        held = half_sampling.list_length(n, k)
        longer, units = tuple(longer_outside(one, labels, held) for one in longer), int(labels.max()) + 1
    finished = [states.finish(one) for one in found]
    scores = [float(one) for one in finished]
    _warn_near_chance(metric, [_overlap_z(one) for one in found] if labels is None else [one.z for one in finished])
    settings = {**prepared, "k": k, "similarity": similarity, "ties": "fractional"}
    if reason := next(filter(None, (one.why_no_error for one in found)), None):
        warn(f"the difference of {metric} has no standard error: {reason}", AlignmentWarning)
        return n, scores, math.nan, settings
    items = states.of_shared
    assert items is not None
    a_parts, b_parts = (
        half_sampling.part_scores(one.indices, longer[2].indices, k, items, threads, groups=labels)
        for one in longer[:2]
    )
    parts = [one - other for one, other in zip(a_parts, b_parts, strict=True)]
    return n, scores, half_sampling.stderr(parts, units, k), settings


def _overlap_z(found: Search) -> float:
    shared, *graphs = found.overlaps
    n, k = found.n, found.k
    variance = _core.knn_overlap_variance(n, k, graphs[0], k, graphs[1])
    return (float(shared.sum()) - n * k * k / (n - 1)) / math.sqrt(variance) if variance > 0 else math.inf


def _warn_near_chance(metric: str, zs: list[float | None]) -> None:
    if all(z is not None and abs(z) < _NEAR_CHANCE for z in zs):
        warn(
            f"{metric}: both scores are within {_NEAR_CHANCE:g} standard deviations of chance, where neither the"
            " jackknife nor half-sampling is right; permutation_test asks whether there is anything to compare",
            AlignmentWarning,
        )
