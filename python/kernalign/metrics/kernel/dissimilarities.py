"""Dissimilarities of conditions from repeated measurements: averages, Mahalanobis, cross-validated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.cached import cached_property
from kernalign._base.kernels import Distance
from kernalign._base.memory import check_memory
from kernalign._base.readable import Readable
from kernalign._engines.gram_source import make_side
from kernalign._rows import arrays
from kernalign._rows.decompositions import cholesky, solve_upper
from kernalign._rows.dissimilarities import covariance_of
from kernalign._rows.labels import group_numbers, labels_in, labels_of
from kernalign._rows.matrices import dense
from kernalign._rows.numeric import as_matrix
from kernalign._rows.pairing import Kept
from kernalign._statistics.shrinkage import SHRINKAGE

Array: TypeAlias = NDArray[np.float64]
Measure: TypeAlias = Literal["correlation", "cosine", "euclidean", "sqeuclidean", "mahalanobis", "crossnobis"]
Noise: TypeAlias = Literal["ledoit_wolf", "diagonal_shrinkage", "diagonal"] | Any

MEASURES = ("correlation", "cosine", "euclidean", "sqeuclidean", "mahalanobis", "crossnobis")
_WHITENED = ("mahalanobis", "crossnobis")


@dataclass(frozen=True, eq=False, repr=False)
class Dissimilarities(Readable):
    """Dissimilarities of all pairs of n conditions; wherever an array is expected, the (n, n) matrix.

    What takes ``distance="precomputed"`` pairs the conditions of several by their labels, as it does rows of tables.

    Attributes
    ----------
    values : (n (n - 1) / 2,) the pairs i < j, row by row; cross-validated ones may be below 0
    conditions : (n,) labels
    distance : what they are
    settings : trials, runs and noise that they are made of

    See Also
    --------
    dissimilarities : makes them
    rsa : compares them

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> found = ka.dissimilarities(np.eye(3), distance="sqeuclidean")
    >>> found
    Dissimilarities(sqeuclidean, 3 conditions)
    >>> found.values
    array([2., 2., 2.])
    """

    values: Array
    conditions: NDArray[Any]
    distance: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.conditions)

    def __repr__(self) -> str:
        return f"Dissimilarities({self.distance}, {len(self)} conditions)"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.square, dtype=dtype) if copy else np.asarray(self.square, dtype=dtype)

    @cached_property
    def square(self) -> Array:
        """The symmetric (n, n) matrix with a zero diagonal; made when it is first read."""
        n = len(self)
        full = np.zeros((n, n))
        full[np.triu_indices(n, 1)] = self.values
        return full + full.T

    shape = property(lambda self: (len(self), len(self)))
    ndim = property(lambda self: 2)
    dtype = property(lambda self: self.values.dtype)
    # What labels of rows are found by, as those of xarray's arrays.
    dims = property(lambda self: ("condition", "condition"))
    indexes = property(lambda self: {"condition": self.conditions})


def dissimilarities(
    x: Any,
    *,
    distance: Measure = "correlation",
    conditions: Any = None,
    runs: Any = None,
    noise: Noise = None,
    threads: int | None = None,
) -> Dissimilarities:
    """Dissimilarities of all pairs of conditions, from one row for each or from repeated measurements.

    Parameters
    ----------
    x : (trials, channels) array: single measurements, or one row for each condition.
    distance : "correlation" (1 - r), "cosine", "euclidean" and "sqeuclidean" of the averages of conditions;
        "mahalanobis" (squared: ``(a - b)' S^-1 (a - b)`` of averages, S the noise covariance of the channels), which
        noise biases upwards; or "crossnobis": the same product of differences in one run and in the others, averaged
        over the runs. Its mean is the true distance, 0 for conditions that do not differ, so that it may be below 0.
    conditions : a label of any kind for each row, found by the labels of rows where x and this carry some. None: every
        row is a condition, with the label that it carries (the index of a data frame).
    runs : a label of any kind for each row: the folds of "crossnobis", two or more, each with trials of all conditions.
    noise : the covariance of channels: (p, p), (p,) variances, or how it is estimated from what single trials differ
        from the average of their condition: "ledoit_wolf" (shrunk to a multiple of the identity), "diagonal_shrinkage"
        (correlations shrunk to 0; Schäfer and Strimmer) or "diagonal" (variances alone). Needed by "mahalanobis"; None
        of "crossnobis" is the identity.
    threads : as for :func:`kernalign.cka`

    Returns
    -------
    Dissimilarities
        With conditions in the order in which they come first. Not divided by the number of channels (rsatoolbox does).

    Notes
    -----
    O(n^2 p) for n conditions, or the number of runs times that; the covariance takes O(trials p^2) and p x p numbers.
    Holds x in float64 where there are conditions.

    Raises
    ------
    ValueError, TypeError
        Bad input; a condition without trials in some run; a noise covariance that is singular (of "diagonal" and
        "diagonal_shrinkage" where a channel does not vary within conditions; of "ledoit_wolf" where none does), or no
        condition that was measured twice to estimate it from.

    See Also
    --------
    rsa : compares two of them, with distance="precomputed"
    evaluate_models : compares models with several of them
    noise_ceiling : the most that a model could reach

    References
    ----------
    Walther et al. 2016 (crossnobis); Ledoit and Wolf 2004; Schäfer and Strimmer 2005; mathematics 2.17.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> model = rng.standard_normal((12, 3))
    >>> condition, run = np.repeat(np.arange(12), 8), np.tile([1, 2, 3, 4], 24)
    >>> trials = model[condition] @ rng.standard_normal((3, 30)) + 3 * rng.standard_normal((96, 30))
    >>> brain = ka.dissimilarities(trials, distance="crossnobis", conditions=condition, runs=run, noise="ledoit_wolf")
    >>> brain
    Dissimilarities(crossnobis, 12 conditions)
    >>> predicted = ka.dissimilarities(model, distance="sqeuclidean")
    >>> round(ka.rsa(brain, predicted, distance="precomputed"), 2)
    0.82
    """
    checks.check_choice(distance, "distance", MEASURES)
    if distance not in _WHITENED and noise is not None:
        raise ValueError(f"noise is for distance='mahalanobis' or 'crossnobis', got distance={distance!r}")
    if distance != "crossnobis" and runs is not None:
        raise ValueError(f"runs are for distance='crossnobis', got distance={distance!r}")
    if distance == "mahalanobis" and noise is None:
        raise ValueError("noise must be given for distance='mahalanobis': without it, that is 'sqeuclidean'")
    if distance == "crossnobis" and (runs is None or conditions is None):
        raise ValueError("conditions and runs must be given for distance='crossnobis', which compares runs")
    x, conditions, runs = arrays.aligned(("x", x), ("conditions", conditions), ("runs", runs))
    rows, count = arrays.rows(x, "x"), checks.check_threads(threads)
    if conditions is None and distance not in _WHITENED:
        checks.check_count(rows.shape[0], 2, "dissimilarities")
        return Dissimilarities(_of_rows(x, distance, count), labels_of(x, rows.shape[0], "x"), distance)
    values = dense(rows)
    of_trials, labels = _numbered_conditions(x, conditions, len(values))
    if len(labels) < 2:
        raise ValueError("conditions must have at least two different labels, got one")
    settings: dict[str, Any] = {"trials": len(values)}
    if distance in _WHITENED:
        values, settings["noise"] = _whitened(values, of_trials, noise)
    if distance == "crossnobis":
        found, settings["runs"] = _cross_validated(values, of_trials, labels, runs, count)
    else:
        means = averages(values, of_trials)
        found = _of_rows(means, "sqeuclidean" if distance == "mahalanobis" else distance, count)
    return Dissimilarities(found, labels, distance, settings)


def _numbered_conditions(x: Any, conditions: Any, n: int) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """The number of the condition of each of the n rows of x, as they come, and the labels of conditions."""
    if conditions is None:
        return np.arange(n), labels_of(x, n, "x")
    numbers = group_numbers(conditions, Kept(n), "conditions")
    first = np.unique(numbers, return_index=True)[1]
    return numbers, labels_in(conditions, "conditions")[first]


def averages(values: Array, numbers: NDArray[np.intp]) -> Array:
    """The mean of the rows of each number from 0."""
    order = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers)
    sums = np.add.reduceat(values[order], np.cumsum(counts) - counts, axis=0)
    return np.asarray(sums / counts[:, None])


def _of_rows(x: Any, distance: str, threads: int) -> Array:
    """Dissimilarities of rows, in the data's own units."""
    angles, (matrix, bf16) = distance in ("correlation", "cosine"), as_matrix(x, "x")
    how: Any = {"divided": angles, "zero_mean": distance == "correlation"}
    rows = arrays.prepared(matrix, "x", bf16, normalize=None, clip=None, **how)
    arrays.afford(f"dissimilarities of {len(matrix)} rows", 8 * len(matrix) ** 2)
    side = make_side([rows], Distance(squared=distance != "euclidean"), threads, double=True)
    found = side.condensed()
    return found / 2 if angles else found


def _whitened(values: Array, numbers: NDArray[np.intp], noise: Any) -> tuple[Array, str]:
    """Rows in which the noise is independent and equal in all channels, and how it was found."""
    if noise is None:
        return values, "identity"
    n, p = values.shape
    if isinstance(noise, str):
        checks.check_choice(noise, "noise", tuple(SHRINKAGE))
        freedom = n - int(numbers.max()) - 1
        if freedom < 1:
            raise ValueError(f"noise={noise!r} needs a condition with two trials, got {n} conditions of one each")
        check_memory(
            24 * p * p + 24 * n * p, f"the noise covariance of {p} channels", None, "noise='diagonal' holds less"
        )
        covariance, words = SHRINKAGE[noise](values - averages(values, numbers)[numbers], freedom), noise
    else:
        covariance, words = covariance_of(noise, p, "noise", "channels"), "given"
    root = cholesky(covariance)
    if root is None:
        constant = int((np.diag(covariance) == 0).sum())
        why = f"{constant} channels do not vary" if constant else "channels are linear combinations of others"
        raise ValueError(f"noise must have a positive definite covariance, but {why}; leave them out")
    return np.ascontiguousarray(solve_upper(root, values.T, transposed=True).T), words


def _cross_validated(
    values: Array, of_trials: NDArray[np.intp], labels: NDArray[Any], runs: Any, threads: int
) -> tuple[Array, int]:
    """The mean over runs of the product of differences in a run and in the others."""
    of_runs = group_numbers(runs, Kept(len(values)), "runs")
    count, n = int(of_runs.max()) + 1, len(labels)
    if count < 2:
        raise ValueError("runs must have at least two different labels, got one")
    trials = np.zeros((count, n), dtype=np.intp)
    np.add.at(trials, (of_runs, of_trials), 1)
    if not trials.all():
        run, condition = np.argwhere(trials == 0)[0]
        name = checks.shown(labels_in(runs, "runs")[of_runs == run][0])
        raise ValueError(
            f"runs must each have trials of every condition, but {name} has none of {checks.shown(labels[condition])}"
        )
    found = np.zeros(n * (n - 1) // 2)
    for run in range(count):
        here, there = (averages(values[own], of_trials[own]) for own in (of_runs == run, of_runs != run))
        found += _of_rows(there + here, "sqeuclidean", threads)  # |u + v|^2 - |u - v|^2 = 4 u.v
        found -= _of_rows(there - here, "sqeuclidean", threads)
    return found / (4 * count), count
