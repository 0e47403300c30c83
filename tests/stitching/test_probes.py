"""Linear probes against Newton's method and the normal equations, and against scikit-learn where it is installed."""

import kernalign as ka
import numpy as np
import pytest
from kernalign import demo
from kernalign.stitching.probes import LinearProbe, cross_entropy
from reference import probes as oracle
from samples import related
from scipy import optimize


def labelled(n, p, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    numbers = np.r_[np.arange(classes), rng.integers(classes, size=n - classes)]
    x = rng.normal(size=(n, p)) * np.arange(1, p + 1) + rng.normal(size=(classes, p))[numbers] * 1.5 + 3
    return x, numbers


NAMES = np.array(["cat", "ant", "bee", "dog"])  # not in the order of their numbers


def test_the_objective_is_what_it_says_and_so_is_its_gradient():
    x, numbers = labelled(20, 4)
    goal, rng = np.eye(3)[numbers], np.random.default_rng(1)
    penalty = np.full(4, 0.7)
    for scale in (0.0, 0.3, 2.0):
        theta = scale * rng.normal(size=15)
        w = theta.reshape(5, 3)
        value, gradient = cross_entropy(theta, x, goal, penalty)
        assert value == pytest.approx(oracle.log_loss(w[:-1], w[-1], x, numbers, 0.7), rel=1e-12)
        numeric = optimize.approx_fprime(theta, lambda t: cross_entropy(t, x, goal, penalty)[0], 1e-7)
        np.testing.assert_allclose(gradient, numeric, atol=2e-4 * max(1, np.abs(gradient).max()))


@pytest.mark.parametrize("l2", [1e-3, 0.1, 10])
@pytest.mark.parametrize("shape", [(60, 4), (15, 25)], ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_classification_agrees_with_newtons_method(shape, classes, l2):
    x, numbers = labelled(*shape, classes)
    probe = LinearProbe(l2).fit(x, numbers)
    z = oracle.standardised(x, x)
    w, c = oracle.logistic(z, numbers, l2, steps=20)
    expected = z @ w + c
    np.testing.assert_allclose(probe.decision(x), expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(x @ probe.coef_ + probe.intercept_, expected, atol=1e-5 * np.abs(expected).max())
    assert abs(probe.intercept_.sum()) < 1e-9 * (1 + np.abs(probe.intercept_).max())
    proba = probe.predict_proba(x)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(probe.predict(x), expected.argmax(axis=1))
    assert probe.score(x, numbers) == (expected.argmax(axis=1) == numbers).mean()


def test_no_probe_nearby_has_a_smaller_loss():
    x, numbers = labelled(40, 3)
    z, rng = oracle.standardised(x, x), np.random.default_rng(0)
    probe = LinearProbe(0.05).fit(x, numbers)
    w, c = probe.coef_ * x.std(axis=0, ddof=1)[:, None], probe.intercept_ + x.mean(axis=0) @ probe.coef_
    best = oracle.log_loss(w, c, z, numbers, 0.05)
    for _ in range(50):
        step = 0.01 * rng.normal(size=(4, 3))
        assert oracle.log_loss(w + step[:3], c + step[3], z, numbers, 0.05) > best


def test_classification_agrees_with_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, numbers = labelled(80, 5)
    z = oracle.standardised(x, x)
    theirs = linear_model.LogisticRegression(C=1 / (80 * 0.02), tol=1e-10, max_iter=10_000).fit(z, numbers)
    ours = LinearProbe(0.02).fit(x, numbers)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(z), atol=1e-5)


@pytest.mark.parametrize("l2", [1e-6, 0.1, 10])
@pytest.mark.parametrize("shape", [(40, 6, 3), (12, 30, 2), (40, 6, 1)], ids=str)
def test_regression_agrees_with_the_normal_equations(shape, l2):
    x, y = related(*shape)
    x, y = x * np.arange(1, shape[1] + 1) + 2, y - 7
    probe = LinearProbe(l2, task="regression").fit(x, y)
    z = oracle.standardised(x, x)
    w, c = oracle.ridge(z, y, l2)
    np.testing.assert_allclose(probe.predict(x), z @ w + c, rtol=1e-6)
    np.testing.assert_allclose(x @ probe.coef_ + probe.intercept_, z @ w + c, rtol=1e-6)
    missed, total = ((y - z @ w - c) ** 2).sum(), ((y - y.mean(axis=0)) ** 2).sum()
    assert probe.score(x, y, multioutput="variance_weighted") == pytest.approx(1 - missed / total, rel=1e-8)
    one = LinearProbe(l2, task="regression").fit(x, y[:, 0]).predict(x)
    assert one.shape == (shape[0],)
    np.testing.assert_allclose(one, (z @ w + c)[:, 0], rtol=1e-6)


def test_new_rows_are_standardised_as_the_training_rows():
    x, numbers = labelled(60, 4)
    probe = LinearProbe(0.1).fit(x[:40], numbers[:40])
    z = oracle.standardised(x[:40], x[:40])
    w, c = oracle.logistic(z, numbers[:40], 0.1, steps=20)
    np.testing.assert_allclose(probe.decision(x[40:]), oracle.standardised(x[40:], x[:40]) @ w + c, atol=1e-5)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_units_offsets_and_layout_do_not_matter(task):
    x, numbers = labelled(50, 4)
    x = np.round(x * 8) / 8
    expected = LinearProbe(0.05, task=task).fit(x, numbers).decision(x)
    wide = np.zeros((100, 8))
    wide[::2, ::2] = x
    for same in (x.astype(np.float32), np.asfortranarray(x), wide[::2, ::2], x.tolist()):
        np.testing.assert_allclose(LinearProbe(0.05, task=task).fit(same, numbers).decision(same), expected, atol=1e-9)
    for moved in (x * [1e-5, 1e5, -3, 1], x * [1e80, 1e100, -3e80, 1e80], x + 1e7):
        probe = LinearProbe(0.05, task=task).fit(moved, numbers)
        np.testing.assert_allclose(probe.decision(moved), expected, atol=1e-5)


def test_constant_columns_have_no_weight():
    x, numbers = labelled(30, 3)
    with_constant = np.hstack([x, np.full((30, 1), 0.1)])
    probe = LinearProbe(0.1).fit(with_constant, numbers)
    assert (probe.coef_[3] == 0).all()
    np.testing.assert_allclose(probe.coef_[:3], LinearProbe(0.1).fit(x, numbers).coef_, atol=1e-7)
    nothing = LinearProbe(0.1).fit(np.ones((30, 2)), numbers)
    shares = np.bincount(numbers) / 30
    np.testing.assert_allclose(nothing.predict_proba(np.zeros((1, 2)))[0], shares, atol=1e-9)


@pytest.mark.parametrize("labels", [NAMES, NAMES.astype(object), NAMES.tolist(), np.array([7, -1, 3, 5], np.int16)])
def test_labels_come_back_as_they_were_given(labels):
    x, numbers = labelled(60, 4, 4)
    given = [labels[number] for number in numbers]
    probe = LinearProbe(1e-2).fit(x, given)
    predicted = probe.predict(x)
    assert set(predicted.tolist()) <= set(np.asarray(labels).tolist())
    assert probe.score(x, given) == (predicted == np.asarray(given)).mean()
    assert probe.classes_.tolist() == sorted(set(given))


def test_separable_classes_are_all_right_and_a_tiny_penalty_still_converges():
    x = np.vstack([np.eye(3) * 10 + i for i in np.random.default_rng(0).normal(size=(20, 3))])
    numbers = np.tile(np.arange(3), 20)
    for l2 in (1e-6, 1e-2):
        assert LinearProbe(l2).fit(x, numbers).score(x, numbers) == 1


def test_a_real_probe_beats_the_commonest_class_on_new_items():
    """Demo data: whether an emoji's name says face or person can be read from the picture."""
    x = demo.representations()["vision"]
    y = np.array(["face" in item["en"] or "person" in item["en"] for item in demo.items()])
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[:300], order[300:]
    probe = LinearProbe(0.1).fit(x[train], y[train])
    assert probe.score(x[test], y[test]) > max(y.mean(), 1 - y.mean()) + 0.05


def test_an_optimum_that_is_not_reached_is_said(monkeypatch):
    monkeypatch.setattr("kernalign.stitching.probes._ITERATIONS", 1)
    x, numbers = labelled(60, 6)
    with pytest.warns(ka.AlignmentWarning, match="did not reach its optimum in 1 steps"):
        LinearProbe(1e-3).fit(x, numbers)


@pytest.mark.parametrize(
    "call,error,words",
    [
        (lambda x, y: LinearProbe(0).fit(x, y), ValueError, "l2 must be positive and finite, got 0"),
        (lambda x, y: LinearProbe("1").fit(x, y), TypeError, "l2 must be a number"),
        (lambda x, y: LinearProbe(task="both").fit(x, y), ValueError, "task must be 'classification' or 'regression'"),
        (lambda x, y: LinearProbe().fit(x, y[1:]), ValueError, "same number of rows, got 20 and 19"),
        (lambda x, y: LinearProbe().fit(x, x), ValueError, "y must be 1-D class labels"),
        (lambda x, y: LinearProbe().fit(x, y * 0.5), TypeError, "y must be class labels"),
        (lambda x, y: LinearProbe().fit(x, y * 0), ValueError, "at least two classes, got only 0"),
        (lambda x, y: LinearProbe().fit(x[:1], y[:1]), ValueError, "needs at least 2 rows"),
        (lambda x, y: LinearProbe().predict(x), ValueError, "this LinearProbe is not fitted yet"),
        (lambda x, y: LinearProbe().fit(x, y).predict(x[:, 1:]), ValueError, "the 3 columns that were fitted, got 2"),
        (lambda x, y: LinearProbe().fit(x, y).score(x, y[1:]), ValueError, "one class label for each of 20 rows"),
        (lambda x, y: LinearProbe(np.inf).fit(x, y), ValueError, "l2 must be positive and finite"),
        (lambda x, y: LinearProbe().fit(x, y).score(x, y.astype(str)), TypeError, "labels like the fitted int64"),
        (
            lambda x, y: LinearProbe(task="regression").fit(x, x).score(x, y),
            ValueError,
            "the 3 columns that were fitted",
        ),
        (lambda x, y: LinearProbe(task="regression").fit(x, y).predict_proba(x), AttributeError, "needs task="),
        (
            lambda x, y: LinearProbe(task="regression").fit(x, y.astype(str)),
            TypeError,
            "y must hold numbers, got numbers as text",
        ),
    ],
)
def test_bad_use_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call(*labelled(20, 3))


def test_a_constant_target_has_no_r2():
    x, _ = labelled(20, 3)
    probe = LinearProbe(task="regression").fit(x, np.full(20, 0.1))
    np.testing.assert_allclose(probe.predict(x), 0.1, rtol=1e-12)
    with pytest.warns(ka.UndefinedScoreWarning, match="y is constant"):
        assert np.isnan(probe.score(x, np.full(20, 0.1)))


def test_the_penalty_of_two_classes_in_scikit_learns_terms():
    linear_model = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn")
    x, numbers = labelled(80, 4)
    two = numbers > 0
    z = oracle.standardised(x, x)
    theirs = linear_model.LogisticRegression(C=2 / (80 * 0.3), tol=1e-10, max_iter=10_000).fit(z, two)
    np.testing.assert_allclose(LinearProbe(0.3).fit(x, two).predict_proba(x), theirs.predict_proba(z), atol=1e-6)
