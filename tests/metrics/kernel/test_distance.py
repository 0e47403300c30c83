"""distance_alignment and distance_correlation against naive definitions, identities and enumeration of the null."""

import itertools
import math

import kernalign as ka
import ml_dtypes
import numpy as np
import pytest
from reference import alignment, null_moments
from reference import distances as oracle
from samples import orthogonal, related
from scipy import stats

METRICS = ("distance_alignment", "distance_correlation")
ESTIMATORS = ("unbiased", "biased")

every_metric = pytest.mark.parametrize("name", METRICS)
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


def call(name, x, y, **keywords):
    return getattr(ka, name)(x, y, **keywords)


def unit(name, x, y):
    """What errors count against: 1, or the mean squared entry of the matrices that are subtracted."""
    if name == "distance_correlation":
        return 1.0
    return (alignment.squared_distances(x) ** 2).mean() + (alignment.squared_distances(y) ** 2).mean()


# The value


@every_metric
@every_estimator
@pytest.mark.parametrize(
    "shape", [(4, 1, 1), (5, 3, 2), (20, 40, 30), (127, 6, 9), (128, 17, 20), (257, 18, 17), (513, 20, 16)], ids=str
)
def test_values_agree_with_the_oracle(name, estimator, shape):
    x, y = related(*shape, seed=sum(shape))
    expected = getattr(oracle, name)(x, y, estimator)
    scale = unit(name, x, y)
    assert call(name, x, y, estimator=estimator) == pytest.approx(expected, rel=1e-10, abs=1e-14 * scale)
    x, y = x.astype(np.float32), y.astype(np.float32)
    assert call(name, x, y, estimator=estimator) == pytest.approx(expected, abs=1e-6 * scale)


@pytest.mark.parametrize("n", [2, 3])
def test_a_few_items_will_do(n):
    x, y = related(n, 3, 2, seed=n)
    for estimator in ESTIMATORS:
        expected = oracle.distance_alignment(x, y, estimator)
        assert ka.distance_alignment(x, y, estimator=estimator) == pytest.approx(expected, rel=1e-12)
    expected = oracle.distance_correlation(x, y, "biased")
    assert ka.distance_correlation(x, y, estimator="biased") == pytest.approx(expected, rel=1e-12)


def test_defaults():
    x, y = related(20, 3, 5)
    assert ka.distance_alignment(x, y) == ka.distance_alignment(x, y, estimator="biased")
    assert ka.distance_correlation(x, y) == ka.distance_correlation(x, y, estimator="unbiased")
    assert ka.distance_correlation(x, y).metric == "distance_correlation"


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_a13_with_unit_rows_it_is_a_function_of_kernel_alignment(scale):
    """Erratum E1: D = 4 [(C_x - C_y)^2 + 2 C_x C_y (1 - A)]."""
    x, y = related(40, 6, 9)
    k, g = (alignment.linear(alignment.l2_rows(z)) for z in (x, y))
    c_x, c_y = (math.sqrt((m**2).mean()) for m in (k, g))
    a = float(ka.kernel_alignment(x * scale, y, normalize="l2", estimator="biased"))
    identity = 4 * ((c_x - c_y) ** 2 + 2 * c_x * c_y * (1 - a))
    score = ka.distance_alignment(x * scale, y, normalize="l2")
    assert score == pytest.approx(identity, rel=1e-10)
    assert score == pytest.approx(4 * ((k - g) ** 2).mean(), rel=1e-10)
    assert 0 <= score <= 16
    assert abs(score - 8 * c_x * (1 - a)) > 0.1 * score  # the slide's formula


@every_estimator
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a13_the_same_distances_are_zero(estimator, dtype):
    x = related(300, 20, 3, dtype=dtype)[0]
    assert float(ka.distance_alignment(x, x.copy(), estimator=estimator)) == 0
    turned = ka.distance_alignment(x, (x.astype(float) @ orthogonal(20) + 3), estimator=estimator)
    assert 0 <= turned <= (1e-13 if dtype == np.float64 else 1e-12) * unit("distance_alignment", x, x)


@pytest.mark.parametrize("n", [4, 9, 130])
def test_a23_squared_distance_covariance_is_four_times_hsic_of_the_induced_kernel(n):
    x, y = related(n, 3, 5, seed=n)
    k, g = oracle.induced_kernel(x), oracle.induced_kernel(y)
    assert oracle.dcov2_v(x, y) == pytest.approx(4 * alignment.hsic_b(k, g), rel=1e-10)
    for estimator in ESTIMATORS:
        of_kernels = ka.cka(k, g, kernel=ka.Precomputed(), estimator=estimator)
        score = ka.distance_correlation(x, y, estimator=estimator)
        assert score == pytest.approx(float(of_kernels), rel=1e-9)
        assert score.p_value == pytest.approx(of_kernels.p_value, rel=1e-7)


def test_a22_double_centred_squared_distances_are_the_linear_kernel():
    x, y = related(40, 6, 9)
    a, b = (alignment.centre(alignment.squared_distances(z)) for z in (x, y))
    np.testing.assert_allclose(a, -2 * alignment.centre(alignment.linear(x)), atol=1e-12)
    assert ka.cka(x, y, estimator="biased") == pytest.approx(alignment.cosine(a, b), rel=1e-10)


# Chance


@every_estimator
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7])
def test_alignment_null_moments_are_those_of_all_pairings(n, estimator):
    x, y = related(n, 4, 5, seed=n)
    orders = [list(o) for o in itertools.permutations(range(n))]
    values = np.array([oracle.distance_alignment(x, y[o], estimator) for o in orders])
    score = ka.distance_alignment(x, y, estimator=estimator)
    assert score.chance == pytest.approx(values.mean(), rel=1e-10)
    assert score.chance_sd == pytest.approx(values.std(), rel=1e-9, abs=1e-12 * values.mean())
    if n > 2:
        assert score.z == pytest.approx((values[0] - values.mean()) / values.std(), rel=1e-8)


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_correlation_null_moments_are_those_of_all_pairings(n):
    x, y = related(n, 4, 5, seed=n)
    a, b = oracle.distances(x), oracle.distances(y)
    for estimator, centred in (("unbiased", alignment.u_centre), ("biased", alignment.centre)):
        k, g = centred(a), centred(b)
        values = null_moments.enumerate_products(k, g) / math.sqrt(alignment.inner(k, k) * alignment.inner(g, g))
        score = ka.distance_correlation(x, y, estimator=estimator)
        assert score.chance == pytest.approx(values.mean(), rel=1e-10, abs=1e-12)
        assert score.chance_sd == pytest.approx(values.std(), rel=1e-10)
        if estimator == "unbiased" and n >= 6:
            assert score.chance_skew == pytest.approx(stats.skew(values), rel=1e-8)
            assert score.p_value == null_moments.share(values)


def test_p_values_of_unrelated_data_are_uniform():
    rng = np.random.default_rng(0)
    p = [ka.distance_correlation(rng.normal(size=(30, 3)), rng.normal(size=(30, 2))).p_value for _ in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


@every_estimator
def test_the_jackknife_leaves_out_every_item_once(estimator):
    x, y = related(24, 4, 5)
    deleted = [oracle.distance_correlation(np.delete(x, i, 0), np.delete(y, i, 0), estimator) for i in range(24)]
    expected = math.sqrt(23 / 24 * ((np.array(deleted) - np.mean(deleted)) ** 2).sum())
    score = ka.distance_correlation(x, y, estimator=estimator, uncertainty="jackknife")
    assert score.stderr == pytest.approx(expected, rel=1e-8)


# What must not matter


@every_metric
@every_estimator
def test_rotation_and_translation_do_not_matter(name, estimator):
    x, y = related(40, 6, 9)
    score = call(name, x, y, estimator=estimator)
    moved = call(name, x @ orthogonal(6) + 5, y @ orthogonal(9) - 3, estimator=estimator)
    assert moved == pytest.approx(float(score), rel=1e-9)


@every_metric
@every_estimator
@pytest.mark.parametrize("dtype,tolerance", [(np.float64, 1e-9), (np.float32, 1e-6)])
def test_an_offset_costs_no_digits(name, estimator, dtype, tolerance):
    x, y = ((z + 1e6).astype(dtype) for z in related(80, 20, 17))
    moved = [z.astype(np.float64) - 1e6 for z in (x, y)]  # exact
    expected = getattr(oracle, name)(*moved, estimator)
    assert call(name, x, y, estimator=estimator) == pytest.approx(expected, abs=tolerance * unit(name, *moved))


@every_estimator
@pytest.mark.parametrize("factor", [1e-100, 1e-70, 3.0, 1e70, 1e100])
def test_scale_does_not_matter_to_the_correlation(estimator, factor):
    x, y = related(40, 6, 9)
    score = ka.distance_correlation(x, y, estimator=estimator)
    other = ka.distance_correlation(x * factor, y / factor, estimator=estimator)
    assert other == pytest.approx(float(score), rel=1e-10)
    assert other.p_value == pytest.approx(score.p_value, rel=1e-8)


@every_estimator
@pytest.mark.parametrize("factor", [1e-70, 3.0, 1e70])
def test_alignment_scales_with_the_fourth_power(estimator, factor):
    x, y = related(40, 6, 9)
    score, other = (ka.distance_alignment(f * x, f * y, estimator=estimator) for f in (1.0, factor))
    assert other / factor**4 == pytest.approx(float(score), rel=1e-10)
    assert other.chance_sd / factor**4 == pytest.approx(score.chance_sd, rel=1e-9)
    assert other.z == pytest.approx(score.z, rel=1e-9)


@every_metric
@every_estimator
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.int16, np.uint8])
def test_dtypes_and_strides_do_not_matter(name, estimator, dtype):
    x, y = (np.abs(np.round(3 * z)).astype(dtype) for z in related(80, 20, 17, seed=1))
    expected = getattr(oracle, name)(*(alignment.features(z) for z in (x, y)), estimator)
    score = call(name, x, y, estimator=estimator)
    scale = unit(name, *(alignment.features(z) for z in (x, y)))
    assert score == pytest.approx(expected, abs=1e-6 * scale)
    wide = np.zeros((160, 40), dtype)
    wide[::2, ::2] = x
    assert call(name, wide[::2, ::2], np.asfortranarray(y), estimator=estimator) == float(score)


@every_metric
@every_estimator
def test_threads_do_not_matter(name, estimator):
    x, y = related(300, 20, 17)
    assert len({float(call(name, x, y, estimator=estimator, threads=t)) for t in (1, 2, 3)}) == 1


@every_metric
def test_preprocessing_comes_first(name):
    x, y = related(30, 6, 9)
    for keywords, prepare in (
        ({"normalize": "l2"}, alignment.l2_rows),
        ({"normalize": "standardize"}, alignment.standardized),
        ({"clip_quantile": 0.9}, lambda z: alignment.clipped(z, 0.9)),
    ):
        expected = getattr(oracle, name)(prepare(x), prepare(y))
        assert call(name, x, y, **keywords) == pytest.approx(expected, rel=1e-9)
    x[3], y[7] = 0, 0
    with pytest.raises(ValueError, match="x must have no zero row"):
        call(name, x, y, normalize="l2")
    score = call(name, x, y, normalize="l2", zero_rows="drop_pair")
    assert (score.n, score.settings["dropped"]) == (28, 2)


# Input without a value, and bad input


@every_estimator
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_side(estimator, value, dtype):
    x, y = np.full((70, 20), value, dtype), related(70, 20, 3, dtype=dtype)[0]
    with pytest.warns(ka.UndefinedScoreWarning, match="x is constant") as caught:
        score = ka.distance_correlation(x, y, estimator=estimator)
    assert np.isnan(score)
    assert caught[0].filename == __file__
    still = ka.distance_alignment(x, y, estimator=estimator)
    assert still == pytest.approx(oracle.distance_alignment(x, y, estimator), rel=1e-6)
    assert still.chance == pytest.approx(float(still), rel=1e-12)
    assert (still.chance_sd, still.z) == (0.0, None)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [5, 70])
def test_equidistant_items_have_no_unbiased_distance_correlation(n, dtype):
    x, y = np.eye(n, dtype=dtype), related(n, 20, 3, dtype=dtype)[0]
    with pytest.warns(ka.UndefinedScoreWarning, match="x has no structure beyond its diagonal"):
        assert np.isnan(ka.distance_correlation(x, y))
    assert np.isfinite(ka.distance_correlation(x, y, estimator="biased"))
    score = ka.distance_alignment(x, y)
    assert score.chance == pytest.approx(float(score), rel=1e-6)
    assert (score.chance_sd, score.z) == (0.0, None)  # however they are paired, it is the same


def test_overflow_has_a_reason():
    x, y = related(20, 3, 3)
    with pytest.warns(ka.UndefinedScoreWarning, match="x and y span more than float64 can hold") as caught:
        assert np.isnan(ka.distance_alignment(x * 1e100, y))
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "name,estimator,least",
    [
        ("distance_alignment", "biased", 2),
        ("distance_alignment", "unbiased", 2),
        ("distance_correlation", "biased", 2),
        ("distance_correlation", "unbiased", 4),
    ],
)
def test_too_few_items_are_named(name, estimator, least):
    with pytest.raises(ValueError, match=rf"{name} \({estimator}\) needs at least {least} rows, got {least - 1}"):
        call(name, np.ones((least - 1, 3)), np.ones((least - 1, 3)), estimator=estimator)


@every_metric
def test_bad_arguments_are_named(name):
    x, y = related(20, 3, 4)
    with pytest.raises(ValueError, match="estimator must be 'unbiased' or 'biased', got 'debiased'"):
        call(name, x, y, estimator="debiased")
    with pytest.raises(ValueError, match="same number of rows, got 20 and 19"):
        call(name, x, y[:-1])
    with pytest.raises(TypeError, match="unknown keyword argument 'kernel'"):
        call(name, x, y, kernel=ka.Linear())
    with pytest.raises(ValueError, match="uncertainty='bootstrap' is refused"):
        ka.distance_correlation(x, y, uncertainty="bootstrap")
    with pytest.raises(ValueError, match=r"distance_correlation \(unbiased, jackknife\) needs at least 5 rows, got 4"):
        ka.distance_correlation(x[:4], y[:4], uncertainty="jackknife")


# One row that is far away


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
@pytest.mark.parametrize("n", [5, 20, 60, 300])
@pytest.mark.parametrize("far", [1e2, 1e4, 1e8])
def test_a_far_row_costs_the_others_no_digits(far, n, estimator):
    """Its distances are a level of its row, which centring takes away: to the other rows the score belongs."""
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, 4))
    y = x[:, :3] + rng.standard_normal((n, 3))
    x[n // 2] *= far
    expected = oracle.distance_correlation(x.astype(np.longdouble), y, estimator)
    for a, b in ((x, y), (y, x)):
        assert float(ka.distance_correlation(a, b, estimator=estimator)) == pytest.approx(float(expected), abs=1e-7)


def test_errors_and_comparisons_see_the_same_rows():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 4))
    y = x[:, :3] + rng.standard_normal((40, 3))
    errors = []
    for far in (1e4, 1e8):
        x[20] *= far / np.linalg.norm(x[20])
        score = ka.distance_correlation(x, y, uncertainty="jackknife")
        errors.append(score.stderr)
        cells = ka.compare({"x": x}, {"y": y}, metrics=["distance_correlation"]).scores["distance_correlation"]
        assert cells["x", "y"][0, 0] == pytest.approx(float(score), rel=1e-12)
    assert errors[1] == pytest.approx(errors[0], rel=1e-3)  # of both, the far row has the same direction
