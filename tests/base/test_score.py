"""What a Score says besides its value: chance level, spread, skew, p-value, jackknife and intervals."""

import copy
import gc
import json
import math
import pickle
import weakref

import kernalign as ka
import numpy as np
import pytest
from kernalign import _core
from kernalign._engines.gram_source import make_side
from kernalign._statistics import kernel_null, null_tail, tails
from reference import alignment as oracle
from reference import jackknife, null_moments
from samples import related
from scipy import stats

ROUTES = {"feature": (60, 4, 6), "gram": (24, 40, 30)}
every_route = pytest.mark.parametrize("route", list(ROUTES))
METRICS = ("cka", "hsic", "kernel_alignment")


def kernels(x, y):
    return oracle.centred_linear(x), oracle.centred_linear(y)


def weakly_related(n, p, q, seed=0, dtype=np.float64):
    """A z score of a few, so that the p-value is neither 0 nor 1."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, p)), rng.normal(size=(n, q))
    y[:, 0] += 0.4 * x[:, 0]
    return x.astype(dtype), y.astype(dtype)


# Chance


@every_route
def test_unbiased_null_is_the_closed_form(route):
    x, y = weakly_related(*ROUTES[route])
    k, g = kernels(x, y)
    n, score = len(x), ka.cka(x, y)
    sd = math.sqrt(null_moments.u_variance(n))
    value = oracle.cka_u(k, g)
    assert score.settings["route"] == route
    assert score.chance == 0
    assert score.chance_sd == pytest.approx(sd, rel=1e-10)
    assert score.z == pytest.approx(value / sd, rel=1e-9)
    assert score.corrected == pytest.approx(value, rel=1e-9)
    assert score.chance_skew == pytest.approx(null_moments.u_skew(k, g), rel=1e-9)
    expected = null_moments.pearson3_tail(value / sd, null_moments.u_skew(k, g))
    assert score.p_value == pytest.approx(expected, rel=1e-8)


@every_route
def test_unbiased_hsic_has_the_null_of_cka_in_its_own_units(route):
    x, y = weakly_related(*ROUTES[route])
    k, g = kernels(x, y)
    score, cka = ka.hsic(x, y), ka.cka(x, y)
    unit = math.sqrt(oracle.hsic_u(k, k) * oracle.hsic_u(g, g))
    assert score.chance == 0
    assert score.chance_sd == pytest.approx(cka.chance_sd * unit, rel=1e-9)
    assert score.z == pytest.approx(cka.z, rel=1e-9)
    assert score.chance_skew == pytest.approx(cka.chance_skew, rel=1e-9)
    assert score.p_value == pytest.approx(cka.p_value, rel=1e-8)
    assert score.corrected is None  # HSIC has no maximum


@every_route
def test_biased_null_is_the_closed_form(route):
    x, y = weakly_related(*ROUTES[route])
    k, g = kernels(x, y)
    score = ka.cka(x, y, estimator="biased")
    a, b = oracle.centre(k), oracle.centre(g)
    mean = null_moments.b_mean_cka(k, g)
    sd = math.sqrt(null_moments.b_variance(k, g) / (oracle.inner(a, a) * oracle.inner(b, b)))
    value = oracle.cka_b(k, g)
    assert score.chance == pytest.approx(mean, rel=1e-10)
    assert score.chance_sd == pytest.approx(sd, rel=1e-9)
    assert score.z == pytest.approx((value - mean) / sd, rel=1e-8)
    assert score.corrected == pytest.approx((value - mean) / (1 - mean), rel=1e-9)
    assert score.p_value == ka.cka(x, y).p_value
    assert "unbiased" in score.settings["p_method"]


@every_route
def test_biased_hsic_null_is_the_closed_form(route):
    x, y = weakly_related(*ROUTES[route])
    k, g = kernels(x, y)
    score, n = ka.hsic(x, y, estimator="biased"), len(x)
    assert score.chance == pytest.approx(null_moments.b_mean(k, g) / n**2, rel=1e-9)
    assert score.chance_sd == pytest.approx(math.sqrt(null_moments.b_variance(k, g)) / n**2, rel=1e-9)
    assert score.z == pytest.approx(ka.cka(x, y, estimator="biased").z, rel=1e-9)


@pytest.mark.parametrize("n", [6, 7])
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_a7_a8_null_moments_by_enumeration_of_all_pairings(n, estimator):
    """Not against a formula: the package's moments are those of the n! scores themselves."""
    x, y = weakly_related(n, 2, 3, seed=n)
    transform = oracle.u_centre if estimator == "unbiased" else oracle.centre
    a, b = (transform(k) for k in kernels(x, y))
    all_scores = null_moments.enumerate_products(a, b) / math.sqrt(oracle.inner(a, a) * oracle.inner(b, b))
    score = ka.cka(x, y, estimator=estimator)
    assert score.chance == pytest.approx(all_scores.mean(), abs=1e-12)
    assert score.chance_sd == pytest.approx(all_scores.std(), rel=1e-10)
    if estimator == "unbiased":
        assert score.chance_skew == pytest.approx(stats.skew(all_scores), rel=1e-8)


@pytest.mark.parametrize("n", [4, 5])
def test_smallest_samples_have_a_probability_too(n):
    x, y = weakly_related(n, 3, 2, seed=n)
    score = ka.cka(x, y)
    assert 0 < score.p_value <= 1
    assert score.chance_sd == pytest.approx(math.sqrt(null_moments.u_variance(n)), rel=1e-12)


@every_route
def test_float32_null_agrees_with_the_oracle(route):
    x, y = weakly_related(*ROUTES[route], dtype=np.float32)
    k, g = kernels(x, y)
    score = ka.cka(x, y)
    skew = null_moments.u_skew(k, g)
    assert score.chance_skew == pytest.approx(skew, rel=1e-5)
    expected = null_moments.pearson3_tail(oracle.cka_u(k, g) / math.sqrt(null_moments.u_variance(len(x))), skew)
    assert score.p_value == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("size", [1e-150, 1e-30, 1e30, 1e150])
def test_chance_does_not_depend_on_the_size_of_the_numbers(size):
    x, y = weakly_related(*ROUTES["feature"])
    plain, scaled = ka.cka(x, y), ka.cka(x * size, y / size)
    assert scaled.chance_skew == pytest.approx(plain.chance_skew, rel=1e-9)
    assert scaled.p_value == pytest.approx(plain.p_value, rel=1e-8)
    biased = [ka.cka(*pair, estimator="biased") for pair in ((x, y), (x * size, y / size))]
    assert biased[1].chance == pytest.approx(biased[0].chance, rel=1e-9)
    assert biased[1].chance_sd == pytest.approx(biased[0].chance_sd, rel=1e-9)


def test_chance_is_that_of_the_preprocessed_rows():
    x, y = weakly_related(*ROUTES["feature"])
    k, g = kernels(oracle.l2_rows(x), oracle.l2_rows(y))
    score = ka.cka(x, y, normalize="l2")
    assert score.chance_skew == pytest.approx(null_moments.u_skew(k, g), rel=1e-9)


def test_negative_scores_are_returned_and_have_a_high_p_value():
    rng = np.random.default_rng(4)
    scores = [ka.cka(rng.normal(size=(30, 5)), rng.normal(size=(30, 5))) for _ in range(20)]
    negative = [score for score in scores if score < 0]
    assert negative
    assert all(score.p_value > 0.3 and score.corrected == score for score in negative)


def test_a_strong_relation_has_a_tiny_but_positive_p_value():
    x, y = related(300, 6, 9)
    assert 0 < ka.cka(x, y).p_value < 1e-30


def test_uncentred_alignment_has_no_chance_level():
    score = ka.kernel_alignment(*related(300, 6, 9))
    names = ("chance", "chance_sd", "chance_skew", "z", "p_value", "corrected", "stderr", "reason")
    assert {getattr(score, name) for name in names} == {None}


def test_large_n_uses_the_leading_term_of_the_skew_and_says_so():
    x, y = weakly_related(5200, 2, 3)
    score = ka.cka(x, y)
    skew = np.sqrt(8) * np.prod([covariance_ratio(a) for a in (x, y)])
    assert score.chance_skew == pytest.approx(skew, rel=1e-8)
    expected = null_moments.pearson3_tail(score.z, skew)
    assert score.p_value == pytest.approx(expected, rel=1e-7)
    assert "leading" in score.settings["p_method"]
    assert "leading" not in reread_method(x[:500], y[:500])


def covariance_ratio(x):
    x = oracle.centred_features(x)
    c = x.T @ x
    return np.trace(c @ c @ c) / np.trace(c @ c) ** 1.5


def reread_method(x, y):
    score = ka.cka(x, y)
    assert score.p_value is not None
    return score.settings["p_method"]


def test_moments_use_the_leading_term_of_the_skew():
    x, y = weakly_related(800, 2, 3)
    score = ka.Moments().update(x, y).cka()
    assert score.chance_skew == pytest.approx(null_moments.leading_skew(*kernels(x, y)), rel=1e-8)
    assert score.p_value == pytest.approx(ka.cka(x, y).p_value, rel=0.05)
    biased = ka.Moments().update(x, y).cka(estimator="biased")
    function = ka.cka(x, y, estimator="biased")
    assert [biased.chance, biased.chance_sd] == pytest.approx([function.chance, function.chance_sd], rel=1e-9)


# Laziness


def test_the_tail_is_not_computed_until_it_is_read(monkeypatch):
    calls = []
    for module, name in ((kernel_null, "unbiased_skew"), (null_tail, "pearson3_tail")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, _f=original, _n=name, **k: (calls.append(_n), _f(*a, **k))[1])
    score = ka.cka(*weakly_related(*ROUTES["feature"]))
    _ = (float(score), repr(score), score.chance, score.chance_sd, score.z, score.corrected, score.settings)
    assert calls == []
    assert "p_method" not in score.settings
    first = score.p_value
    assert "p_method" in score.settings
    read = len(calls)
    assert read > 0
    assert score.p_value == first
    assert len(calls) == read


def test_inputs_are_let_go_once_everything_lazy_was_read():
    x, y = weakly_related(*ROUTES["feature"])
    score, watch = ka.cka(x, y), weakref.ref(x)
    del x, y
    assert score.p_value is not None
    assert score.chance_skew is not None
    gc.collect()
    assert watch() is None


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
@pytest.mark.parametrize("read_first", [False, True])
@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
def test_copies_keep_every_number(duplicate, read_first, estimator):
    x, y = weakly_related(*ROUTES["feature"])
    score = ka.cka(x, y, estimator=estimator, uncertainty="jackknife" if estimator == "unbiased" else None)
    if read_first:
        assert score.p_value is not None
    twin = duplicate(score)
    assert isinstance(twin, ka.Score)
    names = ("metric", "estimator", "n", "reason", "chance", "chance_sd", "chance_skew", "z", "p_value", "corrected")
    for name in (*names, "stderr"):
        assert getattr(twin, name) == getattr(score, name), name
    assert float(twin) == float(score)
    assert twin.settings == score.settings
    if estimator == "unbiased":
        assert twin.interval() == score.interval()


def test_pickles_of_nan_scores_keep_their_reason():
    with pytest.warns(ka.UndefinedScoreWarning):
        score = ka.cka(np.ones((9, 2)), np.arange(18.0).reshape(9, 2))
    twin = pickle.loads(pickle.dumps(score))
    assert math.isnan(twin)
    assert twin.reason == score.reason


def test_a_score_is_a_float():
    score = ka.cka(*related(60, 4, 6))
    assert isinstance(score, float)
    assert score + 1 == float(score) + 1
    assert type(score * 2) is float
    assert json.loads(json.dumps({"cka": score})) == {"cka": float(score)}
    assert f"{score:.3f}" == f"{float(score):.3f}"
    assert hash(score) == hash(float(score))
    assert np.asarray([score, score]).dtype == np.float64
    assert sorted([score, 2.0, -2.0])[1] is score
    assert "cka" in repr(score)
    assert "n=60" in repr(score)
    assert score.n == 60
    assert score.metric == "cka"


# Jackknife


@every_route
@pytest.mark.parametrize("name", METRICS)
def test_a33_jackknife_equals_explicit_deletions(name, route):
    x, y = related(40, 4, 6) if route == "feature" else related(40, 50, 30)
    score = getattr(ka, name)(x, y, uncertainty="jackknife")
    assert score.settings["route"] == route
    expected = jackknife.stderr(jackknife.deletions(name, "unbiased", x, y))
    assert score.stderr == pytest.approx(expected, rel=1e-10)
    assert float(score) == pytest.approx(float(getattr(ka, name)(x, y)), rel=1e-14)  # few rows are summed at once


@every_route
@pytest.mark.parametrize("name", ["cka", "hsic"])
def test_jackknife_of_biased_estimators_equals_explicit_deletions(name, route):
    x, y = related(40, 4, 6) if route == "feature" else related(40, 50, 30)
    score = getattr(ka, name)(x, y, estimator="biased", uncertainty="jackknife")
    expected = jackknife.stderr(jackknife.deletions(name, "biased", x, y))
    assert score.stderr == pytest.approx(expected, rel=1e-9)


def test_jackknife_of_biased_kernel_alignment_is_refused():
    with pytest.raises(ValueError, match="estimator='unbiased'"):
        ka.kernel_alignment(*related(40, 4, 6), estimator="biased", uncertainty="jackknife")


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("shape", [(2300, 5, 8), (1100, 700, 600)], ids=["feature", "gram"])
@pytest.mark.parametrize("dtype,rel", [(np.float64, 1e-9), (np.float32, 1e-4)])
def test_jackknife_over_several_blocks_and_tiles(name, shape, dtype, rel):
    x, y = related(*shape, dtype=dtype)
    score = getattr(ka, name)(x, y, uncertainty="jackknife")
    assert score.stderr == pytest.approx(jackknife.stderr(jackknife.fast_deletions(name, x, y)), rel=rel)


@pytest.mark.parametrize("name", ["cka", "hsic"])
def test_jackknife_needs_one_item_more(name):
    with pytest.raises(ValueError, match="at least 5 rows, got 4"):
        getattr(ka, name)(*related(4, 3, 2), uncertainty="jackknife")
    x, y = related(5, 3, 2)
    expected = jackknife.stderr(jackknife.deletions(name, "unbiased", x, y))
    assert getattr(ka, name)(x, y, uncertainty="jackknife").stderr == pytest.approx(expected, rel=1e-8)


@every_route
def test_jackknife_at_a_large_offset(route):
    x, y = related(40, 4, 6) if route == "feature" else related(40, 50, 30)
    for shift, rel in [(1e3, 1e-9), (1e6, 1e-8)]:
        expected = jackknife.stderr(jackknife.deletions("cka", "unbiased", x + shift, y - shift))
        assert ka.cka(x + shift, y - shift, uncertainty="jackknife").stderr == pytest.approx(expected, rel=rel)


def test_jackknife_of_preprocessed_rows():
    x, y = related(40, 4, 6)
    score = ka.cka(x, y, normalize="l2", uncertainty="jackknife")
    expected = jackknife.stderr(jackknife.deletions("cka", "unbiased", oracle.l2_rows(x), oracle.l2_rows(y)))
    assert score.stderr == pytest.approx(expected, rel=1e-9)


def test_intervals():
    x, y = related(60, 4, 6)
    score = ka.cka(x, y, uncertainty="jackknife")
    low, high = score.interval()
    assert -1 < low < score < high < 1
    assert score.interval(0.95) == (low, high)
    assert score.interval(0.5)[0] > low
    assert score.interval(0.999)[1] > high
    centre, half = math.atanh(score), 1.959963984540054 * score.stderr / (1 - score**2)
    assert (low, high) == pytest.approx((math.tanh(centre - half), math.tanh(centre + half)), rel=1e-9)
    hsic = ka.hsic(x, y, uncertainty="jackknife")
    moved = jackknife.deletions("hsic", "unbiased", x, y)
    moved -= moved.mean()
    kurtosis = 60 * (moved**4).sum() / (moved**2).sum() ** 2
    factor = math.exp(stats.t.ppf(0.975, 120 / (kurtosis - 1)) * hsic.stderr / hsic)
    assert hsic.interval() == pytest.approx((hsic / factor, hsic * factor), rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_intervals_of_equal_representations_are_narrow_and_end_at_one(dtype):
    x = (related(160, 64, 6)[0] * np.geomspace(1, 1e-3, 64)).astype(dtype)
    for other in (x, x.astype(np.float64), -x):
        low, high = ka.cka(x, other, uncertainty="jackknife").interval()
        assert 1 - 1e-7 < low <= high <= 1


@pytest.mark.parametrize("level", [0, 1, -0.5, 95])
def test_interval_levels_are_probabilities(level):
    score = ka.cka(*related(60, 4, 6), uncertainty="jackknife")
    with pytest.raises(ValueError, match="level must be in"):
        score.interval(level)


def test_no_interval_without_uncertainty():
    score = ka.cka(*related(60, 4, 6))
    assert score.stderr is None
    with pytest.raises(ValueError, match="uncertainty"):
        score.interval()


def test_a34_jackknife_intervals_cover_the_population_value():
    """Joint Gaussian: the population CKA is |S12|^2 / (|S11| |S22|)."""
    rng = np.random.default_rng(34)
    to_x, to_y = 2 * rng.normal(size=(2, 4)), 2 * rng.normal(size=(2, 5))
    s11, s22, s12 = to_x.T @ to_x + np.eye(4), to_y.T @ to_y + np.eye(5), to_x.T @ to_y
    truth = (s12**2).sum() / math.sqrt((s11**2).sum() * (s22**2).sum())
    covered = 0
    for _ in range(400):
        latent = rng.normal(size=(200, 2))
        x, y = latent @ to_x + rng.normal(size=(200, 4)), latent @ to_y + rng.normal(size=(200, 5))
        low, high = ka.cka(x, y, uncertainty="jackknife").interval(0.95)
        covered += low <= truth <= high
    assert 0.3 < truth < 0.9
    assert 0.92 <= covered / 400 <= 0.97


# Calibration of the p-value


def simulated_p_values(n, p, q, repetitions, seed):
    """The package's tail function on the z and skew of independent Gaussians, computed for many data sets at once."""
    rng = np.random.default_rng(seed)
    values = []
    for begin in range(0, repetitions, 100):
        count = min(100, repetitions - begin)
        sides = [u_centred_grams(rng.normal(size=(count, n, width))) for width in (p, q)]
        squares, cubes, traces = [], [], []
        for u in sides:
            square = u * u
            squares.append(square.sum(axis=(1, 2)))
            cubes.append((square * u).sum(axis=(1, 2)))
            traces.append(((u @ u) * u).sum(axis=(1, 2)))
        scale = np.sqrt(squares[0] * squares[1])
        sd = math.sqrt(null_moments.u_variance(n))
        z = (sides[0] * sides[1]).sum(axis=(1, 2)) / scale / sd
        skew = third_moments(n, *cubes, *traces) / (scale * sd) ** 3
        values.extend(tails.pearson3_tail(float(a), float(b)) for a, b in zip(z, skew, strict=True))
    return np.array(values)


def u_centred_grams(x):
    n = x.shape[1]
    grams = x @ x.transpose(0, 2, 1)
    diagonal = np.arange(n)
    grams[:, diagonal, diagonal] = 0
    rows = grams.sum(axis=2)
    grams -= (rows[:, :, None] + rows[:, None, :]) / (n - 2)
    grams += rows.sum(axis=1)[:, None, None] / ((n - 1) * (n - 2))
    grams[:, diagonal, diagonal] = 0
    return grams


def third_moments(n, t1, t2, d1, d2):
    f = [math.perm(n, terms) for terms in range(7)]
    return (
        t1 * t2 * (4 / f[2] + 24 / f[3] + 56 / f[4])
        + 8 * d1 * d2 / f[3]
        + 24 * (t1 - d1) * (t2 - d2) / f[4]
        + 12 * (2 * d1 - 4 * t1) * (2 * d2 - 4 * t2) / f[5]
        + (16 * t1 - 8 * d1) * (16 * t2 - 8 * d2) / f[6]
    )


SPECTRA = pytest.mark.parametrize("p,q", [(2, 2), (10, 20), (200, 200)], ids=["low rank", "middle", "high-dimensional"])


@SPECTRA
@pytest.mark.slow
def test_a35_size_of_the_p_value_in_20_000_repetitions(p, q):
    values = simulated_p_values(100, p, q, 20_000, seed=35)
    assert 0.045 <= (values <= 0.05).mean() <= 0.055
    assert 0.008 <= (values <= 0.01).mean() <= 0.012


@SPECTRA
def test_a35_size_of_the_p_value_in_brief(p, q):
    """2,000 repetitions: the bounds of A35 widened by 2.5 standard errors, sqrt(a (1 - a) / 2000) = .0049 and .0022."""
    values = simulated_p_values(60, p, q, 2000, seed=36)
    assert 0.033 <= (values <= 0.05).mean() <= 0.067
    assert 0.0025 <= (values <= 0.01).mean() <= 0.0176


def test_the_simulation_computes_what_the_package_computes():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3, 30, 2)), rng.normal(size=(3, 30, 4))
    grams = [u_centred_grams(a) for a in (x, y)]
    for i in range(3):
        k, g = kernels(x[i], y[i])
        np.testing.assert_allclose(grams[0][i], oracle.u_centre(k), atol=1e-12)
        t, d = [(u[i] ** 3).sum() for u in grams], [np.trace(u[i] @ u[i] @ u[i]) for u in grams]
        assert third_moments(30, *t, *d) == pytest.approx(null_moments.u_third_moment(k, g), rel=1e-10)


def test_a37_p_values_are_uniform_for_independent_data():
    rng = np.random.default_rng(37)
    values = [ka.cka(rng.normal(size=(50, 3)), rng.normal(size=(50, 4))).p_value for _ in range(500)]
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_pearson3_tail_of_the_package_is_that_of_the_oracle():
    for skew in (-1.3, -1e-2, -5e-4, 0.0, 5e-4, 1e-2, 0.4, 1.29, 2.5):
        for z in (-6.0, -1.0, 0.0, 0.7, 3.0, 12.0):
            expected = null_moments.pearson3_tail(z, skew)
            assert tails.pearson3_tail(z, skew) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_the_tail_of_five_items_does_not_depend_on_their_scale(scale):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    assert ka.cka(x * scale, y).p_value == ka.cka(x, y).p_value


def test_hsic_of_equally_distant_items_has_no_p_value():
    score = ka.hsic(np.eye(100), np.random.default_rng(4).normal(size=(100, 6)))
    assert abs(score) < 1e-12
    assert score.p_value is None
    assert score.z is None


def test_jackknife_of_float32_with_an_outlier_is_that_of_float64():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2000, 32)).astype(np.float32)
    y = (x + rng.normal(size=x.shape)).astype(np.float32)
    x[7] *= 1e4
    narrow = ka.cka(x, y, uncertainty="jackknife")
    wide = ka.cka(x.astype(np.float64), y.astype(np.float64), uncertainty="jackknife")
    assert narrow.stderr == pytest.approx(wide.stderr, rel=1e-3)


MANY = {
    "cka": lambda x, y: ka.cka(x, y),
    "biased": lambda x, y: ka.cka(x, y, estimator="biased"),
    "hsic": lambda x, y: ka.hsic(x, y),
    "rbf": lambda x, y: ka.cka(x, y, kernel=ka.RBF(20.0)),
    "standardised": lambda x, y: ka.cka(x, y, normalize="standardize"),
    "distance_correlation": lambda x, y: ka.distance_correlation(x, y),
    "mmd": lambda x, y: ka.mmd(x, y, kernel=ka.RBF(20.0)),
    "mutual_knn": lambda x, y: ka.mutual_knn(x, y),
    "rsa": lambda x, y: ka.rsa(x, y, comparison="pearson"),
}


@pytest.mark.parametrize("call", list(MANY))
def test_an_unread_score_lets_go_of_many_rows(call):
    """And its p-value is the one that is found at once."""
    x, y = related(5200, 150, 150, dtype=np.float32)
    score = MANY[call](x, y)
    at_once = MANY[call](x, y).p_value
    held = weakref.ref(x), weakref.ref(y)
    del x, y
    gc.collect()
    assert [one() for one in held] == [None, None]
    assert score.p_value == at_once


def test_a_sample_stands_for_the_rows_that_it_was_taken_from():
    """Skewness from 2000 rows is that of these rows alone, in any type and layout."""
    x, y = related(6000, 130, 140)
    at = np.linspace(0, 5999, 2000).astype(int)
    for kernel in (ka.RBF(15.0), ka.Linear()):
        sides = [make_side([_core.Rows(z, "z")], kernel, 0) for z in (x, np.asfortranarray(y)[::-1][::-1])]
        few = [make_side([_core.Rows(z[at], "z")], kernel, 0) for z in (x, y)]
        for side, one in zip(sides, few, strict=True):
            assert side.skew_ratio == pytest.approx(one.skew_ratio, rel=1e-12)
            assert side.concentration == pytest.approx(one.concentration / 3, rel=1e-12)
            assert side.sampled.concentration == side.concentration
            assert side.sampled.n == side.n == 6000
    gram, at = x[:2500] @ x[:2500].T, np.linspace(0, 2499, 2000).astype(int)
    whole = make_side([_core.Rows(gram, "gram")], ka.Precomputed(), 0)
    part = make_side([_core.Rows(gram[np.ix_(at, at)], "gram")], ka.Precomputed(), 0)
    assert whole.skew_ratio == pytest.approx(part.skew_ratio, rel=1e-12)


def test_no_score_is_minus_zero():
    x = np.eye(4)
    for score in (ka.energy_distance(x, x, estimator="biased"), ka.Score(-0.0, metric="cka", n=4)):
        assert math.copysign(1, score) == 1
        assert str(score).startswith("Score(0,")
