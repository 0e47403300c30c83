"""Correlations between model-by-model matrices, where the pairs share models and so are not independent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base import checks
from kernalign._base.cached import cached_property
from kernalign._base.intervals import normal_quantile
from kernalign._base.progress import ProgressArgument, reporting
from kernalign._base.readable import Readable
from kernalign._engines.permuted_grams import PermutedTriangles
from kernalign._rows import pairing, vectors
from kernalign._rows.blocks import spans
from kernalign._rows.labels import group_numbers

Values = NDArray[np.float64]
Correlation: TypeAlias = Literal["spearman", "pearson"]
Alternative: TypeAlias = Literal["two-sided", "greater", "less"]

_LEAST_MODELS = 3


@dataclass(frozen=True, repr=False)
class MapCorrelation(Readable):
    """Correlation of two model-by-model matrices over their pairs of different models.

    Attributes
    ----------
    value : the correlation; nan where one matrix is constant
    models : number of models (of both kinds together, if there are two)
    p_value : share of random renamings of the models of one matrix, the given one among them, that correlate as far in
        the direction of ``alternative``
    null : the correlations of the renamed matrices

    See Also
    --------
    mantel_test : makes it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> a, b = (noise + noise.T for noise in rng.standard_normal((2, 10, 10)))
    >>> test = ka.mantel_test(a, b, permutations=100)
    >>> test.models, test.p_value > 0.05, test.stderr > 0
    (10, True, True)
    """

    value: float
    models: int
    p_value: float
    null: Values = field(repr=False)
    settings: dict[str, Any] = field(repr=False)
    _jackknife: Callable[[], float] = field(repr=False, compare=False)

    @cached_property
    def stderr(self) -> float:
        """Node jackknife: of the correlations without each model (or family of models) in turn; found when read."""
        return self._jackknife()

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided normal interval on Fisher's atanh scale."""
        reach = normal_quantile(level)
        if not abs(self.value) < 1:
            return self.value, self.value
        half = reach * self.stderr / (1 - self.value**2)
        centre = math.atanh(self.value)
        return math.tanh(centre - half), math.tanh(centre + half)


def mantel_test(
    a: Any,
    b: Any,
    *,
    correlation: Correlation = "spearman",
    alternative: Alternative = "two-sided",
    families: Any = None,
    bipartite: bool | None = None,
    permutations: int = 1000,
    seed: int = 0,
    progress: ProgressArgument = False,
) -> MapCorrelation:
    """Correlate two matrices over pairs of models, by permutation and jackknife of whole models.

    Pairs share models, so that tests for independent pairs find far too small p-values. Here the models of b are
    renamed (Mantel's test, also called QAP), and errors come from leaving out models.

    Parameters
    ----------
    a, b : symmetric (M, M) scores of all pairs of the same models, in the same order, whose diagonals are not used; or
        (M, N) scores of M models with N others (vision x language), whose rows and columns are renamed, and left out,
        each on their own, and whose entries all count: see ``bipartite``. For a trend, b may hold any quantity of
        pairs, such as a difference of accuracies.
    correlation : "spearman" (mid-ranks) or "pearson"
    alternative : "two-sided" compares absolute values
    families : M labels; models of a family (sizes or seeds of one architecture) are left out together by the jackknife.
        They are renamed one by one all the same. Of symmetric matrices only.
    bipartite : whether rows and columns are different models. None: they are unless M = N, so that a square table of
        two kinds of models needs True.
    permutations, seed, progress : as for `permutation_test`

    Raises
    ------
    ValueError
        Not two matrices of the same shape, symmetric unless of two kinds of models, without nan; fewer than 3 models
        or 3 families.

    See Also
    --------
    metric_agreement : of many matrices at once
    Comparison : holds such matrices

    References
    ----------
    Mantel 1967; Krackhardt 1988; Arvesen 1969 (jackknife of statistics of pairs).

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> place = rng.standard_normal((12, 2))
    >>> a = -np.linalg.norm(place[:, None] - place, axis=-1)
    >>> b = a + 0.3 * rng.standard_normal(a.shape)
    >>> test = ka.mantel_test(a, (b + b.T) / 2, permutations=200)
    >>> round(test.value, 1), test.p_value < 0.05
    (1.0, True)
    """
    checks.check_choice(correlation, "correlation", ("spearman", "pearson"))
    checks.check_choice(alternative, "alternative", ("two-sided", "greater", "less"))
    permutations, seed = checks.check_repeats(permutations, "permutations"), checks.check_seed(seed)
    if bipartite is not None:
        bipartite = checks.check_flag(bipartite, "bipartite")
    left, right = _checked(a, "a", bipartite), _checked(b, "b", bipartite)
    if left.shape != right.shape:
        raise ValueError(f"a and b must be of the same models, got shapes {left.shape} and {right.shape}")
    m, others = left.shape
    symmetric = m == others and not bipartite
    if families is not None and not symmetric:
        raise ValueError("families are for symmetric matrices")
    models = pairing.side("a", m, a)
    order = pairing.match([models, pairing.side("b", m, b)], "auto").rows[1]
    right = right if order is None else right[order]
    if not symmetric:
        sides = [pairing.side(name, others, getattr(one, "T", None)) for name, one in (("a", a), ("b", b))]
        order = pairing.match(sides, "auto").rows[1]
    right = right if order is None else right[:, order]
    labels = _families(families, pairing.Kept(m, None, (models,)))
    pairs = _pairs(m, others, symmetric)
    x, y = (_scored(v, pairs, correlation) for v in (left, right))
    value = _cosine(x, y)
    rng, null = np.random.default_rng(seed), np.full(permutations, np.nan)
    models = m if symmetric else m + others
    triangles = [_triangle(one, pairs, m, others, symmetric)[None] for one in (x, y)]
    engine = PermutedTriangles(triangles[0], triangles[1], models)
    at_once = permutations if progress is False else permutations // 100 + 1
    with reporting(progress, "renamed models") as report:
        for begin, end in spans(permutations, 1, elements=at_once, report=report):
            orders = np.array([_renamed(rng, m, others, symmetric) for _ in range(begin, end)], dtype=np.int32)
            if not math.isnan(value):
                null[begin:end] = np.clip(engine.products(orders) / engine.lengths, -1.0, 1.0)[:, 0, 0]
    settings = {"correlation": correlation, "alternative": alternative, "permutations": permutations, "seed": seed}
    stderr = partial(_stderr, left, right, labels, correlation, symmetric)
    return MapCorrelation(value, models, _p_value(value, null, alternative), null, settings, stderr)


@dataclass(frozen=True, repr=False)
class MetricAgreement(Readable):
    """How far metrics order the same pairs of models alike.

    Attributes
    ----------
    metrics : their names, in the order of rows and columns
    correlation, stderr : (metrics, metrics) correlations of their maps and node-jackknife standard errors
    p_value : of every pair of metrics, one-sided ("greater"); nan on the diagonal
    adjusted : the same after Benjamini and Hochberg: of those below q at most a share q is false, on average

    See Also
    --------
    metric_agreement : makes it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> maps = {name: noise + noise.T for name, noise in zip("abc", rng.standard_normal((3, 8, 8)))}
    >>> agreement = ka.metric_agreement(maps, permutations=100)
    >>> agreement.metrics, agreement.correlation.shape
    (('a', 'b', 'c'), (3, 3))
    """

    metrics: tuple[str, ...]
    correlation: Values
    stderr: Values
    p_value: Values
    adjusted: Values


def metric_agreement(
    maps: Mapping[str, Any],
    *,
    correlation: Correlation = "spearman",
    families: Any = None,
    bipartite: bool | None = None,
    permutations: int = 1000,
    seed: int = 0,
    progress: ProgressArgument = False,
) -> MetricAgreement:
    """Correlate the model-by-model matrices of several metrics with one another.

    ``maps``: name of each metric -> symmetric (M, M) matrix of its scores, all of the same models. Other arguments and
    errors as for `mantel_test`.

    See Also
    --------
    mantel_test : of two matrices
    false_discovery

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((60, 8))
    >>> models = {f"model {i}": x + i * rng.standard_normal(x.shape) for i in range(8)}
    >>> found = ka.compare(models, metrics=("cka", "nbs"), layers="best", p_values=False)
    >>> maps = {metric: found.scores[metric] for metric in found.metrics}
    >>> agreement = ka.metric_agreement(maps, permutations=100)
    >>> agreement.correlation.round(1).tolist()
    [[1.0, 0.9], [0.9, 1.0]]
    """
    if not isinstance(maps, Mapping):
        raise TypeError(f"maps must be a dict of names and matrices, got {type(maps).__name__}")
    names = tuple(maps)
    if len(names) < 2:
        raise ValueError(f"maps must hold the matrices of at least two metrics, got {len(names)}")
    count = len(names)
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    value, error, p = np.eye(count), np.zeros((count, count)), np.full((count, count), np.nan)
    with reporting(progress, "pairs of metrics") as report:
        for done, (i, j) in enumerate(pairs):
            found = mantel_test(
                maps[names[i]],
                maps[names[j]],
                correlation=correlation,
                alternative="greater",
                families=families,
                bipartite=bipartite,
                permutations=permutations,
                seed=seed,
            )
            for at in ((i, j), (j, i)):
                value[at], error[at], p[at] = found.value, found.stderr, found.p_value
            if report is not None:
                report(done + 1, len(pairs))
    return MetricAgreement(names, value, error, p, _adjusted(p, pairs))


def false_discovery(p_values: Any) -> Values:
    """P-values adjusted by Benjamini and Hochberg, in the shape given; nan is no test and stays nan.

    See Also
    --------
    metric_agreement : uses it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> ka.false_discovery([0.001, 0.02, 0.04, np.nan, 0.8]).round(3).tolist()
    [0.004, 0.04, 0.053, nan, 0.8]
    """
    p = vectors.numeric(p_values, "p_values")
    tested = ~np.isnan(p)
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise ValueError("p_values must be in [0, 1]")
    found, order = p[tested], np.argsort(p[tested], kind="stable")
    found[order] *= len(found) / np.arange(1, len(found) + 1)  # the share of false ones up to each, in order
    found[order] = np.minimum.accumulate(found[order][::-1])[::-1]
    adjusted = np.full(p.shape, np.nan)
    adjusted[tested] = np.minimum(found, 1.0)
    return adjusted


def _adjusted(p: Values, pairs: list[tuple[int, int]]) -> Values:
    adjusted = np.full(p.shape, np.nan)
    for (i, j), q in zip(pairs, false_discovery([p[at] for at in pairs]), strict=True):
        adjusted[i, j] = adjusted[j, i] = q
    return adjusted


def _pairs(rows: int, columns: int, symmetric: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the pairs are: above the diagonal of a symmetric matrix, everywhere in another."""
    if symmetric:
        return np.triu_indices(rows, 1)
    at = np.indices((rows, columns)).reshape(2, -1)
    return at[0], at[1]


def _checked(matrix: Any, name: str, bipartite: bool | None) -> Values:
    given = vectors.numeric(matrix, name)
    if given.ndim != 2:
        raise ValueError(f"{name} must be a matrix (models, models), got shape {given.shape}")
    if min(given.shape) < _LEAST_MODELS:
        raise ValueError(f"a correlation over models needs at least {_LEAST_MODELS} models, got {min(given.shape)}")
    square = given.shape[0] == given.shape[1] and not bipartite
    if bipartite is False and not square:
        raise ValueError(f"{name} must be square unless its models are of two kinds, got shape {given.shape}")
    off = np.ones(given.shape, dtype=bool)
    if square:
        np.fill_diagonal(off, False)
    if not np.isfinite(given[off]).all():
        where = " off the diagonal" if square else ""
        row, column = np.argwhere(~np.isfinite(given) & off)[0]
        raise ValueError(f"{name} must be finite{where}, got {given[row, column]} for models {row} and {column}")
    if square and not np.allclose(given[off], given.T[off], rtol=1e-6, atol=1e-9 * float(np.abs(given[off]).max())):
        raise ValueError(
            f"{name} must be symmetric; of an asymmetric metric take the mean of both directions, and"
            " for rows and columns that are different models say bipartite=True"
        )
    return given


def _families(families: Any, models: pairing.Kept) -> NDArray[np.intp]:
    if families is None:
        return np.arange(models.given)
    labels = group_numbers(families, models, "families")
    if labels.max() < 2:
        raise ValueError(f"families must have at least 3 different labels, got {labels.max() + 1}")
    return labels


def _scored(matrix: Values, pairs: tuple[Any, Any], correlation: str) -> Values:
    """Centred ranks or values of the pairs."""
    return _centred(_scale(correlation)(matrix[pairs]))


def _triangle(scored: Values, pairs: tuple[Any, Any], rows: int, columns: int, symmetric: bool) -> Values:
    """The pairs as a triangle of all models; those of one kind have nothing to do with one another."""
    if symmetric:
        return scored
    both = np.zeros((rows + columns, rows + columns))
    both[:rows, rows:][pairs] = scored
    return both[np.triu_indices(rows + columns, 1)]


def _renamed(rng: np.random.Generator, rows: int, columns: int, symmetric: bool) -> NDArray[np.intp]:
    """A random order of the models of b, those of two kinds each on their own."""
    order = rng.permutation(rows)
    return order if symmetric else np.concatenate([order, rows + rng.permutation(columns)])


def _centred(values: Values) -> Values:
    return values - values.mean() if np.ptp(values) > 0 else np.zeros_like(values)


def _scale(correlation: str) -> Callable[[Values], Values]:
    if correlation == "pearson":
        return np.asarray
    from scipy import stats

    return lambda values: np.asarray(stats.rankdata(values), dtype=np.float64)


def _cosine(x: Values, y: Values) -> float:
    norm = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    return min(1.0, max(-1.0, float(x @ y) / norm)) if norm > 0 else math.nan


def _stderr(a: Values, b: Values, groups: NDArray[np.intp], correlation: str, symmetric: bool) -> float:
    own = _jackknife(a, b, groups, correlation, symmetric)
    return own if symmetric else math.hypot(own, _jackknife(a.T, b.T, np.arange(a.shape[1]), correlation, symmetric))


def _jackknife(a: Values, b: Values, groups: NDArray[np.intp], correlation: str, symmetric: bool) -> float:
    """Leaves out whole groups of models, of one kind the rows; nan where a correlation without one does not exist."""
    count, scale = int(groups.max()) + 1, _scale(correlation)
    rows, columns = _pairs(a.shape[0], a.shape[1], symmetric)
    without = np.empty(count)
    for group in range(count):
        kept = groups[rows] != group
        if symmetric:
            kept &= groups[columns] != group
        without[group] = _cosine(*(_centred(scale(v[rows[kept], columns[kept]])) for v in (a, b)))
    return math.sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))


def _p_value(value: float, null: Values, alternative: str) -> float:
    if math.isnan(value):
        return math.nan
    turn: dict[str, Callable[[Any], Any]] = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}
    reached = turn[alternative](null) >= turn[alternative](value) - 1e-12
    return (1 + int(reached.sum())) / (len(null) + 1)
