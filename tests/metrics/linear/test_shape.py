"""Procrustes distance, normalised Bures similarity and the angle between shapes."""

import itertools
import math
import pickle
import warnings

import kernalign as ka
import numpy as np
import pytest
from kernalign._engines import directions
from reference import shapes as oracle
from samples import orthogonal, related, scaled_pair

SHAPES = {
    "feature": (200, 6, 4),
    "swapped": (200, 4, 6),
    "rows": (40, 12, 30),
    "wide": (24, 60, 12),
    "both": (24, 60, 40),
}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
METRICS = {"procrustes": ka.procrustes, "nbs": ka.nbs, "angular_distance": ka.angular_distance}
every_metric = pytest.mark.parametrize("name", METRICS)


@every_shape
def test_values_are_those_of_the_definitions(shape):
    x, y = scaled_pair(*shape)
    assert float(ka.procrustes(x, y)) == pytest.approx(oracle.procrustes(x, y), rel=1e-10)
    assert float(ka.nbs(x, y)) == pytest.approx(oracle.fidelity(x, y), rel=1e-7)  # roots of eigenvalues near 0
    assert float(ka.angular_distance(x, y)) == pytest.approx(math.acos(ka.nbs(x, y)), rel=1e-10)


def test_nuclear_norm_equals_fidelity_for_full_rank():
    x, y = scaled_pair(10, 40, 30)
    assert float(ka.nbs(x[:, :9], y)) == pytest.approx(oracle.fidelity(x[:, :9], y), rel=1e-7)


def test_large_products_take_eigenvalues_unless_rounding_would_show(monkeypatch):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(300, 30)), rng.normal(size=(300, 20))
    low = x[:, :3] @ rng.normal(size=(3, 30))  # most singular values are 0: the SVD takes over
    expected = [oracle.procrustes(x, y), oracle.procrustes(low, y)]
    monkeypatch.setattr("kernalign._engines.directions._SMALL", 4)
    decompositions = []
    singular_values = directions.singular_values
    monkeypatch.setattr(directions, "singular_values", lambda m: decompositions.append(1) or singular_values(m))
    assert float(ka.procrustes(x, y)) == pytest.approx(expected[0], rel=1e-10)
    assert decompositions == []
    assert float(ka.procrustes(low, y)) == pytest.approx(expected[1], rel=1e-10)
    assert decompositions == [1]


GRADED = {"gentle": 0.9 ** np.arange(30), "steep": 0.3 ** np.arange(30), "none": np.r_[np.ones(20), np.zeros(10)]}


@pytest.mark.parametrize("values", GRADED.values(), ids=GRADED)
@pytest.mark.parametrize("gap", [0.3, 1e-4, 1e-7])
def test_nuclear_norms_are_known_to_what_is_asked(monkeypatch, values, gap):
    """Closed form: the singular values are given. What the sum lacks of a bound is known in its own digits."""
    monkeypatch.setattr("kernalign._engines.directions._SMALL", 4)
    matrix = (orthogonal(30) * values) @ orthogonal(40, seed=1)[:30]
    found, most = directions.nuclear_norm(matrix), values.sum() * (1 + gap)
    assert found == pytest.approx(values.sum(), rel=1.5e-9)
    assert most - directions.nuclear_norm(matrix, most) == pytest.approx(most - values.sum(), rel=1e-6)


def test_columns_of_one_side_in_order():
    """Closed form: Y = X diag(c) with orthogonal columns; the nuclear norm is sum c s^2."""
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 5)))[0]
    u = np.linalg.qr(u - u.mean(axis=0))[0][:, :4]
    s, c = np.array([4.0, 3, 2, 1]), np.array([1.0, 2, 0.5, 3])
    x, y = u * s, u * s * c
    expected = (c * s**2).sum() / math.sqrt((s**2).sum() * (c**2 * s**2).sum())
    assert float(ka.nbs(x, y)) == pytest.approx(expected, rel=1e-12)
    assert float(ka.procrustes(x, y)) == pytest.approx(np.linalg.norm(s - c * s), rel=1e-12)


@every_metric
@every_shape
def test_invariances(name, shape):
    x, y = scaled_pair(*shape)
    metric, q = METRICS[name], y.shape[1]
    value = float(metric(x, y))
    assert float(metric(x - 3, y @ orthogonal(q) + 5)) == pytest.approx(value, rel=1e-10)
    assert float(metric(y, x)) == pytest.approx(value, rel=1e-10)
    padded = np.pad(y, ((0, 0), (0, 50))) @ orthogonal(q + 50)
    assert float(metric(x, padded)) == pytest.approx(value, rel=1e-10)
    if name == "procrustes":
        assert float(metric(10 * x, 10 * y)) == pytest.approx(10 * value, rel=1e-10)
    else:
        assert float(metric(10 * x, -0.01 * y)) == pytest.approx(value, rel=1e-10)


@every_shape
def test_a_rotated_copy_has_the_same_shape(shape):
    x, _ = scaled_pair(*shape)
    y = x @ orthogonal(x.shape[1]) + 1
    assert float(ka.nbs(x, y)) == pytest.approx(1, abs=1e-13)
    assert ka.angular_distance(x, y) < 1e-13
    assert ka.procrustes(x, y) < 1e-13 * np.linalg.norm(x)
    wider = np.pad(x, ((0, 0), (0, 3))) @ orthogonal(x.shape[1] + 3)
    for pair in ((x, wider), (wider, x)):
        assert ka.angular_distance(*pair) < 1e-13


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [1e-10, 1e-7, 1e-4, 1e-2])
@pytest.mark.parametrize("n", [20, 400], ids=["rows", "feature"])
def test_small_angles_keep_their_digits(size, n, dtype):  # mathematics 2.16
    """A small move at right angles to all rotations of x: the distance is the length of the move."""
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(n, 16)))[0]
    u = np.linalg.qr(u - u.mean(axis=0))[0]
    x = u[:, :8] * np.arange(1, 9)
    y = x.copy()
    y[:, 0] += size * u[:, 10]
    if dtype is np.float64:
        assert oracle.procrustes(x, y) == pytest.approx(size, rel=1e-2, abs=1e-14)
    x, y = x.astype(dtype), y.astype(dtype)
    assert float(ka.procrustes(x, y)) == pytest.approx(oracle.procrustes(x, y), rel=1e-5, abs=3e-14)


@pytest.mark.parametrize("move", [0.003, 0.01, 0.1, 0.5, 3], ids=str)
def test_float32_products_are_good_to_1e_6(move):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(1500, 256)) * np.geomspace(1, 0.01, 256) + 3).astype(np.float32)
    y = x @ orthogonal(256).astype(np.float32) + (move * rng.normal(size=x.shape)).astype(np.float32)
    for metric in METRICS.values():
        exact = metric(x.astype(np.float64), y.astype(np.float64))
        score = metric(x, y)
        assert score.settings["products"] == "float32"
        assert float(score) == pytest.approx(float(exact), rel=1e-6)


def test_angular_and_procrustes_distances_obey_the_triangle_inequality():  # 1000 triples
    rng = np.random.default_rng(0)
    for _ in range(1000):
        n = int(rng.integers(3, 9))
        a, b, c = (rng.normal(size=(n, int(rng.integers(1, 5)))) ** int(rng.integers(1, 4)) for _ in range(3))
        for metric in (ka.angular_distance, ka.procrustes):
            direct, detour = float(metric(a, c)), float(metric(a, b)) + float(metric(b, c))
            assert 0 <= direct <= detour + 1e-12


@every_metric
def test_strides_dtype_and_blocks_do_not_matter(name, monkeypatch):
    x, y = (a.astype(np.float32) for a in scaled_pair(600, 6, 5))
    value = float(METRICS[name](x, y))
    assert float(METRICS[name](np.asfortranarray(x), np.repeat(y, 2, axis=1)[:, ::2])) == value
    assert float(METRICS[name](x.astype(np.float64), y.astype(np.float64))) == pytest.approx(value, rel=1e-12)
    monkeypatch.setattr("kernalign._engines.centred._BLOCK_ELEMENTS", 11)
    assert float(METRICS[name](x, y)) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("scale", [2.0**-900, 2.0**-60, 2.0**60, 2.0**900])
def test_extreme_scales(scale):
    x, y = scaled_pair(100, 6, 5)
    assert float(ka.nbs(x * scale, y)) == pytest.approx(float(ka.nbs(x, y)), rel=1e-12)
    assert float(ka.procrustes(x * scale, y * scale)) == pytest.approx(float(ka.procrustes(x, y)) * scale, rel=1e-12)


def test_offset_of_float32_costs_nothing():
    x, y = (a.astype(np.float32) for a in scaled_pair(1000, 260, 300))
    moved = (x + np.float32(1000)).astype(np.float32)
    exact = ka.nbs(moved.astype(np.float64), y.astype(np.float64))
    assert float(ka.nbs(moved, y)) == pytest.approx(float(exact), rel=1e-7)


@every_metric
@pytest.mark.parametrize("n", [6, 60], ids=["rows", "feature"])
def test_constant_sides_have_no_shape(name, n):
    x, _ = related(n, 5, 4)
    with pytest.warns(ka.UndefinedScoreWarning, match=f"{name} is undefined: y is constant") as caught:
        score = METRICS[name](x, np.full((n, 4), 0.1))
    assert caught[0].filename == __file__
    assert math.isnan(score)


def test_shapes_at_right_angles():
    x = np.array([[1.0], [-1], [0], [0]])
    y = np.array([[0.0], [0], [1], [-1]])
    assert float(ka.nbs(x, y)) == 0
    assert float(ka.angular_distance(x, y)) == pytest.approx(math.pi / 2, rel=1e-15)
    assert float(ka.procrustes(x, y)) == pytest.approx(2, rel=1e-15)


def test_bad_input():
    x, y = related(30, 5, 4)
    with pytest.raises(ValueError, match="nbs needs at least 2 rows, got 1"):
        ka.nbs(x[:1], y[:1])
    with pytest.raises(ValueError, match="same number of rows, got 30 and 29"):
        ka.procrustes(x, y[1:])
    with pytest.raises(TypeError, match="unknown keyword argument 'scale'"):
        ka.procrustes(x, y, scale=True)


# Streams


@every_metric
@pytest.mark.parametrize("dtype,rel", [(np.float64, 1e-10), (np.float32, 1e-6)], ids=["f64", "f32"])
def test_stream_agrees_with_the_function(name, dtype, rel):
    x, y = scaled_pair(2500, 20, 18, dtype=dtype)
    state, other = ka.Moments(), ka.Moments()
    for begin in range(0, 2500, 300):
        (state if begin < 1000 else other).update(x[begin : begin + 300], y[begin : begin + 300])
    score = getattr(state.merge(other), name)()
    assert float(score) == pytest.approx(float(METRICS[name](x, y)), rel=rel)
    assert score.settings["route"] == "stream"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_stream_says_what_it_does_not_resolve(dtype):
    x, _ = related(2500, 20, 18, dtype=dtype)
    state = ka.Moments().update(x, x[:, ::-1])
    for name in ("procrustes", "angular_distance"):
        with pytest.warns(ka.AlignmentWarning, match="do not resolve the distance") as caught:
            score = getattr(state, name)()
        assert caught[0].filename == __file__
        assert score < (1e-6 if dtype is np.float64 else 2e-3) * np.linalg.norm(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(state.nbs()) == pytest.approx(1, abs=1e-6)


@every_metric
def test_streams_of_nothing_and_of_constants(name):
    with pytest.raises(ValueError, match=f"{name} needs at least 2 rows, got 0"):
        getattr(ka.Moments(), name)()
    x, y = related(30, 3, 2)
    with pytest.warns(ka.UndefinedScoreWarning, match="x is constant") as caught:
        assert math.isnan(getattr(ka.Moments().update(x * 0 + 3, y), name)())
    assert caught[0].filename == __file__


def test_offsets_cost_no_digits_of_a_small_spread():
    """1e6 is 14 digits larger than the spread: what rounding takes from a mean must not be left in the rows."""
    x, y = (np.round(side * 64) / 64 for side in scaled_pair(3000, 4, 3))  # x 2^-25 + 2^20 is exact
    for metric in (ka.nbs, ka.cca, ka.linear_predictivity):
        moved = metric(x * 2.0**-25 + 2.0**20, y * 2.0**-25 - 2.0**20)
        assert float(moved) == pytest.approx(float(metric(x, y)), rel=1e-12)


# Partial whitening, and means left in


@every_shape
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("centred", [True, False])
def test_partly_whitened_shapes_are_their_definition(shape, alpha, centred):
    x, y = scaled_pair(*shape)
    x += 0.5
    saturated = alpha == 0 and max(shape[1:]) >= shape[0] - 1
    a, b = (oracle.whitened(side, alpha, centred) for side in (x, y))
    cosine = min(1.0, oracle.nuclear_cosine(a, b))
    how = {"alpha": alpha, "centred": centred}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert float(ka.nbs(x, y, **how)) == pytest.approx(cosine, rel=1e-9)
    assert any("saturated" in str(one.message) for one in caught) == saturated
    warnings.filterwarnings("ignore", message=".*saturated", category=ka.AlignmentWarning)
    assert float(ka.angular_distance(x, y, **how)) == pytest.approx(math.acos(cosine), rel=1e-7, abs=1e-7)
    norms = np.linalg.norm(a), np.linalg.norm(b)
    distance = math.sqrt(norms[0] ** 2 + norms[1] ** 2 - 2 * norms[0] * norms[1] * cosine)
    assert float(ka.procrustes(x, y, **how)) == pytest.approx(distance, rel=1e-9, abs=1e-6)


def test_whole_whitening_is_cca():
    x, y = related(200, 6, 4)
    rng = np.random.default_rng(0)
    wanted = ka.cca(x, y) * 4 / math.sqrt(6 * 4)
    assert float(ka.nbs(x, y, alpha=0)) == pytest.approx(wanted, rel=1e-12)
    mixed = x @ rng.normal(size=(6, 6)) + 3
    assert float(ka.nbs(mixed, y, alpha=0)) == pytest.approx(wanted, rel=1e-9)
    assert float(ka.angular_distance(x, mixed, alpha=0)) < 1e-7


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_partly_whitened_shapes_of_streams_and_comparisons(alpha):
    x, y = scaled_pair(300, 6, 4)
    stream = ka.Moments()
    for part in range(0, 300, 70):
        stream.update(x[part : part + 70], y[part : part + 70])
    for name, function in METRICS.items():
        wanted = float(function(x, y, alpha=alpha))
        assert float(getattr(stream, name)(alpha=alpha)) == pytest.approx(wanted, rel=1e-9)
        made = ka.compare({"a": x}, {"b": y}, metrics={"own": (name, {"alpha": alpha})}, errors="raise")
        assert made.scores["own"]["a", "b"][0, 0] == pytest.approx(wanted, rel=1e-9)
        means = ka.compare({"a": x}, {"b": y}, metrics={"own": (name, {"alpha": alpha, "centred": False})})
        assert means.scores["own"]["a", "b"][0, 0] == pytest.approx(float(function(x, y, alpha=alpha, centred=False)))


@pytest.mark.parametrize("alpha", [1.0, 0.4])
@pytest.mark.parametrize("size", [(6, 2, 3), (6, 9, 3)])
@every_metric
def test_chance_is_that_of_all_pairings(name, size, alpha):
    x, y = scaled_pair(*size)
    far = name != "nbs"
    pool = [float(METRICS[name](x, y[list(order)], alpha=alpha)) for order in itertools.permutations(range(6))]
    score = pickle.loads(pickle.dumps(METRICS[name](x, y, alpha=alpha)))
    assert score.chance == pytest.approx(np.mean(pool), rel=1e-7)
    assert score.chance_sd == pytest.approx(np.std(pool), rel=1e-6)
    as_near = np.less_equal if far else np.greater_equal
    slack = 1e-9 * pool[0] * (1 if far else -1)
    assert score.p_value == as_near(pool, pool[0] + slack).mean()
    assert score.settings["p_method"] == "all 720 pairings"
    assert (score.corrected is None) == far


def test_pairings_that_take_long_are_not_scored():
    x, y = np.random.default_rng(0).normal(size=(2, 400, 300))
    score = ka.nbs(x, y)
    assert score.chance is None
    assert score.p_value is None
    assert "permutation_test" in score.settings["p_method"]
    near = ka.procrustes(x[:60, :20], x[:60, 10:30])  # half of the columns in common
    assert near.p_value == 0.001
    assert near.z < -5


def test_the_given_pairing_is_none_of_the_drawn_ones():
    """A distance far below all others does not widen the null that it is measured by."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 4))
    y = x + 0.1 * rng.normal(size=(100, 4))
    pool = [float(ka.procrustes(x, y[rng.permutation(100)])) for _ in range(300)]
    score = ka.procrustes(x, y)
    assert score.p_value == 0.001
    assert score.chance == pytest.approx(np.mean(pool), abs=5 * np.std(pool) / 300**0.5)
    assert score.chance_sd == pytest.approx(np.std(pool), rel=0.2)
    assert pickle.loads(pickle.dumps(score)).chance_sd == score.chance_sd
    huge = ka.procrustes(x * 2.0**600, y * 2.0**600)
    assert (huge.chance, huge.chance_sd) == pytest.approx(
        (score.chance * 2.0**600, score.chance_sd * 2.0**600), rel=1e-9
    )
    assert math.isfinite(ka.procrustes(x * 1e-200, y * 1e180).chance_sd)


@pytest.mark.parametrize("change", [lambda y: y[::-1].copy(), lambda y: y * np.nan], ids=["turned", "nan"])
@pytest.mark.parametrize("name", [*METRICS, "soft_correlation", "second_order_cosine"])
def test_rows_that_were_overwritten_make_no_null(name, change):
    x, y = scaled_pair(40, 5, 4)
    kept = y.copy()
    metric = getattr(ka, name)
    score = metric(x, y)
    y[:] = change(y)
    assert (score.p_value, score.chance, score.chance_sd, score.z) == (None,) * 4
    assert score.settings["p_method"] == "none: the rows changed since they were scored"
    y[:] = kept
    assert metric(x, y).p_value is not None


@pytest.mark.slow
@pytest.mark.parametrize("draw", ["standard_normal", "standard_cauchy"])
def test_shapes_have_their_size(draw):
    rng = np.random.default_rng(0)
    p_values = [ka.procrustes(getattr(rng, draw)((20, 3)), getattr(rng, draw)((20, 4))).p_value for _ in range(2000)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=4 * 0.005)
    assert np.mean(np.array(p_values) <= 0.01) == pytest.approx(0.01, abs=4 * 0.0023)


def test_whitening_is_refused_outside_its_range_and_of_any_magnitude():
    x, y = scaled_pair(60, 4, 5)
    for alpha in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\]"):
            ka.nbs(x, y, alpha=alpha)
    with pytest.raises(TypeError, match="centred must be True or False"):
        ka.nbs(x, y, centred=1)
    for scale in (1e-300, 1e300):
        assert float(ka.nbs(x * scale, y * scale, alpha=0)) == pytest.approx(float(ka.nbs(x, y, alpha=0)), rel=1e-9)
    assert float(ka.nbs(x * 1e-300, y * 1e-300, alpha=0.5)) == pytest.approx(float(ka.nbs(x, y, alpha=0)), rel=1e-9)
    with pytest.warns(ka.UndefinedScoreWarning, match="x is constant"):
        assert math.isnan(ka.nbs(x * 0 + 1, y, alpha=0.5))
    with pytest.warns(ka.UndefinedScoreWarning, match="x is zero"):
        assert math.isnan(ka.nbs(x * 0, y, centred=False))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_shape_distance_is_the_distance_that_its_statistic_names(alpha):
    x, y = scaled_pair(60, 4, 5)
    for statistic, same in (("angular", ka.angular_distance), ("euclidean", ka.procrustes)):
        for centred in (True, False):
            score = ka.shape_distance(x, y, alpha=alpha, statistic=statistic, centred=centred)
            wanted = same(x, y, alpha=alpha, centred=centred)
            assert (score, score.metric, score.p_value) == (wanted, "shape_distance", wanted.p_value)
        options = {"shape_distance": {"alpha": alpha, "statistic": statistic}}
        found = ka.compare({"x": x}, {"y": y}, metrics=("shape_distance",), metric_options=options)
        assert found.scores["shape_distance"]["x", "y"][0, 0] == pytest.approx(
            same(x, y, alpha=alpha), rel=1e-9, abs=1e-7
        )


def test_a_shape_distance_without_such_a_statistic_is_refused():
    x, y = scaled_pair(60, 4, 5)
    with pytest.raises(ValueError, match="statistic must be 'angular' or 'euclidean', got 'squared'"):
        ka.shape_distance(x, y, statistic="squared")
    with pytest.raises(ValueError, match="statistic must be 'angular' or 'euclidean'"):
        ka.compare({"x": x, "y": y}, metrics=("shape_distance",), metric_options={"shape_distance": {"statistic": 2}})
