"""predictivity by least squares, ridge and PLS, of folds, groups and given splits, and of every column."""

import itertools
import math

import kernalign as ka
import numpy as np
import pytest
from reference import predictivity as oracle
from reference.folds import fold_numbers
from samples import related, scaled_pair

N = 60
LABELS = np.repeat(np.arange(20), 3)[np.random.default_rng(0).permutation(N)]


def folds(units, count):
    numbers = fold_numbers(units.max() + 1, count)[units]
    return [(np.flatnonzero(numbers != f), np.flatnonzero(numbers == f)) for f in range(count)]


def as_they_come(labels):
    names = list(dict.fromkeys(labels.tolist()))
    return np.array([names.index(label) for label in labels])


SPLITS = {
    "in-sample": ({}, [(np.arange(N), np.arange(N))]),
    "folds": ({"cv": 4}, folds(np.arange(N), 4)),
    "groups": ({"cv": 4, "groups": LABELS}, folds(as_they_come(LABELS), 4)),
    "given": ({"cv": [(range(40), range(40, 55)), (range(20, 60), [0, 3, 5])]}, None),
}
SPLITS["given"] = (SPLITS["given"][0], [tuple(map(np.array, pair)) for pair in SPLITS["given"][0]["cv"]])


def averaged(columns, total, how):
    return {
        "variance_weighted": np.average(columns, weights=total),
        "uniform_average": columns.mean(),
        "median": np.median(columns),
    }[how]


@pytest.mark.parametrize("shape", [(N, 5, 4), (N, 12, 1), (N, 90, 7)], ids=["narrow", "one output", "wide"])
@pytest.mark.parametrize("splits", SPLITS)
@pytest.mark.parametrize("statistic", ["r2", "pearson"])
@pytest.mark.parametrize("regression", ["linear", "ridge", "ridge 3", "pls"])
@pytest.mark.filterwarnings("ignore:linear_predictivity. x has:kernalign.AlignmentWarning")
def test_values_are_those_of_the_definitions(shape, splits, statistic, regression):
    x, y = scaled_pair(*shape)
    given, pairs = SPLITS[splits]
    name, _, number = regression.partition(" ")
    own = {"alpha": float(number)} if number else {"components": 3} if name == "pls" else {}
    columns, total = oracle.columns(x, y, pairs, name, statistic, **own)
    for how in ("variance_weighted", "uniform_average", "median"):
        score = ka.predictivity(x, y, regression=name, statistic=statistic, multioutput=how, **given, **own)
        np.testing.assert_allclose(score.per_column, columns, rtol=1e-6, atol=1e-9)
        assert score == pytest.approx(averaged(columns, total, how), rel=1e-6, abs=1e-9)
        assert score.settings["multioutput"] == how
    assert (score.estimator == "in-sample") == (splits == "in-sample")


def test_the_usual_call_has_its_columns():
    x, y = scaled_pair(N, 5, 4)
    for cv, pairs in ((None, SPLITS["in-sample"][1]), (4, folds(np.arange(N), 4))):
        columns, total = oracle.columns(x, y, pairs, "linear", "r2")
        score = ka.predictivity(x, y, cv=cv)
        np.testing.assert_allclose(score.per_column, columns, rtol=1e-9)
        assert score == pytest.approx(np.average(columns, weights=total), rel=1e-9)
        other = ka.predictivity(x, y, cv=cv, multioutput="variance_weighted")
        assert other == pytest.approx(score, rel=1e-10)
        assert other.chance == pytest.approx(score.chance, rel=1e-10)
    assert ka.predictivity(x, y, multioutput="uniform_average").chance == pytest.approx(5 / (N - 1))


NULLS = {
    "in-sample": ({}, {}),
    "folds": ({"cv": 3}, {}),
    "ridge": ({"cv": 3}, {"regression": "ridge", "alpha": 2.0}),
    "pearson": ({"cv": 3}, {"statistic": "pearson"}),
    "median": ({}, {"multioutput": "median"}),
    "given": ({"cv": [([0, 1, 2, 3], [4, 5]), ([2, 3, 4, 5], [0, 1])]}, {}),
    "groups": ({"cv": 3, "groups": [0, 0, 1, 1, 2, 2]}, {}),
}


@pytest.mark.parametrize("name", NULLS)
def test_nulls_are_of_all_pairings(name):
    """Of six items, or three groups of two; the closed form of items left out stands for a mean of ratios."""
    split, how = NULLS[name]
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 3)) + 1
    labels = np.arange(6) if "groups" not in split else np.array(split["groups"])
    pairs = folds(labels, 3) if split.get("cv") == 3 else split.get("cv") or [(np.arange(6), np.arange(6))]
    regression, statistic = how.get("regression", "linear"), how.get("statistic", "r2")
    average = how.get("multioutput") or ("variance_weighted" if statistic == "r2" else "uniform_average")
    orders = np.array(list(itertools.permutations(range(6))))
    if "groups" in split:
        orders = np.array([[(2 * at, 2 * at + 1) for at in own] for own in itertools.permutations(range(3))])
        orders = orders.reshape(-1, 6)
    own = {"alpha": how["alpha"]} if "alpha" in how else {}
    drawn = np.array(
        [averaged(*oracle.columns(x, y[order], pairs, regression, statistic, **own), average) for order in orders]
    )
    score = ka.predictivity(x, y, **split, **how)
    assert score == pytest.approx(drawn[0], rel=1e-9)
    assert score.p_value == pytest.approx(np.mean(drawn >= drawn[0] - 1e-12), abs=1e-12)
    assert score.settings["p_method"].startswith(f"all {len(orders)} pairings")
    closed = name in ("folds", "ridge", "given")
    assert score.chance == pytest.approx(drawn.mean(), rel=0.1 if closed else 1e-9)
    assert score.chance_sd == pytest.approx(np.sqrt(np.mean((drawn - score.chance) ** 2)), rel=1e-9)


def test_what_y_chooses_has_no_null_and_overwritten_rows_none():
    x, y = related(N, 5, 4)
    for how in ({"regression": "ridge"}, {"regression": "pls", "components": 2}):
        score = ka.predictivity(x, y, cv=4, **how)
        assert (score.chance, score.p_value) == (None, None)
    score = ka.predictivity(x, y, cv=4)
    y[:] = np.random.default_rng(0).normal(size=y.shape)
    assert score.p_value is None
    assert "rows changed" in score.settings["p_method"]


def test_groups_without_folds_keep_the_score():
    x, y = related(N, 5, 4)
    score = ka.predictivity(x, y, groups=LABELS)
    assert score == pytest.approx(ka.predictivity(x, y), rel=1e-10)
    made = ka.compare({"a": x}, {"b": y}, metrics=["linear_predictivity"], groups=LABELS, errors="raise")
    assert made.scores["linear_predictivity"]["a", "b"][0, 0] == pytest.approx(score, rel=1e-10)
    cut = ka.compare(
        {"a": x}, {"b": y}, metrics={"cv": ("linear_predictivity", {"cv": 4})}, groups=LABELS, errors="raise"
    )
    wanted = ka.predictivity(x, y, cv=4, groups=LABELS)
    assert cut.scores["cv"]["a", "b"][0, 0] == pytest.approx(wanted, rel=1e-10)


def test_folds_of_groups_do_not_learn_repeated_trials():
    """What repeats in both is predicted from its repetition, unless it is left out whole."""
    rng = np.random.default_rng(1)
    trials = np.repeat(np.arange(40), 4)
    x, y = (rng.normal(size=(40, 60))[trials] + 0.1 * rng.normal(size=(160, 60)) for _ in range(2))
    apart = ka.predictivity(x, y, cv=5, groups=trials, regression="ridge")
    together = ka.predictivity(x, y, cv=5, regression="ridge")
    assert together > 0.5
    assert apart < 0.05


def test_splits_follow_dropped_rows():
    x, y = related(N, 5, 4)
    x[7] = np.nan
    kept = np.delete(np.arange(N), 7)
    given = [(range(40), range(40, 60)), (range(20, 60), range(20))]
    score = ka.predictivity(x, y, cv=given, nan_rows="drop_pair")
    where = {old: new for new, old in enumerate(kept)}
    moved = [tuple(np.array([where[i] for i in side if i != 7]) for side in pair) for pair in given]
    columns, total = oracle.columns(x[kept], y[kept], moved, "linear", "r2")
    assert score == pytest.approx(np.average(columns, weights=total), rel=1e-9)


def test_columns_that_do_not_vary_are_left_out():
    x, y = related(N, 5, 3)
    y[:, 1] = 0.1
    for statistic in ("r2", "pearson"):
        for cv in (None, 4):
            score = ka.predictivity(x, y, cv=cv, statistic=statistic, multioutput="uniform_average")
            assert np.isnan(score.per_column).tolist() == [False, True, False]
            assert score == pytest.approx(np.nanmean(score.per_column))
    with pytest.warns(ka.UndefinedScoreWarning, match="y is constant"):
        assert math.isnan(ka.predictivity(x, y * 0 + 0.1, statistic="pearson"))


def test_what_must_not_change_the_score():
    x, y = related(N, 8, 4)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    for keywords in ({"regression": "ridge"}, {"regression": "pls", "components": 3}, {"statistic": "pearson"}):
        wanted = ka.predictivity(x, y, cv=5, **keywords)
        assert ka.predictivity(x @ turn + 2, y * 3 - 1, cv=5, **keywords) == pytest.approx(wanted, rel=1e-8)
        for scale in (1e-200, 1e200):
            assert ka.predictivity(x * scale, y * scale, cv=5, **keywords) == pytest.approx(wanted, rel=1e-8)
    wanted = ka.predictivity(x, y, regression="ridge", alpha=2.0)
    assert ka.predictivity(x * 8, y, regression="ridge", alpha=128.0) == pytest.approx(wanted, rel=1e-12)
    assert ka.predictivity(x, y, regression="ridge", alpha=0) == pytest.approx(ka.predictivity(x, y), rel=1e-10)
    assert ka.predictivity(x, y, regression="pls", components=8) == pytest.approx(ka.predictivity(x, y), rel=1e-9)


def test_components_beyond_the_rank_add_nothing():
    x, y = related(N, 3, 4)
    repeated = np.hstack([x, x, x[:, :1] * 0 + 1])
    score = ka.predictivity(repeated, y, regression="pls", components=7)
    assert score == pytest.approx(ka.predictivity(x, y), rel=1e-9)


def test_scikit_learn_agrees():
    linear_model = pytest.importorskip("sklearn.linear_model")
    decomposition = pytest.importorskip("sklearn.cross_decomposition")
    x, y = related(N, 12, 4)
    ridge = linear_model.Ridge(alpha=3.0).fit(x, y)
    assert ka.predictivity(x, y, regression="ridge", alpha=3.0, multioutput="uniform_average") == (
        pytest.approx(ridge.score(x, y), rel=1e-10)
    )
    pls = decomposition.PLSRegression(4, scale=False, tol=1e-14, max_iter=10_000).fit(x, y)
    assert ka.predictivity(x, y, regression="pls", components=4, multioutput="uniform_average") == pytest.approx(
        pls.score(x, y), rel=1e-7
    )


def test_refusals():
    x, y = related(20, 4, 3)
    call = ka.predictivity
    with pytest.raises(ValueError, match="regression must be 'linear', 'ridge' or 'pls'"):
        call(x, y, regression="lasso")
    with pytest.raises(ValueError, match="alpha must be None unless regression='ridge', got 1"):
        call(x, y, alpha=1.0)
    with pytest.raises(ValueError, match="alpha must be finite and not negative"):
        call(x, y, regression="ridge", alpha=-1)
    with pytest.raises(ValueError, match="components must be"):
        call(x, y, regression="pls")
    with pytest.raises(ValueError, match=r"cv\[1\] must test no item that it trains on, got 1 on both sides"):
        call(x, y, cv=[([0, 1, 2], [3]), ([0, 1, 2], [2])])
    with pytest.raises(ValueError, match=r"cv\[0\] must test no group that it trains on"):
        call(x, y, cv=[(range(10), range(10, 20))], groups=np.arange(20) % 4)
    with pytest.raises(ValueError, match="cv must be between 2 and the number of groups, 4, got 5"):
        call(x, y, cv=5, groups=np.arange(20) % 4)
    with pytest.raises(ValueError, match="cv must hold at least one pair"):
        call(x, y, cv=[])
    with pytest.raises(TypeError, match=r"cv\[0\] must be a pair \(train, test\) of indices"):
        call(x, y, cv=[[1, 2, 3]])
    with pytest.raises(TypeError, match=r"cv\[0\] must be indices of rows, got dtype bool"):
        call(x, y, cv=[(np.arange(20) < 10, np.arange(20) >= 10)])
    with pytest.raises(TypeError, match="cv must be an integer"):
        call(x, y, cv=object())
