"""Comparison: rows, tables, plots and text of what compare found, and files that are whole or refused."""

from __future__ import annotations

import csv
import io
import json
import math
import pickle
import struct

import kernalign as ka
import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from kernalign._base import checkpoint
from kernalign.comparison.best import check_nulls
from layered_samples import layered, models

METRICS = ("cka", "mutual_knn", "cycle_knn", "hsic")


@pytest.fixture(scope="module")
def every():
    return ka.compare(models(), metrics=METRICS, k=5, concatenated=True)


@pytest.fixture(scope="module")
def best():
    return ka.compare(models(), metrics=METRICS, k=5, layers="best")


@pytest.fixture(scope="module")
def two_sets():
    return ka.compare({"a": layered(3, 7, 1)}, {"b": layered(2, 6, 2)}, k=5)


# Rows and tables


def test_rows_hold_every_score(every):
    rows = list(every.rows())
    assert len(rows) == sum(cells.size for metric in METRICS for cells in every.scores[metric].values())
    row = next(
        r for r in rows if (r["metric"], r["x"], r["x_layer"], r["y"], r["y_layer"]) == ("cka", "a", "1", "b", "2")
    )
    xs = models()
    score = ka.cka(xs["a"][:, 1], xs["b"][2])
    assert (row["chance"], row["n"]) == (score.chance, 60)
    assert row["score"] == pytest.approx(score, rel=1e-12)
    for key in ("z", "corrected", "p_value", "chance_sd"):
        assert row[key] == pytest.approx(getattr(score, key), rel=1e-12)
    hsic = next(r for r in rows if r["metric"] == "hsic")
    assert math.isnan(hsic["corrected"])  # without a largest value


def test_rows_of_undefined_scores_say_why(tmp_path):
    xs = {"c": layered(2, 4, 1, n=30), "a: b": np.ones((30, 2, 4)), "d: e": layered(1, 5, 2, n=30)}
    xs["c"][:, 1] = 3.0
    for mode, count in (("all", 7), ("best", 2)):
        with pytest.warns(ka.AlignmentWarning):
            found = ka.compare(xs, metrics=("hsic", "cka"), layers=mode)
        found.save(tmp_path / mode)
        for one in (found, ka.Comparison.load(tmp_path / mode)):
            rows = [row for row in one.rows() if row["metric"] == "cka"]
            undefined = [row for row in rows if row["reason"] is not None]
            assert [math.isnan(row["score"]) for row in rows] == [row["reason"] is not None for row in rows]
            assert len(undefined) == count
            reasons = {(row["x"], row["y"], row["x_layer"]): row["reason"] for row in undefined}
            if mode == "all":
                assert reasons["c", "a: b", "0"] == "y is constant"
                assert reasons["c", "a: b", "1"] == reasons["c", "d: e", "1"] == "x is constant"
                assert reasons["a: b", "d: e", "0"] == "x is constant"
            else:
                assert reasons["c", "a: b", None] == "y is constant; x is constant"
                assert reasons["a: b", "d: e", None] == "x is constant"


def test_asymmetric_metrics_have_both_orders(every, best):
    assert every.pairs("cka") == [("a", "b"), ("a", "c"), ("b", "c")]
    assert len(every.pairs("cycle_knn")) == 6
    assert every.scores["cycle_knn"]["b", "a"].shape == (4, 4)
    scores = best.scores["cycle_knn"]
    assert not np.array_equal(scores[np.triu_indices(3, 1)], scores.T[np.triu_indices(3, 1)])


def test_rows_of_the_best_name_their_layers(best):
    rows = [row for row in best.rows() if row["metric"] == "cka"]
    assert [(row["x"], row["y"]) for row in rows] == best.pairs("cka")
    for row in rows:
        score, (i, j), p = best.best("cka")[row["x"], row["y"]]
        assert (row["score"], row["x_layer"], row["y_layer"], row["p_value"]) == (score, str(i), str(j), p)


def test_dataframe(every):
    pandas = pytest.importorskip("pandas")
    table = every.to_dataframe()
    assert isinstance(table, pandas.DataFrame)
    assert table["score"].tolist() == [row["score"] for row in every.rows()]
    assert table.loc[table.metric == "mutual_knn", "p_value"].between(0, 1).all()


def test_text_says_what_there_is(every, best, two_sets):
    assert str(every).startswith("Comparison of 3 representations (9 layers) with each other, 60 items\n  cka: ")
    assert "cka: the best of all layers, 0." in str(best)
    assert "Comparison of 1 x 1 representations (3 x 2 layers), 60 items" in str(two_sets)
    with pytest.warns(ka.UndefinedScoreWarning):
        flat = ka.compare({"a": np.ones((60, 40, 2)), "b": layered(1, 4, 1, n=60)}, metrics=("cka",))
    lines = str(flat).splitlines()
    assert lines[1] == "  cka: all undefined"
    assert lines[2] == "  undefined: cka of a layer 0 × b: x is constant"
    assert lines[-1] == "  and 20 more"
    assert repr(best) == (
        "Comparison(metrics=('cka', 'mutual_knn', 'cycle_knn', 'hsic'), 3 representations (9 layers) with each other,"
        " n=60, mode='best')"
    ).replace("9 layers", f"{sum(map(len, best.x_layers.values()))} layers")


def test_a_metric_is_asked_for_by_its_name(every, best):
    for found in (every, best):
        one, other = found["cka"], found.best("cka")
        np.testing.assert_array_equal(one.score, other.score)
        again = pickle.loads(pickle.dumps(one))
        for name in ("score", "layers", "chance", "chance_sd", "p_value"):
            np.testing.assert_array_equal(getattr(again, name), getattr(other, name))
        assert again["a", "b"] == other["a", "b"]
        with pytest.raises(ValueError, match="metric must be"):
            found["magic"]


def test_the_chance_of_the_best_is_found_when_it_is_read(monkeypatch):
    from kernalign.comparison import result

    asked = []
    monkeypatch.setattr(result, "maximum", lambda *given: asked.append(given) or result.best_of(*given[:2]))
    best = ka.compare(models(), metrics=("cka",), k=5)["cka"]
    assert np.isfinite(best.score[0, 1])
    assert not asked
    assert best.chance.shape == (3, 3)
    assert len(asked) == 3


def test_dict_and_csv_are_the_rows(every, tmp_path):
    rows = list(every.rows())
    table = every.to_dict()
    assert list(table) == list(rows[0])
    assert table["x"] == [row["x"] for row in rows]
    np.testing.assert_array_equal(table["z"], [row["z"] for row in rows])
    text = every.to_csv()
    read = list(csv.DictReader(io.StringIO(text)))
    assert [row["y_layer"] for row in read] == table["y_layer"]
    assert [float(row["score"]) for row in read] == table["score"]
    assert [row["corrected"] == "" for row in read] == [math.isnan(value) for value in table["corrected"]]
    assert every.to_csv(tmp_path / "scores.csv") is None
    assert (tmp_path / "scores.csv").read_text() == text
    with pytest.raises(FileExistsError):
        every.to_csv(tmp_path / "scores.csv")
    every.to_csv(tmp_path / "scores.csv", overwrite=True)


def test_names_of_metrics_are_checked(every):
    for call in (every.best, every.plot, every.distances):
        with pytest.raises(ValueError, match="metric must be 'cka', 'mutual_knn', 'cycle_knn' or 'hsic', got 'magic'"):
            call("magic")


# Distances


def test_distances_are_minus_log_of_the_best(every, best):
    k, n = 5, 60
    for metric in ("cka", "mutual_knn"):
        scores = best.scores[metric]
        expected = -np.log(np.maximum(np.where(np.eye(3, dtype=bool), 1, scores), 1 / (2 * n * k)))
        np.testing.assert_allclose(best.distances(metric), expected, rtol=1e-15)
    raw = best.scores["cycle_knn"]
    expected = -(np.log(raw[0, 1]) + np.log(raw[1, 0])) / 2
    assert best.distances("cycle_knn")[0, 1] == pytest.approx(expected, rel=1e-14)
    largest = every.distances("cka")
    assert largest[0, 1] == pytest.approx(-np.log(every.scores["cka"]["a", "b"].max()), rel=1e-14)


def test_scores_below_the_floor_are_far_but_finite():
    rng = np.random.default_rng(1)
    xs = {name: rng.normal(size=(40, 500)) for name in "abcd"}
    found = ka.compare(xs, k=2)
    assert min(cells.min() for cells in found.scores["cka"].values()) < 0
    with pytest.warns(ka.AlignmentWarning, match="which stands in for it"):
        assert found.distances("cka").max() == pytest.approx(np.log(2 * 40 * 2))


def test_distances_need_one_set_and_defined_scores(two_sets):
    with pytest.raises(ValueError, match="of one set with itself"):
        two_sets.distances("cka")
    with pytest.warns(ka.UndefinedScoreWarning):
        flat = ka.compare({"a": np.ones((30, 4)), "b": layered(1, 4, 1, n=30)}, metrics=("cka",))
    with pytest.raises(ValueError, match="some are undefined"):
        flat.distances("cka")


# Files


def same(a, b):
    for name in (
        "metrics",
        "n",
        "x_layers",
        "y_layers",
        "square",
        "mode",
        "reasons",
        "notes",
        "settings",
        "names",
        "inputs",
    ):
        assert getattr(a, name) == getattr(b, name), name
    for metric in a.metrics:
        for table in ("scores", "chance", "chance_sd", "p_values"):
            x, y = getattr(a, table)[metric], getattr(b, table)[metric]
            for pair in a.pairs(metric) if a.mode == "all" else [...]:
                np.testing.assert_array_equal(x[pair], y[pair])
        for field in ("score", "layers", "chance", "chance_sd", "p_value", "method"):
            np.testing.assert_array_equal(getattr(a.best(metric), field), getattr(b.best(metric), field))
    assert str(a) == str(b)


@pytest.mark.parametrize("which", ["every", "best", "two_sets"])
def test_a_file_holds_everything(which, tmp_path, request):
    comparison = request.getfixturevalue(which)
    path = tmp_path / "scores.ka"
    comparison.save(path)
    loaded = ka.Comparison.load(path)
    same(comparison, loaded)
    loaded.save(tmp_path / "again.ka")
    assert (tmp_path / "again.ka").read_bytes() == path.read_bytes()
    with pytest.raises(FileExistsError):
        comparison.save(path)
    comparison.save(path, overwrite=True)


def test_names_and_reasons_of_any_script_survive(tmp_path):
    with pytest.warns(ka.AlignmentWarning):
        found = ka.compare(
            {"Bild/„ä“": np.ones((30, 2, 4)), "言葉\n": layered(1, 4, 1, n=30)},
            metrics=("cka", "mutual_knn"),
            metric_options={"mutual_knn": {"metric": "euclidean"}},
        )
    found.save(tmp_path / "x")
    same(found, ka.Comparison.load(tmp_path / "x"))


def sealed(header, numbers=b""):
    """A file with this header (raw if bytes) and a right checksum."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = b"KERNALIGN COMPARISON" + struct.pack("<Q", len(text)) + text + numbers
    return body + blake3(body).digest()


LAYERS = {"x_layers": {"a": ["0"]}, "y_layers": {"b": ["0"]}}
EMPTY = {"reasons": [], "caveats": [], "settings": {"k": 10}, "nulls": {"dict": []}, "names": {}, "provenance": {}}
EMPTY |= {"methods": [""], "inputs": [{}, {}]}
TABLES = {"arrays": {f"{name} cka": ["<f8", [1]] for name in ("scores", "chance", "chance_sd", "p_values")}}
HEADER = {"version": 1, "metrics": ["cka"], "n": 9, "square": False, "mode": "all"} | LAYERS | EMPTY | TABLES


def test_the_smallest_file_is_read(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(sealed(HEADER, struct.pack("<4d", 0.5, 0.25, 0.125, 1.0)))
    found = ka.Comparison.load(path)
    assert (found.scores["cka"]["a", "b"], found.p_values["cka"]["a", "b"]) == ([[0.5]], [[1.0]])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is not a Comparison file"),
        (b"KERNALIGN MOMENTS" + bytes(100), "is not a Comparison file"),
        (sealed(HEADER, bytes(32))[:-1], "is damaged"),
        (sealed({**HEADER, "version": 2}), "format version 2, this release reads 1"),
        (sealed(HEADER, bytes(24)), "it ends within p_values cka"),
        (sealed(HEADER, bytes(40)), "8 bytes too many"),
        (sealed({**HEADER, "y_layers": {"b": ["0", "1"]}}, bytes(32)), "a table must hold 2 numbers, got 1"),
        (sealed({**HEADER, "arrays": {}}), "a table must hold a number for each of 1 pairs"),
        (sealed({**HEADER, "reasons": [["cka", "a"]]}, bytes(32)), "malformed"),
        (sealed(HEADER, bytes(33)), "malformed"),
        (sealed({**HEADER, "metrics": ["magic"]}, bytes(32)), "no metric 'magic'"),
        (sealed({**HEADER, "metrics": 3}), "malformed"),
        (sealed({**HEADER, "mode": "some"}, bytes(32)), "'all' or 'best'"),
        (sealed({**HEADER, "n": "9"}, bytes(32)), "n, square and mode"),
        (sealed({**HEADER, "x_layers": ["a"]}), "malformed"),
        (sealed({**HEADER, "nulls": {"array": "self"}}, bytes(32)), "malformed"),
        (sealed({key: value for key, value in HEADER.items() if key != "caveats"}, bytes(32)), "malformed"),
        (sealed(b"{" * 100), "malformed"),
        (sealed(b'{"a":' * 5000), "malformed"),
        (sealed(b"\xff\xfe"), "malformed"),
        (sealed(b"3"), "malformed"),
    ],
)
def test_damaged_and_lying_files_are_one_clear_error(content, match, tmp_path):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as caught:
        ka.Comparison.load(path)
    assert str(path) in str(caught.value)


@given(data=st.data())
def test_no_change_of_a_file_goes_unseen(data, tmp_path, two_sets):
    path = tmp_path / "x"
    two_sets.save(path, overwrite=True)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"x is (damaged|not a Comparison)"):
        ka.Comparison.load(path)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be a regular file"):
        ka.Comparison.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        ka.Comparison.load(tmp_path / "nothing")


def forged(path, **changes):
    """A file whose checksum is right and whose header is not."""
    data = path.read_bytes()
    start = len(b"KERNALIGN COMPARISON") + 8
    (length,) = struct.unpack_from("<Q", data, start - 8)
    header = json.loads(data[start : start + length]) | changes
    return sealed(header, data[start + length : -32])


@pytest.mark.parametrize(
    "changes",
    [
        {"x_layers": {str(i): ["0"] for i in range(100_000)}},
        {name: {"a": ["0"] * 1_000_000, "b": ["0"] * 1_000_000} for name in ("x_layers", "y_layers")},
        {name: {str(i): ["0"] for i in range(100_000)} for name in ("x_layers", "y_layers")},
        {"x_layers": {"a": [], "b": []}},
        {name: {"a": ["0"] * 1_000_000} for name in ("x_layers", "y_layers")},
        {"nulls": {"array": "self"}},
        {"n": 0},
        {"settings": []},
        {"settings": {"k": 2**31}},
        {"settings": {"k": 3, "metric_options": {"cka": 3}}},
        {"provenance": {"seconds": "long"}},
        {"reasons": "abc"},
        {"reasons": [["cka", "a", "b", "0", "0", 3]]},
        {"caveats": [["ties", 3, "b", None, None, 0.5, "words"]]},
        {"inputs": [{"a": []}, {}]},
        {"nulls": {"dict": [["rsa", {"dict": []}]]}},
        {"nulls": {"dict": [["cka", {"dict": []}]]}},
        {"nulls": {"dict": [["cka", {"dict": [["x", {"dict": []}], ["y", {"dict": []}]]}]]}},
        {"metrics": "cka"},
    ],
)
@pytest.mark.parametrize("mode", ["all", "best"])
def test_a_header_cannot_ask_for_more_than_the_file_holds(tmp_path, mode, changes):
    rng = np.random.default_rng(0)
    path = tmp_path / "c"
    ka.compare({name: rng.normal(size=(20, 2, 3)) for name in "ab"}, k=3, layers=mode).save(path)
    assert ka.Comparison.load(path).n == 20
    if mode == "best" and len(str(changes)) > 10_000_000:
        return  # labels are no numbers, and were in the file
    path.write_bytes(forged(path, **changes))
    with pytest.raises(ValueError, match="malformed"):
        ka.Comparison.load(path)


@pytest.mark.parametrize(
    ("mode", "name", "value", "words"),
    [
        ("all", "p_methods cka", 7, "p_methods must be places in the vocabulary"),
        ("best", "best_layers cka", 2, "best_layers must be places of layers"),
        ("best", "best_layers cka", 0.5, "best_layers must be places of layers"),
    ],
)
def test_numbers_that_are_places_are_those_of_something(tmp_path, mode, name, value, words):
    rng = np.random.default_rng(0)
    x, y = ({name: rng.normal(size=(20, 2, 3))} for name in "ab")
    found = ka.compare(x, y, metrics=("cka",), k=3, layers=mode)
    _ = found.p_methods if mode == "all" else found.best_layers
    found.save(tmp_path / "c")
    with checkpoint.reading(tmp_path / "c", "Comparison") as (header, arrays):
        facts = {key: part for key, part in header.items() if key not in ("version", "arrays")}
        changed = {key: part.astype(np.float64) for key, part in arrays.items()}
    changed[name].flat[0] = value
    checkpoint.write(tmp_path / "bad", "Comparison", facts, changed, overwrite=False)
    with pytest.raises(ValueError, match=words):
        ka.Comparison.load(tmp_path / "bad")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([{"layers": 3}], "a null must be made of named arrays"),
        ([{"layers": np.array([1, 0])}], "places of layers must be increasing"),
        ([{"layers": np.arange(2), "self": np.eye(3)}], r"self must be numbers of shape \(2, 2\), got \(3, 3\)"),
        ([{"layers": np.arange(2), "self": np.eye(2) == 1}], "self must be numbers"),
        ([{"layers": np.arange(2), "ratio": np.ones(2)}], "must be those of CKA or of graphs, got ratio"),
        (
            [
                {"layers": np.arange(2), "self": np.eye(2)},
                {"layers": np.arange(2), "self": np.eye(2), "ratio": np.ones(2)},
            ],
            "the null of cka must be of one kind",
        ),
    ],
)
def test_parts_of_a_null_fit_the_layers(parts, words):
    null = {"x": dict(enumerate(parts))}
    with pytest.raises(ValueError, match=words):
        check_nulls({"cka": null}, ["cka"], {"x": dict.fromkeys(null["x"], ("0", "1"))})


def test_raised_scores_are_counted():
    rng = np.random.default_rng(0)
    xs = {name: rng.normal(size=(60, 5)) for name in "abc"}
    found = ka.compare(xs, metrics=("cka",))
    low = int((found.largest("cka")[np.triu_indices(3, 1)] < 1 / 1200).sum())
    assert low > 0
    with pytest.warns(ka.AlignmentWarning, match=rf"cka of {low} of 3 pairs is below 1 / \(2 n k\) = 0.000833"):
        apart = found.distances("cka")
    assert apart.max() == pytest.approx(np.log(1200))
    with pytest.raises(KeyError, match="names must be one of each side, a, b, c and a, b, c"):
        found.best("cka")["a", "d"]


@pytest.mark.parametrize("mode", ["all", "best"])
@pytest.mark.parametrize("copied", [False, True])
def test_nulls_that_are_read_late_are_those_of_the_layers(mode, copied):
    """Read first or last, or from a copy, numbers are the same; and what they were found from is let go."""
    xs = {"a": layered(2, 5, 1, n=30), "b": layered(3, 4, 2, n=30), "c": layered(1, 4, 3, n=30)}
    early, late = (ka.compare(xs, k=4, layers=mode) for _ in range(2))
    best = {metric: early.best(metric) for metric in early.metrics}
    if copied:
        late = pickle.loads(pickle.dumps(late))
    same(early, late)
    for metric, one in best.items():
        for a, b in zip(one.numbers, late.best(metric).numbers, strict=True):
            np.testing.assert_array_equal(a, b)
    if not copied:
        for table in (late.p_values, late.nulls):
            assert not any(table._makers.values())
