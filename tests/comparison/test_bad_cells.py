"""One bad layer, file or metric costs its own cells of a comparison, never the rest."""

from __future__ import annotations

import math
import warnings

import kernalign as ka
import numpy as np
import pytest
from layered_samples import N, layered
from test_compare import EVERY

GOOD = {"a": layered(2, 5, 1), "c": layered(2, 6, 3), "d": layered(1, 70, 4)[:, 0]}


def with_bad(change):
    """A model of three layers between the good ones, the second of which is not as it should be."""
    b = layered(3, 5, 2)
    change(b[:, 1])
    return {"a": GOOD["a"], "b": b, "c": GOOD["c"], "d": GOOD["d"]}


def nan(layer):
    layer[7, 3] = np.nan


def zero(layer):
    layer[7] = 0


def recorded(xs, **keywords):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = ka.compare(xs, **keywords)
    assert len([one for one in caught if one.category is ka.UndefinedScoreWarning]) == bool(found.reasons)
    return found


def agree(found, clean, lost):
    """Cells that are not lost are those of the comparison without a bad layer, to the bit; the others are nan."""
    for metric in found.metrics:
        for pair in found.pairs(metric):
            for table in ("scores", "chance", "chance_sd", "p_values"):
                a, b = getattr(found, table)[metric][pair], getattr(clean, table)[metric][pair]
                for at in np.ndindex(a.shape):
                    if lost(metric, pair, at):
                        assert math.isnan(a[at])
                    else:
                        np.testing.assert_array_equal(a[at], b[at])


def in_b(pair, at):
    return any(name == "b" and layer == 1 for name, layer in zip(pair, at, strict=True))


@pytest.mark.parametrize("kernel", [None, ka.RBF(), ka.Cosine()])
def test_a_layer_with_nan_costs_its_own_cells(kernel):
    keywords = {"metrics": EVERY, "k": 5, "kernel": kernel}
    clean = recorded(with_bad(lambda layer: None), **keywords)
    found = recorded(with_bad(nan), **keywords)
    agree(found, clean, lambda metric, pair, at: in_b(pair, at))
    assert found.failed
    assert {reason.status for reason in found.reasons} == {"failed"}
    assert len(found.reasons) == sum(5 * (1 if ka.METRICS[metric].symmetric else 2) for metric in EVERY)
    shared = [reason for reason in found.reasons if reason.metric in ("cka", "mutual_knn", "cknna", "rsa")]
    advice = '(nan_rows="drop_pair" drops such items)'
    assert {reason.text for reason in shared} == {
        f"xs['b'] layer 1 must be finite, got nan at row 7, column 3 {advice}"
    }
    assert next(one for one in found.reasons if one.metric == "cka")[:5] == ("cka", "a", "b", "0", "1")


@pytest.mark.parametrize("comparison", ["pearson", "spearman"])
def test_zero_rows_cost_the_metrics_that_divide_by_lengths(comparison):
    keywords = {"k": 5, "metric_options": {"rsa": {"distance": "cosine", "comparison": comparison}}}
    metrics = ("cka", "mutual_knn", "rsa")
    clean, found = (recorded(with_bad(change), metrics=metrics, **keywords) for change in (lambda layer: None, zero))
    assert not np.isnan(np.concatenate([np.ravel(cells) for cells in found.scores["cka"].values()])).any()
    for metric in ("mutual_knn", "rsa"):
        for pair, scores in found.scores[metric].items():
            lost = np.array([[in_b(pair, (i, j)) for j in range(scores.shape[1])] for i in range(scores.shape[0])])
            np.testing.assert_array_equal(np.isnan(scores), lost)
            np.testing.assert_array_equal(scores[~lost], clean.scores[metric][pair][~lost])
    assert {reason.metric for reason in found.reasons} == {"mutual_knn", "rsa"}
    assert all(reason.text.startswith("xs['b'] layer 1 must have no zero row") for reason in found.reasons)
    assert any("b layer 1: 1 row is zero" in note for note in found.notes)


def test_the_best_of_many_layers_is_that_of_the_good_ones():
    xs = with_bad(nan)
    fit = {**xs, "b": xs["b"][:, [0, 2]]}
    found, clean = recorded(xs, layers="best", k=5), recorded(fit, layers="best", k=5)
    late = recorded(xs, k=5)
    for metric in found.metrics:
        for one in (found.best(metric), late.best(metric)):
            for a, b in zip(one.numbers, clean.best(metric).numbers, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12)
            wanted = np.where(clean.best(metric).layers == 1, 2, clean.best(metric).layers)
            np.testing.assert_array_equal(one.layers[1, :, 0], wanted[1, :, 0])
    assert {row["status"] for row in found.rows()} == {"ok"}
    assert found.failed


def test_files_that_cannot_be_opened_and_other_items(tmp_path):
    np.save(tmp_path / "good.npy", GOOD["c"])
    (tmp_path / "cut.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:-8])
    xs = {
        "none": tmp_path / "none.npy",
        "short": GOOD["a"][:50],
        "a": GOOD["a"],
        "c": str(tmp_path / "good.npy"),
        "cut": tmp_path / "cut.npy",
        "words": np.array([["a"] * 3] * N),
        "uneven": {"first": GOOD["d"], "second": GOOD["d"][:40]},
    }
    found = recorded(xs, k=5, concatenated=True)
    clean = ka.compare({"a": GOOD["a"], "c": GOOD["c"], "uneven": GOOD["d"]}, k=5, concatenated=True)
    for metric in found.metrics:
        np.testing.assert_array_equal(found.scores[metric]["a", "c"], clean.scores[metric]["a", "c"])
        scores = found.scores[metric]["a", "uneven"]
        np.testing.assert_array_equal(scores[:, [0]], clean.scores[metric]["a", "uneven"])
        assert np.isnan(scores[:, 1:]).all()
        assert sum(int((~np.isnan(table)).sum()) for table in found.scores[metric].values()) == 9 + 3 + 3
    assert found.n == N
    assert found.x_layers["none"] == ("0",)
    why = {(reason.x, reason.y, reason.y_layer): reason.text for reason in found.reasons}
    assert why["none", "a", "0"] == f"{tmp_path}/none.npy: No such file or directory"
    assert why["short", "a", "0"] == "xs['a'] and xs['short'] must have the same number of rows, got 60 and 50"
    assert "requires" in why["a", "cut", None]
    assert "must hold numbers, but has text" in why["a", "words", None]
    for label in ("second", "concatenated"):
        assert why["a", "uneven", label] == (
            "xs['uneven'] layer first and xs['uneven'] layer second must have the same number of rows, got 60 and 40"
        )


def test_a_pair_that_cannot_be_costs_itself():
    found = recorded({"a": GOOD["a"][:, 0], "b": GOOD["a"][:, 1], "c": GOOD["c"][:, 0]}, metrics=("mmd", "cka"))
    assert [row["status"] for row in found.rows()] == ["ok", "failed", "failed", "ok", "ok", "ok"]
    assert found.reasons[0].text == (
        "mmd of x = xs['a'] and y = xs['c']: x and y must have the same number of columns, got 5 and 6"
    )


def test_where_there_is_no_rest_the_first_error_is_raised():
    bad = GOOD["a"].copy()
    bad[3] = np.nan
    with pytest.raises(ValueError, match=r"xs\['b'\] layer 0 must be finite, got nan at row 3"):
        ka.compare({"a": GOOD["a"], "b": bad})
    with pytest.raises(FileNotFoundError):
        ka.compare({"a": GOOD["a"], "b": "nowhere.npy"})
    with pytest.raises(FileNotFoundError):
        ka.compare({"b": "nowhere.npy"}, {"a": "nowhere.npy"})
    with pytest.raises(ValueError, match="normalize must be"):
        ka.compare(GOOD, normalize="l1")


@pytest.mark.parametrize("change", [nan, zero])
def test_the_first_error_is_raised_if_asked_for(change):
    with pytest.raises(ValueError, match=r"xs\['b'\] layer 1"):
        ka.compare(with_bad(change), errors="raise")
    with pytest.raises(ValueError, match="same number of columns"):
        ka.compare({"a": GOOD["a"], "c": GOOD["c"]}, metrics=("cka", "mmd"), errors="raise")


@pytest.mark.parametrize("layers", ["all", "best"])
def test_reasons_are_rows_of_every_form_and_are_saved(layers, tmp_path):
    found = recorded({**with_bad(nan), "e": "nowhere.npy", "flat": np.ones((N, 3))}, layers=layers, k=5)
    found.save(tmp_path / "x")
    loaded = ka.Comparison.load(tmp_path / "x")
    assert loaded.reasons == found.reasons
    assert str(loaded) == str(found)
    rows = list(loaded.rows())
    for row in rows:
        assert (row["status"] == "ok") == (row["reason"] is None) == (not math.isnan(row["score"]))
    status = {
        (row["x"], row["y"], row["x_layer"]): (row["status"], row["reason"]) for row in rows if row["metric"] == "cka"
    }
    at = "0" if layers == "all" else None
    assert status["a", "e", at] == ("failed", "nowhere.npy: No such file or directory")
    assert status["a", "flat", at] == ("undefined", "y is constant")
    assert status["b", "flat", None if layers == "best" else "1"][0] == "failed"
    assert "  failed: cka of a layer 0 × b layer 1: xs['b'] layer 1 must be finite" in str(loaded)
    assert "  undefined: cka of a layer 0 × flat: y is constant" in str(loaded)


@pytest.mark.parametrize("metric", ["cka", "mutual_knn", "cycle_knn", "nbs"])
def test_one_representation_alone_is_its_layer_by_layer_map(metric, tmp_path):
    b = layered(4, 5, 2)
    b[:, 3] = 1.0
    found = recorded({"b": {f"block{i}": b[:, i] for i in range(4)}}, metrics=(metric,), k=5)
    assert found.pairs(metric) == [("b", "b")]
    assert found.x_layers == {"b": ("block0", "block1", "block2", "block3")}
    scores = found.scores[metric]["b", "b"]
    for i, j in np.ndindex(4, 4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one = ka.measure(metric, b[:, i], b[:, j], **({"k": 5} if "knn" in metric else {}))
        np.testing.assert_allclose(scores[i, j], float(one), rtol=1e-9, atol=1e-12)
        if one.reason:
            assert next(r.text for r in found.reasons if r[3:5] == (f"block{i}", f"block{j}")) == one.reason
    found.save(tmp_path / "x")
    np.testing.assert_array_equal(ka.Comparison.load(tmp_path / "x").scores[metric]["b", "b"], scores)
    assert np.isnan(found.best(metric).score).all()  # no pair of representations
    if metric != "cycle_knn":
        found.plot(metric, "layers")


def test_the_best_layer_of_one_representation_is_not_asked_for():
    with pytest.raises(ValueError, match="layers must be 'all' for a single representation"):
        ka.compare({"a": GOOD["a"]}, layers="best")


def test_intervals_where_options_ask_for_them(tmp_path):
    options = {"cka": {"uncertainty": "jackknife"}}
    found = ka.compare(GOOD, metrics=("cka", "mutual_knn"), metric_options=options, k=5)
    one = ka.cka(GOOD["a"][:, 1], GOOD["c"][:, 0], uncertainty="jackknife")
    found.save(tmp_path / "x")
    for each in (found, ka.Comparison.load(tmp_path / "x")):
        assert list(each.intervals) == ["cka"]
        assert tuple(each.intervals["cka"]["a", "c"][1, 0]) == (one.stderr, *one.interval())
        for row in each.rows():
            assert math.isnan(row["stderr"]) == (row["metric"] != "cka")
