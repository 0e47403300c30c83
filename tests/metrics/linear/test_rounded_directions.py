"""Directions that are nothing but the rounding of entries do not count, in any metric, fit or stream that has ranks.

The right values are those of the float64 numbers before they were rounded, or of the latent rows that span them.
"""

import warnings

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from reference import shapes as oracle
from reference import stitching as fits
from samples import orthogonal

SINGLE = np.float32
N, LATENT, WIDTH = 1000, 16, 192
FORMATS = {"bf16": (ml_dtypes.bfloat16, 3e-4), "f16": (np.float16, 1e-5), "f32": (SINGLE, 1e-8)}
every_format = pytest.mark.parametrize("dtype,error", FORMATS.values(), ids=FORMATS)
pytestmark = pytest.mark.filterwarnings("ignore:.* are left out:kernalign.AlignmentWarning")


def hidden():
    """Two unrelated wide sides of 16 directions each, and what they are made of."""
    rng = np.random.default_rng(5)
    h1, w1, h2, w2 = (rng.standard_normal(shape) for shape in ((N, LATENT), (LATENT, WIDTH)) * 2)
    return h1, h2, h1 @ w1, h2 @ w2


def containers(x, dtype):
    """In its own dtype, and as float64."""
    return x.astype(dtype), x.astype(dtype).astype(np.float64)


@every_format
def test_cca_family(dtype, error):
    h1, h2, wide1, wide2 = hidden()
    right = oracle.canonical_correlations(h1, h2)
    leading = oracle.svcca(wide1, wide2, rank=5)
    for x, y in zip(containers(wide1, dtype), containers(wide2, dtype), strict=True):
        score = ka.cca(x, y)
        assert float(score) == pytest.approx(right.mean(), abs=error)
        assert (score.settings["rank_x"], score.settings["rounded_x"]) == (LATENT, WIDTH - LATENT)
        assert not score.settings["saturated"]
        assert float(ka.cca(x, y, statistic="r2")) == pytest.approx((right**2).mean(), abs=error)
        assert ka.cca(x, y, statistic="r2").chance == pytest.approx(LATENT / (N - 1))
        assert float(ka.svcca(x, y, variance=1)) == pytest.approx(right.mean(), abs=error)
        assert float(ka.svcca(x, y, rank=5)) == pytest.approx(leading, abs=error)
        assert float(ka.pwcca(x, y)) == pytest.approx(oracle.pwcca(wide1, wide2), abs=error)
        np.testing.assert_allclose(np.cos(ka.principal_angles(x, y, LATENT)), right, atol=error)
        assert float(ka.subspace_overlap(x, y, LATENT)) == pytest.approx((right**2).mean(), abs=error)
        assert ka.ridge_cca(x, y, [0.0]).scores[0] == pytest.approx((right**2).mean(), abs=error)
        with pytest.raises(ValueError, match="rank must be at most 16, the rank of x"):
            ka.principal_angles(x, y, LATENT + 1)


@every_format
def test_streams_agree(dtype, error):
    h1, h2, wide1, wide2 = hidden()
    right = oracle.canonical_correlations(h1, h2).mean()
    noise = np.random.default_rng(6).standard_normal((N, 30))
    explained = oracle.linear_predictivity(h1, noise)
    sides = [containers(side, dtype) for side in (wide1, wide2)]
    for x, y, target in zip(*sides, (noise.astype(SINGLE), noise), strict=True):
        moments = ka.Moments()
        for begin in range(0, N, 300):
            moments.update(x[begin : begin + 300], y[begin : begin + 300])
        assert float(moments.cca()) == pytest.approx(right, abs=error + 1e-6)
        assert moments.cca().settings["rank_x"] == LATENT
        fitted = ka.Moments().update(x[:400], target[:400]).merge(ka.Moments().update(x[400:], target[400:]))
        assert float(fitted.linear_predictivity()) == pytest.approx(explained, abs=error + 1e-6)


@every_format
def test_one_latent_cloud_through_two_maps_is_the_same(dtype, error):
    h1, _, wide, _ = hidden()
    other = h1 @ np.random.default_rng(7).standard_normal((LATENT, 150))
    assert float(ka.cca(wide.astype(dtype), other.astype(dtype))) == pytest.approx(1, abs=error)


@every_format
def test_predictivity(dtype, error):
    h1, _, wide, _ = hidden()
    y = np.random.default_rng(6).standard_normal((N, 30))
    for x in containers(wide, dtype):
        score = ka.linear_predictivity(x, y)
        assert float(score) == pytest.approx(oracle.linear_predictivity(h1, y), abs=error)
        assert score.settings["df"] == N - 1 - LATENT
        held_out = ka.linear_predictivity(x, y, cv=5)
        assert float(held_out) == pytest.approx(oracle.cross_validated_predictivity(h1, y, 5), abs=10 * error)


def test_probabilities_computed_in_float32_and_in_float64():
    rng = np.random.default_rng(8)
    logits = rng.standard_normal((500, 2)) @ rng.standard_normal((2, 60)) * 0.2

    def softmax(x):
        shifted = np.exp(x - x.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    single, double = softmax(logits.astype(SINGLE)), softmax(logits)
    score = ka.cca(single, double)
    assert float(score) == pytest.approx(1, abs=0.01)
    assert score.settings["rank_x"] < score.settings["rank_y"]


@pytest.mark.parametrize("dtype", [np.float64, SINGLE, np.float16])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_massive_activations_hide_no_direction(dtype, offset):
    """A column that is 10,000 times as large as the others, as in many transformers, has the rounding of its own size.

    In float16 such a column is 1,000 times as large: beyond, it overflows.
    """
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((600, 40)), rng.standard_normal((600, 40))
    size = 1e3 if dtype == np.float16 else 1e4
    x[:, 3] = x[:, 3] * size + offset * size * (dtype != np.float16)
    x, y = x.astype(dtype), y.astype(dtype)
    right = oracle.canonical_correlations(x.astype(float), y.astype(float)).mean()
    for score in (ka.cca(x, y), ka.Moments().update(x.astype(float), y.astype(float)).cca()):
        assert float(score) == pytest.approx(right, rel=1e-6)
        assert (score.settings["rank_x"], score.settings["rounded_x"]) == (40, 0)


def dead_columns():
    """Embeddings of which three columns are a constant, and what float32 made of it: a spread of at most 3e-8."""
    rng = np.random.default_rng(10)
    latent = rng.standard_normal((500, 20))
    x = 0.04 * (latent @ rng.standard_normal((20, 60)) + rng.standard_normal((500, 60)))
    x = np.column_stack([x, *(0.3 + 1.4e-8 * rng.uniform(-1, 1, (3, 500)))]).astype(SINGLE)
    assert 0 < np.ptp(x[:, 60:].astype(float), axis=0).max() < 3e-8
    return x, latent @ rng.standard_normal((20, 25)) + rng.standard_normal((500, 25))


@pytest.mark.parametrize("wider", [SINGLE, np.float64])
def test_columns_that_are_constant_but_for_rounding_predict_nothing(wider):
    x, y = dead_columns()
    living = x[:, :60].astype(float)
    for cv in (None, 5):
        expected = ka.linear_predictivity(living, y, cv=cv)
        found = ka.linear_predictivity(x.astype(wider), y, cv=cv)
        assert float(found) == pytest.approx(float(expected), rel=1e-9)
        assert found.settings["rounded_x"] == 3
    assert float(expected) == pytest.approx(oracle.cross_validated_predictivity(living, y, 5), rel=1e-9)
    assert float(ka.cca(x.astype(wider), y)) == pytest.approx(float(ka.cca(living, y)), rel=1e-9)


def test_a_side_that_varies_by_rounding_alone_is_undefined():
    rounded = (0.3 + 3e-8 * np.random.default_rng(0).uniform(-1, 1, (300, 4))).astype(SINGLE)
    y = np.random.default_rng(1).standard_normal((300, 5))
    streams = ka.Moments().update(rounded.astype(float), y)
    for call in (
        lambda: ka.cca(rounded, y),
        lambda: ka.svcca(y, rounded),
        lambda: ka.pwcca(rounded, y),
        lambda: ka.linear_predictivity(rounded, y),
        lambda: ka.linear_predictivity(y, rounded),
        lambda: ka.linear_predictivity(rounded, y, cv=3),
        streams.cca,
        streams.linear_predictivity,
    ):
        with pytest.warns(ka.UndefinedScoreWarning, match="is constant, up to the rounding of float32"):
            assert np.isnan(float(call()))


@pytest.mark.filterwarnings("default:.* are left out:kernalign.AlignmentWarning")
def test_that_many_directions_were_left_out_is_said():
    _, _, wide1, wide2 = hidden()
    x, y = wide1.astype(SINGLE), wide2
    said = "176 of 192 directions of x are no longer than the rounding of float32 and are left out"
    for call in (
        lambda: ka.cca(x, y),
        lambda: ka.svcca(x, y, variance=1),
        lambda: ka.pwcca(x, y),
        lambda: ka.ridge_cca(x, y, [0.1]),
        lambda: ka.linear_predictivity(x, y),
        lambda: ka.linear_predictivity(x, y, cv=3),
    ):
        with pytest.warns(ka.AlignmentWarning, match=said) as caught:
            call()
        assert {warning.filename for warning in caught} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ka.cca(wide1, wide2)
        ka.linear_predictivity(*dead_columns())  # three of 63


@pytest.mark.filterwarnings("default:.* hardly vary:kernalign.AlignmentWarning")
def test_faint_columns_are_told_of_where_they_are_fitted():
    x, y = dead_columns()
    x[:, 60:] = 1e-9 * np.random.default_rng(1).standard_normal((500, 3))
    for call in (lambda: ka.linear_predictivity(x, y), lambda: ka.linear_predictivity(x, y, cv=5)):
        with pytest.warns(ka.AlignmentWarning, match="linear_predictivity, x: 3 columns hardly vary"):
            call()


def test_preprocessing_carries_the_rounding_along():
    """Standardised columns keep the rounding of the numbers that they were, mean included."""
    h1, h2, wide1, wide2 = hidden()
    x, y = (wide1 + 50).astype(SINGLE), wide2.astype(SINGLE)
    right = oracle.canonical_correlations(h1, h2).mean()
    assert float(ka.cca(x, y, normalize="standardize")) == pytest.approx(right, abs=1e-5)
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (wide1, wide2)]
    score = ka.cca(wide1.astype(SINGLE), y, normalize="l2")
    assert float(score) == pytest.approx(oracle.canonical_correlations(*unit).mean(), abs=1e-5)


def test_rotated_low_rank_rows_are_what_the_longdouble_fit_says():
    """Directions above the rounding are kept as they are: nothing of the fit moves where nothing is discarded."""
    rng = np.random.default_rng(11)
    x = (rng.standard_normal((200, 8)) * np.geomspace(1, 1e-4, 8)) @ orthogonal(8)
    y = rng.standard_normal((200, 3))
    x = x.astype(SINGLE)
    coef, residual = fits.longdouble_least_squares(x.astype(float), y)
    assert float(ka.linear_predictivity(x, y)) == pytest.approx(
        1 - residual * 200 / ((y - y.mean(axis=0)) ** 2).sum(), rel=1e-6
    )
    assert np.abs(coef).max() > 10


@pytest.mark.parametrize("exponent", [-1, -30, -100, 40])
def test_numbers_of_a_coarse_format_times_a_power_of_two(exponent):
    """The least numbers of float16 bound its errors only where they are its own."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((200, 5)) * np.exp(3 * rng.standard_normal((200, 5)))).astype(np.float16).astype(float)
    y = rng.standard_normal((200, 4)) + x[:, :4]
    assert float(ka.cca(np.ldexp(x, exponent), y)) == pytest.approx(float(ka.cca(x, y)), rel=1e-12)
    assert ka.spectrum(np.ldexp(x, exponent)).rank == 5


@every_format
@pytest.mark.parametrize("options", [{}, {"centred": True}, {"normalize": "l2"}, {"normalize": "standardize"}])
def test_spectrum(dtype, error, options):
    _, _, wide, _ = hidden()
    true = ka.spectrum(wide, **options)
    for x in containers(wide, dtype):
        found = ka.spectrum(x, **options)
        assert found.rank == true.rank == LATENT
        np.testing.assert_allclose(found.singular_values, true.singular_values, rtol=max(1e-6, 30 * error))


@every_format
@pytest.mark.parametrize("centred", [False, True])
def test_power_that_is_held_out(dtype, error, centred):
    h1, h2, wide, _ = hidden()
    target = h1[:, :2] + h2[:, :2]
    right = ka.cumulative_power(wide, target, centred=centred, cv=4)
    for x in containers(wide, dtype):
        found = ka.cumulative_power(x, target, centred=centred, cv=4)
        assert len(found.held_out) == len(right.held_out) == LATENT
        np.testing.assert_allclose(found.held_out, right.held_out, atol=max(1e-6, 100 * error))


@every_format
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_probes_with_hardly_any_penalty(dtype, error, task):
    rng = np.random.default_rng(0)
    rows, noise = rng.standard_normal((300, 8)), rng.standard_normal((300, 2))
    wide, target = rows @ rng.standard_normal((8, 60)), rows[:, :2] + noise
    penalty = 1e-14
    if task == "classification":
        target, penalty = (target[:, 0] > 0).astype(int), 1e-6
    right = ka.stitching.LinearProbe(penalty, task=task).fit(wide[:200], target[:200])
    for x in containers(wide, dtype):
        found = ka.stitching.LinearProbe(penalty, task=task).fit(x[:200], target[:200])
        assert found.score(x[200:], target[200:]) == pytest.approx(right.score(wide[200:], target[200:]), abs=0.02)
        np.testing.assert_allclose(found.coef_, right.coef_, atol=0.01 * np.abs(right.coef_).max())
