"""Score: a float that carries its chance level, its spread and where it came from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._base.cached import cached_property
from kernalign._base.intervals import normal_quantile, student_quantile
from kernalign._base.readable import as_html, table_rows
from kernalign._base.warn import warn

_ROUNDING = 1e-9  # of cosines, with float32 products, at most
_LARGEST_EXPONENT = 700.0


class AlignmentWarning(UserWarning):
    """The number is right, but the data makes it mean less than it seems to.

    See Also
    --------
    UndefinedScoreWarning : where there is no number at all
    describe : looks for what these warnings tell of

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 100, 5)) * [30, 1, 1, 1, 1]
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     score = ka.cka(x, y)
    >>> [warning.category.__name__ for warning in caught]
    ['AlignmentWarning', 'AlignmentWarning']
    """


class UndefinedScoreWarning(AlignmentWarning):
    """The quantity does not exist for this (valid) input; the score is nan and says why.

    See Also
    --------
    AlignmentWarning
    Score : its ``reason`` says the same

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> import kernalign as ka
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", ka.UndefinedScoreWarning)
    ...     score = ka.cka(np.ones((50, 3)), np.eye(50))
    >>> score.reason
    'x is constant'
    """


@dataclass(frozen=True)
class Null:
    """Distribution of a score over random pairings of the items: exact moments, tail on demand.

    ``skew`` and ``p_value`` are called when first read, and once; each returns the number and its method's name, or
    None and why there is none; ``mean`` and ``sd`` may be calls too. ``quantile`` gives what a standardised score
    exceeds with some probability, and pickles.
    """

    mean: float | Callable[[], float | None] | None
    sd: float | Callable[[], float | None] | None = None
    skew: Callable[[], tuple[float | None, str]] | None = None
    p_value: Callable[[], tuple[float | None, str]] | None = None
    quantile: Callable[[float], float | None] | None = None


@dataclass(frozen=True)
class Spread:
    """Sampling error of a score; ``transform``: intervals are made on Fisher's scale ("atanh") or a "log" scale;
    ``freedom``: Student's, of an error that is the spread of a few independent numbers, or mostly of a few."""

    stderr: float
    method: str
    transform: str | None = field(default=None)
    freedom: float | None = None


class Score(float):
    """A metric's value with its provenance; it is a float wherever a float is expected.

    Attributes
    ----------
    metric, estimator, n : what was measured, how, on how many items.
    settings : dict of kernel, k, ties, normalisation, accumulation dtype, route, backend, p_method and the like.
    reason : None, or why the value is nan.
    chance, chance_sd, chance_skew : moments under random pairing of the items (None where no closed form is known).
    z, p_value : (value - chance) / chance_sd and the upper-tail probability under random pairing.
        Skewness and p-value are found when first read. Until then a score holds what they need: the rows of both sides
        where there are up to 5000 or where pairings of them are quick (n p q <= 10^8), else copies of 2000 rows, or
        24 k bytes an item for lists, and 8 n for ranks of up to 2000 items. A pickled or copied score has numbers only.
    corrected : (value - chance) / (maximum - chance): 0 is chance, 1 is perfect.
    stderr : standard error, after ``uncertainty=...``; see also ``interval``.
    per_item : one score per item after ``per_item=True`` (their mean is the score), else None.
    per_column : of `linear_predictivity` one score per column of y, nan of one that does not vary, else None.

    See Also
    --------
    calibrated_score : rescaled so that what chance explains is 0
    permutation_test : for metrics whose chance level is not known

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 5))
    >>> score = ka.mutual_knn(x, x + rng.standard_normal((200, 5)), k=10, uncertainty="half-sampling")
    >>> isinstance(score, float), score.metric, score.n
    (True, 'mutual_knn', 200)
    >>> round(score.chance, 2), score.z > 5, score.p_value < 1e-9
    (0.05, True, True)
    >>> low, high = score.interval(0.95)
    >>> bool(low < score < high)
    True
    """

    metric: str
    estimator: str | None
    n: int
    settings: dict[str, Any]
    reason: str | None
    _null: Null | None
    _maximum: float | None
    _spread: Spread | None
    per_item: NDArray[np.float64] | None
    per_column: NDArray[np.float64] | None

    def __new__(
        cls,
        value: float,
        *,
        metric: str,
        n: int,
        estimator: str | None = None,
        settings: dict[str, Any] | None = None,
        reason: str | None = None,
        null: Null | None = None,
        maximum: float | None = 1.0,
        spread: Spread | None = None,
        per_item: NDArray[np.float64] | None = None,
        per_column: NDArray[np.float64] | None = None,
    ) -> Score:
        self = super().__new__(cls, value + 0.0)  # -0 is 0
        self.metric, self.estimator, self.n, self.reason = metric, estimator, n, reason
        self.settings = dict(settings or {})
        self._null = None if math.isnan(value) else null
        self._maximum, self._spread = maximum, spread
        self.per_item, self.per_column = per_item, per_column
        return self

    @property
    def chance(self) -> float | None:
        mean = self._null.mean if self._null else None
        return mean() if callable(mean) else mean

    @property
    def chance_sd(self) -> float | None:
        sd = self._null.sd if self._null else None
        return sd() if callable(sd) else sd

    @cached_property
    def chance_skew(self) -> float | None:
        if self._null is None or self._null.skew is None:
            return None
        value, method = self._null.skew()
        self.settings["skew_method"] = method
        self._null = replace(self._null, skew=Fixed(value, method))  # lets go of the inputs
        return value

    @property
    def z(self) -> float | None:
        chance, sd = self.chance, self.chance_sd
        return None if chance is None or not sd else (float(self) - chance) / sd

    @cached_property
    def p_value(self) -> float | None:
        if self._null is None or self._null.p_value is None:
            return None
        value, method = self._null.p_value()
        self.settings["p_method"] = method
        self._null = replace(self._null, p_value=Fixed(value, method))
        return value

    @property
    def corrected(self) -> float | None:
        if self.chance is None or self._maximum is None or self._maximum <= self.chance:
            return None
        return (float(self) - self.chance) / (self._maximum - self.chance)

    @property
    def stderr(self) -> float | None:
        return self._spread.stderr if self._spread else None

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided normal interval (Student's, of blocks of `mmd`); on Fisher's atanh scale for scores like
        correlations, but where only rounding parts them from 1, and on a log scale for a positive HSIC, whose error
        grows with it.

        Raises
        ------
        ValueError
            The score was made without ``uncertainty=...``, or level is not in (0, 1).
        """
        freedom = self._spread and self._spread.freedom
        reach = student_quantile(level, freedom) if freedom else normal_quantile(level)
        if self._spread is None:
            raise ValueError(f"{self.metric} was computed without uncertainty=..., so it has no interval")
        half = reach * self._spread.stderr
        value = float(self)
        if self._spread.transform == "log" and value > 0:
            factor = math.exp(min(half / value, _LARGEST_EXPONENT))
            return value / factor, value * factor
        if self._spread.transform != "atanh":
            return value - half, value + half
        if 1 - abs(value) < _ROUNDING:  # where 1 - value^2 says nothing
            return max(-1.0, value - half), min(1.0, value + half)
        centre, half = math.atanh(value), half / (1 - value * value)
        return math.tanh(centre - half), math.tanh(centre + half)

    def _shown(self) -> list[tuple[str, Any]]:
        """What a notebook shows: what is known, without making what is not."""
        numbers = [(name, getattr(self, name)) for name in ("chance", "chance_sd", "z", "corrected", "stderr")]
        if self._spread is not None:
            numbers.append(("95 % interval", self.interval()))
        if "p_value" in self.__dict__:
            numbers.append(("p_value", self.p_value))
        known = [
            ("score", float(self)),
            ("estimator", self.estimator),
            ("n", self.n),
            *numbers,
            ("reason", self.reason),
        ]
        return [(name, value) for name, value in known if value is not None]

    def _repr_html_(self) -> str:
        return as_html(self.metric, table_rows(self._shown()))

    def __repr__(self) -> str:
        parts = [f"{float(self):.6g}", self.metric]
        if self.estimator:
            parts.append(self.estimator)
        parts.append(f"n={self.n}")
        if self.chance is not None:
            parts.append(f"chance={self.chance:.4g}")
        if self.reason:
            parts.append(f"reason={self.reason!r}")
        return f"Score({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Lazy parts hold the inputs; a pickled or copied score keeps the numbers instead.
        null = self._null
        if null is not None:
            skew, p = self.chance_skew, self.p_value
            methods = self.settings.get("skew_method", ""), self.settings.get("p_method", "")
            null = replace(
                null,
                sd=self.chance_sd,
                skew=None if skew is None else Fixed(skew, methods[0]),
                p_value=None if p is None else Fixed(p, methods[1]),
            )
        keywords = {
            "metric": self.metric,
            "n": self.n,
            "estimator": self.estimator,
            "settings": self.settings,
            "reason": self.reason,
            "null": null,
            "maximum": self._maximum,
            "spread": self._spread,
            "per_item": self.per_item,
            "per_column": self.per_column,
        }
        return _restore, (float(self), keywords)


@dataclass(frozen=True)
class Fixed:
    """A lazy number that is already known."""

    value: float | None
    method: str

    def __call__(self) -> tuple[float | None, str]:
        return self.value, self.method


def _restore(value: float, keywords: dict[str, Any]) -> Score:
    return Score(value, **keywords)


def undefined(metric: str, n: int, reason: str, **keywords: Any) -> Score:
    """A nan score with its reason, and its warning."""
    warn(f"{metric} is undefined: {reason}", UndefinedScoreWarning)
    return Score(math.nan, metric=metric, n=n, reason=reason, **keywords)


def null_moments(score: Score, *, drawn: bool) -> tuple[float | None, float | None]:
    """``chance`` and ``chance_sd`` of a score; None where pairings would have to be drawn for them, unless they may."""
    null = score._null
    if null is None:
        return None, None
    mean, sd = null.mean, null.sd
    if callable(mean):
        mean = mean() if drawn else None
    if callable(sd):
        sd = sd() if drawn else None
    return mean, sd
