"""How a score moves under noise in the inputs, and between seeds and architectures."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.progress import ProgressArgument, reporting
from kernalign._base.readable import Readable
from kernalign._rows import vectors
from kernalign._rows.labels import class_numbers
from kernalign._rows.matrices import Array, symmetric
from kernalign._rows.numeric import to_numpy
from kernalign._rows.pairing import Kept, side
from kernalign._statistics.jackknife import jackknife_stderr
from kernalign.metrics.kernel.cka import cka

Metric: TypeAlias = Callable[[Any, Any], float]

_NOISE_STREAM = 1


@dataclass(frozen=True, repr=False)
class NoiseCurve(Readable):
    """A score between clean and noisy representations against the strength of the noise.

    Attributes
    ----------
    sigmas : (m,) ascending standard deviations of the noise, in the units of the inputs
    scores : (m,) mean over draws
    sd : (m,) standard deviation over draws (nan for one draw)
    auc : mean height of the curve: area by trapezoids / (last - first sigma); nan for one sigma
    half_life : least sigma at which the straight lines between the points fall to half of the score without noise; nan
        if they never do
    clean : the score without noise

    See Also
    --------
    noise_resilience : makes it

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import robustness
    >>> inputs = np.random.default_rng(0).standard_normal((100, 5))
    >>> curve = robustness.noise_resilience(np.abs, inputs, [0.0, 1.0, 4.0], draws=3)
    >>> bool(0 < curve.half_life < 4), curve.sd.shape
    (True, (3,))
    """

    sigmas: Array
    scores: Array
    sd: Array
    auc: float
    half_life: float
    clean: float


def noise_resilience(
    model: Callable[[NDArray[Any]], Any],
    inputs: Any,
    sigmas: Any,
    *,
    metric: Metric = cka,
    draws: int = 1,
    seed: int = 0,
    progress: ProgressArgument = False,
) -> NoiseCurve:
    """Score between model(inputs) and model(inputs + sigma noise), for independent standard normal noise.

    Parameters
    ----------
    model : function from inputs to an (n, p) representation
    inputs : array of floats or integers, items first, taken as float64
    sigmas : strengths >= 0; sorted, repeats dropped
    metric : function of two representations, such as ``kernalign.cka``, the default
    draws : noise arrays; each serves every sigma, so that a curve is smooth
    seed : of the noise

    Raises
    ------
    ValueError, TypeError
        sigmas or draws out of range, inputs that are not finite numbers; whatever model and metric raise.

    See Also
    --------
    NoiseCurve : what it returns
    seed_sensitivity : how much a score depends on the seed of training

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import robustness
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.standard_normal((200, 10))
    >>> curve = robustness.noise_resilience(np.tanh, inputs, [0.0, 0.5, 1.0, 2.0])
    >>> curve.scores.round(1).tolist(), round(curve.clean, 6)
    ([1.0, 0.8, 0.4, 0.1], 1.0)
    """
    checks.check_callable(model, "model", "inputs")
    checks.check_callable(metric, "metric", "two representations")
    x = to_numpy(inputs, "inputs")[0]
    if x.dtype.kind not in "fiub" or x.ndim < 1:
        raise TypeError(f"inputs must be an array of floats or integers, got dtype {x.dtype} and shape {x.shape}")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError("inputs must be finite")
    grid, draws = np.unique(vectors.nonnegative(sigmas, "sigmas")), checks.check_repeats(draws, "draws")
    # A stream of its own: inputs that were themselves drawn with default_rng(seed) would be their own noise.
    base, rng = model(x), np.random.default_rng([checks.check_seed(seed), _NOISE_STREAM])
    clean = _score(metric, base, base, "model(inputs)")
    found = np.empty((draws, len(grid)))
    with reporting(progress, "noise") as report:
        for draw in range(draws):
            noise = rng.standard_normal(x.shape)
            for i, sigma in enumerate(grid):
                if report:
                    report(draw * len(grid) + i, found.size)
                found[draw, i] = _score(metric, base, model(x + sigma * noise), "model(inputs)") if sigma > 0 else clean
        if report:
            report(found.size, found.size)
    scores = found.mean(axis=0)
    steps = np.diff(grid)
    auc = float((steps * (scores[1:] + scores[:-1]) / 2).sum() / steps.sum()) if len(grid) > 1 else math.nan
    sd = found.std(axis=0, ddof=1) if draws > 1 else np.full(len(grid), math.nan)
    return NoiseCurve(grid, scores, sd, auc, _half_life(grid, scores, clean), clean)


@dataclass(frozen=True, repr=False)
class SeedSensitivity(Readable):
    """Agreement of models that differ in their seed only, and how much more it is than between architectures.

    Attributes
    ----------
    scores : (m, m) symmetric; nan on the diagonal
    mean, sd : over the pairs of models of one architecture
    stderr : of ``mean``, by the delete-one-model jackknife (pairs share models); nan where a deletion leaves no pair
    between : mean over the pairs of models of different architectures; nan if there is one architecture
    contrast, contrast_stderr : mean - between, and its jackknife standard error
    p_value : (1 + #{contrast_b >= contrast}) / (B + 1), the labels of the models permuted B times; nan without contrast
    architectures : (m,) as given

    See Also
    --------
    seed_sensitivity, seed_statistics : make it

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import robustness
    >>> rng = np.random.default_rng(0)
    >>> found = robustness.seed_sensitivity([rng.standard_normal((50, 4)) for _ in range(3)])
    >>> found.scores.shape, found.contrast
    ((3, 3), nan)
    """

    scores: Array
    mean: float
    sd: float
    stderr: float
    between: float
    contrast: float
    contrast_stderr: float
    p_value: float
    architectures: tuple[Hashable, ...]


def seed_sensitivity(
    representations: Sequence[Any],
    architectures: Sequence[Any] | None = None,
    *,
    metric: Metric = cka,
    permutations: int = 999,
    seed: int = 0,
    progress: ProgressArgument = False,
) -> SeedSensitivity:
    """Scores between all pairs of models, within and between architectures.

    Parameters
    ----------
    representations : m >= 2 arrays (n, p_i) of the same items, one per trained model
    architectures : m labels (integers, booleans or strings); None: all models are of one architecture
    metric : symmetric function of two representations; ``kernalign.cka`` by default
    permutations, seed : of the test of the contrast

    Raises
    ------
    ValueError, TypeError
        As `seed_statistics`; whatever the metric raises.

    See Also
    --------
    SeedSensitivity : what it returns
    seed_statistics : from a table of scores

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import robustness
    >>> rng = np.random.default_rng(0)
    >>> wide, deep = rng.standard_normal((2, 100, 6))
    >>> models = [base + 0.5 * rng.standard_normal(base.shape) for base in (wide, wide, wide, deep, deep, deep)]
    >>> found = robustness.seed_sensitivity(models, ["wide"] * 3 + ["deep"] * 3, permutations=199)
    >>> round(found.mean, 1), abs(found.between) < 0.1, round(found.p_value, 1)
    (0.6, True, np.float64(0.1))
    """
    checks.check_callable(metric, "metric", "two representations")
    models = checks.items(representations, "representations", "arrays")
    m = len(models)
    if m < 2:
        raise ValueError(f"representations must hold at least two models, got {m}")
    labels = _labels(architectures, m)
    scores = np.full((m, m), math.nan)
    with reporting(progress, "seeds") as report:
        pairs = [(i, j) for i in range(m) for j in range(i)]
        for done, (i, j) in enumerate(pairs):
            if report:
                report(done, len(pairs))
            scores[i, j] = scores[j, i] = _score(metric, models[i], models[j], "representations")
        if report:
            report(len(pairs), len(pairs))
    return seed_statistics(scores, labels, permutations=permutations, seed=seed)


def seed_statistics(
    scores: Any, architectures: Sequence[Any] | None = None, *, permutations: int = 999, seed: int = 0
) -> SeedSensitivity:
    """The same from a symmetric (m, m) table of scores, whose diagonal is ignored.

    Raises
    ------
    ValueError, TypeError
        Scores that are not finite or not symmetric off the diagonal, another number of labels, or no two models of one
        architecture.

    See Also
    --------
    seed_sensitivity : makes the scores first

    Examples
    --------
    >>> from kernalign import robustness
    >>> scores = [[1.0, 0.9, 0.2, 0.3], [0.9, 1.0, 0.3, 0.2], [0.2, 0.3, 1.0, 0.8], [0.3, 0.2, 0.8, 1.0]]
    >>> found = robustness.seed_statistics(scores, ["a", "a", "b", "b"])
    >>> round(found.mean, 2), round(found.between, 2), round(found.contrast, 2)
    (0.85, 0.25, 0.6)
    """
    permutations, seed = checks.check_repeats(permutations, "permutations"), checks.check_seed(seed)
    table = vectors.numeric(scores, "scores")
    if table.ndim == 2:
        np.fill_diagonal(table, 0.0)
    table = symmetric(table, "scores")
    m = len(table)
    labels = _labels(architectures, m)
    order = Kept(m, None, (side("scores", m, scores),)).places(architectures, "architectures", m)
    labels = labels if order is None else [labels[at] for at in order]
    numbers = class_numbers(labels, "architectures")[0]
    within, between = _means(table, numbers)
    if math.isnan(within):
        raise ValueError("architectures must have at least one with two models, got one model of each")
    deleted = np.array([_means(*_without(table, numbers, i)) for i in range(m)])
    same = (numbers[:, None] == numbers) & _pairs(m)
    p_value = math.nan
    if not math.isnan(between):
        rng, contrast = np.random.default_rng(seed), within - between
        slack = 1e-12 * np.abs(table).max()  # a relabelling that changes nothing must count as equal
        drawn = (_means(table, rng.permutation(numbers)) for _ in range(permutations))
        p_value = (1 + sum(w - b >= contrast - slack for w, b in drawn)) / (permutations + 1)
    np.fill_diagonal(table, math.nan)
    return SeedSensitivity(
        scores=table,
        mean=within,
        sd=float(table[same].std(ddof=1)) if same.sum() > 1 else math.nan,
        stderr=jackknife_stderr(deleted[:, 0]),
        between=between,
        contrast=within - between,
        contrast_stderr=jackknife_stderr(deleted[:, 0] - deleted[:, 1]),
        p_value=p_value,
        architectures=tuple(labels),
    )


def _score(metric: Metric, a: Any, b: Any, what: str) -> float:
    """The metric of two representations, which its errors call ``what``."""
    try:
        return float(metric(a, b))
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what} must be what metric takes: {error}") from error


def _means(table: Array, numbers: NDArray[np.int64]) -> tuple[float, float]:
    """Mean over the pairs of one architecture and over the others; nan where there are none."""
    same, pairs = numbers[:, None] == numbers, _pairs(len(table))
    kinds = table[pairs & same], table[pairs & ~same]
    within, between = (float(values.mean()) if len(values) else math.nan for values in kinds)
    return within, between


def _pairs(m: int) -> NDArray[np.bool_]:
    return np.tri(m, k=-1, dtype=bool)


def _without(table: Array, numbers: NDArray[np.int64], i: int) -> tuple[Array, NDArray[np.int64]]:
    keep = np.arange(len(table)) != i
    return table[np.ix_(keep, keep)], numbers[keep]


def _labels(architectures: Sequence[Any] | None, m: int) -> list[Any]:
    labels = [0] * m if architectures is None else checks.items(architectures, "architectures", "labels")
    if len(labels) != m:
        raise ValueError(f"architectures must have one label for each of {m} models, got {len(labels)}")
    return labels


def _half_life(grid: Array, scores: Array, clean: float) -> float:
    """Where the curve, begun at (0, clean), first falls to half of ``clean``."""
    half = clean / 2
    x, y = (grid, scores) if grid[0] == 0 else (np.append(0.0, grid), np.append(clean, scores))
    below = np.flatnonzero(y <= half)
    if len(below) == 0 or not clean > 0:
        return math.nan
    i = int(below[0])
    return float(x[i - 1] + (y[i - 1] - half) / (y[i - 1] - y[i]) * (x[i] - x[i - 1]))
