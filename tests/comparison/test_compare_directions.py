"""Metrics of principal directions in a comparison: decomposed once for a layer, scored as in a one-pair call."""

import warnings

import kernalign as ka
import numpy as np
import pytest
from kernalign._engines import directions
from kernalign.comparison.families import spans

METRICS = ("cca", "svcca", "pwcca", "subspace_overlap", "nbs", "procrustes", "angular_distance", "linear_predictivity")
DRAWN = ("nbs", "procrustes", "angular_distance")  # whose chance level a comparison does not draw unasked
OPTIONS = {"subspace_overlap": {"rank": 2}, "cca": {"statistic": "r2"}}


def sides(kind):
    rng = np.random.default_rng(3)
    common = rng.normal(size=(60, 8))

    def make(p, steep=1.0):
        return (common @ rng.normal(size=(8, p)) + rng.normal(size=(60, p))) * np.logspace(0, -steep, p)

    return {
        "tall": lambda: {"a": make(7), "b": make(20), "c": make(15)},
        "wide": lambda: {"a": make(70), "b": make(45), "c": make(300)},  # more columns than rows, and many more
        "mixed": lambda: {"a": make(7), "b": make(70), "c": make(30), "d": make(300)},
        "steep": lambda: {"a": make(12, 9), "b": make(20, 5), "c": make(70, 9)},  # products lose the smallest
        "rounded": lambda: {
            "a": (make(3) @ rng.normal(size=(3, 70))).astype(np.float32),
            "b": (make(5) @ rng.normal(size=(5, 80))).astype(np.float32),
            "c": make(20).astype(np.float32),
        },
        "equal": lambda: {"a": (x := make(70)), "b": x[:, ::-1] + 5, "c": make(10)},
    }[kind]()


def compared(xs, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ka.compare(xs, metrics=METRICS, metric_options=OPTIONS, **keywords)


@pytest.mark.parametrize("kind", ["tall", "wide", "mixed", "steep", "rounded", "equal"])
@pytest.mark.parametrize("kept", [True, False])
def test_scores_are_those_of_one_pair_calls(kind, kept, monkeypatch):
    if not kept:
        monkeypatch.setattr(spans, "_KEPT_BYTES", 0)
    xs = sides(kind)
    found = compared(xs)
    for metric in METRICS:
        for a, b in found.pairs(metric):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = ka.measure(metric, xs[a], xs[b], **OPTIONS.get(metric, {}))
            where = f"{metric} of {a} and {b}"
            tolerance = {"rtol": 1e-9, "atol": 1e-9 * np.linalg.norm(xs[a]) if metric == "procrustes" else 1e-9}
            np.testing.assert_allclose(found.scores[metric][a, b][0, 0], float(expected), **tolerance, err_msg=where)
            chance = np.nan if expected.chance is None or metric in DRAWN else expected.chance
            np.testing.assert_allclose(found.chance[metric][a, b][0, 0], chance, rtol=1e-12, err_msg=where)


def test_each_layer_is_decomposed_once(monkeypatch):
    calls = {"of_rows": 0, "of_gram": 0}
    for name in calls:
        plain = getattr(directions, name)

        def counted(*arguments, plain=plain, name=name):
            calls[name] += 1
            return plain(*arguments)

        monkeypatch.setattr(directions, name, counted)
    xs = {**sides("wide"), **{name + name: x for name, x in sides("tall").items()}}
    del xs["c"]  # so wide that products come first
    compared(xs)
    assert calls["of_rows"] <= len(xs)
    assert calls["of_gram"] <= len(xs)


@pytest.mark.filterwarnings("ignore::kernalign.AlignmentWarning")
def test_two_sets_and_asymmetric_metrics():
    xs, ys = sides("tall"), sides("wide")
    found = ka.compare(xs, ys, metrics=("pwcca", "linear_predictivity"))
    whole = ka.compare(xs | {name.upper(): y for name, y in ys.items()}, metrics=("pwcca", "linear_predictivity"))
    for metric in found.metrics:
        for a, b in found.pairs(metric):
            one, other = found.scores[metric][a, b], whole.scores[metric][a, b.upper()]
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_what_is_said_of_a_pair_is_said_where_it_belongs():
    """The score of y with x is found with that of x with y, but what was to be said of it waits."""
    rng = np.random.default_rng(0)
    xs = {"full": rng.normal(size=(20, 40)), "narrow": rng.normal(size=(20, 3))}
    with pytest.warns(ka.AlignmentWarning, match="full × narrow: linear_predictivity: x has 19 independent directions"):
        notes = "\n".join(ka.compare(xs, metrics=("linear_predictivity",)).notes)
    assert "full × narrow" in notes
    assert "narrow × full" not in notes


def test_a_constant_layer_and_a_rank_that_does_not_exist():
    xs = {**sides("tall"), "still": np.ones((60, 4))}
    with pytest.warns(ka.UndefinedScoreWarning, match="svcca of a × still: y is constant"):
        found = ka.compare(xs, metrics=("svcca", "nbs", "linear_predictivity"))
    assert all(np.isnan(found.scores[metric]["a", "still"][0, 0]) for metric in found.metrics)
    assert {reason.text for reason in found.reasons if (reason.x, reason.y) == ("a", "still")} == {"y is constant"}
    with pytest.raises(ValueError, match=r"svcca of x = .*: rank must be"):
        ka.compare(sides("tall"), metrics=("svcca",), metric_options={"svcca": {"rank": 9}}, errors="raise")
    with pytest.warns(ka.UndefinedScoreWarning, match="svcca of"):
        found = ka.compare(sides("tall"), metrics=("cca", "svcca"), metric_options={"svcca": {"rank": 9}})
    assert np.isnan(found.scores["svcca"]["a", "b"][0, 0])
    assert np.isfinite(found.scores["cca"]["a", "b"][0, 0])
