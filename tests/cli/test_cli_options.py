"""Options of metrics reach those that have them; what a metric lacks, and names that are nearly right, are told of."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner, Result
from kernalign.cli import main
from samples import related

N = 40


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    monkeypatch.chdir(tmp_path)
    x, y = related(N, 5, 4)
    np.save("a.npy", x)
    np.save("b.npy", y)
    np.save("layers.npy", np.stack([y, y[::-1]], axis=1))
    return x, y


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def scores(*args: str) -> list[dict[str, object]]:
    result = run("compare", *args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["rows"]


def told(*args: str, status: int = 2) -> str:
    result = run(*args)
    assert result.exit_code == status, result.output
    [line] = result.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    "options, kernel",
    [
        (["--kernel", "linear"], ka.Linear()),
        (["--kernel", "cosine"], ka.Cosine()),
        (["--kernel", "rbf"], ka.RBF("median")),
        (["--kernel", "rbf", "--bandwidth", "2.5"], ka.RBF(2.5)),
        (["--kernel", "laplacian", "--bandwidth", "median_offdiag"], ka.Laplacian("median_offdiag")),
    ],
)
def test_kernels(files, options: list[str], kernel: object) -> None:
    x, y = files
    metrics = ["--metric", "cka", "--metric", "HSIC", "--metric", "mutual_knn"]
    cka, hsic, knn = scores("a.npy", "b.npy", *metrics, *options)
    assert cka["score"] == pytest.approx(float(ka.cka(x, y, kernel=kernel)), rel=1e-10)
    assert hsic["score"] == pytest.approx(float(ka.hsic(x, y, kernel=kernel)), rel=1e-10)
    assert knn["score"] == float(ka.mutual_knn(x, y))


def test_folds_and_pairings(files) -> None:
    x, y = files
    command = ["a.npy", "b.npy", "--metric", "linear-predictivity", "--cv", "5"]
    row = scores(*command)[0]
    assert (row["score"], row["p_value"]) == (float(ka.linear_predictivity(x, y, cv=5)), None)
    few, usual = (scores(*command, *more)[0] for more in (["--permutations", "19"], ["--p", "exact-or-permutation"]))
    test = ka.permutation_test(lambda a, b: ka.linear_predictivity(a, b, cv=5), x, y, permutations=19)
    assert few["p_value"] == test.p_value == 1 / 20
    assert few["p_method"] == "19 random pairings, seed 0"
    assert usual["p_method"] == "999 random pairings, seed 0"
    assert scores("a.npy", "b.npy", "--metric", "cka", "--p", "none")[0]["p_value"] is None


def test_a_number_of_pairings_in_python(files) -> None:
    x, y = files
    for metrics in (["pwcca"], ["procrustes"]):
        row = next(ka.compare({"x": x, "y": y}, metrics=metrics, p_values=49).rows())
        test = ka.permutation_test(metrics[0], x, y, permutations=49)
        assert row["p_value"] == pytest.approx(test.p_value)
    for bad, words in ((5, "p_values must be at least 19, got 5"), ("all", "'permutation' or a number of pairings")):
        with pytest.raises(ValueError, match=words):
            ka.compare({"x": x, "y": y}, p_values=bad)
    assert np.isnan(
        ka.compare({"x": x, "y": y}, metrics=["pwcca"], p_values=np.bool_(False)).p_values["pwcca"]["x", "y"]
    )


@pytest.mark.parametrize(
    "options, words",
    [
        (["--metric", "nbs", "--kernel", "rbf"], "--kernel is for cka, hsic, kernel_alignment, mmd, "),
        (["--metric", "cka", "--cv", "5"], "--cv is for linear_predictivity and predictivity, not for cka"),
        (["--metric", "nbs", "--metric", "cca", "--uncertainty"], "not for nbs and cca"),
        (["--metric", "pwcca", "--groups", "x.txt"], "--groups is for "),
        (["--metric", "cka", "-k", "5"], "-k is for "),
        (["--metric", "mutual_knn", "--estimator", "biased"], "--estimator is for "),
        (["--metric", "subspace_overlap"], "subspace_overlap needs --rank"),
        (["--bandwidth", "2"], "--bandwidth is for --kernel rbf and laplacian, not for linear"),
        (["--kernel", "cosine", "--bandwidth", "2"], "--bandwidth is for --kernel rbf and laplacian, not for cosine"),
        (["--kernel", "rbf", "--bandwidth", "-2"], "bandwidth must be positive and finite, got -2.0"),
        (["--kernel", "rbf", "--bandwidth", "mean"], "bandwidth must be a number, 'median' or 'median_offdiag'"),
        (["--p", "none", "--permutations", "99"], "--permutations is for --p exact-or-permutation, not for --p none"),
        (["--metric", "mutual_nn"], "there is no metric 'mutual_nn'; did you mean 'mutual_knn'?"),
        (["--metric", "zzz"], "there is no metric 'zzz'; known are cka, hsic"),
    ],
)
def test_what_a_metric_lacks_is_told_of_in_one_line(files, options: list[str], words: str) -> None:
    assert words in told("compare", "a.npy", "b.npy", *options)


def test_names_in_any_case(files) -> None:
    found = scores("a.npy", "b.npy", "--metric", "CKA", "--metric", "Mutual-kNN", "--metric", "cka")
    assert [row["metric"] for row in found] == ["cka", "mutual_knn"]


def test_directions_have_an_arrow(files) -> None:
    lines = run("compare", "a.npy", "b.npy", "--metric", "cka", "--metric", "pwcca").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["a", "b", "cka"], ["a", "→", "b"], ["b", "→", "a"]]
    assert "→" not in run("compare", "a.npy", "b.npy").stdout


def test_no_layer_where_there_are_none(files) -> None:
    assert "layer" not in run("compare", "a.npy", "b.npy").stdout
    head, *lines = run("compare", "a.npy", "layers.npy", "--metric", "cka", "--layers", "all").stdout.splitlines()
    assert head.split()[:4] == ["x", "y", "layer", "metric"]
    assert [line.split()[:3] for line in lines] == [["a", "layers", "0"], ["a", "layers", "1"]]


@pytest.mark.parametrize(
    "status, arguments, words",
    [
        (1, "compare missing.npy", "missing.npy: No such file or directory"),
        (2, "compare a.npy b.npy --axes xyz", "--axes xyz is for arrays of 3 axes; no array has so many"),
        (2, "compare a.npy b.npy --pool mean", "--pool is for arrays of 4 axes, or with --axes for others; no array"),
        (
            2,
            "compare a.npy b.npy --pairing ids",
            "--pairing ids needs names of all rows, but a.npy has none; --ids says",
        ),
        (
            1,
            "compare a.npy b.npy --scheduler foo",
            "--scheduler must be the address of a Dask scheduler (tcp://host:8786)",
        ),
        (1, "compare a.npy b.npy --ids name", "it holds: an array without a name (40, 5)"),
        (1, "knn-change a.npy few.npy", "x = a.npy and y = few.npy: x and y must have the same number of rows"),
        (2, "suite list missing", "'missing' does not exist"),
        (1, "suite init .", "suite.toml exists already: edit it, or remove it first"),
    ],
)
def test_what_a_command_cannot_do_is_told_of_in_one_line(files, status: int, arguments: str, words: str) -> None:
    np.save("few.npy", files[0][:20])
    Path("suite.toml").touch()
    assert words in told(*arguments.split(), status=status)


def test_no_advice_that_a_command_cannot_take(files) -> None:
    x, _ = files
    x[3] = 0
    np.save("zero.npy", x)
    assert "--zero-rows drop_pair" in told("compare", "a.npy", "zero.npy", "--metric", "mutual_knn", status=1)
    x[3] = np.nan
    np.save("bad.npy", x)
    assert "drop" not in told("stitch", "a.npy", "bad.npy", status=1)


def test_a_group_alone_shows_its_help() -> None:
    result = run("suite")
    assert result.exit_code == 0
    assert "\nCommands:\n" in result.stdout


def test_what_is_undefined_of_equal_rows_is_said(files) -> None:
    np.save("constant.npy", np.ones((N, 3)))
    for names in (["constant.npy"], ["constant.npy", "a.npy"]):
        shown = run("describe", *names).stdout
        assert "undefined" in shown
        assert "nan" not in shown


def test_a_description_that_fails_has_its_reason_in_the_output(files) -> None:
    result = run("describe", "missing.npy", "a.npy", "--output", "out.json", "--output", "out.csv")
    assert result.exit_code == 1
    described, missing = json.loads(Path("out.json").read_text())["rows"]
    assert (described["name"], described["reason"], missing["name"], missing["n"]) == ("a", None, "missing", None)
    assert missing["reason"] == "missing.npy: No such file or directory"
    written = csv.DictReader(io.StringIO(Path("out.csv").read_text()))
    assert [row["reason"] for row in written] == ["", missing["reason"]]


def test_maps_are_pooled_beside_tokens_and_layers(files) -> None:
    rng = np.random.default_rng(0)
    tokens, maps = rng.standard_normal((N, 4, 5)), rng.standard_normal((N, 5, 3, 3))
    np.save("tokens.npy", tokens)
    np.save("maps.npy", maps)
    [row] = scores("tokens.npy", "maps.npy", "--axes", "ntd", "--pool", "mean", "--metric", "cka")
    assert row["score"] == pytest.approx(ka.cka(tokens.mean(axis=1), maps.mean(axis=(2, 3))), abs=1e-6)
    for command in ("compare", "describe"):
        told = run(command, "tokens.npy", "maps.npy", "--pool", "mean").stderr
        assert "note: tokens.npy has 3 axes, read as items, layers and features; --axes ntd pools" in told


def test_knn_change_drops_items_that_are_bad_on_either_side(files) -> None:
    x, y = files
    x[3], y[5] = 0, np.nan
    np.save("x.npy", x)
    np.save("y.npy", y)
    assert "row 3 is zero (--zero-rows drop_pair" in told(
        "knn-change", "x.npy", "y.npy", "--nan-rows", "drop_pair", status=1
    )
    result = run("knn-change", "x.npy", "y.npy", "--zero-rows", "drop_pair", "--nan-rows", "drop_pair", "--json")
    rows = json.loads(result.stdout)["rows"]
    assert sorted(row["item"] for row in rows) == [at for at in range(N) if at not in (3, 5)]
    score = ka.mutual_knn(x, y, zero_rows="drop_pair", nan_rows="drop_pair")
    assert np.mean([row["kept"] for row in rows]) == pytest.approx(score)


def test_describe(files) -> None:
    x, _ = files
    x[3] = x[4]
    np.save("twice.npy", x)
    found = ka.describe(x)
    assert run("describe", "twice.npy").stdout == f"{found}\n"
    result = run("describe", "twice.npy", "layers.npy", "--json")
    rows = json.loads(result.stdout)["rows"]
    assert [(row["name"], row["layer"], row["n"]) for row in rows] == [
        ("twice", None, N),
        ("layers", "0", N),
        ("layers", "1", N),
    ]
    assert rows[0]["participation_ratio"] == found.participation_ratio
    assert rows[0]["warnings"] == found.warnings
    table = run("describe", "twice.npy", "layers.npy").stdout
    assert f"! twice: {found.warnings[0]}" in table
    [row] = csv.DictReader(io.StringIO(run("describe", "twice.npy", "--csv", "--output", "out.csv").stdout))
    assert row["duplicate_rows"] == "1"
    assert Path("out.csv").read_text().startswith("name,layer,n,p")
    Path("bad.npy").write_bytes(b"no array")
    result = run("describe", "bad.npy", "twice.npy")
    assert result.exit_code == 1
    assert result.stderr.startswith("note: failed: bad: ")
    assert result.stdout == f"{found}\n"


def nearest(rows: np.ndarray, queries: np.ndarray, k: int, own: bool) -> np.ndarray:
    """By brute force, cosine."""
    unit, asked = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (rows, queries))
    similar = asked @ unit.T
    if own:
        np.fill_diagonal(similar, -2)
    return np.argsort(-similar, axis=1)[:, :k]


class TestNeighborChange:
    @pytest.fixture
    def indexes(self, tmp_path, monkeypatch) -> tuple[np.ndarray, np.ndarray]:
        monkeypatch.chdir(tmp_path)
        old = np.random.default_rng(0).standard_normal((300, 8))
        new = old @ np.random.default_rng(1).standard_normal((8, 6))
        ids = np.array([f"item {at}" for at in range(300)])
        order = np.random.default_rng(2).permutation(300)[:290]
        np.savez("old.npz", vectors=old, ids=ids)
        np.savez("new.npz", vectors=new, ids=ids)
        np.savez("shuffled.npz", vectors=new[order], names=ids[order])
        np.savez("old_named.npz", vectors=old, names=ids)
        np.save("old.npy", old)
        np.save("new.npy", new)
        return old, new

    def test_shares_and_order_are_those_of_brute_force(self, indexes) -> None:
        old, new = indexes
        document = json.loads(run("knn-change", "old.npz:vectors", "new.npz:vectors", "-k", "5", "--json").stdout)
        a, b = nearest(old, old, 5, True), nearest(new, new, 5, True)
        kept = np.array([len(set(one) & set(other)) / 5 for one, other in zip(a, b, strict=True)])
        order = np.argsort(kept, kind="stable")
        assert [row["item"] for row in document["rows"]] == [f"item {at}" for at in order]
        assert [row["kept"] for row in document["rows"]] == pytest.approx(kept[order])
        assert [row["nearest_new"] for row in document["rows"]] == [f"item {at}" for at in b[order, 0]]
        summary = document["summary"]
        assert summary["kept"] == pytest.approx(kept.mean())
        assert summary["chance"] == pytest.approx(5 / 299)
        assert summary["same_nearest"] == pytest.approx((a[:, 0] == b[:, 0]).mean())
        assert (summary["all_kept"], summary["none_kept"]) == ((kept == 1).mean(), (kept == 0).mean())

    def test_items_drawn_by_lot_are_searched_among_all(self, indexes) -> None:
        whole = json.loads(run("knn-change", "old.npy", "new.npy", "--json").stdout)
        some = json.loads(run("knn-change", "old.npy", "new.npy", "--queries", "50", "--json").stdout)
        kept = {row["item"]: row for row in whole["rows"]}
        assert len(some["rows"]) == some["summary"]["compared"] == 50
        assert all(kept[row["item"]] == row for row in some["rows"])
        assert some["summary"]["low"] <= whole["summary"]["kept"] <= some["summary"]["high"]

    def test_ids_pair_what_both_have(self, indexes) -> None:
        old, new = indexes
        rows = csv.DictReader(
            io.StringIO(
                run("knn-change", "old_named.npz:vectors", "shuffled.npz:vectors", "--ids", "names", "--csv").stdout
            )
        )
        found = {row["item"]: float(row["kept"]) for row in rows}
        both = np.sort(np.random.default_rng(2).permutation(300)[:290])
        a, b = nearest(old[both], old[both], 10, True), nearest(new[both], new[both], 10, True)
        kept = [len(set(one) & set(other)) / 10 for one, other in zip(a, b, strict=True)]
        assert found == {f"item {at}": pytest.approx(share) for at, share in zip(both, kept, strict=True)}

    def test_query_vectors(self, indexes) -> None:
        old, new = indexes
        asked = np.random.default_rng(3).standard_normal((20, 8))
        np.save("asked_old.npy", asked)
        np.save("asked_new.npy", asked @ np.random.default_rng(1).standard_normal((8, 6)))
        files = ["--queries", "asked_old.npy", "--queries", "asked_new.npy"]
        document = json.loads(run("knn-change", "old.npy", "new.npy", "-k", "5", *files, "--json").stdout)
        a, b = nearest(old, asked, 5, False), nearest(new, np.load("asked_new.npy"), 5, False)
        kept = {at: len(set(one) & set(other)) / 5 for at, (one, other) in enumerate(zip(a, b, strict=True))}
        assert {row["item"]: pytest.approx(row["kept"]) for row in document["rows"]} == kept

    def test_the_table_and_the_file(self, indexes) -> None:
        result = run("knn-change", "old.npy", "new.npy", "--top", "3", "--output", "change.csv")
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert "of the 10 nearest neighbours are kept; by chance 3.34%" in lines[0]
        assert lines[1].startswith("300 items: the nearest is the same for ")
        assert len(lines) == 8
        assert len(Path("change.csv").read_text().splitlines()) == 301

    @pytest.mark.parametrize(
        "args, status, words",
        [
            (["old.npy", "new.npy", "--queries", "some"], 2, "--queries must be a number of items, or be given twice"),
            (["old.npy", "gone.npy"], 1, "gone.npy: No such file or directory"),
            (["old.npy", "new.npy", "-k", "300"], 1, "k must be between 1 and n - 1 = 299, got 300"),
            (["old.npy", "new.npy", "--similarity", "l1"], 2, "--similarity"),
            (["old.npy", "new.npy", "--output", "a.png"], 2, "must end in .json or .csv, got a.png"),
        ],
    )
    def test_errors_are_one_line(self, indexes, args: list[str], status: int, words: str) -> None:
        result = run("knn-change", *args)
        assert (result.exit_code, len(result.stderr.splitlines())) == (status, 1), result.output
        assert words in result.stderr


@pytest.mark.parametrize(
    "line, expected",
    [
        ("kernalign kn", {"plain,knn-change"}),
        ("kernalign compare --metric mut", {"plain,mutual_knn"}),
        ("kernalign compare --zero-r", {"plain,--zero-rows"}),
        ("kernalign compare --kernel l", {"plain,linear", "plain,laplacian"}),
        ("kernalign describe a.n", {"file,a.n"}),
    ],
)
def test_shells_complete(line: str, expected: set[str]) -> None:
    """As bash asks; the script that it evaluates is click's."""
    words = line.split()
    asked = os.environ | {"_KERNALIGN_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    code = "from kernalign.cli import main; main(prog_name='kernalign')"
    found = subprocess.run([sys.executable, "-c", code], env=asked, capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) == expected


def test_shells_have_a_script_to_evaluate() -> None:
    result = CliRunner(env={"_KERNALIGN_COMPLETE": "zsh_source"}).invoke(main, prog_name="kernalign")
    assert "compdef" in result.stdout
