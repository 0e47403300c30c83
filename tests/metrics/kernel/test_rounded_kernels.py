"""Rows that only rounding tells apart are constant to every kernel, and integers that a cast made equal say so."""

import kernalign as ka
import numpy as np
import pytest

RNG = np.random.default_rng(1)
DTYPES = [np.float64, np.float32, np.float16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n,p", [(40, 12), (40, 3), (300, 20)])
def test_parallel_rows_of_different_lengths_have_one_direction(n, p, dtype):
    x = (RNG.uniform(1, 9, (n, 1)) * RNG.standard_normal(p)).astype(dtype)
    y = RNG.standard_normal((n, 5))
    for call in (
        lambda a, b: ka.cka(a, b, normalize="l2"),
        lambda a, b: ka.cka(a, b, normalize="l2", estimator="biased"),
        lambda a, b: ka.cka(a, b, kernel=ka.Cosine()),
        lambda a, b: ka.cka(a, b, kernel=ka.RBF(), normalize="l2"),
        lambda a, b: ka.distance_correlation(a, b, normalize="l2"),
        lambda a, b: ka.cca(a, b, normalize="l2"),
        lambda a, b: ka.linear_predictivity(a, b, normalize="l2"),
    ):
        for a, b in ((x, y), (y, x), (x, x)):
            with pytest.warns(ka.UndefinedScoreWarning, match="is constant, up to the rounding of"):
                assert np.isnan(float(call(a, b)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_directions_that_differ_by_more_are_not(dtype):
    x = RNG.uniform(1, 9, (40, 1)) * (RNG.standard_normal(12) + 0.1 * RNG.standard_normal((40, 12)))
    assert float(ka.cka(x.astype(dtype), x, normalize="l2")) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("metric", ["cka", "cca", "rsa", "procrustes"])
def test_integers_that_float64_cannot_tell_apart(metric):
    x = 2**60 + RNG.integers(0, 9, (30, 4))
    y = RNG.standard_normal((30, 4))
    options = {"distance": "euclidean"} if metric == "rsa" else {}
    with pytest.warns(ka.UndefinedScoreWarning, match="beyond 2\\^53, are cast to float64"):
        assert np.isnan(float(getattr(ka, metric)(x, y, **options)))
