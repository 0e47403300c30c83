"""The estimator base: scikit-learn's where it is installed, else one with the same get_params and set_params."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Self


class Parameters:
    """Parameters are the arguments of ``__init__``, stored under their own names, as in scikit-learn."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Name -> value of every argument of ``__init__``."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name != "self"]
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; returns self.

        Raises
        ------
        ValueError
            For a name that ``__init__`` does not take.
        """
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"{name!r} is not a parameter of {type(self).__name__}; known are {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        words = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({words})"


class _NotFittedError(ValueError, AttributeError):
    """A fitted attribute or method was used before ``fit``."""


if TYPE_CHECKING:

    class Predictor(Parameters):
        """Either of the bases below."""

        def __sklearn_tags__(self) -> Any: ...

    class Estimator(Predictor):
        """Either of the bases below, with ``fit_transform``."""

    NotFittedError = _NotFittedError
else:
    try:
        from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
        from sklearn.exceptions import NotFittedError

        Predictor = BaseEstimator  # so that pipelines, ``clone`` and searches take our estimators

        class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
            """scikit-learn's base of what has ``transform`` and names its columns: ``ridgestitcher0``, ..."""

    except ImportError:
        Predictor, NotFittedError = Parameters, _NotFittedError

        class Estimator(Parameters):
            """What has ``transform``."""

            def fit_transform(self, x: Any, y: Any = None) -> Any:
                """Fit, then map the same rows."""
                return self.fit(x, y).transform(x)
