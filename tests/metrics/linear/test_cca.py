"""CCA, SVCCA, PWCCA, principal angles, subspace overlap and ridge CCA."""

import tracemalloc
import warnings
from itertools import permutations

import kernalign as ka
import numpy as np
import pytest
from kernalign._engines import directions
from reference import alignment as kernels
from reference import shapes as oracle
from samples import orthogonal, related

# n > p + q (products), n < p + q (rows), one side or both wide
SHAPES = {"feature": (200, 6, 4), "rows": (40, 12, 24), "wide": (24, 12, 60), "square": (30, 14, 14)}
FREE = {"feature": (200, 6, 4), "rows": (24, 12, 11), "swapped": (24, 7, 16)}  # where no correlation is 1 by count
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
METRICS = {
    "cca": ka.cca,
    "r2": lambda x, y, **k: ka.cca(x, y, statistic="r2", **k),
    "svcca": ka.svcca,
    "svcca-rank": lambda x, y, **k: ka.svcca(x, y, rank=3, **k),
    "overlap": lambda x, y, **k: ka.subspace_overlap(x, y, 3, **k),
}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


def quiet(call, *args, **keywords):
    """The value without the warning that it is saturated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ka.AlignmentWarning)
        return call(*args, **keywords)


def spectrum(n, p, condition, seed=0):
    """Centred rows whose singular values fall from 1 to 1 / condition, in a random basis."""
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.normal(size=(n, p)) - rng.normal(size=p))[0]
    u = np.linalg.qr(u - u.mean(axis=0))[0]
    return u * np.geomspace(1, 1 / condition, p) @ orthogonal(p, seed + 1)


# Definitions


@every_shape
def test_cca_is_the_mean_canonical_correlation(shape):
    x, y = related(*shape)
    rho = oracle.canonical_correlations(x, y)
    assert float(quiet(ka.cca, x, y)) == pytest.approx(rho.mean(), rel=1e-10)
    assert float(quiet(ka.cca, x, y, statistic="r2")) == pytest.approx((rho**2).mean(), rel=1e-10)


@every_shape
def test_svcca_is_the_mean_singular_value_of_the_leading_directions(shape):
    x, y = related(*shape)
    for keywords in ({}, {"variance": 0.7}, {"rank": 2}, {"rank": 4}):
        score = quiet(ka.svcca, x, y, **keywords)
        assert float(score) == pytest.approx(oracle.svcca(x, y, **keywords), rel=1e-10)
    kept = ka.svcca(x, y, variance=0.7).settings
    assert (kept["rank_x"], kept["rank_y"]) == tuple(oracle.directions_for(a, 0.7) for a in (x, y))


@pytest.mark.parametrize("shape", FREE.values(), ids=FREE)
def test_pwcca_weighs_by_the_columns_of_x(shape):
    x, y = related(*shape)
    assert float(quiet(ka.pwcca, x, y)) == pytest.approx(oracle.pwcca(x, y), rel=1e-10)


@every_shape
def test_angles_and_overlap_are_those_of_the_leading_directions(shape):
    x, y = related(*shape)
    cosines = np.linalg.svd(oracle.leading(x, 3).T @ oracle.leading(y, 3), compute_uv=False)
    np.testing.assert_allclose(ka.principal_angles(x, y, 3), np.arccos(cosines), rtol=1e-9)
    assert float(ka.subspace_overlap(x, y, 3)) == pytest.approx((cosines**2).mean(), rel=1e-10)
    assert float(ka.svcca(x, y, rank=3)) == pytest.approx(cosines.mean(), rel=1e-10)


@every_shape
def test_ridge_cca_is_cka_of_the_ridge_kernels(shape):
    x, y = related(*shape)
    ridges = [1e-3, 0.1, 2.0]
    path = quiet(ka.ridge_cca, x, y, ridges)
    for i, ridge in enumerate(ridges):
        k, g = oracle.ridge_kernel(x, ridge), oracle.ridge_kernel(y, ridge)
        assert path.scores[i] == pytest.approx(kernels.cosine(k, g), rel=1e-10)
        assert path.gulp[i] == pytest.approx(np.linalg.norm(k - g), rel=1e-8)
        mean = np.trace(k) * np.trace(g) / (len(x) - 1)
        assert path.chance[i] == pytest.approx(mean / np.sqrt((k * k).sum() * (g * g).sum()), rel=1e-10)


def test_ridge_cca_ends_in_cca_and_in_cka():
    x, y = related(200, 5, 5)
    scores = ka.ridge_cca(x, y, [0, 1e9]).scores
    assert scores[0] == pytest.approx(float(ka.cca(x, y, statistic="r2")), rel=1e-10)
    assert scores[1] == pytest.approx(float(ka.cka(x, y, estimator="biased")), rel=1e-7)


def test_golden_value_without_centring():
    x, y = kernels.golden()
    score = ka.cca(x, y, statistic="r2", centred=False)
    for finish in (ka.cca, ka.Moments().update(x, y).cca):
        with pytest.raises(TypeError, match="centred must be True or False, got 'no'"):
            finish(*((x, y) if finish is ka.cca else ()), centred="no")
    assert round(float(score), 5) == 0.54312
    assert score.chance is None
    assert float(score) == pytest.approx(kernels.r2_cca(x, y), rel=1e-12)
    assert float(ka.Moments().update(x, y).cca(statistic="r2", centred=False)) == pytest.approx(float(score), rel=1e-10)


def test_pwcca_says_where_its_variables_are_not_determined():
    x, y = related(40, 12, 30)
    with pytest.warns(ka.AlignmentWarning, match="3 canonical correlations are 1 by count") as caught:
        ka.pwcca(x, y)
    assert caught[0].filename == __file__
    assert quiet(ka.cca, x, y).settings["forced"] == 3
    x, y = related(100, 6, 5)
    y[:, :2] = x[:, :2]  # two correlations of 1, and others
    with pytest.warns(ka.AlignmentWarning, match="canonical correlations 1 to 2 are equal"):
        ka.pwcca(x, y @ orthogonal(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ka.pwcca(x, x @ orthogonal(6))  # all are 1, whatever the weights
        ka.pwcca(x[:, 2:], y[:, 2:])


# Invariances


def test_pwcca_is_invariant_to_rotation_of_y_alone():
    x, y = related(100, 6, 5)
    value = float(ka.pwcca(x, y))
    assert float(ka.pwcca(3 * x - 1, y @ orthogonal(5) + 2)) == pytest.approx(value, rel=1e-10)
    assert abs(ka.pwcca(x @ orthogonal(6), y) - value) > 1e-4
    assert float(ka.pwcca(x, x @ orthogonal(6))) == pytest.approx(1, abs=1e-12)


def test_cca_forgets_invertible_maps_and_cka_does_not():
    x, y = related(200, 6, 4)
    m = np.random.default_rng(1).normal(size=(6, 6)) + 2 * np.eye(6)
    for statistic in ("rho", "r2"):
        before, after = (float(ka.cca(a, y, statistic=statistic)) for a in (x, x @ m + 5))
        assert after == pytest.approx(before, rel=1e-10)
    assert abs(ka.cka(x @ m, y) - ka.cka(x, y)) > 0.01


@every_metric
@every_shape
def test_rotation_of_y_shift_and_scale_do_not_matter(metric, shape):
    x, y = related(*shape)
    moved = y @ orthogonal(y.shape[1]) * 3 - 7
    assert float(quiet(metric, x * 0.01 + 1, moved)) == pytest.approx(float(quiet(metric, x, y)), rel=1e-9)


@every_metric
def test_same_span_scores_one(metric):
    x, _ = related(100, 5, 2)
    score = metric(x, x @ orthogonal(5) * 4 - 3)
    assert 1 - 1e-12 < score <= 1


@every_metric
def test_strides_dtype_order_of_items_and_extreme_scale_do_not_matter(metric):
    x, y = (a.astype(np.float32) for a in related(150, 6, 5))
    value = float(metric(x, y))
    other = np.asfortranarray(x.astype(np.float64)), np.repeat(y, 2, axis=1)[:, ::2]
    assert float(metric(*other)) == pytest.approx(value, rel=1e-12)
    order = np.random.default_rng(0).permutation(150)
    assert float(metric(x[order], y[order])) == pytest.approx(value, rel=1e-10)
    x, y = x.astype(np.float64), y.astype(np.float64)
    assert float(metric(x * 2.0**900, y * 2.0**-900)) == pytest.approx(value, rel=1e-10)


@every_metric
def test_many_blocks_equal_one(metric, monkeypatch):
    x, y = related(700, 6, 5)
    value = float(metric(x, y))
    monkeypatch.setattr("kernalign._engines.centred._BLOCK_ELEMENTS", 11)
    assert float(metric(x, y)) == pytest.approx(value, rel=1e-12)


def test_normalisation_is_applied():
    x, y = related(80, 5, 4)
    x *= [1, 10, 1, 1, 100]
    expected = oracle.svcca(kernels.standardized(x), kernels.standardized(y), rank=2)
    assert float(ka.svcca(x, y, rank=2, normalize="standardize")) == pytest.approx(expected, rel=1e-10)


# Conditioning


@pytest.mark.parametrize("condition", [1e1, 1e2, 1e4, 1e6, 1e8, 1e10])
def test_bad_conditions_are_met_by_another_route(condition, monkeypatch):
    """Same spans, ever worse bases: canonical correlations must not move more than the data's own rounding."""
    x, y = spectrum(300, 6, 1), spectrum(300, 5, 1, seed=5) + spectrum(300, 6, 1)[:, :5]
    expected = oracle.canonical_correlations(x, y).mean()
    bad = x @ orthogonal(6) * np.geomspace(1, 1 / condition, 6) @ orthogonal(6, 3)
    for sides, elements in (((bad, y), 1 << 22), ((y, bad), 1 << 22), ((bad, y), 11)):
        monkeypatch.setattr("kernalign._engines.centred._BLOCK_ELEMENTS", elements)
        monkeypatch.setattr("kernalign._engines.centred._FEWEST_ROWS", 7)
        score = ka.cca(*sides)
        assert score.settings["route"] == ("feature" if condition < 1e3 else "qr")
        assert float(score) == pytest.approx(expected, rel=1e-10 + 1e-15 * condition)


@pytest.mark.parametrize("condition,gram", [(30, True), (1e5, False)])
@pytest.mark.parametrize("shape", [(30, 50), (40, 25)], ids=["wide", "tall"])
def test_few_rows_take_the_smaller_gram_matrix_or_the_svd(shape, condition, gram, monkeypatch):
    monkeypatch.setattr("kernalign._engines.directions._SMALL", 4)
    decompositions = []
    svd = directions.svd
    monkeypatch.setattr(directions, "svd", lambda *a, **k: decompositions.append(1) or svd(*a, **k))
    n, p = shape
    x = spectrum(50, 50, 1)[:n, :p]
    x = oracle.leading(x, min(n - 1, p)) * np.geomspace(1, 1 / condition, min(n - 1, p))
    x, y = x @ np.linalg.qr(np.random.default_rng(2).normal(size=(p, x.shape[1])))[0].T, spectrum(n, 12, 5)
    found = directions.of_rows(x, n - 1, np.zeros(p))
    assert (not decompositions) == gram
    np.testing.assert_allclose(found.values, np.linalg.svd(x, compute_uv=False)[: found.rank], rtol=1e-8)
    np.testing.assert_allclose(found.left * found.values @ found.right.T, x, atol=1e-13)
    expected = oracle.svcca(x, y, rank=4)
    assert float(ka.svcca(x, y, rank=4)) == pytest.approx(expected, rel=1e-9)


def test_repeated_and_constant_columns_do_not_count():
    x, y = related(100, 4, 3)
    more = np.column_stack([x, x[:, 0] - 2 * x[:, 1], np.full(100, 3.5)])
    score = ka.cca(more, y)
    assert score.settings["rank_x"] == 4
    assert float(score) == pytest.approx(float(ka.cca(x, y)), rel=1e-10)


def test_large_offset_costs_nothing():
    x, y = related(300, 4, 3)
    assert float(ka.cca(x + 1e6, y)) == pytest.approx(float(ka.cca(x, y)), rel=1e-9)


@pytest.mark.parametrize("angle", [1e-12, 1e-8, 1e-4, 0.3, 1.2])
@pytest.mark.parametrize("n", [8, 60], ids=["rows", "feature"])
def test_angles_are_right_however_small(angle, n):
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(n, 4)))[0]
    u = np.linalg.qr(u - u.mean(axis=0))[0]
    x = u[:, :2] * [2, 1]
    y = np.column_stack([np.cos(angle) * u[:, 0] + np.sin(angle) * u[:, 2], 0.5 * u[:, 1]])
    angles = ka.principal_angles(x, y, 2)
    assert angles[0] == pytest.approx(0, abs=1e-14)
    assert angles[1] == pytest.approx(angle, rel=1e-6 if angle < 1e-8 else 1e-9, abs=2e-15)


# Chance


def test_chance_of_r2_and_overlap_is_the_mean_over_all_pairings():  # mathematics 2.15
    x, y = related(6, 3, 2, seed=3)
    orders = [list(order) for order in permutations(range(6))]
    r2 = ka.cca(x, y, statistic="r2")
    assert r2.chance == pytest.approx(3 / 5)
    assert np.mean([ka.cca(x, y[order], statistic="r2") for order in orders]) == pytest.approx(3 / 5, rel=1e-10)
    assert ka.subspace_overlap(x, y, 2).chance == pytest.approx(2 / 5)
    assert np.mean([ka.subspace_overlap(x, y[order], 2) for order in orders]) == pytest.approx(2 / 5, rel=1e-10)
    path = ka.ridge_cca(x, y, [0.1])
    mean = np.mean([ka.ridge_cca(x, y[order], [0.1]).scores[0] for order in orders])
    assert path.chance[0] == pytest.approx(mean, rel=1e-10)


# Degenerate


@pytest.mark.parametrize("shape", [(20, 19, 3), (20, 3, 19), (20, 30, 40)], ids=str)
def test_saturation_is_flagged(shape):
    x, y = np.random.default_rng(0).normal(size=shape[:2]), np.random.default_rng(1).normal(size=(20, shape[2]))
    for call in (ka.cca, ka.pwcca):
        with pytest.warns(ka.AlignmentWarning, match="19 independent directions among 20 items") as caught:
            score = call(x, y)
        assert caught[0].filename == __file__
        assert score.settings["saturated"] is True
        assert float(score) == pytest.approx(1, abs=1e-10)
    assert ka.svcca(x, y, rank=3).settings["saturated"] is False


@every_metric
@pytest.mark.parametrize("n", [12, 60], ids=["rows", "feature"])
def test_constant_sides_have_no_score(metric, n):
    x, y = related(n, 5, 4)
    for pair, name in (((np.full((n, 5), 0.1), y), "x"), ((x, np.full((n, 4), 7.0)), "y")):
        with pytest.warns(ka.UndefinedScoreWarning, match=f"{name} is constant") as caught:
            score = metric(*pair)
        assert caught[0].filename == __file__
        assert np.isnan(score)
        assert score.reason == f"{name} is constant"


def test_constant_sides_have_no_angles_and_no_path():
    x, y = related(30, 5, 4)
    with pytest.warns(ka.UndefinedScoreWarning, match="x is constant"):
        assert np.isnan(ka.principal_angles(x * 0, y, 2)).tolist() == [True, True]
    with pytest.warns(ka.UndefinedScoreWarning, match="y is constant") as caught:
        assert np.isnan(ka.ridge_cca(x, y * 0, [1]).scores).all()
    assert caught[0].filename == __file__


def test_more_than_float64_holds_is_said():
    x, y = related(30, 3, 2)
    x[0, 1], x[4, 1] = 1.7e308, -1.7e308
    with pytest.warns(ka.UndefinedScoreWarning, match="x spans more than float64 can hold"):
        assert np.isnan(ka.cca(x, y))


def test_a_cut_between_equal_singular_values_is_said():
    u = spectrum(50, 4, 1)
    y = spectrum(50, 4, 10, seed=8)
    with pytest.warns(ka.AlignmentWarning, match="singular values 2 and 3 of x are equal"):
        ka.subspace_overlap(u, y, 2)


# Bad input


@pytest.mark.parametrize("call", [ka.subspace_overlap, ka.principal_angles, lambda x, y, r: ka.svcca(x, y, rank=r)])
def test_rank_must_be_possible(call):
    x, y = related(30, 5, 4)
    for bad in (0, 5, -1):
        with pytest.raises(ValueError, match=rf"rank must be between 1 and min\(n - 1, p, q\) = 4, got {bad}"):
            call(x, y, bad)
    for bad in (2.0, True, "3"):
        with pytest.raises(TypeError, match="rank must be an integer"):
            call(x, y, bad)
    with pytest.raises(ValueError, match="rank must be at most 2, the rank of x, got 3"):
        call(x[:, [0, 1, 0, 1]], y, 3)


def test_other_arguments_are_checked():
    x, y = related(30, 5, 4)
    for bad in (0, 1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match="variance must be in"):
            ka.svcca(x, y, variance=bad)
    for bad in ([], [1, -0.1], float("nan"), [[1.0]]):
        with pytest.raises(ValueError, match=r"ridges must be (finite and not negative|a number or a sequence)"):
            ka.ridge_cca(x, y, bad)
    for bad in ("a", True, ["1"]):
        with pytest.raises(TypeError, match="ridges must be numbers, got"):
            ka.ridge_cca(x, y, bad)
    with pytest.raises(TypeError, match="variance must be a number"):
        ka.svcca(x, y, variance="0.9")
    with pytest.raises(ValueError, match="statistic must be 'rho', 'r2' or 'eos', got 'R2'"):
        ka.cca(x, y, statistic="R2")
    with pytest.raises(ValueError, match="cca needs at least 2 rows, got 1"):
        ka.cca(x[:1], y[:1])
    with pytest.raises(TypeError, match="unknown keyword argument 'centre'"):
        ka.cca(x, y, centre=False)
    x[7, 2] = np.nan
    with pytest.raises(ValueError, match="x must be finite, got nan at row 7, column 2"):
        ka.svcca(x, y)


# Streams


@pytest.mark.parametrize("dtype,rel", [(np.float64, 1e-9), (np.float32, 1e-5)], ids=["f64", "f32"])
def test_stream_agrees_with_the_function(dtype, rel):
    x, y = related(2500, 20, 18, dtype=dtype)
    state = ka.Moments()
    for begin in range(0, 2500, 300):
        state.update(x[begin : begin + 300], y[begin : begin + 300])
    for statistic in ("rho", "r2"):
        score, whole = state.cca(statistic=statistic), ka.cca(x, y, statistic=statistic)
        assert float(score) == pytest.approx(float(whole), rel=rel)
        assert score.chance == whole.chance
        assert score.settings["route"] == "stream"


@pytest.mark.parametrize("condition", [1e3, 1e5, 1e7, 1e9])
def test_a_stream_warns_before_it_is_wrong(condition):
    x, y = spectrum(400, 6, condition), spectrum(400, 5, 2, seed=5)
    y += spectrum(400, 6, 1)[:, :5]
    state = ka.Moments().update(x, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = float(state.cca())
    assert bool(caught) == (condition > 1e6)
    if caught:
        assert "directions of x are so small that float64 products" in str(caught[0].message)
        assert caught[0].filename == __file__
    else:
        assert value == pytest.approx(float(ka.cca(x, y)), abs=1e-4)


def test_a_float32_stream_warns_earlier():
    x, y = (a.astype(np.float32) for a in (spectrum(3000, 20, 300), spectrum(3000, 20, 2, seed=5)))
    with pytest.warns(ka.AlignmentWarning, match="float32 products"):
        ka.Moments().update(x, y).cca()
    mild = spectrum(3000, 20, 20).astype(np.float32)
    assert float(ka.Moments().update(mild, y).cca()) == pytest.approx(float(ka.cca(mild, y)), abs=1e-4)


def test_streams_of_nothing_and_of_constants():
    with pytest.raises(ValueError, match="cca needs at least 2 rows, got 0"):
        ka.Moments().cca()
    x, y = related(30, 3, 2)
    with pytest.warns(ka.UndefinedScoreWarning, match="y is constant"):
        assert np.isnan(ka.Moments().update(x, y * 0 + 3).cca())


def test_no_square_of_the_items_is_held():
    x, y = related(30_000, 5, 4)
    x[:, 4] = x[:, 0] + 1e-7 * x[:, 4]  # both routes
    tracemalloc.start()
    try:
        assert ka.cca(x, y).settings["route"] == "qr"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30_000 * 9 * 8 * 12


# Near saturation


@pytest.mark.parametrize("metric", ["cca", "svcca"])
@pytest.mark.parametrize("n,p,q", [(41, 10, 12), (41, 25, 20), (61, 10, 30), (130, 100, 60), (200, 3, 3)])
def test_chance_is_what_unrelated_sides_score(metric, n, p, q):
    rng = np.random.default_rng(n + p)
    keywords = {} if metric == "cca" else {"variance": 1}
    scores = [
        quiet(getattr(ka, metric), rng.exponential(size=(n, p)) ** 2, rng.standard_normal((n, q)), **keywords)
        for _ in range(60 if n < 100 else 20)
    ]
    assert np.mean(scores) == pytest.approx(scores[0].settings["chance"], rel=0.03, abs=0.015)


def test_correlations_that_are_1_by_count_are_told_of():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 256, 2048))
    with pytest.warns(ka.AlignmentWarning, match="245 of 250 .* are 1 whatever .* score about 0.982") as caught:
        score = ka.svcca(x, y, rank=250)
    assert {warning.filename for warning in caught} == {__file__}
    assert float(score) == pytest.approx(score.settings["chance"], abs=2e-3)
    assert score.settings["forced"] == 245
    x, y = x[:, :140], y[:, :140]
    for call, chance in ((lambda: ka.cca(x, y), "0.672"), (lambda: ka.cca(x, y, statistic="r2"), "0.549")):
        with pytest.warns(ka.AlignmentWarning, match=f"25 of 140 .* score about {chance}"):
            call()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ka.cca(x[:, :130], y[:, :130]).settings["forced"] == 5
    assert ka.cca(x[:, :20], y[:, :20], centred=False).settings["chance"] is None
    assert ka.Moments().update(x[:, :20], y[:, :20]).cca().settings["chance"] == pytest.approx(
        ka.cca(x[:, :20], y[:, :20]).settings["chance"]
    )


@pytest.mark.parametrize("normalize", [None, "standardize", "l2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_few_long_rows_are_multiplied_some_columns_at_a_time(normalize, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    common = rng.normal(size=(25, 6))
    x, y = ((common @ rng.normal(size=(6, p)) + rng.normal(size=(25, p)) + 40).astype(dtype) for p in (300, 210))
    monkeypatch.setattr("kernalign._engines.spans._ELEMENTS", 25 * 64)
    found = ka.svcca(x, y, rank=6, normalize=normalize)
    monkeypatch.setattr("kernalign._engines.spans._WIDE", 1 << 20)
    assert float(found) == pytest.approx(float(ka.svcca(x, y, rank=6, normalize=normalize)), rel=1e-11)
    assert 0.5 < found < 1


@pytest.mark.parametrize("ridge", [0.0, 0.01, 3.0])
@pytest.mark.parametrize("shape", [(60, 5, 8), (20, 30, 4)])
def test_gulp_is_the_distance_of_ridge_smoothers(ridge, shape):
    x, y = related(*shape)
    if ridge == 0 and shape[1] > shape[0]:
        warnings.filterwarnings("ignore", message=".*saturated", category=ka.AlignmentWarning)
    k, g = (oracle.ridge_kernel(a, ridge) for a in (x, y))
    score = ka.gulp(x, y, ridge)
    assert score == pytest.approx(np.linalg.norm(k - g), rel=1e-8)
    assert score == pytest.approx(ka.ridge_cca(x, y, [ridge]).gulp[0], rel=1e-12)
    assert ka.gulp(x, 3 * x + 1, ridge) < 1e-6
    made = ka.compare({"a": x}, {"b": y}, metrics={"gulp": ("gulp", {"ridge": ridge})}, errors="raise")
    assert made.scores["gulp"]["a", "b"][0, 0] == pytest.approx(score, rel=1e-9)


@pytest.mark.parametrize("centred", [True, False])
def test_eigenspace_overlap(centred):
    x, y = related(60, 5, 8)
    x += 0.7
    rho = oracle.canonical_correlations(x, y, centred)
    score = ka.cca(x, y, statistic="eos", centred=centred)
    assert score == pytest.approx((rho**2).sum() / 8, rel=1e-9)
    assert score.chance == (pytest.approx(5 / 59) if centred else None)


def test_chance_of_the_eigenspace_overlap():
    x, y = np.random.default_rng(0).normal(size=(2, 6, 3))
    y = y[:, :2]
    scores = [float(ka.cca(x, y[list(order)], statistic="eos")) for order in permutations(range(6))]
    assert ka.cca(x, y, statistic="eos").chance == pytest.approx(np.mean(scores), rel=1e-9)


def test_chance_of_gulp_is_the_root_of_the_mean_square_of_all_pairings():
    x, y = related(6, 2, 3)
    squares = [float(ka.gulp(x, y[list(order)], 0.1)) ** 2 for order in permutations(range(6))]
    assert ka.gulp(x, y, 0.1).chance == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-9)


def test_gulp_warns_in_its_own_name():
    x, y = np.random.default_rng(0).normal(size=(2, 4, 5))
    with pytest.warns(ka.AlignmentWarning, match="^gulp: "):
        ka.gulp(x, y, 0)
