"""Several models against the dissimilarities of several subjects: scores, errors, tests and the noise ceiling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from kernalign._base import checks
from kernalign._base.frames import as_frame
from kernalign._base.progress import ProgressArgument, reporting
from kernalign._base.readable import Readable, as_html
from kernalign._statistics.compared_pairs import Weighting
from kernalign.comparison.plots import evaluation
from kernalign.inference import subject_dissimilarities
from kernalign.inference.model_maps import false_discovery
from kernalign.inference.subject_dissimilarities import Given
from kernalign.inference.subject_scores import (
    LEAST_CONDITIONS,
    chance_of,
    p_of_pairings,
    scored,
    variances_of,
)
from kernalign.metrics.kernel.rsa import Comparison
from kernalign.metrics.kernel.rsa_sums import WHITENED

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]
_ROUNDING = 1e-12

Bootstrap: TypeAlias = Literal["both", "subjects", "conditions"]
_HEAD = ["model", "score", "p, chance", "p, ceiling"]


@dataclass(frozen=True, eq=False, repr=False)
class ModelEvaluation(Readable):
    """How well models predict the dissimilarities of subjects; what bars with errors, ceiling and brackets show.

    Attributes
    ----------
    models, subjects : names
    scores : (models, subjects) score of every model with every subject
    mean, stderr : (models,) over the subjects, and the standard error
    chance : (models,) mean score over random pairings of the conditions: 0, but for the cosines; nan with a covariance
    ceiling : (lower, upper) bound of the mean score of the true model; nan of a single subject
    p_chance : (models,) one-sided, of a score that is no larger than chance
    p_pairing : (models,) share of random pairings of the conditions, all up to 8, else 999, whose mean score reaches
        the model's: exact for these subjects, where conditions are exchangeable; nan with a covariance, and where it
        takes long (over 2000 conditions, fewer of Kendall's)
    p_ceiling : (models,) two-sided, of no difference from the lower bound of the ceiling
    p_pairwise : (models, models) two-sided, of no difference between two models; nan on the diagonal
    adjusted : the same after Benjamini and Hochberg, over all pairs
    differences, difference_stderr : (models, models) row less column, and the standard error
    freedom : degrees of freedom of all t-tests and intervals
    settings : comparison, conditions, bootstrap, samples, seed

    See Also
    --------
    evaluate_models : makes it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> subjects = 1 + np.arange(45) / 9 + np.random.default_rng(0).normal(size=(6, 45))
    >>> found = ka.evaluate_models({"line": np.arange(45.0), "flat": np.cos(np.arange(45.0))}, subjects, samples=200)
    >>> found
    ModelEvaluation(2 models, 6 subjects, 10 conditions, spearman)
    >>> found.to_dataframe()[["model", "score"]].round(2).values.tolist()
    [['line', 0.84], ['flat', -0.02]]
    """

    models: tuple[str, ...]
    subjects: tuple[str, ...]
    scores: Array
    mean: Array
    stderr: Array
    chance: Array
    ceiling: tuple[float, float]
    p_chance: Array
    p_pairing: Array
    p_ceiling: Array
    p_pairwise: Array
    adjusted: Array
    differences: Array
    difference_stderr: Array
    freedom: int
    settings: dict[str, Any] = field(default_factory=dict)

    def interval(self, level: float = 0.95) -> Array:
        """(models, 2) two-sided intervals of the mean scores, by Student's t."""
        reach = special.stdtrit(self.freedom, (1 + checks.number(level, "level", "in (0, 1)")) / 2)
        return np.stack([self.mean - reach * self.stderr, self.mean + reach * self.stderr], axis=1)

    def to_dataframe(self) -> DataFrame:
        """One row for each model; needs pandas."""
        return as_frame(self._rows(), "to_dataframe")

    def plot(self, ax: Any = None) -> Any:
        """Bars with 95 % intervals, chance, the noise ceiling, and letters: models that share one do not differ (q >=
        0.05 over all pairs).

        ``ax``: matplotlib axes; None makes a figure. Returns the axes. Needs matplotlib.
        """
        return evaluation.draw(self, ax)

    def pairs_to_dataframe(self) -> DataFrame:
        """One row for each pair of models; needs pandas."""
        rows = [
            {
                "model": self.models[i],
                "other": self.models[j],
                "difference": self.differences[i, j],
                "stderr": self.difference_stderr[i, j],
                "p_value": self.p_pairwise[i, j],
                "q_value": self.adjusted[i, j],
            }
            for i, j in itertools.combinations(range(len(self.models)), 2)
        ]
        return as_frame(rows, "pairs_to_dataframe")

    def _rows(self) -> list[dict[str, Any]]:
        low, high = self.interval().T
        columns = {
            "model": self.models,
            "score": self.mean,
            "stderr": self.stderr,
            "low": low,
            "high": high,
            "chance": self.chance,
            "p_chance": self.p_chance,
            "q_chance": false_discovery(self.p_chance),
            "p_pairing": self.p_pairing,
            "p_ceiling": self.p_ceiling,
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def __repr__(self) -> str:
        of = f"{self.settings['conditions']} conditions, {self.settings['comparison']}"
        return f"ModelEvaluation({len(self.models)} models, {len(self.subjects)} subjects, {of})"

    def __str__(self) -> str:
        rows = [_HEAD, *([name, *cells] for name, cells in self._cells())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([repr(self), *(f"  {line}" for line in lines), *self._told()])

    def _repr_html_(self) -> str:
        head: tuple[list[str], list[str]] = (_HEAD, [])
        return as_html(repr(self), [head, *(([name], list(cells)) for name, cells in self._cells())], self._told())

    def _cells(self) -> list[tuple[str, tuple[str, str, str]]]:
        columns = zip(self.models, self.mean, self.stderr, self.p_chance, self.p_ceiling, strict=True)
        return [(name, (f"{mean:.3f} ± {error:.3f}", _of(p), _of(q))) for name, mean, error, p, q in columns]

    def _told(self) -> list[str]:
        lower, upper = self.ceiling
        found = [] if math.isnan(lower) else [f"  noise ceiling {lower:.3f} to {upper:.3f}"]
        apart = int((self.adjusted[np.triu_indices(len(self.models), 1)] < 0.05).sum())
        count = len(self.models) * (len(self.models) - 1) // 2
        return [*found, f"  {apart} of {count} pairs of models differ (q < 0.05)"] if count else found


def _of(p: float) -> str:
    return "–" if math.isnan(p) else f"{p:.2g}"


def evaluate_models(
    models: Mapping[str, Any],
    subjects: Any,
    *,
    comparison: Comparison = "spearman",
    covariance: Any = None,
    bootstrap: Bootstrap | None = None,
    samples: int = 1000,
    seed: int = 0,
    progress: ProgressArgument = False,
) -> ModelEvaluation:
    """Compare models with the dissimilarities of subjects: means with errors, against chance, the ceiling, each other.

    Parameters
    ----------
    models : dict of names and dissimilarities: matrices, vectors or :class:`kernalign.Dissimilarities`
    subjects : the same of subjects (or repeats), as for :func:`kernalign.noise_ceiling`; one alone has no ceiling
    comparison, covariance : as for :func:`kernalign.rsa`
    bootstrap : to what the errors generalise: new "subjects" with the same conditions, new "conditions" with the same
        subjects, or "both" (the default where there are several subjects and the comparison is not whitened).
        Of whitened comparisons subjects alone.
    samples, seed : of conditions; over subjects errors are the jackknife's, which for mean scores is what a bootstrap
        comes to
    progress : as for :func:`kernalign.cka`

    Returns
    -------
    ModelEvaluation
        Tests are t-tests, with one degree of freedom less than there are subjects or conditions (of "both", the fewer).
        That against chance is one-sided; errors near chance are too large there (1.4 times of 12 conditions, 1.2 of
        30), so that it is careful, and ``p_pairing`` is exact. Errors from the lower bound are 1.2 to 1.4 times too
        large, so that ``p_ceiling`` is careful, too; of two subjects it is nan.

    Notes
    -----
    A condition that is drawn several times is no pair with its own copies: such pairs are left out, and others count as
    often as they occur. The variance over both is ``V_s + V_c - (W_s - V_s) n_c / (n_c - 1)``, V_s the jackknife's over
    subjects, W_s its mean over (100 of the) samples of conditions, and V_c the variance of these, times n_c / (n_c -
    1); at least the larger V: else the noise of single entries is counted three times (a bootstrap of both does).
    O(samples subjects n^2 + 100 subjects^2 n^2), for Kendall's with a factor of the models and log n more.

    Raises
    ------
    ValueError, TypeError
        Bad input; fewer than 5 conditions to draw from; a single subject to draw from; whitened comparisons over
        conditions.

    See Also
    --------
    rsa : one model with one subject, with its exact null
    compare_scores : two representations of features, one of the third
    noise_ceiling, split_half

    References
    ----------
    Nili et al. 2014; Schütt et al. 2023 (two-factor bootstrap); mathematics 3.11.

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> stimuli = rng.standard_normal((20, 6))
    >>> brains = [stimuli @ rng.standard_normal((6, 40)) + 2 * rng.standard_normal((20, 40)) for _ in range(8)]
    >>> subjects = [ka.dissimilarities(brain, distance="euclidean") for brain in brains]
    >>> models = {
    ...     "all features": ka.dissimilarities(stimuli, distance="euclidean"),
    ...     "one feature": ka.dissimilarities(stimuli[:, :1], distance="euclidean"),
    ... }
    >>> print(ka.evaluate_models(models, subjects, samples=200))
    ModelEvaluation(2 models, 8 subjects, 20 conditions, spearman)
      model         score          p, chance  p, ceiling
      all features  0.810 ± 0.037  5e-08      0.033
      one feature   0.443 ± 0.143  0.0087     0.021
      noise ceiling 0.783 to 0.836
      1 of 1 pairs of models differ (q < 0.05)
    """
    if not isinstance(models, Mapping) or not models:
        raise TypeError(f"models must be a dict of names and dissimilarities, got {checks.shown(models)}")
    samples, seed = checks.check_repeats(samples, "samples"), checks.check_seed(seed)
    given = subject_dissimilarities.read(models, subjects, comparison, covariance)
    count, n = len(given.subjects), given.compared.n
    if bootstrap is None:
        whitened = comparison in WHITENED
        bootstrap = "subjects" if whitened else "both" if count > 1 else "conditions"
    checks.check_choice(bootstrap, "bootstrap", ("both", "subjects", "conditions"))
    if bootstrap != "conditions" and count < 2:
        raise ValueError(f"subjects must be at least two for bootstrap={bootstrap!r}, got one")
    if bootstrap != "subjects" and comparison in WHITENED:
        raise ValueError(f"bootstrap must be 'subjects' for comparison={comparison!r}, got {bootstrap!r}")
    if bootstrap != "subjects" and n <= LEAST_CONDITIONS:
        raise ValueError(f"bootstrap={bootstrap!r} needs at least {LEAST_CONDITIONS + 1} conditions, got {n}")
    scores, bounds = scored(given, Weighting(np.ones(n, dtype=np.intp)))
    with reporting(progress, "samples") as report:
        variances = variances_of(given, bootstrap, samples, seed, report)
    means = np.append(scores.mean(axis=1), bounds[0])
    freedom = {"subjects": count, "conditions": n, "both": min(count, n)}[bootstrap] - 1
    chance = chance_of(given, covariance is not None)
    settings = {
        "comparison": comparison,
        "conditions": n,
        "bootstrap": bootstrap,
        "samples": samples,
        "seed": seed,
        **({} if covariance is None else {"covariance": True}),
    }
    pairing = np.full(len(given.models), np.nan) if covariance is not None else p_of_pairings(given)
    return _tested(given, scores, means, variances, chance, pairing, bounds, freedom, settings)


def _tested(
    given: Given,
    scores: Array,
    means: Array,
    variances: Array,
    chance: Array,
    p_pairing: Array,
    ceiling: Array,
    freedom: int,
    settings: dict[str, Any],
) -> ModelEvaluation:
    errors, count, gaps = np.sqrt(variances), len(given.models), means[:, None] - means
    with np.errstate(divide="ignore", invalid="ignore"):
        p_chance = special.stdtr(freedom, -(means[:-1] - chance) / errors.diagonal()[:-1])
        t = np.where(np.abs(gaps) <= _ROUNDING, 0.0, gaps / errors)  # of models that predict the same
    p = 2 * special.stdtr(freedom, -np.abs(t))
    pairwise = p[:count, :count]
    np.fill_diagonal(pairwise, np.nan)
    upper = np.triu_indices(count, 1)
    adjusted = np.full((count, count), np.nan)
    adjusted[upper] = adjusted.T[upper] = false_discovery(pairwise[upper]) if count > 1 else np.nan
    adjusted = np.where(np.isnan(adjusted), adjusted.T, adjusted)
    return ModelEvaluation(
        given.models,
        given.subjects,
        scores,
        means[:-1],
        errors.diagonal()[:-1].copy(),
        chance,
        (float(ceiling[0]), float(ceiling[1])),
        p_chance,
        p_pairing,
        p[:count, count],
        pairwise,
        adjusted,
        gaps[:count, :count],
        errors[:count, :count] * (1 - np.eye(count)),
        freedom,
        settings,
    )
