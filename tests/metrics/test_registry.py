"""METRICS and measure: what is written of each metric is true of its function."""

from __future__ import annotations

import dataclasses
import inspect
import math

import kernalign as ka
import numpy as np
import pytest
from kernalign.metrics import registry
from samples import related, stand_in

every_metric = pytest.mark.parametrize("name", ka.METRICS)


def call(name, x, y):
    """The metric, with something for each argument that it needs."""
    return ka.measure(name, x, y, **{need: {"rank": 2}[need] for need in ka.METRICS[name].needs})


@every_metric
def test_measure_calls_the_function_of_that_name(name, monkeypatch):
    calls = []
    stand_in(monkeypatch, name, lambda *args, **keywords: calls.append((args, keywords)))
    ka.measure(name, 1, 2, rank=3, k=4)
    assert calls == [((1, 2), {"rank": 3, "k": 4})]


@every_metric
def test_symmetry_is_as_written(name):
    x, y = related(200, 5, 5)
    one, other = call(name, x, y), call(name, y, x)
    assert (abs(one - other) <= 1e-12 * abs(one)) == ka.METRICS[name].symmetric


@every_metric
def test_range_and_direction_are_as_written(name):
    low, high = ka.METRICS[name].range
    x, _ = related(50, 5, 5)
    noise = np.random.default_rng(1).normal(size=(50, 5))
    same, other = call(name, x, x), call(name, x, noise)
    assert all(low - 1e-12 <= score <= high + 1e-12 for score in (same, other))
    assert (same > other) == ka.METRICS[name].larger_is_closer
    if math.isfinite(high) and ka.METRICS[name].larger_is_closer and name != "cycle_knn":
        assert float(same) == pytest.approx(high)


@every_metric
def test_needs_are_the_arguments_without_a_default(name):
    given = inspect.signature(getattr(ka, name)).parameters.values()
    needs = [p.name for p in given if p.default is p.empty and p.kind is not p.VAR_KEYWORD][2:]
    assert tuple(needs) == ka.METRICS[name].needs


@pytest.mark.parametrize(
    "name,n,ruled",
    [*((name, n, n > 12) for name in ka.METRICS for n in (12, 40)), ("cka", 40, False), ("cka", 5200, True)],
)
def test_rows_that_were_overwritten_make_no_null(name, n, ruled):
    """What is read later is that of the rows that were scored, or says that they are gone."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, n, 5))
    if ruled:
        x[:2], y[1:3] = 100 * x[:2], 100 * y[1:3]
    kept, left = call(name, x, y), call(name, x, y)
    known = {number: getattr(kept, number) for number in ("chance", "chance_sd", "chance_skew", "p_value")}
    x[n // 3 :], y[:2] = rng.normal(size=x[n // 3 :].shape), 1.0
    for number, value in known.items():
        assert getattr(left, number) in (value, None)
    if left.p_value != kept.p_value:
        assert left.settings["p_method"].startswith("none: the rows changed since they were scored")


def test_every_score_of_two_representations_is_in_the_registry():
    def is_metric(function):
        if not inspect.isfunction(function):
            return False
        names = list(inspect.signature(function).parameters)
        return names[:2] == ["x", "y"] and "Score" in str(function.__annotations__.get("return"))

    found = {name for name in ka.__all__ if is_metric(getattr(ka, name)) and name != "measure"}
    assert {name for name in found if name not in ka.METRICS} == set()


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        ka.METRICS["cka"] = ka.METRICS["hsic"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        ka.METRICS["cka"].symmetric = False


def test_unknown_names_are_clear():
    x, y = related(50, 5, 5)
    with pytest.raises(ValueError, match=r"name: there is no metric 'zzzz'; known are cka, hsic, .*cknna"):
        ka.measure("zzzz", x, y)
    with pytest.raises(ValueError, match=r"name: there is no metric 'Mutual-NN'; did you mean 'mutual_knn'\?"):
        ka.measure("Mutual-NN", x, y)
    with pytest.raises(TypeError, match="a metric must be given by name, got <function"):
        ka.measure(ka.cka, x, y)


def test_names_are_forgiven_their_case_everywhere():
    x, y = related(50, 5, 5)
    cka, knn = float(ka.cka(x, y)), float(ka.mutual_knn(x, y, 5))
    assert ka.measure("CKA", x, y) == cka
    assert ka.measure("Mutual-kNN", x, y, k=5) == knn
    found = ka.compare({"x": x, "y": y}, metrics=["CKA", "cka", "Mutual kNN"], metric_options={"CKA": {}}, k=5)
    assert found.metrics == ("cka", "mutual_knn")
    assert [row["score"] for row in found.rows()] == [pytest.approx(cka), pytest.approx(knn)]
    named = ka.compare({"x": x, "y": y}, metrics={"mine": "CKA"})
    assert next(named.rows())["score"] == pytest.approx(cka)
    test = ka.permutation_test(["CKA"], x, y, permutations=19)
    assert list(test) == ["cka"]
    assert ka.compare_scores("CKA", x, y, x + y).metric == "cka"
    with pytest.raises(ValueError, match="got 'ckaa'; did you mean 'cka'"):
        ka.permutation_test("ckaa", x, y)


def test_what_a_metric_needs_must_be_given(monkeypatch):
    x, y = related(50, 5, 5)
    info = dataclasses.replace(ka.METRICS["cka"], needs=("rank",))
    monkeypatch.setitem(registry._RECORDS, "cka", info)
    with pytest.raises(TypeError, match="cka needs the keyword argument 'rank'"):
        ka.measure("cka", x, y)
    with pytest.raises(TypeError, match=r"cka needs metric_options=\{'cka': \{'rank': ...\}\}"):
        ka.compare({"a": x, "b": y}, metrics=("cka",))


def test_arguments_are_handed_on():
    x, y = related(50, 5, 5)
    assert float(ka.measure("mutual_knn", x, y, k=3)) == float(ka.mutual_knn(x, y, 3))
    assert ka.METRICS["mutual_knn"].takes("k")
    assert not ka.METRICS["cka"].takes("k")
