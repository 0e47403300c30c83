"""Linear predictivity, in-sample and cross-validated."""

import warnings
from itertools import permutations

import kernalign as ka
import numpy as np
import pytest
from reference import shapes as oracle
from reference.folds import fold_numbers
from samples import orthogonal, related, scaled_pair

SHAPES = {"feature": (200, 6, 4), "many outputs": (60, 5, 90), "rows": (40, 20, 30), "one": (50, 1, 1)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def ill_conditioned(n, p, condition):
    rng = np.random.default_rng(4)
    return rng.normal(size=(n, p)) @ orthogonal(p) * np.geomspace(1, 1 / condition, p) @ orthogonal(p, 1)


@every_shape
@pytest.mark.parametrize("cv", [None, 2, 5])
def test_values_are_those_of_least_squares(shape, cv):
    x, y = scaled_pair(*shape)
    expected = oracle.linear_predictivity(x, y) if cv is None else oracle.cross_validated_predictivity(x, y, cv)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ka.AlignmentWarning)  # 20 columns in a fit of 20 items
        score = ka.linear_predictivity(x, y, cv=cv)
    assert float(score) == pytest.approx(expected, rel=1e-9)
    assert score.settings["cv"] == cv


def test_leave_one_out_is_press():
    """cv = n: residuals r_i / (1 - h_ii), about means without the item."""
    x, y = related(30, 4, 3)
    ones = oracle.with_ones(x)
    hat = ones @ np.linalg.pinv(ones)
    press = ((y - hat @ y) / (1 - np.diag(hat))[:, None]) ** 2
    total = ((y - y.mean(axis=0)) * 30 / 29) ** 2
    assert float(ka.linear_predictivity(x, y, cv=30)) == pytest.approx(1 - press.sum() / total.sum(), rel=1e-10)


def test_one_column_is_the_squared_correlation():
    x, y = related(80, 1, 1)
    r = np.corrcoef(x[:, 0], y[:, 0])[0, 1]
    assert float(ka.linear_predictivity(x, y)) == pytest.approx(r**2, rel=1e-12)


def test_it_is_not_symmetric_and_knows_exact_maps():
    x = np.random.default_rng(0).normal(size=(60, 5))
    y = x[:, :2] @ [[1.0, 2], [3, -1]] + 4
    assert float(ka.linear_predictivity(x, y)) == pytest.approx(1, abs=1e-12)
    assert float(ka.linear_predictivity(x, y, cv=5)) == pytest.approx(1, abs=1e-12)
    assert ka.linear_predictivity(y, x) < 0.9


@pytest.mark.parametrize("cv", [None, 4])
def test_invariances(cv):
    x, y = scaled_pair(120, 6, 5)
    value = float(ka.linear_predictivity(x, y, cv=cv))
    m = np.random.default_rng(1).normal(size=(6, 6)) + 2 * np.eye(6)
    moved = 0.1 * y @ orthogonal(5) - 8
    assert float(ka.linear_predictivity(x @ m - 3, moved, cv=cv)) == pytest.approx(value, rel=1e-9)
    extreme = ka.linear_predictivity(x * 2.0**700, y * 2.0**-700, cv=cv)
    assert float(extreme) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("cv", [None, 3])
def test_strides_dtype_and_blocks_do_not_matter(cv, monkeypatch):
    x, y = (a.astype(np.float32) for a in scaled_pair(600, 6, 5))
    value = float(ka.linear_predictivity(x, y, cv=cv))
    assert float(ka.linear_predictivity(np.asfortranarray(x), np.repeat(y, 2, axis=1)[:, ::2], cv=cv)) == value
    assert float(ka.linear_predictivity(x.astype(float), y.astype(float), cv=cv)) == pytest.approx(value, rel=1e-12)
    monkeypatch.setattr("kernalign._engines.centred._BLOCK_ELEMENTS", 11)
    monkeypatch.setattr("kernalign._engines.centred._FEWEST_ROWS", 7)
    assert float(ka.linear_predictivity(x, y, cv=cv)) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e8, 1e10])
@pytest.mark.parametrize("cv", [None, 4])
def test_bad_conditions_are_met_by_another_route(condition, cv):
    x = ill_conditioned(300, 8, condition)
    y = np.random.default_rng(0).normal(size=(300, 3)) + ill_conditioned(300, 8, 1)[:, :3]
    expected = oracle.linear_predictivity(x, y) if cv is None else oracle.cross_validated_predictivity(x, y, cv)
    score = ka.linear_predictivity(x, y, cv=cv)
    assert score.settings["route"] == ("feature" if condition < 1e3 else "qr")
    assert float(score) == pytest.approx(expected, rel=1e-9 + 1e-15 * condition)


def test_chance_is_the_mean_over_all_pairings():
    x, y = related(6, 3, 2, seed=3)
    score = ka.linear_predictivity(x, y)
    assert score.chance == pytest.approx(3 / 5)
    values = [ka.linear_predictivity(x, y[list(order)]) for order in permutations(range(6))]
    assert np.mean(values) == pytest.approx(3 / 5, rel=1e-10)
    x, y = x[:5, :2], y[:5]
    values = [ka.linear_predictivity(x, y[list(order)], cv=5) for order in permutations(range(5))]
    assert ka.linear_predictivity(x, y, cv=5).chance == pytest.approx(np.mean(values), rel=1e-10)


@pytest.mark.parametrize("p", [3, 60])
@pytest.mark.parametrize("how", [{}, {"regression": "ridge", "alpha": 30.0, "multioutput": "uniform_average"}])
@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_chance_of_items_left_out_is_that_of_random_pairings(p, how):
    """The ratio of means stands for the mean of ratios: SST, about means of the items fitted, hardly depends on pairs.
    Wide fits of items with one in a row of its own are among them."""
    rng = np.random.default_rng(p)
    x, y = rng.standard_t(3, size=(41, p)), rng.lognormal(size=(41, 2))
    splits = [(np.arange(30), np.arange(30, 41)), (np.arange(11, 41), np.arange(11))]
    for cv in (4, splits):
        score = ka.predictivity(x, y, cv=cv, **how)
        drawn = [ka.predictivity(x, rng.permutation(y), cv=cv, **how) for _ in range(100)]
        assert abs(score.chance - np.mean(drawn)) < 4 * np.std(drawn) / 10


def test_folds_tell_noise_from_signal():
    x, y = np.random.default_rng(0).normal(size=(2, 100, 40))
    assert ka.linear_predictivity(x, y) == pytest.approx(40 / 99, abs=0.05)
    assert ka.linear_predictivity(x, y, cv=5) < 0
    signal, target = related(400, 6, 5)
    assert ka.linear_predictivity(signal, target, cv=5) > 0.3


def test_repeated_and_constant_columns_change_nothing():
    x, y = related(100, 4, 3)
    more = np.column_stack([x, x[:, 0] - 2 * x[:, 1], np.full(100, 3.5)])
    score = ka.linear_predictivity(more, y)
    assert (score.settings["rank_x"], score.settings["df"]) == (4, 95)
    assert float(score) == pytest.approx(float(ka.linear_predictivity(x, y)), rel=1e-9)


def test_saturation_is_flagged():
    x, y = np.random.default_rng(0).normal(size=(20, 19)), np.random.default_rng(1).normal(size=(20, 3))
    with pytest.warns(ka.AlignmentWarning, match="19 independent directions among 20 items, so the score is 1") as seen:
        score = ka.linear_predictivity(x, y)
    assert seen[0].filename == __file__
    assert score.settings["saturated"] is True
    assert score.settings["df"] == 0
    assert float(score) == pytest.approx(1, abs=1e-10)
    with pytest.warns(ka.AlignmentWarning, match="passes through all items fitted"):
        folds = ka.linear_predictivity(x, y, cv=4)
    assert float(folds) == pytest.approx(oracle.cross_validated_predictivity(x, y, 4), rel=1e-8)  # least norm


@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("n", [6, 60], ids=["rows", "feature"])
def test_constant_sides_have_no_score(cv, n):
    x, y = related(n, 5, 4)
    for pair, name in (((x * 0 + 0.1, y), "x"), ((x, y * 0 + 7), "y")):
        with pytest.warns(ka.UndefinedScoreWarning, match=f"{name} is constant") as caught:
            assert np.isnan(ka.linear_predictivity(*pair, cv=cv))
        assert caught[0].filename == __file__


def test_a_side_constant_but_for_one_fold():
    x, y = related(40, 2, 2)
    x[fold_numbers(40, 4) != 1] = 3.0
    expected = oracle.cross_validated_predictivity(x, y, 4)
    assert float(ka.linear_predictivity(x, y, cv=4)) == pytest.approx(expected, rel=1e-10)


def test_folds_of_different_scale_are_added_in_one_unit():
    x, y = related(40, 2, 2)
    y[8] = 2.0**60, -(2.0**61)
    expected = oracle.cross_validated_predictivity(x, y, 4)
    assert float(ka.linear_predictivity(x, y, cv=4)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("bad", [1, 0, -3, 31])
def test_impossible_folds(bad):
    with pytest.raises(ValueError, match=f"cv must be between 2 and n = 30, got {bad}"):
        ka.linear_predictivity(*related(30, 3, 2), cv=bad)


def test_bad_input():
    x, y = related(30, 3, 2)
    for bad in (2.0, True, "5"):
        with pytest.raises(TypeError, match="cv must be an integer or None"):
            ka.linear_predictivity(x, y, cv=bad)
    with pytest.raises(ValueError, match="needs at least 2 rows, got 1"):
        ka.linear_predictivity(x[:2], y[:2], cv=2)
    y[4, 1] = np.nan
    with pytest.raises(ValueError, match="y must be finite, got nan at row 4, column 1"):
        ka.linear_predictivity(x, y, cv=3)


def test_progress_is_reported():
    x, y = related(3000, 3, 2)
    for cv, last in ((None, (3000, 3000)), (4, (4, 4))):
        calls = []
        ka.linear_predictivity(x, y, cv=cv, progress=lambda *done, calls=calls: calls.append(done))
        assert calls[-1] == last


# Streams


@pytest.mark.parametrize("dtype,rel", [(np.float64, 1e-9), (np.float32, 1e-5)], ids=["f64", "f32"])
def test_stream_agrees_with_the_function(dtype, rel):
    x, y = scaled_pair(2500, 20, 18, dtype=dtype)
    state = ka.Moments()
    for begin in range(0, 2500, 300):
        state.update(x[begin : begin + 300], y[begin : begin + 300])
    score, whole = state.linear_predictivity(), ka.linear_predictivity(x, y)
    assert float(score) == pytest.approx(float(whole), rel=rel)
    assert score.chance == whole.chance


def test_a_stream_warns_before_it_is_wrong():
    y = np.random.default_rng(0).normal(size=(400, 3)) + ill_conditioned(400, 8, 1)[:, :3]
    mild = ka.Moments().update(ill_conditioned(400, 8, 1e4), y).linear_predictivity()
    assert float(mild) == pytest.approx(oracle.linear_predictivity(ill_conditioned(400, 8, 1e4), y), abs=1e-5)
    state = ka.Moments().update(ill_conditioned(400, 8, 1e7), y)
    with pytest.warns(ka.AlignmentWarning, match="directions of x are so small") as caught:
        state.linear_predictivity()
    assert caught[0].filename == __file__


def test_streams_keep_no_folds_and_need_rows():
    x, y = related(30, 3, 2)
    with pytest.raises(ValueError, match="cv must be None for a stream"):
        ka.Moments().update(x, y).linear_predictivity(cv=5)
    with pytest.raises(ValueError, match="linear_predictivity needs at least 2 rows, got 0"):
        ka.Moments().linear_predictivity()
    with pytest.warns(ka.UndefinedScoreWarning, match="x is constant"):
        assert np.isnan(ka.Moments().update(x * 0, y).linear_predictivity())
