"""LinearProbe: what a linear readout finds in a representation, by multinomial logistic or ridge regression."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from kernalign._base import checks
from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign._engines.directions import of_dense
from kernalign._rows import arrays
from kernalign._rows.digits import Digits
from kernalign._rows.labels import class_numbers, numbers_of, one_hot
from kernalign._rows.magnitude import check_magnitude, divided, exponent_of
from kernalign._rows.matrices import Array, centre, dense
from kernalign._rows.numeric import as_matrix
from kernalign._rows.preprocessing import rounding_of, standard_scale
from kernalign.stitching.estimator import NotFittedError, Predictor
from kernalign.stitching.r_squared import Multioutput, check_multioutput, r_squared

Task: TypeAlias = Literal["classification", "regression"]

_ITERATIONS = 2000
_MOST_EXPONENT = 960  # of the targets: their differences stay in the range of float64
_GRADIENT = 1e-6  # beyond this the optimum was not reached


class LinearProbe(Predictor):
    """A linear readout with an L2 penalty, on columns standardised by the mean and sd (ddof=1) of the training rows.

    With standardised rows z, weights W and an unpenalised intercept c it minimises, uniquely,

    * "classification": mean cross-entropy of softmax(z W + c) + l2 |W|^2 / 2 (scikit-learn's C is 1 / (n l2), but
      2 / (n l2) for two classes, for which it fits one column),
    * "regression": mean |y - z W - c|^2 / 2 + l2 |W|^2 / 2 (the usual ridge is n l2).

    Parameters
    ----------
    l2 : penalty, > 0
    task : "classification" or "regression"

    Attributes
    ----------
    coef_ : (p, m) weights for the rows as given; 0 for columns that are constant up to the rounding of their dtype. An
        AlignmentWarning tells of these, and of columns whose sd is below 1e-6 of the median one.
    intercept_ : (m,); of a classifier they sum to 0
    classes_ : the m classes, sorted; None for regression

    Notes
    -----
    One singular value decomposition of the training rows, O(n p min(n, p)), and, for classification, tens to hundreds
    of steps of L-BFGS in its basis, O(n m min(n, p)) each. Holds 48 bytes for each entry of the training rows. Products
    run on the threads of NumPy's BLAS.

    See Also
    --------
    transfer_accuracy : a probe of one model on the features of another

    Examples
    --------
    >>> import numpy as np
    >>> from kernalign.stitching import LinearProbe
    >>> x = np.random.default_rng(0).standard_normal((200, 5))
    >>> LinearProbe(l2=0.01).fit(x[:100], x[:100, 0] > 0).score(x[100:], x[100:, 0] > 0) > 0.9
    True
    """

    coef_: Array
    intercept_: Array
    classes_: NDArray[Any] | None

    def __init__(self, l2: float = 1e-3, *, task: Task = "classification") -> None:
        self.l2, self.task = l2, task

    def fit(self, x: Any, y: Any) -> LinearProbe:
        """Fit to x (n, p) and y: n class labels (integers, booleans, strings), or (n,) or (n, m) numbers.

        Raises
        ------
        ValueError, TypeError
            A parameter out of range, bad input, another number of rows, fewer than two rows or classes.
        """
        checks.check_choice(self.task, "task", ("classification", "regression"))
        l2 = checks.number(self.l2, "l2", "positive and finite")
        x, y = arrays.aligned(("x", x), ("y", y))
        matrix, bf16 = as_matrix(x, "x")
        rows = arrays.prepared(matrix, "x", bf16, normalize=None, clip=None)
        n = rows.shape[0]
        checks.check_count(n, 2, "a probe")
        arrays.afford(f"a probe of {n} x {rows.shape[1]}", 48 * math.prod(rows.shape))
        if self.task == "classification":
            numbers, classes = class_numbers(y, "y")
            checks.check_same_rows(n, len(numbers))
            if len(classes) < 2:
                raise ValueError(f"y must hold at least two classes, got only {classes[0].item()!r}")
            goal = one_hot(numbers, len(classes))
        else:
            classes, goal = None, numbers_of(y, n, "y")
            check_magnitude(float(np.abs(goal).max()), "y", _MOST_EXPONENT)
        self._one_column = self.task == "regression" and (y if hasattr(y, "reshape") else np.asarray(y)).ndim == 1
        shift, scale = standard_scale(rows, rounding=rounding_of(matrix, bf16))
        with np.errstate(over="ignore"):
            mean = np.minimum(np.abs(shift) * scale, np.finfo(float).max)
        u, s, vt = of_dense((dense(rows) - shift) * scale, mean, Digits.of(rows).rounding)
        if classes is None:
            mean = goal[0] + (goal - goal[0]).mean(axis=0)
            weights, intercept = s[:, None] * (u.T @ centre(goal)) / (s**2 + n * l2)[:, None], mean
        else:
            weights, intercept = _logistic(u, s, goal, l2)
        standard = vt.T @ weights
        with np.errstate(over="ignore", under="ignore"):
            coef = scale[:, None] * standard
        if not np.isfinite(coef).all() or (~coef.any(axis=1) & standard.any(axis=1) & (scale > 0)).any():
            raise ValueError("x and y must be of such sizes that float64 can hold the slopes of y on x; scale either")
        self.classes_, self.coef_ = classes, coef
        self._shift, self._centre = shift, intercept  # for predictions: means may be large against the spread
        self.intercept_ = intercept - shift @ self.coef_
        return self

    def decision(self, x: Any) -> Array:
        """(m, classes or columns) values of the linear readout."""
        rows = arrays.rows(x, "x")
        self._check_fitted()
        if rows.shape[1] != len(self.coef_):
            raise ValueError(f"x must have the {len(self.coef_)} columns that were fitted, got {rows.shape[1]}")
        return np.asarray((dense(rows) - self._shift) @ self.coef_ + self._centre)

    def predict(self, x: Any) -> NDArray[Any]:
        """The most probable class of each row, or the regression's values (1-D if y was)."""
        values = self.decision(x)
        if self.classes_ is not None:
            return np.asarray(self.classes_[values.argmax(axis=1)])
        return values[:, 0] if self._one_column else values

    @property
    def predict_proba(self) -> Callable[[Any], Array]:
        """Function of rows x (m, p): (m, classes) probabilities. Only a classifier has it, as scikit-learn expects."""
        if self.task != "classification":
            raise AttributeError(f"predict_proba needs task='classification', got {self.task!r}")
        return self._probabilities

    def _probabilities(self, x: Any) -> Array:
        return np.asarray(special.softmax(self.decision(x), axis=1))

    def score(self, x: Any, y: Any, *, multioutput: Multioutput = "uniform_average") -> Any:
        """Share of right classes; of a regression R^2, averaged as :meth:`LinearStitcher.score` does."""
        check_multioutput(multioutput)
        x, y = arrays.aligned(("x", x), ("y", y))
        predicted = self.predict(x)
        if self.classes_ is not None:
            truth = np.asarray(y)
            if truth.shape != predicted.shape:
                raise ValueError(f"y must be one class label for each of {len(predicted)} rows, got {truth.shape}")
            if (truth.dtype.kind in "iub") != (predicted.dtype.kind in "iub"):
                raise TypeError(f"y must hold labels like the fitted {predicted.dtype}, got dtype {truth.dtype}")
            return float((truth == predicted).mean())
        truth = numbers_of(y, len(predicted), "y")
        if truth.size != predicted.size:
            raise ValueError(f"y must have the {self.coef_.shape[1]} columns that were fitted, got {truth.shape[1]}")
        exponent = exponent_of(truth)  # squares of any scale stay in range
        truth, predicted = divided(truth, exponent), divided(predicted.reshape(truth.shape), exponent)
        with np.errstate(over="ignore"):
            missed, total = (((rows**2).sum(axis=0)) for rows in (truth - predicted, centre(truth)))
        return r_squared(missed, total, multioutput)

    @property
    def n_features_in_(self) -> int:
        self._check_fitted()
        return len(self.coef_)

    def _check_fitted(self) -> None:
        if not hasattr(self, "coef_"):
            raise NotFittedError("this LinearProbe is not fitted yet; call fit first")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags

        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self.task == "classification":
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        else:
            tags.estimator_type, tags.regressor_tags, tags.target_tags.multi_output = "regressor", RegressorTags(), True
        return tags


def cross_entropy(parameters: Array, z: Array, goal: Array, penalty: Array) -> tuple[float, Array]:
    """Mean cross-entropy of softmax(z W + c) and sum_j penalty_j |W_j|^2 / 2, with the gradient.

    ``parameters`` are [W; c], flat; ``goal`` is one-hot.
    """
    weights = parameters.reshape(z.shape[1] + 1, goal.shape[1])
    logits = z @ weights[:-1] + weights[-1]
    log_p = logits - special.logsumexp(logits, axis=1, keepdims=True)
    value = -float((goal * log_p).sum()) / len(z) + float(penalty @ (weights[:-1] ** 2).sum(axis=1)) / 2
    error = (np.exp(log_p) - goal) / len(z)
    gradient = np.vstack([z.T @ error + penalty[:, None] * weights[:-1], error.sum(axis=0)])
    return value, gradient.ravel()


def _logistic(u: Array, s: Array, goal: Array, l2: float) -> tuple[Array, Array]:
    """Weights for the columns of u s, and the intercept, by L-BFGS in columns scaled by their curvature."""
    from scipy import optimize  # slow to import

    scale = 1 / np.sqrt(s**2 / (4 * len(u)) + l2)
    frequencies = np.log(goal.mean(axis=0))
    # A constant added to all classes changes no probability; no step changes their sum, which begins and stays at 0.
    start = np.vstack([np.zeros((len(s), goal.shape[1])), frequencies - frequencies.mean()])
    found = optimize.minimize(
        cross_entropy,
        start.ravel(),
        args=(u * (s * scale), goal, l2 * scale**2),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "ftol": 0.0, "gtol": 1e-9, "maxcor": 20},
    )
    slope = float(linalg.norm(found.jac, np.inf))
    if slope > _GRADIENT:
        warn(
            f"LinearProbe did not reach its optimum in {found.nit} steps (largest gradient {slope:.1e});"
            " a larger l2 is easier",
            AlignmentWarning,
        )
    weights = found.x.reshape(start.shape)
    return weights[:-1] * scale[:, None], weights[-1]
