"""Angular CKA and ENSD: what they are of CKA, and that both keep its p-value."""

import itertools
import math

import kernalign as ka
import numpy as np
import pytest
from reference import alignment as oracle
from samples import related


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("kind", ["linear", "rbf"])
def test_angular_cka_is_the_arc_cosine(estimator, kind):
    x, y = related(60, 5, 6)
    kernel, matrix = {"linear": (ka.Linear(), oracle.linear), "rbf": (ka.RBF(), oracle.rbf)}[kind]
    score = ka.angular_cka(x, y, estimator=estimator, kernel=kernel)
    assert score == pytest.approx(math.acos(oracle.METRICS["cka", estimator](matrix(x), matrix(y))), rel=1e-9)
    assert score.p_value == ka.cka(x, y, kernel=kernel).p_value
    assert ka.angular_cka(x, 2 * x, estimator=estimator) < 1e-6


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_chance_of_the_angle_is_that_of_pairings(estimator):
    x, y = related(40, 3, 4)
    rng = np.random.default_rng(0)
    k, g = oracle.linear(x), oracle.linear(y)
    of = oracle.METRICS["cka", estimator]
    drawn = [math.acos(of(k, g[np.ix_(order, order)])) for order in (rng.permutation(40) for _ in range(3000))]
    score = ka.angular_cka(x, y, estimator=estimator)
    assert score.chance == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / math.sqrt(3000))
    assert score.chance_sd == pytest.approx(np.std(drawn), rel=0.08)
    assert ka.angular_cka(x[:6], y[:6], estimator=estimator).chance is None  # too wide for an expansion


def test_angular_cka_of_three_is_a_metric():
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, y, z = rng.normal(size=(3, 8, 2))
        assert ka.angular_cka(x, z) <= ka.angular_cka(x, y) + ka.angular_cka(y, z) + 1e-12


@pytest.mark.parametrize("kind", ["linear", "rbf"])
def test_ensd_is_its_definition(kind):
    x, y = related(60, 5, 6)
    kernel, matrix = {"linear": (ka.Linear(), oracle.linear), "rbf": (ka.RBF(), oracle.rbf)}[kind]
    k, g = (oracle.centre(matrix(a)) for a in (x + 3, y))
    score = ka.ensd(x + 3, y, kernel=kernel)
    assert score == pytest.approx(np.trace(k) * np.trace(g) * (k * g).sum() / (k * k).sum() / (g * g).sum())
    assert score.p_value == pytest.approx(ka.cka(x, y, kernel=kernel).p_value, rel=1e-6)
    own = ka.ensd(x, x)
    assert own == pytest.approx(ka.describe(x).participation_ratio, rel=1e-9)
    assert ka.ensd(x * 1e150, y * 1e-150) == pytest.approx(ka.ensd(x, y), rel=1e-9)


def test_chance_of_ensd_is_that_of_all_pairings():
    x, y = related(6, 2, 2)
    scores = [float(ka.ensd(x, y[list(order)])) for order in itertools.permutations(range(6))]
    score = ka.ensd(x, y)
    assert score.chance == pytest.approx(np.mean(scores), rel=1e-9)
    assert score.chance_sd == pytest.approx(np.std(scores), rel=1e-9)
    ratios = [ka.describe(side).participation_ratio for side in (x, y)]
    assert score.chance == pytest.approx(np.prod(ratios) / 5, rel=1e-9)


def test_comparisons_and_constant_sides():
    x, y = related(40, 5, 6)
    made = ka.compare({"a": [x, y]}, {"b": y}, metrics=["angular_cka", "ensd", "cka"], errors="raise")
    assert made.scores["angular_cka"]["a", "b"][0, 0] == pytest.approx(ka.angular_cka(x, y), rel=1e-9)
    assert made.scores["ensd"]["a", "b"][0, 0] == pytest.approx(ka.ensd(x, y), rel=1e-9)
    test = ka.permutation_test("ensd", x, y, permutations=19)
    assert test.p_value == 0.05
    labels = np.arange(40) % 3
    kernel = (ka.Linear(), ka.Delta())
    assert ka.angular_cka(x, labels, kernel=kernel) == pytest.approx(
        math.acos(ka.cka(x, labels, kernel=kernel, estimator="biased"))
    )
    for function in (ka.angular_cka, ka.ensd):
        with pytest.warns(ka.UndefinedScoreWarning, match="y is constant"):
            assert math.isnan(function(x, y * 0))


@pytest.mark.parametrize("metric", ["angular_cka", "ensd"])
def test_errors_and_warnings_are_its_own(metric):
    x = np.random.default_rng(0).normal(size=(9, 3))
    with pytest.raises(ValueError, match=f"^{metric} .* at least 2 rows, got 1"):
        getattr(ka, metric)(x[:1], x[:1])
    with pytest.warns(ka.UndefinedScoreWarning, match=f"^{metric} is undefined"):
        getattr(ka, metric)(x, np.ones((9, 2)))
    with pytest.raises(TypeError, match="uncertainty"):
        getattr(ka, metric)(x, x, uncertainty="jackknife")
