"""P-values of kernel metrics keep their level on data that are not nice: heavy tails, classes, repeats, few items."""

import itertools
import math
import pickle

import kernalign as ka
import numpy as np
import pytest
from reference import alignment, distances, null_moments
from scipy import stats

LEVELS = np.array([0.05, 0.01, 0.001])

DATA = {
    "normal": lambda rng, n, p: rng.normal(size=(n, p)),
    "Cauchy": lambda rng, n, p: rng.standard_cauchy((n, p)),
    "lognormal": lambda rng, n, p: np.exp(rng.normal(size=(n, p))),
    "Student": lambda rng, n, p: rng.standard_t(3, (n, p)),
    "classes": lambda rng, n, p: np.eye(3)[rng.integers(0, 3, n)],
    "repeated": lambda rng, n, p: np.tile(rng.normal(size=(-(-n // 2), p)), (2, 1))[:n],
    "long rows": lambda rng, n, p: rng.normal(size=(n, p)) * np.where(np.arange(n) < 2, 10, 1)[:, None],
    "sparse": lambda rng, n, p: (rng.random((n, p)) < 0.1).astype(float),
}
CALLS = {
    "cka": ("cka", {}),
    "cka rbf": ("cka", {"kernel": ka.RBF()}),
    "hsic cubic": ("hsic", {"kernel": ka.Polynomial(3)}),
}
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*one direction holds:kernalign.AlignmentWarning"),
    pytest.mark.filterwarnings("ignore::kernalign.UndefinedScoreWarning"),
]


def size_of_pearson(call, x, y, pairings):
    """How often p-values from the Pearson III law reach the levels over pairings; None where it was not taken."""
    metric, how = CALLS[call]
    score = getattr(ka, metric)(x, y, **how)
    if score.reason is not None or not score.p_value or not score.settings["p_method"].startswith("Pearson III"):
        return None
    null = ka.permutation_test(metric, x, y, permutations=pairings, **how).null
    z, skew = (null - score.chance) / score.chance_sd, score.chance_skew
    ends = stats.pearson3.isf(LEVELS, skew) if abs(skew) > 1e-3 else stats.norm.isf(LEVELS)
    return (z[:, None] >= ends).mean(axis=0)


def sizes_of_pearson(call, kinds, items, datasets, pairings):
    found = []
    for seed, n in enumerate(items):
        for make in kinds.values():
            for at in range(datasets):
                rng = np.random.default_rng([seed, at])
                found.append(
                    size_of_pearson(call, *(make(rng, n, p) for p in ((1, 1), (2, 5), (20, 7))[at % 3]), pairings)
                )
    whole = [LEVELS if sizes is None else sizes for sizes in found]  # those of random pairings are exact
    return np.mean(whole, axis=0) / LEVELS, sum(sizes is not None for sizes in found), len(found)


@pytest.mark.parametrize("call", CALLS)
def test_pearson_is_taken_where_it_holds(call):
    sizes, kept, tried = sizes_of_pearson(call, DATA, [30, 100], 3, 1000)
    assert tried / 8 < kept < tried
    assert (sizes[:2] > 0.7).all()
    assert (sizes[:2] < 1.3).all()


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", DATA)
def test_pearson_is_taken_where_it_holds_on(kind, call):
    sizes, _, _ = sizes_of_pearson(call, {kind: DATA[kind]}, [9, 12, 20, 40, 80, 200], 30, 4000)
    assert (sizes >= 0.5).all()
    assert (sizes <= 1.3).all()


@pytest.mark.parametrize("metric", ["cka", "hsic", "distance_correlation"])
@pytest.mark.parametrize("kind", ["normal", "Cauchy", "classes"])
def test_p_values_of_six_items_have_their_exact_size(kind, metric):
    rng = np.random.default_rng(2)
    x, y = (DATA[kind](rng, 6, p) for p in (2, 3))
    k, g = ((distances.distances(v) if metric == "distance_correlation" else v @ v.T) for v in (x, y))
    values = null_moments.enumerate_products(alignment.u_centre(k), alignment.u_centre(g))
    for order in list(itertools.permutations(range(6)))[::97]:
        p = getattr(ka, metric)(x, y[list(order)]).p_value
        own = alignment.inner(alignment.u_centre(k), alignment.u_centre(g[np.ix_(order, order)]))
        assert p == pytest.approx(np.mean(values >= own - 1e-11 * np.abs(values).max()), abs=1e-12)
        assert p >= 1 / 720


def test_a_duplicated_long_row_on_both_sides():
    """Two rows of each side are equal and 100 times longer: Pearson III of a skewness of 33 rejected 92 % at .05."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 8)), rng.normal(size=(50, 6))
    x[4] = x[3] = 100 * x[3]
    y[8] = y[7] = 100 * y[7]
    score = ka.cka(x, y)
    values = null_moments.drawn_products(*(alignment.u_centre(v @ v.T) for v in (x, y)))
    assert score.chance_skew > 10
    assert score.p_value == null_moments.share(values)
    assert score.settings["p_method"] == "999 random pairings, seed 0"
    assert ka.independence_test(x, y, kernel=ka.Linear()).p_value == score.p_value
    p = []
    for order in (rng.permutation(50) for _ in range(100)):
        p.append(ka.cka(x, y[order]).p_value)
    assert np.mean(np.array(p) <= 0.05) <= 0.12


def test_cauchy_rows():
    rng = np.random.default_rng(6)
    x, y = rng.standard_cauchy((30, 5)), rng.standard_cauchy((30, 7))
    score = ka.cka(x, y)
    values = null_moments.drawn_products(*(alignment.u_centre(v @ v.T) for v in (x, y)))
    assert score.p_value == ka.hsic(x, y).p_value == null_moments.share(values)
    assert 0.1 < score.p_value < 0.17
    biased = ka.cka(x, y, estimator="biased")
    assert biased.p_value == score.p_value
    assert biased.settings["p_method"] == "999 random pairings, seed 0, of the unbiased estimate"
    threshold = np.sort(values / values[0] * score)[499]  # of 1000
    assert ka.calibrated_score(score) == 0
    assert ka.calibrated_score(score, 0.5) == pytest.approx((score - threshold) / (1 - threshold), rel=1e-9)
    assert ka.calibrated_score(pickle.loads(pickle.dumps(score)), 0.5) == ka.calibrated_score(score, 0.5)


def test_no_p_value_is_below_what_pairings_allow():
    x = np.random.default_rng(0).normal(size=(60, 30))
    for n in (4, 5, 6, 7, 8):
        assert ka.cka(x[:n], x[:n]).p_value >= 1 / math.factorial(n)
    for n in (9, 20):
        score = ka.cka(x[:n], x[:n])
        least = 0.001 if "random" in (score.p_value and score.settings["p_method"]) else 1 / math.factorial(n)
        assert least <= score.p_value < 0.01
    assert ka.cka(x, x).p_value > 0


def test_where_neither_pearson_nor_pairings_will_do_there_is_no_p_value():
    rng = np.random.default_rng(0)
    x, y = rng.standard_cauchy((3000, 250)), rng.standard_cauchy((3000, 250))
    score = ka.cka(x, y)
    assert score.p_value is None
    assert score.settings["p_method"].startswith("none: a few items or one direction rule the score")
    assert "permutation_test" in score.settings["p_method"]
    with pytest.raises(ValueError, match="calibrated_score needs the null distribution of cka, got none: a few"):
        ka.calibrated_score(score)
    streamed = ka.Moments().update(x[:, :5], y[:, :5]).cka()
    assert streamed.p_value is None
    assert "the rows are gone" in streamed.settings["p_method"]
    assert np.isnan(ka.independence_test(x, y, kernel=ka.Linear()).p_value)
    assert ka.cka(x[:, :5], y[:, :5]).p_value > 0.001  # as long as pairings are cheap
