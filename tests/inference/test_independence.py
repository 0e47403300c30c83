"""independence_test by exact moments and by the gamma law: against enumeration, permutations and known answers."""

import itertools
import math

import kernalign as ka
import numpy as np
import pytest
from reference import alignment, null_moments
from samples import related
from scipy import stats


def kernels(x, y):
    """With the default kernel: each side's median distance over all n^2 entries."""
    return alignment.rbf(x), alignment.rbf(y)


@pytest.mark.parametrize("n", [6, 9, 40])
def test_moments_are_unbiased_hsic_and_its_pearson_tail(n):
    x, y = related(n, 4, 5, seed=n)
    k, g = kernels(x, y)
    result = ka.independence_test(x, y)
    assert isinstance(result, ka.IndependenceTest)
    assert result.statistic == pytest.approx(alignment.hsic_u(k, g), rel=1e-9)
    assert (result.statistic.metric, result.statistic.estimator) == ("hsic", "unbiased")
    if n == 40:
        z = alignment.cka_u(k, g) / math.sqrt(2 / (n * (n - 3)))
        assert result.p_value == pytest.approx(null_moments.pearson3_tail(z, null_moments.u_skew(k, g)), rel=1e-6)
        assert result.method == "Pearson III, exact third moment"
    else:
        pairings = null_moments.enumerate_products if n == 6 else null_moments.drawn_products
        assert result.p_value == null_moments.share(pairings(alignment.u_centre(k), alignment.u_centre(g)))
        assert result.method == ("all 720 pairings" if n == 6 else "999 random pairings, seed 0")
    assert ka.independence_test(x, y, method="moments") == result


@pytest.mark.parametrize("n", [30, 60])
def test_gamma_is_biased_hsic_and_the_gamma_tail_of_its_exact_moments(n):
    x, y = np.random.default_rng(n).normal(size=(2, n, 10))
    k, g = kernels(x, y)
    result = ka.independence_test(x, y, method="gamma")
    assert result.statistic == pytest.approx(alignment.hsic_b(k, g), rel=1e-9)
    mean, variance = null_moments.b_mean(k, g) / n**2, null_moments.b_variance(k, g) / n**4
    tail = stats.gamma.sf(float(result.statistic), mean**2 / variance, scale=variance / mean)
    assert result.p_value == pytest.approx(tail, rel=1e-6)
    assert result.method == "gamma, exact mean and variance"


def test_gamma_leaves_tails_that_are_not_its_own_to_the_moments():
    rng = np.random.default_rng(0)
    heavy = rng.standard_cauchy((50, 10)), rng.standard_cauchy((50, 10))
    long = rng.normal(size=(50, 3))
    long[:2] = 100 * long[0]
    for x, y, kernel in ((*heavy, ka.RBF()), (long, long, ka.Linear()), (*related(7, 2, 2), ka.RBF())):
        result, moments = (ka.independence_test(x, y, kernel=kernel, method=method) for method in ("gamma", "moments"))
        assert (result.p_value, result.method) == (moments.p_value, moments.method)
        assert result.statistic.estimator == "biased"


@pytest.mark.slow
@pytest.mark.parametrize("draw", ["standard_normal", "standard_cauchy", "lognormal"])
def test_sizes_of_gamma_on_data_that_are_not_nice(draw):
    rng = np.random.default_rng(1)
    sizes = {"size": (50, 10)} if draw != "lognormal" else {"sigma": 2.0, "size": (50, 10)}
    p = np.array(
        [
            ka.independence_test(*(getattr(rng, draw)(**sizes) for _ in range(2)), method="gamma").p_value
            for _ in range(2000)
        ]
    )
    for level, most in ((0.05, 0.065), (0.01, 0.018), (0.001, 0.004)):
        assert (p <= level).mean() <= most


@pytest.mark.parametrize("method", ["moments", "gamma", "permutation"])
def test_p_values_are_close_to_those_of_all_pairings(method):
    x, y = related(7, 2, 2, seed=3)
    k, g = (alignment.u_centre(m) for m in kernels(x, y))
    values = [alignment.inner(k, g[np.ix_(o, o)]) for o in map(list, itertools.permutations(range(7)))]
    exact = np.mean(np.array(values) >= values[0] - 1e-12)
    assert ka.independence_test(x, y, method=method).p_value == pytest.approx(exact, abs=0.05)


@pytest.mark.parametrize("method", ["moments", "gamma"])
@pytest.mark.parametrize("kernel", [ka.RBF(), ka.Laplacian(), ka.Linear()], ids=str)
def test_p_values_of_independent_data_are_uniform(method, kernel):
    rng = np.random.default_rng(5)
    p = [
        ka.independence_test(rng.normal(size=(30, 2)), rng.normal(size=(30, 3)), method=method, kernel=kernel).p_value
        for _ in range(300)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.005


@pytest.mark.parametrize("method", ["moments", "gamma"])
def test_dependence_without_correlation_is_found_by_a_characteristic_kernel_only(method):
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, 2 * np.pi, size=(200, 1))
    x, y = np.cos(angle), np.sin(angle)
    assert ka.independence_test(x, y, method=method).p_value < 1e-4
    assert ka.independence_test(x, y, method=method, kernel=ka.Laplacian()).p_value < 1e-4
    assert ka.independence_test(x, y, method=method, kernel=ka.Linear()).p_value > 0.05


def test_a_share_of_random_pairings():
    x, y = related(30, 4, 5)
    found = ka.independence_test(x, y, method="permutation", permutations=99, seed=3, kernel=ka.Linear())
    test = ka.permutation_test("hsic", x, y, permutations=99, seed=3, kernel=ka.Linear())
    assert (found.p_value, found.method) == (test.p_value, "99 permutations")
    assert found.statistic == pytest.approx(alignment.hsic_u(x @ x.T, y @ y.T), rel=1e-9)


def test_options_and_kernels_reach_hsic():
    x, y = related(40, 4, 5)
    keywords = {"kernel": ka.RBF("median_offdiag", 0.5), "normalize": "l2", "clip_quantile": 0.9, "threads": 1}
    result = ka.independence_test(x, y, **keywords)
    expected = ka.hsic(x, y, **keywords)
    assert float(result.statistic) == float(expected)
    assert result.p_value == expected.p_value
    k, g = kernels(x, y)
    given = ka.independence_test(k, g, kernel=ka.Precomputed())
    assert given.p_value == pytest.approx(ka.independence_test(x, y).p_value, rel=1e-7)


@pytest.mark.parametrize("method", ["moments", "gamma", "permutation"])
def test_scale_and_offset_do_not_matter(method):
    x, y = related(40, 4, 5)
    p = ka.independence_test(x, y, method=method).p_value
    for a, b in ((x * 1e100, y * 1e-100), (x + 1e3, y - 7)):
        assert ka.independence_test(a, b, method=method).p_value == pytest.approx(p, rel=1e-6)


@pytest.mark.parametrize("method", ["moments", "gamma", "permutation"])
def test_a_constant_side_has_no_p_value(method):
    x, y = np.ones((20, 3)), related(20, 4, 5)[0]
    with pytest.warns(ka.UndefinedScoreWarning, match="over half of the distances between rows of x are 0"):
        result = ka.independence_test(x, y, method=method)
    assert np.isnan(result.statistic)
    assert np.isnan(result.p_value)
    linear = ka.independence_test(x, y, method=method, kernel=ka.Linear())
    assert float(linear.statistic) == 0
    assert np.isnan(linear.p_value)


@pytest.mark.parametrize("method", ["moments", "gamma", "permutation"])
@pytest.mark.parametrize("n", [4, 5])
def test_six_items_are_needed(method, n):
    with pytest.raises(ValueError, match=f"independence_test needs at least 6 rows, got {n}"):
        ka.independence_test(*related(n, 3, 2), method=method)


def test_bad_arguments_are_named():
    x, y = related(20, 3, 4)
    with pytest.raises(ValueError, match="method must be 'moments', 'gamma' or 'permutation', got 'exact'"):
        ka.independence_test(x, y, method="exact")
    with pytest.raises(TypeError, match="kernel must be one of"):
        ka.independence_test(x, y, kernel="rbf")
    with pytest.raises(ValueError, match="same number of rows, got 20 and 19"):
        ka.independence_test(x, y[:-1])
    with pytest.raises(TypeError, match="unknown keyword argument 'bandwidth'"):
        ka.independence_test(x, y, bandwidth=1.0)
