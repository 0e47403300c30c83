"""Stitchers with and without scikit-learn: its own checks, clone, pipelines, and the base that stands in for it."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pandas
import pytest
from kernalign.stitching import (
    AffineStitcher,
    LinearProbe,
    LowRankStitcher,
    ProcrustesStitcher,
    RelativeRepresentation,
    RidgeStitcher,
)
from kernalign.stitching.estimator import NotFittedError, Parameters, _NotFittedError
from samples import related
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

EVERY = [AffineStitcher(), RidgeStitcher(1.0), RidgeStitcher(), ProcrustesStitcher(), LowRankStitcher(2)]
PROBES = [LinearProbe(0.1, task="classification"), LinearProbe(0.1, task="regression")]
WORDING = "we name the argument, the requirement and what was given, in words of our own: "
Y_COLUMNS = "y is a representation: always needed, and always 2-D"
LABELS = "class labels are integers, booleans or strings: floats are a TypeError, infinite or not"
# scikit-learn's checks that the house rules answer otherwise, and how
OTHERWISE = {
    "check_n_features_in_after_fitting": WORDING + "x must have the 5 columns of the fit, got 6",
    "check_complex_data": WORDING + "x must be real, got dtype complex128 (a TypeError)",
    "check_dtype_object": "an object array is a TypeError, even if all that it holds are numbers",
    "check_estimators_empty_data_messages": WORDING + "x must have at least one row and one column, got shape (12, 0)",
    "check_estimators_nan_inf": WORDING + "x must be finite, got nan at row 3, column 1",
    "check_fit2d_1sample": WORDING + "needs at least 2 rows, got 1",
    "check_fit2d_predict1d": WORDING + "x must be 2-D (items, features), got shape (3,)",
    "check_requires_y_none": WORDING + "y must be a 2-D numeric array, got NoneType",
}
STITCHERS_OTHERWISE = {
    "check_transformer_data_not_an_array": Y_COLUMNS,
    "check_transformer_general": Y_COLUMNS,
    "check_transformer_preserve_dtypes": Y_COLUMNS,
}
CLASSIFIERS_OTHERWISE = {
    "check_classifiers_one_label": "a probe of a single class is a ValueError: it has nothing to tell apart",
    "check_classifiers_regression_target": LABELS,
    "check_supervised_y_2d": "a column of class labels is a ValueError",
    "check_supervised_y_no_nan": LABELS,
}


def otherwise(estimator: object) -> dict[str, str]:
    """What is expected to fail of an estimator, and why."""
    if not isinstance(estimator, LinearProbe):
        return OTHERWISE | STITCHERS_OTHERWISE
    return OTHERWISE | (CLASSIFIERS_OTHERWISE if estimator.task == "classification" else {})


@parametrize_with_checks([*EVERY, *PROBES], expected_failed_checks=otherwise)
def test_scikit_learn_checks(estimator, check) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_clone_pipeline_and_search() -> None:
    base = pytest.importorskip("sklearn.base")
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = related(60, 6, 3)
    fitted = RidgeStitcher(2.0).fit(x, y)
    twin = base.clone(fitted)
    assert twin.get_params() == {"alpha": 2.0, "alphas": None}
    with pytest.raises(ValueError, match="not fitted yet"):
        twin.transform(x)
    assert not hasattr(twin, "coef_")
    mapped = make_pipeline(StandardScaler(), RidgeStitcher(2.0)).fit(x, y).transform(x)
    assert mapped.shape == (60, 3)
    search = GridSearchCV(LowRankStitcher(1), {"rank": [1, 2, 3]}, cv=3).fit(x, y)
    assert search.best_params_["rank"] in (1, 2, 3)
    relative = base.clone(RelativeRepresentation(x[:5])).fit(x)
    np.testing.assert_array_equal(relative.transform(x), RelativeRepresentation(x[:5]).fit_transform(x))


@pytest.mark.parametrize("stitcher", [*EVERY, RelativeRepresentation(related(60, 6, 3)[0][:4])], ids=repr)
def test_columns_have_names(stitcher) -> None:
    x, y = related(60, 6, 3)
    stitcher = clone(stitcher)
    with pytest.raises(NotFittedError):
        stitcher.get_feature_names_out()
    plain = stitcher.fit(x, y).transform(x)
    assert isinstance(plain, np.ndarray)
    names = [f"{type(stitcher).__name__.lower()}{at}" for at in range(plain.shape[1])]
    assert list(stitcher.get_feature_names_out()) == names
    table = pandas.DataFrame(x, index=[f"item {at}" for at in range(60)], columns=[*"abcdef"])
    found = stitcher.set_output(transform="pandas").transform(table)
    assert isinstance(found, pandas.DataFrame)
    assert (list(found.columns), list(found.index)) == (names, list(table.index))
    np.testing.assert_array_equal(found.to_numpy(), plain)
    np.testing.assert_array_equal(clone(stitcher).set_output(transform="pandas").fit_transform(x, y).columns, names)


def test_names_go_through_a_pipeline() -> None:
    x, y = related(60, 6, 3)
    chain = make_pipeline(StandardScaler(), RidgeStitcher(2.0)).set_output(transform="pandas")
    found = chain.fit(x, y).transform(x)
    assert list(found.columns) == list(chain.get_feature_names_out()) == [f"ridgestitcher{at}" for at in range(3)]


def test_ridge_is_scikit_learns() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    x, y = related(200, 12, 5)
    ours, theirs = RidgeStitcher(3.0).fit(x + 2, y), linear.Ridge(3.0).fit(x + 2, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-12)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-12)


@pytest.mark.parametrize("multioutput", ["uniform_average", "variance_weighted", "raw_values"])
@pytest.mark.parametrize("make", [lambda: RidgeStitcher(3.0), lambda: LinearProbe(0.1, task="regression")])
def test_r2_is_scikit_learns(make, multioutput: str) -> None:
    """Of outputs of very different spreads, one of them constant."""
    x, y = related(200, 12, 5)
    y = np.hstack([y * [100, 1, 1e-3, 1, 1] + 7, np.full((200, 1), 2.0)])
    fitted, seen, y_seen = make().fit(x[:100], y[:100]), x[100:], y[100:]
    y_seen[:, 3] = -5.0  # of what is held out, one more
    predict = fitted.predict if hasattr(fitted, "predict") else fitted.transform
    expected = r2_score(y_seen, predict(seen), multioutput=multioutput)
    np.testing.assert_allclose(fitted.score(seen, y_seen, multioutput=multioutput), expected, rtol=1e-9)
    if multioutput == "uniform_average":
        assert fitted.score(seen, y_seen) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match="multioutput must be 'uniform_average', 'variance_weighted' or 'raw_values'"):
        fitted.score(seen, y_seen, multioutput="mean")


def test_the_stand_in_base() -> None:
    class Thing(Parameters):
        def __init__(self, a: int = 1, *, b: str = "x") -> None:
            self.a, self.b = a, b

    thing = Thing(3)
    assert thing.get_params() == {"a": 3, "b": "x"}
    assert thing.set_params(b="y") is thing
    assert repr(thing) == "Thing(a=3, b='y')"
    with pytest.raises(ValueError, match="'c' is not a parameter of Thing; known are a, b"):
        thing.set_params(c=1)
    assert issubclass(_NotFittedError, ValueError)
    assert issubclass(_NotFittedError, AttributeError)


def test_everything_works_without_scikit_learn() -> None:
    """In a process of its own, where importing sklearn fails."""
    code = """
import sys
sys.modules["sklearn"] = sys.modules["sklearn.base"] = None
import numpy as np
from kernalign.stitching import AffineStitcher, RelativeRepresentation, RidgeStitcher
x = np.random.default_rng(0).standard_normal((50, 4))
stitcher = RidgeStitcher(1e-9)
assert not hasattr(stitcher, "coef_")
try:
    stitcher.transform(x)
except ValueError as error:
    assert "not fitted yet" in str(error)
else:
    raise AssertionError
assert np.allclose(stitcher.fit_transform(x, x @ np.ones((4, 2))), x @ np.ones((4, 2)))
assert repr(stitcher) == "RidgeStitcher(alpha=1e-09, alphas=None)"
assert AffineStitcher().fit(x, x).score(x, x) == 1.0
assert RelativeRepresentation(x[:3]).fit_transform(x).shape == (50, 3)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_probe_is_searched_cloned_and_put_into_pipelines() -> None:
    base = pytest.importorskip("sklearn.base")
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline

    x, y = related(60, 5, 3)
    labels = np.where(y[:, 0] > 0, "up", "down")
    probe = LinearProbe(1, task="classification")
    assert repr(base.clone(probe)) == repr(probe) == "LinearProbe(l2=1)"
    assert base.is_classifier(probe)
    assert base.is_regressor(LinearProbe(task="regression"))
    search = GridSearchCV(probe, {"l2": [1e-2, 1e6]}).fit(x, labels)
    assert search.best_params_ == {"l2": 1e-2}
    assert cross_val_score(LinearProbe(1e-2), x, labels).mean() > 0.6
    chain = make_pipeline(RelativeRepresentation(x[:8]), LinearProbe(1e-2)).fit(x, labels)
    assert chain.predict(x).shape == (60,)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        base.clone(probe).predict(x)
