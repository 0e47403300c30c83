"""_Scorers for scikit-learn: how alike what an estimator makes of X and a target representation are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernalign._base.checks import check_choice
from kernalign.metrics.registry import METRICS, measure, metric_name


@dataclass(frozen=True)
class _Scorer:
    """A callable ``scorer(estimator, X, y=None)``; see :func:`make_scorer`."""

    metric: str
    response_method: str = "transform"
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """The score of the estimator's answer to X and y, or X where there is no y; larger is closer."""
        made, target = getattr(estimator, self.response_method)(X), X if y is None else y
        made, target = (rows if np.ndim(rows) != 1 else np.reshape(rows, (-1, 1)) for rows in (made, target))
        score = float(measure(self.metric, made, target, **self.options))
        return score if METRICS[self.metric].larger_is_closer else -score


def make_scorer(metric: str = "cka", *, response_method: str = "transform", **options: Any) -> _Scorer:
    """A scorer for ``cross_val_score``, ``GridSearchCV`` and their like from a metric of representations.

    Parameters
    ----------
    metric : str, default "cka"
        One of :data:`kernalign.METRICS`.
    response_method : "transform" or "predict", default "transform"
        What the estimator is asked for: rows (n, p).
    **options
        Keyword arguments of the metric.

    Returns
    -------
    callable ``scorer(estimator, X, y=None)`` -> float, in the metric's range: of the estimator's answer to X, and of y
    or, where y is None, X itself. Of distances, the negative: scikit-learn looks for the largest. It can be pickled.

    Raises
    ------
    ValueError
        There is no metric of this name, or no such method. Bad options are told of when the scorer is called.

    See Also
    --------
    kernalign.measure : the metric itself.
    kernalign.stitching : estimators whose own ``score`` is R².

    Notes
    -----
    Cost and memory are those of the metric. Scores of few held-out items are noisy, and those of metrics with chance
    levels far from 0 depend on how many there are: compare scores of folds of the same size.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV
    >>> from kernalign.compat.sklearn import make_scorer
    >>> x = np.random.default_rng(0).standard_normal((90, 6)) * [9, 5, 1, 1, 1, 1]
    >>> search = GridSearchCV(PCA(), {"n_components": [1, 2]}, scoring=make_scorer("cka"), cv=3)
    >>> search.fit(x).best_params_
    {'n_components': 2}
    """
    metric = metric_name(metric, "metric")
    check_choice(response_method, "response_method", ("transform", "predict"))
    return _Scorer(metric, response_method, options)
