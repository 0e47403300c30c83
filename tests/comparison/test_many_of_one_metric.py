"""One metric several times in a run, p-values of every metric, structured caveats, and models that are added later."""

from __future__ import annotations

import math
import warnings

import kernalign as ka
import numpy as np
import pytest
from kernalign._engines import neighbors
from kernalign._statistics.tails import pearson3_log10_tail, pearson3_tail
from kernalign.comparison.tidy import COLUMNS
from layered_samples import layered, models
from samples import related
from scipy import integrate

X, Y = related(40, 5, 7)
LINEAR = ("cca", "svcca", "nbs", "procrustes", "angular_distance", "linear_predictivity")


def test_one_metric_under_many_names_is_each_of_its_calls(tmp_path):
    metrics = {
        "mknn5": ("mutual_knn", {"k": 5}),
        "mknn9": ("mutual_knn", {"k": 9}),
        "cka": "cka",
        "cka-b": ("cka", {"estimator": "biased"}),
        "cycle": ("cycle_knn", {"k": 5}),
    }
    found = ka.compare({"a": X, "b": Y}, metrics=metrics)
    assert found.metrics == tuple(metrics)
    found.save(tmp_path / "x")
    for each in (found, ka.Comparison.load(tmp_path / "x")):
        assert each.scores["mknn5"]["a", "b"][0, 0] == ka.mutual_knn(X, Y, 5)
        assert each.scores["mknn9"]["b", "a"][0, 0] == ka.mutual_knn(X, Y, 9)
        assert each.scores["cka-b"]["a", "b"][0, 0] == pytest.approx(ka.cka(X, Y, estimator="biased"), rel=1e-12)
        assert each.best("cycle")["b", "a"][0] == ka.cycle_knn(Y, X, 5)
        assert [row["metric"] for row in each.rows()][:2] == ["mutual_knn", "mutual_knn"]
        assert {row["metric_id"]: row["options"] for row in each.rows()}["cka-b"] == '{"estimator": "biased"}'


def test_metrics_of_one_name_share_states(monkeypatch):
    from kernalign.comparison.families import lists

    calls = []
    monkeypatch.setattr(lists, "find", lambda *args, **keywords: calls.append(1) or neighbors.find(*args, **keywords))
    metrics = {"a": ("mutual_knn", {"k": 5}), "b": ("mutual_knn", {"k": 5, "ties": "index"}), "c": "jaccard_knn"}
    ka.compare({"x": X, "y": Y}, metrics=metrics, k=5)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("metrics", "match"),
    [
        ({"a": "cka", "b": ("cka", {})}, "a and b are the same"),
        ({"a": ("cka", 3)}, "names or"),
        ({"a": "magic"}, "no metric 'magic'"),
        ({"": "cka"}, "dict of words"),
        ({"a": "subspace_overlap"}, "needs metric_options"),
    ],
)
def test_bad_metrics_are_named(metrics, match):
    with pytest.raises((TypeError, ValueError), match=match):
        ka.compare({"x": X, "y": Y}, metrics=metrics)


# P-values


def by_hand(metric, x, y, orders, **options):
    sign = 1 if ka.METRICS[metric].larger_is_closer else -1
    given = sign * float(ka.measure(metric, x, y, **options))
    null = np.array([sign * float(ka.measure(metric, x, y[order], **options)) for order in orders])
    return (1 + (null >= given - 1e-9 * abs(given)).sum()) / (len(null) + 1)


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("metric", ["kernel_alignment", "distance_alignment"])
def test_products_of_grams_are_drawn_as_the_scores_would_be(metric, estimator):
    x, y = related(14, 3, 4)
    y = y + np.random.default_rng(0).normal(size=y.shape)
    found = ka.compare({"x": x}, {"y": y}, metrics=(metric,), estimator=estimator, p_values="permutation")
    rng = np.random.default_rng(0)
    orders = [rng.permutation(14) for _ in range(999)]  # as `permutation_test` draws them
    assert found.p_values[metric]["x", "y"][0, 0] == pytest.approx(by_hand(metric, x, y, orders, estimator=estimator))
    assert found.p_methods[metric]["x", "y"][0, 0] == "999 random pairings, seed 0"


def test_every_metric_has_a_p_value():
    x, y = related(8, 3, 2)
    metrics = {name: name for name in LINEAR} | {"platonic": ("cknna", {"variant": "platonic", "k": 3})}
    without = ka.compare({"x": x}, {"y": y}, metrics=metrics)
    assert np.isnan(without.p_values["cca"]["x", "y"]).all()
    groups = [0, 0, 1, 1, 2, 2, 3, 3]
    found = ka.compare({"x": x}, {"y": y}, metrics=metrics, p_values="permutation", groups=groups)
    orders = [np.add.outer(2 * np.array(p), [0, 1]).ravel() for p in np.ndindex(4, 4, 4, 4) if len(set(p)) == 4]
    for metric in metrics:
        p = found.p_values[metric]["x", "y"][0, 0]
        assert round(p * 24) == pytest.approx(p * 24)  # of all pairings of the groups
        if metric in ka.METRICS:
            others = [order for order in orders if list(order) != list(range(8))]
            assert p == pytest.approx(by_hand(metric, x, y, others))
        assert found.p_methods[metric]["x", "y"][0, 0] == "all 24 pairings of groups"


DRAWN = ("procrustes", "nbs", "angular_distance", "angular_cka", "gulp")


def sizes_of_drawn_p_values(heavy, n, repetitions, pairings):
    """Shares of unrelated pairs with p <= .05 and <= .2."""
    found = []
    for seed in range(repetitions):
        rng = np.random.default_rng([seed, n, heavy])
        draw = rng.standard_cauchy if heavy else rng.standard_normal
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ka.AlignmentWarning)  # of rows that rule
            made = ka.compare({"x": draw((n, 4))}, {"y": draw((n, 5))}, metrics=DRAWN, p_values=pairings)
        found.append([made.p_values[metric]["x", "y"][0, 0] for metric in DRAWN])
    return [(np.array(found) <= alpha).mean(axis=0) for alpha in (0.05, 0.2)]


@pytest.mark.parametrize("heavy", [False, True], ids=["gaussian", "cauchy"])
def test_drawn_p_values_have_their_size(heavy):
    small, large = sizes_of_drawn_p_values(heavy, 12, 12, 19)
    assert small.max() <= 3 / 12
    assert large.max() <= 6 / 12


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 60])
@pytest.mark.parametrize("heavy", [False, True], ids=["gaussian", "cauchy"])
def test_drawn_p_values_have_their_size_at_length(heavy, n):
    small, large = sizes_of_drawn_p_values(heavy, n, 400, 99)
    assert 0.025 <= small.min() <= small.max() <= 0.075
    assert 0.15 <= large.min() <= large.max() <= 0.25


def test_p_values_are_never_zero_and_logarithms_go_on():
    x = np.random.default_rng(0).normal(size=(2000, 20))
    found = ka.compare({"x": x, "y": x + 0.01 * x[::-1]})
    for row in found.rows():
        score = ka.measure(row["metric"], x, x + 0.01 * x[::-1])
        assert 0 < row["p_value"] == score.p_value < 1e-300
        least = -math.lgamma(2001) / math.log(10)  # one over the number of pairings
        tail = pearson3_log10_tail(score.z, score.chance_skew)
        assert row["log10_p"] == pytest.approx(max(tail, least), rel=1e-9)
        assert row["log10_p"] < -400


@pytest.mark.parametrize(("z", "skew"), [(60, 0.3), (45, 0.1), (400, 0.002), (60, 0.0), (39, -0.01), (50, -0.02)])
def test_logarithms_of_far_tails_are_the_integral_of_the_density(z, skew):
    """Against quadrature of the density, scaled by its value at z."""
    if abs(skew) < 1e-3:
        log_density, end = (lambda t: -t * t / 2 - math.log(2 * math.pi) / 2), math.inf
    else:
        a = 4 / skew**2

        def log_density(t):
            u = a + 2 * t / skew
            return (a - 1) * math.log(u) - u - math.lgamma(a) + math.log(2 / abs(skew))

        end = math.inf if skew > 0 else -2 / skew
    top = log_density(z)
    area, _ = integrate.quad(lambda t: math.exp(log_density(t) - top), z, min(end, z + 60), epsabs=0, limit=200)
    assert pearson3_log10_tail(z, skew) == pytest.approx((top + math.log(area)) / math.log(10), rel=1e-7)
    assert pearson3_log10_tail(3.0, skew) == pytest.approx(math.log10(pearson3_tail(3.0, skew)))


# Rows and look-ups


def test_every_form_has_the_same_columns():
    for found in (ka.compare(models(), k=5), ka.compare(models(), k=5, layers="best"), ka.compare({"a": X}, {"b": Y})):
        rows = list(found.rows())
        assert all(tuple(row) == COLUMNS for row in rows)
        assert all(row["p_x"] > 0 for row in rows)
        p = [row["p_value"] for row in rows if row["metric_id"] == "cka"]
        q = [row["q_value"] for row in rows if row["metric_id"] == "cka"]
        assert q == pytest.approx(list(ka.false_discovery(p)))
        assert all(len(row["x_digest"]) == 64 and row["kernalign"] == ka.__version__ for row in rows)
        assert all(row["finished_at"].endswith("+00:00") for row in rows)


def test_a_symmetric_pair_may_be_asked_for_in_either_order():
    found = ka.compare(models(), metrics=("cka", "cycle_knn"), k=5)
    for table in (found.scores, found.p_values, found.chance):
        np.testing.assert_array_equal(table["cka"]["b", "a"], table["cka"]["a", "b"].T)
    assert not np.array_equal(found.scores["cycle_knn"]["b", "a"], found.scores["cycle_knn"]["a", "b"].T)
    with pytest.raises(KeyError):
        found.scores["cka"]["a", "z"]


def test_uncertainty_of_all_metrics_that_have_one():
    found = ka.compare({"a": X, "b": Y}, metrics=("cka", "mutual_knn", "cca"), uncertainty=True)
    assert list(found.intervals) == ["cka", "mutual_knn"]
    one = ka.cka(X, Y, uncertainty="jackknife")
    assert found.intervals["cka"]["b", "a"][0, 0].tolist() == [one.stderr, *one.interval()]


def test_caveats_are_structure(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 6))
    x[:, 0] *= 100
    repeated = np.repeat(x[:20], 3, axis=0)
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare({"a": x, "b": repeated})
    [dominant] = [one for one in found.caveats if one.kind == "dominant" and one.x == "a"]
    assert (dominant.y, dominant.x_layer) == (None, None)
    assert 0.9 < dominant.value < 1
    assert {one.x: one.value for one in found.caveats if one.kind == "duplicate_rows"} == {"b": 40}
    assert "dominant; duplicate_rows" in next(found.rows())["caveats"]
    found.save(tmp_path / "x")
    assert ka.Comparison.load(tmp_path / "x").caveats == found.caveats


# Merging


@pytest.mark.parametrize("layers", ["all", "best"])
def test_a_model_that_is_added_is_as_if_it_had_been_there(layers, tmp_path):
    many = {**models(), "d": layered(2, 9, 5)}
    first = {name: many[name] for name in "abc"}
    how = {"metrics": ("cka", "mutual_knn", "procrustes"), "k": 5, "layers": layers}
    whole, old = ka.compare(many, **how), ka.compare(first, **how)
    found = old.merge(ka.compare({"d": many["d"]}, first, **how))
    assert found.x_layers == whole.x_layers
    assert len(list(old.rows())) < len(list(found.rows()))
    found.save(tmp_path / "x")
    for one in (found, ka.Comparison.load(tmp_path / "x")):
        for metric in how["metrics"]:
            a, b = one.best(metric), whole.best(metric)
            for x, y in zip(a.numbers, b.numbers, strict=True):
                np.testing.assert_allclose(x, y, rtol=0.02 if layers == "best" else 1e-9)  # simulated in either order
            np.testing.assert_array_equal(a.layers, b.layers)
    keys = ("metric", "x", "y", "x_layer", "y_layer")
    rows = [{tuple(row[key] for key in keys): row["score"] for row in one.rows()} for one in (found, whole)]
    assert rows[0] == pytest.approx(rows[1], rel=1e-9, nan_ok=True)


def test_what_does_not_fit_is_not_merged():
    first, xs = ka.compare(models(), k=5), models()
    new = {"d": layered(2, 9, 5)}
    with pytest.raises(ValueError, match=r"d × c is in neither|c × d is in neither"):
        first.merge(ka.compare(new, {name: xs[name] for name in "ab"}, k=5))
    with pytest.raises(ValueError, match="same k"):
        first.merge(ka.compare(new, xs, k=6))
    with pytest.raises(ValueError, match="same metrics"):
        first.merge(ka.compare(new, xs, k=5, metrics=("cka",)))
    with pytest.raises(ValueError, match="c must be the same data"):
        first.merge(ka.compare(new, {**xs, "c": layered(1, 4, 77)}, k=5))


def test_pairings_are_drawn_where_p_values_are_asked_for():
    """Of a metric whose chance level is drawn, plain scores took a hundred times as long as they take."""
    rng = np.random.default_rng(0)
    models = {name: rng.normal(size=(30, 5)) for name in "ab"}
    metrics = {"m": ("procrustes", {"centred": False})}
    plain = ka.compare(models, metrics=metrics, p_values=False)
    asked = ka.compare(models, metrics=metrics, p_values=99)
    assert np.isnan(plain.chance["m"]["a", "b"])
    assert asked.chance["m"]["a", "b"] > 0
    assert plain.scores["m"]["a", "b"] == asked.scores["m"]["a", "b"]


@pytest.mark.parametrize("steps", [1, 5_000, 9_000, 11_000, 13_000, 15_000, 17_000, 20_000])
def test_an_interrupted_comparison_has_a_score_if_it_is_there_at_all(steps):
    rng = np.random.default_rng(0)
    models = {name: [rng.normal(size=(40, width)) for width in (4, 5)] for name in "ab"}

    def stop(done, total):
        if done >= steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        ka.compare(models, metrics=["cka", "mutual_knn", "procrustes", "rsa"], progress=stop)
    found = getattr(caught.value, "partial", None)
    if found is not None:
        scores = [own for metric in found.metrics for own in found.scores[metric].values()]
        assert np.isfinite(np.concatenate([np.ravel(one) for one in scores])).any()
