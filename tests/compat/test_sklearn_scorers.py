"""Scorers do in scikit-learn's searches what the metrics do."""

from __future__ import annotations

import pickle

import kernalign as ka
import numpy as np
import pytest
from kernalign.compat.sklearn import make_scorer
from kernalign.stitching import RidgeStitcher
from samples import related

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate


def test_scores_of_folds_are_those_of_the_metrics() -> None:
    x, y = related(90, 6, 4)
    scoring = {"cka": make_scorer("cka"), "far": make_scorer("procrustes"), "knn": make_scorer("mutual_knn", k=5)}
    found = cross_validate(RidgeStitcher(1.0), x, y, scoring=scoring, cv=3)
    for at, (train, test) in enumerate(KFold(3).split(x)):
        mapped = RidgeStitcher(1.0).fit(x[train], y[train]).transform(x[test])
        assert found["test_cka"][at] == float(ka.cka(mapped, y[test]))
        assert found["test_far"][at] == -float(ka.procrustes(mapped, y[test]))
        assert found["test_knn"][at] == float(ka.mutual_knn(mapped, y[test], 5))


def test_predictions_and_one_column() -> None:
    x, y = related(90, 6, 4)
    model = LinearRegression().fit(x, y)
    assert make_scorer("nbs", response_method="predict")(model, x, y) == float(ka.nbs(model.predict(x), y))
    one = LinearRegression().fit(x, y[:, 0])
    expected = float(ka.cka(one.predict(x)[:, None], y[:, :1]))
    assert make_scorer("cka", response_method="predict")(one, x, y[:, 0]) == expected


def test_without_y_the_target_is_x() -> None:
    x = related(60, 6, 4)[0] * [9, 5, 1, 1, 1, 1]
    scorer = make_scorer("cka")
    assert scorer(PCA(2).fit(x), x) == float(ka.cka(PCA(2).fit_transform(x), x))
    search = GridSearchCV(PCA(), {"n_components": [1, 2]}, scoring=scorer, cv=3).fit(x)
    assert search.best_params_ == {"n_components": 2}
    assert clone(search).fit(x).best_params_ == search.best_params_
    assert pickle.loads(pickle.dumps(scorer)) == scorer


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: make_scorer("ckaa"), "metric: there is no metric 'ckaa'; did you mean 'cka'"),
        (lambda: make_scorer(response_method="decision"), "response_method must be 'transform' or 'predict'"),
    ],
)
def test_errors(make, words) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_frames() -> None:
    pandas = pytest.importorskip("pandas")
    x, y = related(60, 6, 4)
    table, targets = pandas.DataFrame(x), pandas.DataFrame(y)
    assert make_scorer()(PCA(2).set_output(transform="pandas").fit(table), table, targets) == pytest.approx(
        float(ka.cka(PCA(2).fit_transform(x), y)), abs=1e-12
    )
    assert np.isfinite(make_scorer()(PCA(2).fit(x), x))
