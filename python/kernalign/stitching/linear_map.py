"""LinearStitcher: fits x -> x S + b from rows, batches or moments, and applies, scores, saves it."""

from __future__ import annotations

import os
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from kernalign._base import checkpoint, checks
from kernalign._rows import arrays
from kernalign._rows.blocks import row_blocks
from kernalign.metrics.moments import Moments
from kernalign.stitching.estimator import Estimator, NotFittedError
from kernalign.stitching.problem import Matrix, Problem
from kernalign.stitching.r_squared import Multioutput, check_multioutput, r_squared
from kernalign.stitching.state import MOST_EXPONENTS, LeastSquaresState

_KIND = "stitcher"
_SOLVERS: dict[str, type[LinearStitcher]] = {}


@dataclass(frozen=True)
class Solution:
    """A fitted map: x @ coef + intercept, and what its solver has to say about it."""

    coef: Matrix  # (p, q)
    intercept: Matrix
    n: int
    residual: float
    solver: str
    more: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem, coef: Matrix, **more: Any) -> Solution:
        """From the map and the problem that it solves."""
        residual = float(problem.residual(coef).sum()) / problem.n
        intercept = problem.mean_y - problem.mean_x @ coef
        return cls(coef, intercept, problem.n, residual, problem.solver, more)


class LinearStitcher(Estimator):
    """A map x -> x @ coef_.T + intercept_ in the form of a scikit-learn estimator; see its subclasses.

    Attributes
    ----------
    coef_ : (q, p) and intercept_ : (q,), the map.
    residual_ : mean over the fitted items of |map(x) - y|^2.
    solver_ : "normal equations" or "tsqr", chosen by the condition of the data (see `LeastSquaresState`).
    n_features_in_, n_samples_seen_ : p, and how many items were fitted.

    See Also
    --------
    AffineStitcher, RidgeStitcher, ProcrustesStitcher, LowRankStitcher

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((300, 5))
    >>> y = x @ rng.standard_normal((5, 2))
    >>> batches = stitching.AffineStitcher()
    >>> for start in range(0, 300, 100):
    ...     batches = batches.partial_fit(x[start : start + 100], y[start : start + 100])
    >>> isinstance(batches, stitching.LinearStitcher), round(batches.score(x, y), 6)
    (True, 1.0)
    """

    _products_only: ClassVar[bool] = False
    _most: ClassVar[tuple[int, int]] = MOST_EXPONENTS
    _parts: ClassVar[tuple[str, ...]] = ()  # what a solution holds besides the map
    _state: LeastSquaresState | None = None
    _solution: Solution | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _SOLVERS[cls.__name__] = cls

    @abstractmethod
    def _solve(self, problem: Problem) -> Solution:
        """The map for a problem; checks the parameters first."""

    def fit(self, x: Any, y: Any) -> Self:
        """Fit to x (n, p) and y (n, q), paired by row; forgets earlier fits. Holds O((p + q)^2), whatever n is.

        Raises
        ------
        TypeError, ValueError
            For input that is not numeric, finite, 2-D and paired, fewer than two rows, or a parameter out of range.
        """
        state = LeastSquaresState(products_only=self._products_only).update(x, y)
        self._solution = self._solved(self._problem(state))
        self._state = state
        return self

    def partial_fit(self, x: Any, y: Any) -> Self:
        """Add a batch of paired rows; the map is solved for when it is next used. Batching does not change one bit."""
        if self._state is None and self._solution is not None:
            raise ValueError(
                "a stitcher fitted from moments or loaded from a file holds no rows to add to; fit a new one"
            )
        state = self._state or LeastSquaresState(products_only=self._products_only)
        self._state, self._solution = state.update(x, y), None
        return self

    def merge(self, other: Self) -> Self:
        """Add the rows that another stitcher has seen (another part of the stream, another machine); returns self.

        Raises
        ------
        TypeError, ValueError
            The other is no stitcher, differs in columns, holds no rows (from moments or a file), or is a
            ProcrustesStitcher and this one is not: its products may have lost what other maps need.
        """
        if not isinstance(other, LinearStitcher):
            raise TypeError(f"other must be a stitcher, got {type(other).__name__}")
        for stitcher in (self, other):
            if stitcher._state is None and stitcher._solution is not None:
                raise ValueError("stitchers fitted from moments or loaded from a file hold no rows to merge")
        if other._state is not None:
            if other._products_only and not self._products_only:
                raise ValueError(f"a {type(self).__name__} must not be merged with a {type(other).__name__}")
            state = self._state or LeastSquaresState(products_only=self._products_only)
            self._state, self._solution = state.merge(other._state), None
        return self

    def fit_moments(self, moments: Moments) -> Self:
        """Fit from the second moments of x and y, by normal equations whatever the condition of the data is.

        Warns (AlignmentWarning) where that costs the map its digits: then stream the rows through ``partial_fit``.
        """
        if not isinstance(moments, Moments):
            raise TypeError(f"moments must be a kernalign.Moments, got {type(moments).__name__}")
        checks.check_count(moments.n, 2, type(self).__name__)
        problem = Problem.of_moments(moments, inverted=not self._products_only)
        self._solution, self._state = self._solved(problem), None
        return self

    def transform(self, x: Any) -> Matrix:
        """Map rows (m, p) to (m, q), float64."""
        solution = self._fitted()
        rows = arrays.rows(x)
        self._check_columns("x", rows.shape[1], solution.coef.shape[0])
        out = np.empty((rows.shape[0], solution.coef.shape[1]))
        for begin, end in row_blocks(rows):
            np.matmul(rows.dense(begin, end), solution.coef, out=out[begin:end])
        out += solution.intercept
        return out

    def score(self, x: Any, y: Any, *, multioutput: Multioutput = "uniform_average") -> Any:
        """R^2 = 1 - SSE / SST of held-out rows, as a float: the mean over outputs, as scikit-learn has it.

        ``multioutput="variance_weighted"`` sums SSE and SST over the outputs that vary first, as ``run_trials`` and
        ``linear_predictivity`` do over all; "raw_values" gives an array (q,). In these and the mean, outputs that do
        not vary count 1 where they are met exactly, else 0; nan (UndefinedScoreWarning) where none varies.
        """
        check_multioutput(multioutput)
        solution = self._fitted()
        pair = arrays.pair(x, y, advise=False)
        for name, rows, known in zip("xy", (pair.x, pair.y), solution.coef.shape, strict=True):
            self._check_columns(name, rows.shape[1], known)
        first = pair.y.dense(0, 1)[0]
        missed, sums, squares = np.zeros_like(first), np.zeros_like(first), np.zeros_like(first)
        with np.errstate(over="ignore", invalid="ignore"):
            for begin, end in row_blocks(pair.x, pair.y):
                target = pair.y.dense(begin, end)
                mapped = pair.x.dense(begin, end) @ solution.coef + solution.intercept
                missed += ((mapped - target) ** 2).sum(axis=0)
                target -= first
                sums += target.sum(axis=0)
                squares += (target**2).sum(axis=0)
            return r_squared(missed, (squares - sums**2 / pair.n).clip(0), multioutput)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the fitted map (not the rows' state) to a file: whole or not at all, checksummed, without pickle."""
        solution = self._fitted()
        parts = {"coef": solution.coef, "intercept": solution.intercept} | solution.more
        facts = {"n": solution.n, "residual": solution.residual, "solver": solution.solver}
        kind = {"stitcher": type(self).__name__, "parameters": self.get_params(deep=False)}
        checkpoint.write(path, _KIND, kind | facts, parts, overwrite=overwrite)

    @property
    def coef_(self) -> Matrix:
        return self._fitted().coef.T

    @property
    def intercept_(self) -> Matrix:
        return self._fitted().intercept

    @property
    def residual_(self) -> float:
        return self._fitted().residual

    @property
    def solver_(self) -> str:
        return self._fitted().solver

    @property
    def n_features_in_(self) -> int:
        return int(self._fitted().coef.shape[0])

    @property
    def n_samples_seen_(self) -> int:
        return self._fitted().n

    def _fitted(self) -> Solution:
        if self._solution is None:
            if self._state is None:
                raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit or partial_fit first")
            self._solution = self._solved(self._problem(self._state))
        return self._solution

    def _solved(self, problem: Problem) -> Solution:
        solution = self._solve(problem)
        if not self._products_only:
            problem.warn(type(self).__name__)
        return solution

    def _problem(self, state: LeastSquaresState) -> Problem:
        checks.check_count(state.n, 2, type(self).__name__)
        with np.errstate(over="ignore", invalid="ignore"):
            problem = state.finish(most=self._most)
        if not problem.finite:
            raise ValueError("x and y must have deviations from their means whose squares float64 can hold")
        return problem

    def _check_columns(self, name: str, got: int, known: int) -> None:
        if got != known:
            raise ValueError(f"{name} must have the {known} columns of the fit, got {got}")

    @property
    def _n_features_out(self) -> int:  # what scikit-learn names columns by
        return int(self._fitted().coef.shape[1])

    def __sklearn_is_fitted__(self) -> bool:
        return self._solution is not None or self._state is not None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.single_output = False
        tags.target_tags.multi_output = True
        return tags


def load_stitcher(path: str | os.PathLike[str]) -> LinearStitcher:
    """The stitcher that ``save`` wrote, ready to transform and score; it cannot take further rows.

    Raises
    ------
    ValueError
        The file is not a whole stitcher file of this version.

    See Also
    --------
    LinearStitcher : its ``save`` writes the file

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from kernalign import stitching
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stitching.AffineStitcher().fit(x, -x).save(Path(folder) / "map.ka")
    ...     stitcher = stitching.load_stitcher(Path(folder) / "map.ka")
    >>> np.allclose(stitcher.transform(x), -x)
    True
    """
    with checkpoint.reading(path, _KIND) as (facts, parts):
        stitcher = _SOLVERS[facts["stitcher"]](**facts["parameters"])
        for name, values in parts.items():
            if values.dtype.kind not in "fiu" or not (np.isfinite(values) | (name == "gcv")).all():
                raise ValueError(f"{name} must hold finite numbers")
        coef, intercept = parts.pop("coef"), parts.pop("intercept")
        if coef.ndim != 2 or intercept.shape != coef.shape[1:]:
            raise ValueError(f"coef {coef.shape} and intercept {intercept.shape} do not fit together")
        n, residual, solver = facts["n"], facts["residual"], facts["solver"]
        if type(n) is not int or type(residual) is not float or not isinstance(solver, str):
            raise TypeError("n, residual and solver must be an integer, a float and a string")
        more: dict[str, Any] = {name: value if value.ndim else value.item() for name, value in parts.items()}
        if missing := [name for name in stitcher._parts if name not in more]:
            raise KeyError(*missing)
        stitcher._solution = Solution(coef.astype(np.float64), intercept.astype(np.float64), n, residual, solver, more)
    return stitcher
