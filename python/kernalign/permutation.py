"""Permutation tests: is the alignment of paired items more than random pairings of the same items have?"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray

from kernalign import arrays, calibration, group_overlap
from kernalign.alignment import Estimator, check_estimator
from kernalign.neighbor_lists import Metric, Neighbors, find
from kernalign.neighbor_search import Ties
from kernalign.permuted_scores import (
    GRAM_METRICS,
    LIST_METRICS,
    Permuted,
    PermutedCalls,
    PermutedGrams,
    PermutedLists,
    tie_weights,
)
from kernalign.progress import reporting
from kernalign.score import UndefinedScoreWarning

Values = NDArray[np.float64]
AnyMetric: TypeAlias = str | Callable[[Any, Any], Any]

_DISTANCES = ("procrustes", "angular_distance", "distance_alignment")  # smaller is closer, 0 is equal
_UNBOUNDED = ("hsic",)


@dataclass(frozen=True)
class PermutationTest:
    """A score, and the same score of random pairings.

    Attributes
    ----------
    metric : its name
    score : of the given pairing; of layered input the best over all pairs of layers
    layers : where the best is (the first such pair); None for two single representations
    scores : (L_x, L_y) scores of all pairs of layers
    p_value : (1 + #{pairings at least as close}) / (permutations + 1), never 0
    joint_p_value : the same for the largest standardised score over all metrics tested together: the chance that any
        of them is this far out (single-step max-T of Westfall and Young)
    null : (permutations,) scores of the random pairings, each the best over all pairs of layers
    settings : permutations, seed, blocks, and what the metric was given
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

    @property
    def mean(self) -> float:
        """Mean score of random pairings."""
        return float(self.null.mean())

    @property
    def sd(self) -> float:
        """Standard deviation of the score of random pairings."""
        return float(self.null.std())

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
        if math.isnan(self.score):
            return math.nan
        return calibration.rescaled(self.score, self.threshold(alpha), self.best)


def permutation_test(
    metric: AnyMetric | Sequence[AnyMetric],
    x: Any,
    y: Any,
    *,
    permutations: int = 1000,
    groups: Any = None,
    seed: int = 0,
    k: int = 10,
    estimator: Estimator = "unbiased",
    similarity: Metric = "cosine",
    ties: Ties = "fractional",
    **options: Unpack[arrays.Options],
) -> PermutationTest | dict[str, PermutationTest]:
    """Compare the pairing of two representations with random pairings of the same items.

    Parameters
    ----------
    metric : a name ("cka", "mutual_knn", or another function of `kernalign` that takes x and y alone), a function of
        (x, y) that is larger for closer representations, or a list of these, which are tested on the same pairings.
        ``functools.partial(ka.cka, kernel=...)`` is such a function.
    x, y : (n, p) and (n, q) arrays paired by row, or layers of them: lists of 2-D arrays, or (n, L, p). All layers and
        metrics see the same pairings, and the score of layered input is the best over all pairs of layers: its p-value
        accounts for the search. `Neighbors`, or lists of them, for metrics of neighbour lists.
    permutations : number B of random pairings; the smallest p-value is 1 / (B + 1)
    groups : n labels of blocks. Items change places only inside their block, so the null hypothesis is that the pairing
        is exchangeable inside every block, whatever differs between blocks: time blocks, classes (is there alignment
        beyond what the classes give?). A block of one item never moves. It means something else than ``groups`` of
        `mutual_knn`, where rows of one group are the same thing and whole groups are exchanged.
    seed : of the pairings; the same seed gives the same pairings for every metric
    k, similarity, ties : for metrics of neighbour lists, as ``k``, ``metric`` and ``ties`` of `mutual_knn`
    estimator : "unbiased" or "biased", for cka, hsic and kernel_alignment
    **options : normalize, clip_quantile, threads and progress, as everywhere

    Returns
    -------
    PermutationTest, or a dict of them by name for a list of metrics

    Notes
    -----
    Nothing that the pairing leaves alone is computed twice. Neighbour lists are found once and renamed, O(nk) a pairing
    and pair of layers; of cka, hsic and kernel_alignment, in float64 with the linear kernel, only the product of both
    Gram matrices is computed anew, from the features or, where that is faster, from Gram matrices of up to 256 MB (or
    of the size of the features). Other metrics are called B times. Holds a centred float64 copy of x and y.

    Raises
    ------
    ValueError, TypeError
        Bad input, a metric that is nan for some pairing, or blocks that leave nothing to permute.

    References
    ----------
    Phipson and Smyth 2010; Westfall and Young 1993; Gröger, Wen and Brbić 2026 (calibrated score).
    """
    arrays.check_options(options, arrays.Options)
    names = _names(metric)
    if "zero_rows" in options:
        raise ValueError("zero_rows is not available here; drop the items first: x[keep], y[keep]")
    permutations, seed = _integer(permutations, "permutations", 1), _integer(seed, "seed", 0)
    (xs, layered_x), (ys, layered_y) = _layers(x, "x"), _layers(y, "y")
    n = _items(xs, ys)
    blocks = None if groups is None else _blocks(groups, n)
    with reporting(options.pop("progress", False), "permutations") as report:
        engines = _engines(names, xs, ys, n, (k, estimator, similarity, ties), options)
        rng = np.random.default_rng(seed)
        observed = _scores(engines, np.arange(n))
        _warn_of_undefined(observed)
        nulls = {name: np.empty(permutations) for name in names}
        for done in range(permutations):
            order = rng.permutation(n) if blocks is None else _within(blocks, rng)
            for name, scores in _scores(engines, order).items():
                nulls[name][done] = _best(name, scores)
            if report is not None:
                report(done + 1, permutations)
    settings = {"permutations": permutations, "seed": seed, "blocks": None if blocks is None else int(blocks.max()) + 1}
    tests = _tests(observed, nulls, _bests(names, engines), layered_x or layered_y, settings)
    return tests if not isinstance(metric, str) and isinstance(metric, Sequence) else next(iter(tests.values()))


def _names(metric: Any) -> dict[str, Callable[[Any, Any], Any] | None]:
    """Every metric's name, and what to call if no faster way is known."""
    given = list(metric) if not isinstance(metric, str) and isinstance(metric, Sequence) else [metric]
    names: dict[str, Callable[[Any, Any], Any] | None] = {}
    for one in given:
        name: str
        if callable(one):
            name = getattr(getattr(one, "func", one), "__name__", type(one).__name__)  # of a partial, its function's
        elif isinstance(one, str):
            name = one
        else:
            raise TypeError(f"metric must be a name, a function of (x, y) or a list of these, got {one!r}")
        if name in names:
            raise ValueError(f"metrics must have different names, got {name!r} twice")
        names[name] = one if callable(one) else _function(one)
    if not names:
        raise ValueError("metric must name at least one metric, got an empty list")
    return names


def _function(name: str) -> Callable[[Any, Any], Any] | None:
    if name in GRAM_METRICS or name in LIST_METRICS:
        return None
    import kernalign

    function = getattr(kernalign, name, None)
    if inspect.isfunction(function):
        first, *rest = inspect.signature(function).parameters.values()
        required = [p.name for p in rest if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
        if first.name == "x" and required == ["y"]:
            return function
    raise ValueError(f"metric must be a function of kernalign that takes x and y alone, got {name!r}")


def _layers(x: Any, name: str) -> tuple[list[Any], bool]:
    if isinstance(x, Neighbors):
        return [x], False
    if isinstance(x, (list, tuple)) and len(x) and all(isinstance(v, Neighbors) or np.ndim(v) == 2 for v in x):
        return list(x), True
    if np.ndim(x) == 3:
        return [x[:, layer] for layer in range(np.shape(x)[1])], True
    arrays.as_matrix(x, name)
    return [np.asarray(x) if isinstance(x, (list, tuple)) else x], False


def _items(xs: list[Any], ys: list[Any]) -> int:
    counts = {v.n if isinstance(v, Neighbors) else len(v) for v in (*xs, *ys)}
    if len(counts) > 1:
        raise ValueError(f"x and y must have the same number of rows in every layer, got {sorted(counts)}")
    (n,) = counts
    arrays.check_count(n, 2, "a permutation test")
    return int(n)


def _integer(value: Any, name: str, least: int) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def _blocks(groups: Any, n: int) -> NDArray[np.intp]:
    blocks = group_overlap.labels_of(groups, n)
    if np.bincount(blocks).max() == 1:
        raise ValueError("groups must hold a block of at least two items: items change places only inside their block")
    return blocks


def _within(blocks: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """A random order that keeps every item in its block."""
    order = np.empty(len(blocks), dtype=np.intp)
    order[np.argsort(blocks, kind="stable")] = np.lexsort((rng.random(len(blocks)), blocks))
    return order


def _engines(
    names: dict[str, Callable[[Any, Any], Any] | None], xs: list[Any], ys: list[Any], n: int, given: Any, options: Any
) -> list[Permuted]:
    k, estimator, similarity, ties = given
    engines: list[Permuted] = []
    prepared = {name: options[name] for name in ("normalize", "clip_quantile") if name in options}
    lists = [name for name in names if name in LIST_METRICS and names[name] is None]
    if len(lists) < len(names) and any(isinstance(v, Neighbors) for v in (*xs, *ys)):
        raise TypeError("Neighbors are for metrics of neighbour lists; other metrics need arrays")
    for group in (("cka", "hsic"), ("kernel_alignment",)):
        wanted = [name for name in names if name in group and names[name] is None]
        for name in wanted:
            check_estimator(estimator, n, name)
        if wanted:
            x, y = ([arrays.rows(v, s, **prepared) for v in side] for side, s in ((xs, "x"), (ys, "y")))
            engines.append(PermutedGrams(wanted, x, y, estimator))
    if lists:
        engines.append(_lists(lists, xs, ys, n, k, similarity, ties, prepared, options))
    for name, function in names.items():
        if function is not None:
            engines.append(PermutedCalls(name, _called(function, name, k, options), xs, ys))
    return engines


def _called(function: Callable[[Any, Any], Any], name: str, k: int, options: Any) -> Callable[[Any, Any], Any]:
    import kernalign

    if getattr(kernalign, name, None) is not function:
        return function
    keywords = {**options, **({"k": k} if "k" in inspect.signature(function).parameters else {})}
    return lambda x, y: function(x, y, **keywords)


def _lists(
    metrics: list[str],
    xs: list[Any],
    ys: list[Any],
    n: int,
    k: int,
    similarity: Metric,
    ties: Ties,
    prepared: Any,
    options: Any,
) -> PermutedLists:
    arrays.check_choice(ties, "ties", ("fractional", "index"))
    arrays.check_choice(similarity, "similarity", ("cosine", "dot", "euclidean"))
    k, threads = arrays.check_k(k, n), arrays.check_threads(options.get("threads"))
    found: list[list[Neighbors]] = [[], []]
    sources: list[list[Any]] = [[], []]
    for side, name, layers in ((0, "x", xs), (1, "y", ys)):
        for layer in layers:
            rows = None if isinstance(layer, Neighbors) else arrays.rows(layer, name, **prepared)
            if rows is None and layer.rows is not None:
                raise ValueError(f"{name} must hold the neighbours of every row, got those of a sample")
            lists = (
                layer.first(k) if rows is None else find(rows, k, similarity, "native", threads, None, sets=False).lists
            )
            found[side].append(lists)
            sources[side].append(rows)
    x, y = ([lists.indices for lists in side] for side in found)
    shareable = all(rows is not None for side in sources for rows in side)
    weights = None
    if ties == "fractional" and shareable and any(lists.tie_rows.any() for side in found for lists in side):
        weights = tuple(
            [tie_weights(rows, lists, threads) for rows, lists in zip(*pair, strict=True)]
            for pair in zip(sources, found, strict=True)
        )
    return PermutedLists(metrics, x, y, weights)  # type: ignore[arg-type]


def _scores(engines: list[Permuted], order: NDArray[np.intp]) -> dict[str, Values]:
    merged: dict[str, Values] = {}
    for engine in engines:
        merged |= engine.scores(order)
    return merged


def _warn_of_undefined(observed: dict[str, Values]) -> None:
    for name, scores in observed.items():
        if np.isnan(scores).all():
            why = "a side is constant or has no structure beyond its diagonal" if name in GRAM_METRICS else "it is nan"
            warnings.warn(f"{name} is undefined: {why}", UndefinedScoreWarning, stacklevel=3)


def _bests(names: dict[str, Any], engines: list[Permuted]) -> dict[str, float | None]:
    """Score of equal representations, where known."""
    bests: dict[str, float | None] = {name: None if name in _UNBOUNDED else 1.0 for name in names}
    for engine in engines:
        if isinstance(engine, PermutedCalls):
            bests[engine.name] = 0.0 if engine.name in _DISTANCES else engine.best
    return bests


def _best(name: str, scores: Values) -> float:
    if np.isnan(scores).all():
        return math.nan
    return float(np.nanmin(scores) if name in _DISTANCES else np.nanmax(scores))


def _tests(
    found: dict[str, Values],
    nulls: dict[str, Values],
    bests: dict[str, float | None],
    layered: bool,
    settings: dict[str, Any],
) -> dict[str, PermutationTest]:
    pools = {}
    for name, null in nulls.items():
        observed = _best(name, found[name])
        undefined = np.isnan(null)
        if undefined.any() and not math.isnan(observed):
            raise ValueError(
                f"{name} is nan for random pairing {int(undefined.argmax())}, so it has no null distribution"
            )
        pools[name] = (-1.0 if name in _DISTANCES else 1.0) * np.append(observed, null)
    reached = {name: _share(pool, pool) for name, pool in pools.items()}
    known = [pool for pool in pools.values() if not np.isnan(pool).any()]
    standard = [(pool - pool.mean()) / (pool.std() or 1.0) for pool in known]
    joint = np.max(standard, axis=0) if standard else np.full(1, np.nan)
    tests = {}
    for name, pool in pools.items():
        scores = found[name]
        defined = not np.isnan(pool).any()
        flat = int(np.nanargmin(scores) if name in _DISTANCES else np.nanargmax(scores)) if defined else 0
        row, column = np.unravel_index(flat, scores.shape)
        tests[name] = PermutationTest(
            name,
            _best(name, scores),
            (int(row), int(column)) if layered and defined else None,
            scores,
            reached[name],
            _share(joint, (pool - pool.mean()) / (pool.std() or 1.0)),
            nulls[name],
            settings,
            bests[name],
        )
    return tests


def _share(pool: Values, values: Values) -> float:
    """Share of the pool, which holds the given pairing and the random ones, that reaches the given pairing's value."""
    if np.isnan(values[0]):
        return math.nan
    slack = 1e-12 * float(np.abs(pool).max())  # equal scores may differ by rounding
    return float((pool >= values[0] - slack).mean())
