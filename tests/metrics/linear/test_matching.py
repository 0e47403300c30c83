"""One-to-one and soft matching of columns."""

import math
import sys
import warnings
from itertools import permutations

import kernalign as ka
import numpy as np
import pytest
from kernalign.metrics.linear import matching
from reference import shapes as oracle
from samples import orthogonal, related, scaled_pair
from scipy import optimize

SHAPES = [(50, 5, 5), (50, 4, 6), (50, 6, 4), (8, 5, 6), (30, 1, 4), (30, 4, 1), (30, 6, 3)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
METRICS = {"one_to_one": ka.one_to_one, "soft_matching": ka.soft_matching}
every_metric = pytest.mark.parametrize("name", METRICS)


@every_shape
def test_one_to_one_is_the_best_of_all_matchings(shape):
    x, y = scaled_pair(*shape)
    score = ka.one_to_one(x, y)
    assert float(score) == pytest.approx(oracle.one_to_one(x, y), rel=1e-10)
    assert score.settings["pairs"] == min(shape[1:])


def test_correlations_are_signed():
    x = np.random.default_rng(0).normal(size=(100, 1))
    assert float(ka.one_to_one(x, -x)) == pytest.approx(-1, abs=1e-14)


@every_shape
def test_soft_matching_is_the_cheapest_plan(shape):
    x, y = scaled_pair(*shape)
    assert float(ka.soft_matching(x, y)) == pytest.approx(oracle.soft_matching(x, y), rel=1e-10)


@pytest.mark.parametrize("solver", [matching._linear_program, matching._network_simplex])
@pytest.mark.parametrize("p,q", [(7, 5), (12, 9), (40, 1), (25, 31), (30, 60)])
@pytest.mark.parametrize("kind", ["normal", "ties", "equal", "signed"])
def test_transport_finds_the_optimum(p, q, kind, solver):
    if solver is matching._network_simplex:
        pytest.importorskip("ot")
    rng = np.random.default_rng(p)
    cost = {
        "normal": rng.normal(size=(p, q)) ** 2,
        "ties": rng.integers(0, 3, size=(p, q)).astype(float),
        "equal": np.full((p, q), 2.5),
        "signed": 1e9 * rng.normal(size=(p, q)),
    }[kind]
    plan = solver(cost)
    assert cost[plan.x, plan.y] @ plan.mass == pytest.approx(oracle.transport_cost(cost), rel=1e-9)
    np.testing.assert_allclose(np.bincount(plan.x, plan.mass, p), 1 / p, rtol=1e-12)
    np.testing.assert_allclose(np.bincount(plan.y, plan.mass, q), 1 / q, rtol=1e-12)
    assert len(plan.mass) <= p + q - 1  # a vertex


def test_the_linear_program_agrees_with_assignment_for_equal_widths():
    cost = np.random.default_rng(1).uniform(size=(60, 60))
    plan = matching._linear_program(cost)
    rows, columns = optimize.linear_sum_assignment(cost)
    assert cost[plan.x, plan.y] @ plan.mass == pytest.approx(cost[rows, columns].mean(), rel=1e-9)


def test_a_hundred_columns_against_all_arcs_at_once():
    """The program on few arcs is as good as the one on all of them."""
    x, y = related(300, 90, 77)
    cost = oracle.squared_column_distances(x, y)
    rows = np.kron(np.eye(90), np.ones(77)), np.kron(np.ones(90), np.eye(77))
    whole = optimize.linprog(
        cost.ravel(), A_eq=np.concatenate(rows), b_eq=np.repeat([1 / 90, 1 / 77], [90, 77]), method="highs"
    )
    assert float(ka.soft_matching(x, y)) == pytest.approx(math.sqrt(whole.fun), rel=1e-8)


def test_a_plan_that_prices_do_not_prove_is_made_again(monkeypatch):
    ot = pytest.importorskip("ot")
    cost = np.random.default_rng(0).uniform(size=(20, 15))
    best = oracle.transport_cost(cost)
    stopped = ot.emd
    monkeypatch.setattr(ot, "emd", lambda *sides, **keywords: stopped(*sides, **{**keywords, "numItermax": 1}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = matching.transport(cost)
    assert cost[plan.x, plan.y] @ plan.mass == pytest.approx(best, rel=1e-9)
    monkeypatch.setitem(sys.modules, "ot", None)
    plan = matching.transport(cost)
    assert cost[plan.x, plan.y] @ plan.mass == pytest.approx(best, rel=1e-9)


@every_metric
@pytest.mark.parametrize("q", [256, 300])
def test_many_float32_columns_are_multiplied_in_float32(name, q):
    x, y = (side.astype(np.float32) for side in related(700, 300, q))
    score = METRICS[name](x, y)
    exact = METRICS[name](x.astype(np.float64), y.astype(np.float64))
    assert (score.settings["products"], exact.settings["products"]) == ("float32", "float64")
    assert float(score) == pytest.approx(float(exact), rel=3e-8)


@every_metric
@pytest.mark.parametrize("shape", [(100, 6, 6), (100, 5, 7)], ids=str)
def test_invariances(name, shape):
    x, y = scaled_pair(*shape)
    metric, rng = METRICS[name], np.random.default_rng(0)
    value = float(metric(x, y))
    moved = y[:, rng.permutation(shape[2])] - 4
    assert float(metric(x + 9, moved)) == pytest.approx(value, rel=1e-10)
    assert float(metric(y, x)) == pytest.approx(value, rel=1e-10)
    order = rng.permutation(100)
    assert float(metric(x[order], y[order])) == pytest.approx(value, rel=1e-10)
    assert abs(metric(x @ orthogonal(shape[1]), y) - value) > 1e-3
    if name == "soft_matching":
        assert float(metric(3 * x, 3 * y)) == pytest.approx(3 * value, rel=1e-10)
    else:
        assert float(metric(x * rng.uniform(1, 5, shape[1]), 0.1 * y)) == pytest.approx(value, rel=1e-10)


def test_a_permuted_copy_is_the_same():
    x, _ = scaled_pair(200, 40, 1)
    shuffled = x[:, np.random.default_rng(0).permutation(40)]
    assert float(ka.soft_matching(x, shuffled)) == 0
    assert float(ka.one_to_one(x, shuffled)) == pytest.approx(1, abs=1e-14)
    assert float(ka.soft_matching(x, np.repeat(shuffled, 3, axis=1))) == 0  # repeats carry the same weight
    assert float(ka.soft_matching(np.repeat(x, 2, axis=1), np.repeat(shuffled, 3, axis=1))) == 0


def test_soft_matching_obeys_the_triangle_inequality():
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(3, 7))
        a, b, c = (rng.normal(size=(n, int(rng.integers(1, 6)))) for _ in range(3))
        assert ka.soft_matching(a, c) <= ka.soft_matching(a, b) + ka.soft_matching(b, c) + 1e-12


def test_standardised_columns_make_it_a_correlation():
    x, y = related(60, 5, 5)
    plain = ka.one_to_one(x, y)
    soft = ka.soft_matching(x, y, normalize="standardize")
    assert float(soft) == pytest.approx(math.sqrt(2 * 59 * (1 - plain)), rel=1e-10)


@every_metric
def test_strides_dtype_blocks_and_scale_do_not_matter(name, monkeypatch):
    x, y = (a.astype(np.float32) for a in scaled_pair(600, 6, 5))
    value = float(METRICS[name](x, y))
    assert float(METRICS[name](np.asfortranarray(x), np.repeat(y, 2, axis=1)[:, ::2])) == value
    x, y = x.astype(np.float64), y.astype(np.float64)
    assert float(METRICS[name](x, y)) == pytest.approx(value, rel=1e-12)
    factor = 2.0**800 if name == "soft_matching" else 1
    assert float(METRICS[name](x * 2.0**800, y * 2.0**800)) == pytest.approx(value * factor, rel=1e-12)
    monkeypatch.setattr("kernalign._engines.centred._BLOCK_ELEMENTS", 11)
    assert float(METRICS[name](x, y)) == pytest.approx(value, rel=1e-12)


def test_constant_columns_are_left_out_of_one_to_one():
    x, y = related(50, 4, 5)
    dead = np.column_stack([x[:, 0], np.full(50, 3.0), x[:, 1:], np.zeros(50)])
    with pytest.warns(ka.AlignmentWarning, match="2 columns of x and 0 of y are constant") as caught:
        score = ka.one_to_one(dead, y)
    assert caught[0].filename == __file__
    assert score.settings["constant_columns"] == (2, 0)
    assert float(score) == pytest.approx(float(ka.one_to_one(x, y)), rel=1e-12)


def test_constant_sides():
    x, _ = related(30, 3, 4)
    still = np.full((30, 4), 0.1)
    with pytest.warns(ka.UndefinedScoreWarning, match="one_to_one is undefined: y is constant") as caught:
        assert math.isnan(ka.one_to_one(x, still))
    assert caught[0].filename == __file__
    norms = ((x - x.mean(axis=0)) ** 2).sum()
    assert float(ka.soft_matching(x, still)) == pytest.approx(math.sqrt(norms / 3), rel=1e-12)
    with pytest.warns(ka.UndefinedScoreWarning, match="x and y are constant"):
        assert math.isnan(ka.soft_matching(still, still + 1))


@every_metric
def test_bad_input(name):
    x, y = related(30, 3, 4)
    with pytest.raises(ValueError, match=f"{name} needs at least 2 rows, got 1"):
        METRICS[name](x[:1], y[:1])
    x[2, 1] = np.inf
    with pytest.raises(ValueError, match="x must be finite, got inf at row 2, column 1"):
        METRICS[name](x, y)
    wide = related(30, 3, 4)[0]
    wide[0, 0], wide[1, 0] = 1.7e308, -1.7e308
    with pytest.warns(ka.UndefinedScoreWarning, match="x spans more than float64 can hold"):
        assert math.isnan(METRICS[name](wide, y))


@pytest.mark.parametrize("direction", ["both", "x", "y"])
@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("shape", [(60, 4, 6), (12, 30, 5), (200, 1, 3)])
def test_soft_correlation_is_its_definition(direction, absolute, shape):
    x, y = related(*shape)
    how = {"direction": direction, "absolute": absolute}
    score = ka.soft_correlation(x + 5, -3 * y, **how)
    assert float(score) == pytest.approx(oracle.soft_correlation(x, -y, **how), rel=1e-9)
    turned = {"both": "both", "x": "y", "y": "x"}[direction]
    other = ka.soft_correlation(-y, x, direction=turned, absolute=absolute)
    assert float(other) == pytest.approx(float(score), rel=1e-9)
    made = ka.compare({"a": x}, {"b": -y}, metrics={"own": ("soft_correlation", how)}, errors="raise")
    assert made.scores["own"]["a", "b"][0, 0] == pytest.approx(float(score), rel=1e-9)


def test_every_column_has_a_copy():
    x, _ = related(50, 5, 3)
    copies = np.hstack([-2 * x, x[:, :2]])
    assert float(ka.soft_correlation(x, copies)) == pytest.approx(1)
    assert float(ka.soft_correlation(x, copies, absolute=False)) < 0.95


@pytest.mark.parametrize("absolute", [True, False])
def test_null_of_soft_correlation_is_that_of_all_pairings(absolute):
    x, y = related(6, 3, 2)
    orders = [list(order) for order in permutations(range(6))]
    scores = np.array([oracle.soft_correlation(x, y[order], absolute=absolute) for order in orders])
    score = ka.soft_correlation(x, y, absolute=absolute)
    assert score.chance == pytest.approx(scores.mean(), rel=1e-9)
    assert score.chance_sd == pytest.approx(scores.std(), rel=1e-9)
    assert score.p_value == pytest.approx(np.mean(scores >= scores[0] - 1e-12))


def test_soft_correlation_leaves_constant_columns_out():
    x, y = related(40, 4, 5)
    dead = np.hstack([x, np.full((40, 1), 0.1)])
    with pytest.warns(ka.AlignmentWarning, match="soft_correlation: 1 columns of x and 0 of y are constant"):
        score = ka.soft_correlation(dead, y)
    assert float(score) == pytest.approx(float(ka.soft_correlation(x, y)), rel=1e-12)
    assert score.p_value == ka.soft_correlation(x, y).p_value
    with pytest.warns(ka.UndefinedScoreWarning, match="soft_correlation is undefined: y is constant"):
        assert math.isnan(ka.soft_correlation(x, y * 0))
    with pytest.raises(ValueError, match="direction must be 'both', 'x' or 'y'"):
        ka.soft_correlation(x, y, direction="z")
    with pytest.raises(TypeError, match="absolute must be True or False"):
        ka.soft_correlation(x, y, absolute=1)


def soft_p_values(count, n, seed):
    rng = np.random.default_rng(seed)
    return np.array(
        [ka.soft_correlation(*rng.standard_t(2, size=(2, n, 4))).p_value for _ in range(count)],
    )


def test_size_of_soft_correlation():
    found = soft_p_values(40, 12, 0)
    assert np.mean(found <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 40)
    assert np.mean(found <= 0.5) == pytest.approx(0.5, abs=0.25)


@pytest.mark.slow
def test_size_of_soft_correlation_of_many():
    found = soft_p_values(3000, 25, 1)
    for level in (0.01, 0.05, 0.5):
        assert np.mean(found <= level) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 3000))
