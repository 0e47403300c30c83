"""Permutation tests: is the alignment of paired items more than random pairings of the same items have?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.kernels import Kernels, Linear, kernels_of
from kernalign._base.progress import reporting
from kernalign._base.readable import Readable
from kernalign._base.score import AlignmentWarning, UndefinedScoreWarning
from kernalign._base.warn import warn
from kernalign._engines.neighbors import METRICS as SIMILARITIES
from kernalign._engines.neighbors import Metric
from kernalign._rows.labels import rows_for
from kernalign._rows.options import Options, check_asked
from kernalign._statistics import calibration
from kernalign._statistics.pairings import Orders, share
from kernalign.inference.permuted_scores import Permuted, PermutedCalls
from kernalign.inference.prepared import (
    Tested,
    common_items,
    count_items,
    engines_for,
    layers_of,
    of_dissimilarities,
    pairings_of,
    tested_metrics,
    warn_of_repetition,
)
from kernalign.metrics.kernel.finish import Estimator
from kernalign.metrics.neighbors.search import Ties

Values = NDArray[np.float64]
_BATCH = 32  # pairings scored at a time

AnyMetric: TypeAlias = str | Callable[[Any, Any], Any]


@dataclass(frozen=True, repr=False)
class PermutationTest(calibration.RandomPairings, Readable):
    """A score, and the same score of random pairings.

    Attributes
    ----------
    metric : its name
    score : of the given pairing; of layered input the best over all pairs of layers
    layers : where the best is (the first such pair); None for two single representations
    scores : (L_x, L_y) scores of all pairs of layers
    p_value : (1 + #{pairings at least as close}) / (permutations + 1), never 0; nan, with a warning, where index order
        broke the ties of over 1 % of the rows
    joint_p_value : the same for the largest standardised score over all metrics tested together: the chance that any
        of them is this far out (single-step max-T of Westfall and Young)
    null : (permutations,) scores of the random pairings, each the best over all pairs of layers
    settings : permutations, seed, number of groups or blocks, and what the metric was given

    See Also
    --------
    permutation_test : makes it
    calibrated_score : without pairings, where the null is known

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> layers = [rng.standard_normal((80, 4)) for _ in range(6)]
    >>> test = ka.permutation_test("cka", layers, rng.standard_normal((80, 4)), permutations=200)
    >>> test.scores.shape, len(test.null)
    ((6, 1), 200)
    >>> test.p_value > 0.05, bool(test.score < test.threshold(0.05))
    (True, True)
    """

    metric: str
    score: float
    layers: tuple[int, int] | None
    scores: Values = field(repr=False)
    p_value: float
    joint_p_value: float
    null: Values = field(repr=False)
    settings: dict[str, Any] = field(repr=False)
    best: float | None = field(default=1.0, repr=False)

    def _shown(self) -> list[tuple[str, Any]]:
        return [*super()._shown(), ("mean", self.mean), ("sd", self.sd), ("permutations", len(self.null))]

    @property
    def z(self) -> float | None:
        """(score - mean) / sd; None where random pairings all score alike."""
        return (self.score - self.mean) / self.sd if self.sd > 0 else None

    @property
    def corrected(self) -> float | None:
        """(score - mean) / (best possible - mean): 0 is chance, 1 is perfect; None where no best is known."""
        if self.best is None or self.best == self.mean:
            return None
        return (self.score - self.mean) / (self.best - self.mean)

    def threshold(self, alpha: float = 0.05) -> float:
        """The order statistic of rank ceil((1 - alpha)(B + 1)) of the B random pairings and the given one."""
        sign = -1.0 if self.best == 0.0 else 1.0
        return sign * calibration.order_statistic(sign * np.append(self.null, self.score), alpha)

    def calibrated(self, alpha: float = 0.05) -> float | None:
        """0 up to the threshold, then linear to 1 at the best possible (Gröger et al. 2026); None if no best is known.

        `kernalign.calibrated_score` does the same from exact moments, without permutations.
        """
        if self.best is None:
            return None
        if math.isnan(self.score) or math.isnan(self.p_value):
            return math.nan
        return calibration.rescaled(self.score, self.threshold(alpha), self.best)


class _Keywords(Options, total=False):
    """Those of permutation_test, for type checkers."""

    permutations: int
    groups: Any
    blocks: Any
    seed: int
    k: int
    estimator: Estimator
    kernel: Kernels
    similarity: Metric
    ties: Ties


@overload
def permutation_test(metric: AnyMetric, x: Any, y: Any, **options: Unpack[_Keywords]) -> PermutationTest: ...
@overload
def permutation_test(
    metric: Sequence[AnyMetric], x: Any, y: Any, **options: Unpack[_Keywords]
) -> dict[str, PermutationTest]: ...
def permutation_test(
    metric: AnyMetric | Sequence[AnyMetric],
    x: Any,
    y: Any,
    *,
    permutations: int = 1000,
    groups: Any = None,
    blocks: Any = None,
    seed: int = 0,
    k: int = 10,
    estimator: Estimator = "unbiased",
    kernel: Kernels = Linear(),  # noqa: B008 (frozen)
    similarity: Metric = "cosine",
    ties: Ties = "fractional",
    **options: Unpack[Options],
) -> PermutationTest | dict[str, PermutationTest]:
    """Compare the pairing of two representations with random pairings of the same items.

    Parameters
    ----------
    metric : a name ("cka", "mutual_knn", or another function of `kernalign` that takes x and y alone), a function of
        (x, y) that is larger for closer representations, or a list of these, which are tested on the same pairings.
        ``functools.partial(ka.rsa, comparison="pearson")`` is such a function; with ``distance="precomputed"`` x and y
        are dissimilarities. A function of your own gets rows as they
        are.
    x, y : (n, p) and (n, q) arrays paired by row, or layers of them: lists or dicts of 2-D arrays, or (n, L, p). All
        layers and metrics see the same pairings, and the score of layered input is the best over all pairs of layers:
        its p-value accounts for the search. `Neighbors`, or lists of them, for metrics of neighbour lists.
    permutations : number B of random pairings; the smallest p-value is 1 / (B + 1)
    groups : labels of any kind, one per row; rows with one label are one thing (captions of an image, trials of a
        stimulus). Whole groups change places, each with one of equal size, rows in their order; scores are those that
        the metrics have with ``groups``, so that neighbours are those of other groups.
    blocks : labels of any kind, one per row. Items change places only inside their block, so the null hypothesis is
        that the pairing is exchangeable inside every block, whatever differs between blocks: time blocks, classes (is
        there alignment beyond what the classes give?). A block of one item never moves.
    seed : of the pairings; the same seed gives the same pairings for every metric
    k, similarity, ties : for metrics of neighbour lists, as ``k``, ``metric`` and ``ties`` of `mutual_knn`; ``metric``
        is what is tested here
    estimator, kernel : for cka, hsic and kernel_alignment; bandwidths are found once, since no pairing changes them.
        With ``Precomputed()`` x and y are Gram matrices; a pair is of x and of y, as for `cka`.
    **options : pairing and dropping of rows, preprocessing, threads and progress as for `cka`; an item that is dropped
        is so for all metrics and layers

    Returns
    -------
    PermutationTest, or a dict of them by name for a list of metrics

    Notes
    -----
    Nothing that the pairing leaves alone is computed twice. Neighbour lists are found once and renamed, O(nk) a pairing
    and pair of layers; of cka, hsic and kernel_alignment only the product of both Gram matrices is computed anew: in
    float64 from the features or, where that is faster, from Gram matrices of up to 256 MB (or of the size of the
    features), if the kernel is linear or cosine; otherwise from Gram matrices, 4 n^2 bytes for each layer; of rsa, but
    for Kendall's and whitened comparisons, from dissimilarities or their ranks, as many bytes. Other metrics are called
    B times. Holds two float64 copies of x and y, one of them centred.

    Raises
    ------
    ValueError, TypeError
        Bad input, keywords that no metric under test takes, a metric that is nan for some pairing, or groups or blocks
        that leave nothing to permute.

    See Also
    --------
    PermutationTest : what it returns
    check_pairing : whether another pairing is better than the given one
    independence_test : of any kernel, by moments
    compare_scores : whether one model is closer than another

    References
    ----------
    Phipson and Smyth 2010; Westfall and Young 1993; Gröger, Wen and Brbić 2026 (calibrated score).

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((100, 5))
    >>> y = x + rng.standard_normal((100, 5))
    >>> test = ka.permutation_test("nbs", x, y, permutations=200)
    >>> round(test.score, 1), round(test.mean, 1), round(test.p_value, 3)
    (0.7, 0.2, 0.005)
    >>> def slopes(a, b):
    ...     return abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1])
    >>> ka.permutation_test(slopes, x, y, permutations=200).p_value < 0.01
    True
    """
    check_asked(options)
    checks.check_choice(similarity, "similarity", SIMILARITIES)
    tested = tested_metrics(metric)
    permutations, seed = checks.check_repeats(permutations, "permutations"), checks.check_seed(seed)
    x, y = rows_for(x, y, kernels_of(kernel))
    triangles = of_dissimilarities(tested)
    (xs, layered_x), (ys, layered_y) = layers_of(x, "x", triangles), layers_of(y, "y", triangles)
    xs, ys, items = common_items(tested, xs, ys, (kernel, similarity, triangles), options)
    n = count_items(xs, ys)
    tested = {name: one.following(items.kept) for name, one in tested.items()}
    pairings, labels = pairings_of(groups, blocks, items.kept)
    if groups is None:
        warn_of_repetition(xs, ys, kernel, triangles)
    with reporting(options.pop("progress", False), "permutations") as report:
        engines = engines_for(tested, xs, ys, n, (k, estimator, kernel, similarity, ties), labels, options)
        observed = {name: scores[0] for name, scores in _scores(engines, np.arange(n, dtype=np.int32)[None]).items()}
        _warn_of_undefined(tested, observed)
        nulls: dict[str, list[float]] = {name: [] for name in tested}
        alone = any(isinstance(engine, PermutedCalls) for engine in engines)
        done = 0
        for orders in pairings.drawn(permutations, seed, 1 if alone else _BATCH):
            for name, scores in _scores(engines, orders).items():
                nulls[name] += [tested[name].closest(one) for one in scores]
            if report is not None:
                for _ in orders:
                    done += 1
                    report(done, permutations)
    settings = {"permutations": permutations, "seed": seed, "groups": None, "blocks": None, **items.settings}
    if groups is not None:
        settings["groups"] = sum(map(len, pairings.classes))
    elif blocks is not None:
        settings["blocks"] = len(pairings.classes)
    pools = {name: np.array(null) for name, null in nulls.items()}
    refused = {name: reason for engine in engines for name, reason in engine.refused.items()}
    for name, reason in refused.items():
        if not np.isnan(observed[name]).all():
            warn(f"the test of {name} has no p-value: {reason.removeprefix('none: ')}", AlignmentWarning)
    tests = _tests(tested, observed, pools, _bests(tested, engines), refused, layered_x or layered_y, settings)
    return tests if not isinstance(metric, str) and isinstance(metric, Sequence) else next(iter(tests.values()))


def _scores(engines: list[Permuted], orders: Orders) -> dict[str, Values]:
    merged: dict[str, Values] = {}
    for engine in engines:
        merged |= engine.scores(orders)
    return merged


def _warn_of_undefined(tested: dict[str, Tested], observed: dict[str, Values]) -> None:
    for name, scores in observed.items():
        if np.isnan(scores).all():
            why = "a side is constant or has no structure beyond its diagonal" if tested[name].of_grams else "it is nan"
            warn(f"{name} is undefined: {why}", UndefinedScoreWarning)


def _bests(tested: dict[str, Tested], engines: list[Permuted]) -> dict[str, float | None]:
    """Score of equal representations, where known."""
    bests = {name: one.record.best if one.record is not None else None for name, one in tested.items()}
    called = (engine for engine in engines if isinstance(engine, PermutedCalls))
    return bests | {engine.name: 0.0 if tested[engine.name].sign < 0 else engine.best for engine in called}


def _tests(
    tested: dict[str, Tested],
    found: dict[str, Values],
    nulls: dict[str, Values],
    bests: dict[str, float | None],
    refused: dict[str, str],
    layered: bool,
    settings: dict[str, Any],
) -> dict[str, PermutationTest]:
    pools = {}
    for name, null in nulls.items():
        observed = tested[name].closest(found[name])
        undefined = np.isnan(null)
        if undefined.any() and not math.isnan(observed):
            raise ValueError(
                f"{name} is nan for random pairing {int(undefined.argmax())}, so it has no null distribution"
            )
        pools[name] = tested[name].sign * np.append(observed, null)
    known = [pool for name, pool in pools.items() if not (name in refused or np.isnan(pool).any())]
    standard = [(pool - pool.mean()) / (pool.std() or 1.0) for pool in known]
    joint = np.max(standard, axis=0) if standard else np.full(1, np.nan)
    tests = {}
    for name, pool in pools.items():
        scores = found[name]
        defined = not np.isnan(pool).any()
        flat = int(np.nanargmax(tested[name].sign * scores)) if defined else 0
        row, column = np.unravel_index(flat, scores.shape)
        tests[name] = PermutationTest(
            name,
            tested[name].closest(scores),
            (int(row), int(column)) if layered and defined else None,
            scores,
            math.nan if name in refused else share(pool, pool),
            math.nan if name in refused else share(joint, (pool - pool.mean()) / (pool.std() or 1.0)),
            nulls[name],
            settings,
            bests[name],
        )
    return tests
