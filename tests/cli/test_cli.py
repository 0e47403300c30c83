"""The command line: what it prints, how it ends, and that an error is one line and never a traceback."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import warnings
from operator import itemgetter
from pathlib import Path
from typing import Any

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner, Result
from kernalign.cli import main
from kernalign.cli.info import _of_cuda
from kernalign.cli.output import number, probability
from samples import related, stand_in

N = 40


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a.npy, b.npz (u and v) and one with too few rows."""
    monkeypatch.chdir(tmp_path)
    x, y = related(N, 5, 4)
    np.save("a.npy", x)
    np.savez("b.npz", u=y, v=y[:, :2], labels=np.arange(N))
    np.save("short.npy", x[:30])
    np.save("flat.npy", np.ones((N, 3)))
    Path("note.txt").write_text("not a representation")
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def failed(result: Result, status: int) -> str:
    """The one line on standard error of a command that failed."""
    assert result.exit_code == status, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("kernalign: ")
    return lines[0]


def rows_of(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    rows: list[dict[str, object]] = json.loads(result.stdout)["rows"]
    return rows


def test_groups_come_from_lines_columns_or_arrays(files: Path) -> None:
    labels = np.repeat(np.arange(N // 2), 2)
    np.save("groups.npy", labels)
    np.savez("b.npz", u=np.load("b.npz")["u"], image=labels)
    Path("groups.txt").write_text("".join(f"image {label}\n" for label in labels))
    Path("items.csv").write_text("caption,image\n" + "".join(f"caption {i},{labels[i]}\n" for i in range(N)))
    Path("one.csv").write_text("image\n" + "".join(f"{label}\n" for label in labels))
    score = ka.cka(np.load("a.npy"), np.load("b.npz")["u"], groups=labels)
    for spec in ("groups.npy", "b.npz:image", "image", "groups.txt", "items.csv:image", "one.csv"):
        [row] = rows_of(run("compare", "b.npz:u", "a.npy", "--metric", "cka", "--groups", spec, "--json"))
        assert row["chance"] == pytest.approx(score.chance, rel=1e-12)
        assert row["p_value"] == pytest.approx(score.p_value, abs=0.05)
    args = ("compare", "a.npy", "b.npz:u", "--metric", "cka", "--groups")
    assert "must choose a column of items.csv: items.csv:COLUMN, of caption, image" in run(*args, "items.csv").stderr
    assert "--groups must be a file, FILE:COLUMN, FILE:KEY or a key of a.npy" in run(*args, "nothing").stderr
    Path("groups.txt").write_text("a\nb\n")
    assert "groups must hold one label per row, got 2 for 40 rows" in failed(run(*args, "groups.txt"), 1)


def test_groups_beside_ids_are_found_by_them(files: Path) -> None:
    """A table in another order than the files, whose ids stand in a column of their own."""
    order, labels = np.random.default_rng(0).permutation(N), np.random.default_rng(1).permutation(N) // 2
    x, y = np.load("a.npy"), np.load("b.npz")["u"]
    ids = np.array([f"item {at}" for at in range(N)])
    np.savez("c.npz", x=x, ids=ids)
    np.savez("d.npz", y=y[::-1], ids=ids[::-1])
    lines = "".join(f"{ids[at]},{labels[at]}\n" for at in order)
    Path("items.csv").write_text(f"item_id,image\n{lines}")
    np.savez("labels.npz", image=labels[order], ids=ids[order])
    score = ka.cka(x, y, groups=labels)
    for spec in ("items.csv:image", "labels.npz:image"):
        [row] = rows_of(run("compare", "c.npz:x", "d.npz:y", "--metric", "cka", "--groups", spec, "--json"))
        assert (row["score"], row["chance"]) == pytest.approx((float(score), score.chance), rel=1e-12)
        assert row["p_value"] == score.p_value
    Path("items.csv").write_text(f"item_id,image\n{lines.replace('item 0,', 'item x,')}")
    told = failed(run("compare", "c.npz:x", "d.npz:y", "--metric", "cka", "--groups", "items.csv:image"), 1)
    assert "1 of groups are not in" in told


def test_compare_measures_every_pair_with_the_library(files: Path) -> None:
    rows = rows_of(run("compare", "a.npy", "b.npz", "-k", "7", "--json"))
    assert [(r["x"], r["y"], r["metric"]) for r in rows] == [
        (x, y, metric) for x, y in (("a", "u"), ("a", "v"), ("u", "v")) for metric in ("cka", "mutual_knn")
    ]
    a, u = np.load("a.npy"), np.load("b.npz")["u"]
    for row, score in zip(rows[:2], (ka.cka(a, u), ka.mutual_knn(a, u, 7)), strict=True):
        for name in ("score", "chance", "z", "p_value", "corrected"):
            assert row[name] == pytest.approx(getattr(score, name, score), rel=1e-12)
        assert (row["n"], row["reason"]) == (N, None)


def test_compare_hands_its_options_to_the_metrics(files: Path) -> None:
    options = ["--metric", "cka", "--metric", "hsic", "--estimator", "biased", "--normalize", "l2", "--uncertainty"]
    result = run("compare", "a.npy", "b.npz:u", *options, "--threads", "1", "--json")
    a, u = np.load("a.npy"), np.load("b.npz")["u"]
    for row, metric in zip(rows_of(result), (ka.cka, ka.hsic), strict=True):
        score = metric(a, u, estimator="biased", normalize="l2", uncertainty="jackknife")
        assert row["score"] == float(score)
        assert row["stderr"] == score.stderr
        assert (row["low"], row["high"]) == score.interval()
    document = json.loads(result.stdout)
    assert document["kernalign"] == ka.__version__
    assert document["settings"]["estimator"] == "biased"
    assert document["settings"]["threads"] == 1


def test_uncertainty_is_that_of_each_metric(files: Path) -> None:
    metrics = [word for name in ("mutual_knn", "rsa", "jaccard_knn", "nbs") for word in ("--metric", name)]
    overlap, rsa, jaccard, nbs = rows_of(
        run("compare", "a.npy", "b.npz:u", "--uncertainty", *metrics, "-k", "5", "--json")
    )
    a, u = np.load("a.npy"), np.load("b.npz")["u"]
    assert overlap["stderr"] == ka.mutual_knn(a, u, 5, uncertainty="half-sampling").stderr
    assert (rsa["low"], rsa["high"]) == ka.rsa(a, u, uncertainty="jackknife").interval()
    assert jaccard["stderr"] == ka.jaccard_knn(a, u, 5, uncertainty="half-sampling").stderr
    assert nbs["stderr"] is None


def test_table_is_plain_text_when_nobody_watches(files: Path) -> None:
    result = run("compare", "a.npy", "b.npz", "--uncertainty")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    head, *body = result.stdout.splitlines()
    assert re.split(r"\s{2,}", head) == [
        *["x", "y", "metric", "score"],
        "95 % interval",
        *["chance", "corrected", "z", "p", "n"],
    ]
    assert len(body) == 6
    assert all(len(line) == len(head) for line in body)


def test_names_that_clash_are_whole_paths(files: Path) -> None:
    (files / "other").mkdir()
    np.save("other/a.npy", np.load("a.npy"))
    rows = rows_of(run("compare", "a.npy", "other/a.npy", "b.npz:u", "--metric", "cka", "--json"))
    assert [(r["x"], r["y"]) for r in rows] == [("a.npy", "other/a.npy"), ("a.npy", "u"), ("other/a.npy", "u")]


def test_undefined_values_carry_their_reason_everywhere(files: Path) -> None:
    command = ("compare", "a.npy", "flat.npy", "--metric", "cka")
    result = run(*command, "--json")
    [row] = rows_of(result)
    assert row["score"] is None
    assert row["reason"] == "y is constant"
    assert result.stderr == "note: undefined: cka of a × flat: y is constant\n"
    assert "undefined" in run(*command).stdout
    assert "y is constant" in run(*command).stdout
    [line] = csv.DictReader(io.StringIO(run(*command, "--csv").stdout))
    assert (line["score"], line["reason"]) == ("", "y is constant")


def test_other_warnings_become_notes(files: Path) -> None:
    np.save("offset.npy", np.load("a.npy") + 100)
    result = run("compare", "offset.npy", "b.npz:u", "--metric", "kernel_alignment")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: offset × u: kernel_alignment: the mean holds")
    assert len(result.stderr.splitlines()) == 1


def test_every_metric_of_the_registry_measures_files(files: Path) -> None:
    a, u = np.load("a.npy"), np.load("b.npz")["u"]
    command = ["compare", "a.npy", "b.npz:u", "--rank", "2", "--json"]
    for more in ([], ["--layers", "best"]):
        for metric, info in ka.METRICS.items():
            if not info.paired:  # two samples of the same features
                assert "same number of columns" in run(*command[:3], "--metric", metric, *more).stderr
                continue
            plain = [part for part in command if part not in ("--rank", "2")]
            ranked = metric in ("subspace_overlap", "svcca")
            rows = rows_of(run(*(command if ranked else plain), "--metric", metric, *more))
            expected = ka.measure(metric, a, u, **({"rank": 2} if ranked else {}))
            assert rows[0]["score"] == pytest.approx(float(expected), rel=1e-9)
            assert len(rows) == (1 if info.symmetric else 2)
    assert "subspace_overlap needs --rank" in run("compare", "a.npy", "b.npz:u", "--metric", "subspace_overlap").stderr
    assert "--rank is for" in run("compare", "a.npy", "b.npz:u", "--rank", "2").stderr


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_output_file(files: Path, suffix: str) -> None:
    output = f"out.{suffix}"
    assert run("compare", "a.npy", "b.npz:u", "--output", output).exit_code == 0
    text = Path(output).read_text()
    rows = json.loads(text)["rows"] if suffix == "json" else list(csv.DictReader(io.StringIO(text)))
    assert [row["metric"] for row in rows] == ["cka", "mutual_knn"]
    assert float(rows[0]["score"]) == pytest.approx(ka.cka(np.load("a.npy"), np.load("b.npz")["u"]), rel=1e-12)

    message = failed(run("compare", "a.npy", "b.npz:v", "--output", output), 2)
    assert "exists already; --force overwrites it" in message
    assert Path(output).read_text() == text
    assert run("compare", "a.npy", "b.npz:v", "--output", output, "--force").exit_code == 0
    assert Path(output).read_text() != text
    assert sorted(os.listdir(files)) == sorted(["a.npy", "b.npz", "flat.npy", "note.txt", output, "short.npy"])


@pytest.mark.parametrize(
    ("status", "args", "message"),
    [
        (1, ["compare", "a.npy", "short.npy"], "a.npy and short.npy must have the same number of rows, got 40 and 30"),
        (1, ["compare", "a.npy", "nope.npy"], "nope.npy: No such file or directory"),
        (1, ["compare", "a.npy", "b.npz:w"], "b.npz has no array 'w'; it holds: u (40, 4), v (40, 2), labels (40,)"),
        (1, ["compare", "a.npy", "b.npz:labels"], "b.npz:labels must be 2-D (items, features) or 3-D"),
        (1, ["compare", "a.npy", "note.txt"], "note.txt must be an intact file of word vectors"),
        (1, ["compare", "a.npy", "note"], "kernalign: note: No such file or directory"),
        (1, ["compare", "a.npy", "b.npz", "-k", "40"], "k must be between 1 and n - 1 = 39, got 40"),
        (2, ["compare", "a.npy", "b.npz", "--output", "no/where.csv"], "there is no directory no"),
        (2, ["compare", "a.npy", ""], "a file or directory must have a name, got an empty one"),
        (2, ["compare"], "Missing argument"),
        (2, ["compare", "a.npy"], "at least two representations, or one with layers (see kernalign compare --help)"),
        (2, ["compare", "a.npy", "b.npz", "-k", "0"], "'-k': 0 is not in the range"),
        (2, ["compare", "a.npy", "b.npz", "-k", "1.5"], "'-k': '1.5' is not a valid integer"),
        (2, ["compare", "a.npy", "b.npz", "--metric", "magic"], "there is no metric 'magic'; known are cka"),
        (
            2,
            ["compare", "a.npy", "b.npz", "--output", "out.txt"],
            "must end in .json, .csv, .png, .svg or .pdf, got out.txt",
        ),
        (2, ["--nope"], "No such option"),
        (2, ["nope"], "No such command 'nope'. (see kernalign --help)"),
    ],
)
def test_errors_are_one_line(files: Path, status: int, args: list[str], message: str) -> None:
    assert message in failed(CliRunner().invoke(main, args, prog_name="kernalign"), status)


def test_damaged_files_are_one_line(files: Path) -> None:
    content = Path("a.npy").read_bytes()
    Path("a.npy").write_bytes(content[:-8])
    assert "a.npy: its header (shape (40, 5), float64) requires" in failed(run("compare", "a.npy", "b.npz:u"), 1)


def test_debug_shows_the_traceback(files: Path) -> None:
    result = run("--debug", "compare", "a.npy", "short.npy")
    assert isinstance(result.exception, ValueError)


@pytest.mark.parametrize("taken_for", [None, RuntimeError, ImportError])
def test_ctrl_c_ends_with_one_line(
    taken_for: type[Exception] | None, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where what is interrupted makes another error of it, as classes and modules do that are being made."""

    def interrupted(*args: object, **keywords: object) -> None:
        if taken_for:
            raise taken_for from KeyboardInterrupt()
        raise KeyboardInterrupt

    stand_in(monkeypatch, "one_to_one", interrupted)
    result = run("compare", "a.npy", "b.npz", "--metric", "one_to_one", "--output", "out.csv")
    assert failed(result, 130) == "kernalign: interrupted"
    assert not Path("out.csv").exists()


def process(script: str, **pipes: Any) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-c", f"from kernalign.cli import main\n{script}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **pipes)


def test_ctrl_c_in_the_middle_leaves_nothing_behind(files: Path) -> None:
    for name, x in zip("xy", related(9000, 20, 20), strict=True):
        np.save(f"{name}.npy", x)
    before = sorted(os.listdir(files))
    command = ["compare", "x.npy", "y.npy", "--metric", "rsa", "--output", "out.json"]
    timer = "import os, signal, threading\nthreading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()"
    with process(f"{timer}\nmain({command})") as running:
        out, err = running.communicate(timeout=600)
    assert (running.returncode, out, err) == (130, "", "kernalign: interrupted\n")
    assert sorted(os.listdir(files)) == before


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_a_reader_that_goes_away_is_no_error(files: Path, form: list[str]) -> None:
    with process(f"input()\nmain({['compare', 'a.npy', 'b.npz:u', *form]})", stdin=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.close()
        assert running.stdin is not None
        running.stdin.write("go on\n")
        running.stdin.flush()
        assert running.stderr is not None
        assert running.stderr.read() == ""
    assert running.returncode == 1


@pytest.mark.parametrize("more", [[], ["--layers", "best"], ["--metric", "rsa", "--layers", "best"]])
def test_zero_rows_are_named_without_advice_that_does_not_fit(files: Path, more: list[str]) -> None:
    x = np.load("a.npy")
    x[7] = 0
    np.save("zero.npy", x)
    message = failed(run("compare", "zero.npy", "b.npz:u", "--normalize", "l2", *more), 1)
    assert "zero" in message
    assert "(--zero-rows drop_pair drops such items)" in message
    assert ("row 7 is zero" if "rsa" not in more else "row 7 is constant") in message


@pytest.mark.parametrize("form", ["json", "csv"])
def test_one_bad_file_or_array_costs_only_its_own_scores(files: Path, form: str) -> None:
    """Everything else is computed, written and printed; the exit status says that something is missing."""
    x, (y, z) = np.load("a.npy"), related(N, 6, 7)
    y[7] = 0
    np.savez("model.npz", good=x, zero=y, other=z)
    Path("cut.npy").write_bytes(Path("a.npy").read_bytes()[:-8])
    result = run("compare", "model.npz", "cut.npy", "nowhere.npy", "--output", f"out.{form}", f"--{form}")
    assert result.exit_code == 1
    text = Path(f"out.{form}").read_text()
    assert text == result.stdout
    rows = json.loads(text)["rows"] if form == "json" else list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 * 10
    for row in rows:
        pair, knn = {row["x"], row["y"]}, row["metric"] == "mutual_knn"
        lost = bool(pair & {"cut", "nowhere"}) or ("zero" in pair and knn)
        assert (row["status"], row["score"] in (None, "")) == (("failed", True) if lost else ("ok", False))
        if pair == {"good", "nowhere"}:
            assert row["reason"] == "nowhere.npy: No such file or directory"
    assert float(rows[0]["score"]) == pytest.approx(ka.cka(x, y), rel=1e-12)
    notes = result.stderr.splitlines()
    assert len([note for note in notes if note.startswith("note: failed: ")]) == 3
    assert any("model.npz:zero must have no zero row" in note and note.endswith("(4 scores)") for note in notes)


def test_scores_are_those_of_the_library_whatever_the_flags(files: Path) -> None:
    command = [
        "compare",
        "a.npy",
        "b.npz:u",
        "b.npz:v",
        *(f"--metric={name}" for name in ("cka", "hsic", "mutual_knn", "rsa", "nbs")),
    ]
    plain, layers, best = (
        rows_of(run(*command, *more, "--json")) for more in ([], ["--layers", "all"], ["--layers", "best"])
    )
    key = itemgetter("metric", "x", "y")
    for a, b, c in zip(*(sorted(rows, key=key) for rows in (plain, layers, best)), strict=True):
        assert {name: b[name] for name in a} | {"finished_at": a["finished_at"]} == a
        assert (a["score"], a["reason"]) == (c["score"], c["reason"])


@pytest.mark.parametrize("more", [[], ["--layers", "best"]])
def test_bad_rows_are_dropped_if_asked_for(files: Path, more: list[str]) -> None:
    x = np.load("a.npy")
    x[7], x[9, 0] = 0, np.nan
    np.save("bad.npy", x)
    drop = ["--zero-rows", "drop_pair", "--nan-rows", "drop_pair"]
    result = run("compare", "bad.npy", "b.npz:u", "--metric", "mutual_knn", "-k", "3", *more, *drop, "--json")
    assert result.exit_code == 0, result.output
    [row] = json.loads(result.stdout)["rows"]
    keep = [at for at in range(N) if at not in (7, 9)]
    wanted = ka.mutual_knn(x[keep], np.load("b.npz")["u"][keep], 3)
    assert (row["n"], row["score"]) == (N - 2, pytest.approx(float(wanted)))


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_remedies_are_said_in_the_options_of_the_command(files: Path, form: list[str]) -> None:
    x = np.load("a.npy")
    x[7], x[9, 0] = 0, np.nan
    np.savez("model.npz", bad=x, zero=np.where(np.isnan(x), 1, x), good=np.load("a.npy"))
    result = run("compare", "model.npz", "b.npz:u", *form)
    assert result.exit_code == 1
    assert "(--nan-rows drop_pair drops such items)" in result.stderr
    assert "(--zero-rows drop_pair drops such items)" in result.stderr
    assert "drop_pair" in result.stdout
    assert "_rows=" not in result.output
    stitched = failed(run("stitch", "model.npz:bad", "b.npz:u"), 1)  # which has no such options
    assert "--nan-rows" not in stitched


def test_labels_of_groups_follow_dropped_rows(files: Path) -> None:
    x, labels = np.load("a.npy"), np.repeat(np.arange(N // 2), 2)
    x[7] = np.nan
    np.save("bad.npy", x)
    np.save("groups.npy", labels)
    args = ("--metric", "cka", "--groups", "groups.npy", "--nan-rows", "drop_pair", "--json")
    [row] = rows_of(run("compare", "bad.npy", "b.npz:u", *args))
    keep = np.arange(N) != 7
    score = ka.cka(x[keep], np.load("b.npz")["u"][keep], groups=labels[keep])
    assert row["score"] == pytest.approx(float(score), rel=1e-12)
    assert row["chance"] == pytest.approx(score.chance, rel=1e-12)


def test_the_package_is_the_command(files: Path) -> None:
    command = [sys.executable, "-m", "kernalign"]
    done = subprocess.run([*command, "info", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)
    wrong = subprocess.run([*command, "compare"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "python -m kernalign compare --help" in wrong.stderr
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize("more", [[], ["--layers", "best"]])
def test_names_that_are_not_utf_8_are_escaped(files: Path, more: list[str]) -> None:
    odd = os.fsdecode(b"odd\xff.npy")
    try:
        os.replace("a.npy", odd)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    for output in ("out.json", "out.csv"):
        result = run("compare", odd, "b.npz:u", "--metric", "cka", *more, "--output", output)
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[1].startswith(r"odd\xff ")
        text = Path(output).read_text(encoding="utf-8")
    assert next(csv.DictReader(io.StringIO(text)))["x"] == r"odd\xff"
    document = json.loads(Path("out.json").read_text(encoding="utf-8"))
    assert document["settings"]["files"] == [r"odd\xff.npy", "b.npz:u"]


def test_shapes_that_are_no_representation_name_the_file(files: Path) -> None:
    np.save("number.npy", np.array(3.0))
    np.save("four.npy", np.ones((N, 2, 2, 2)))
    for name, found in (("number.npy", "a single number"), ("four.npy", "got shape (40, 2, 2, 2)")):
        for command in ("compare", "stitch"):
            message = failed(run(command, "a.npy", name), 1)
            assert message.startswith(f"kernalign: {name} must be")
            assert found in message


def test_the_output_is_refused_before_the_work(files: Path) -> None:
    Path("dir.csv").mkdir()
    for command in (["compare", "a.npy", "b.npz:u"], ["stitch", "a.npy", "b.npz:u"]):
        assert "dir.csv is a directory" in failed(run(*command, "--output", "dir.csv", "--force"), 2)
        assert "there is no directory no" in failed(run(*command, "--output", "no/out.csv"), 2)


def test_lack_of_memory_is_one_line(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*args: object, **keywords: object) -> None:
        raise MemoryError("Unable to allocate 9 PiB")

    stand_in(monkeypatch, "one_to_one", hungry)
    command = ("compare", "a.npy", "b.npz", "--metric", "one_to_one")
    assert "not enough memory: Unable to allocate 9 PiB" in failed(run(*command), 1)
    result = run(*command, "--metric", "cka")  # what fits is not lost
    assert result.exit_code == 1
    assert "cka" in result.stdout
    assert result.stderr == "note: failed: not enough memory: Unable to allocate 9 PiB (3 scores)\n"


def test_an_error_that_nobody_foresaw_has_its_kind(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "one_to_one", lambda *args, **keywords: {}["k"])
    message = failed(run("compare", "a.npy", "b.npz", "--metric", "one_to_one"), 1)
    assert message == "kernalign: KeyError: 'k' (--debug shows where)"


def test_info() -> None:
    text = run("info").stdout
    assert f"kernalign:    {ka.__version__}" in text
    assert re.search(r"cuda:         (not built|built for 75, )", text)
    facts = json.loads(run("info", "--json").stdout)
    assert {"python", "numpy", "compiler", "simd", "blas", "threads", "cuda", "extras"} < set(facts)
    assert facts["threads"] >= 1
    assert facts["formats"][".npy"] is None
    assert "formats:      .npy .npz" in text


def test_info_tells_of_devices() -> None:
    card = {"name": "H200", "capability": "9.0", "memory": 139 << 30, "multiplies_floats": False}
    facts = {"built": True, "devices": [card], "cublas": None, "driver": "13.0", "architectures": "75, 90"}
    assert (
        _of_cuda(facts)
        == "built for 75, 90; driver 13.0: H200 (9.0, 139 GiB, float64 products of narrow rows); no cuBLAS was found"
    )
    none = facts | {"devices": [], "why_not": "no driver was found"}
    assert _of_cuda(none) == "built for 75, 90; no driver was found"
    assert _of_cuda({"built": False}) == "not built"


def test_info_says_what_brings_the_other_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernalign.sources.formats.find_spec", lambda name: None)
    text = run("info").stdout
    assert re.search(r"formats:      \.npy .*; pip install 'kernalign\[io\]' for \.h5 ", text)
    assert json.loads(run("info", "--json").stdout)["formats"][".zarr"] == "io"


def test_help_and_version() -> None:
    assert run("--version").stdout.strip() == f"kernalign, version {ka.__version__}"
    for args in ([], ["--help"], ["compare", "-h"]):
        result = run(*args)
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage:")


def test_the_installed_command(files: Path) -> None:
    """One real process: exit status, streams, and no traceback."""
    command = [str(Path(sys.executable).with_name("kernalign")), "compare", "a.npy"]
    done = subprocess.run([*command, "b.npz:u", "--csv"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3
    done = subprocess.run([*command, "short.npy"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "kernalign: a.npy and short.npy must have the same number of rows, got 40 and 30\n"


def test_warnings_are_left_as_they_were(files: Path) -> None:
    before = warnings.filters[:]
    run("compare", "a.npy", "flat.npy")
    assert warnings.filters == before


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "undefined"),
        (0.0, "0.0000"),
        (0.12345, "0.1235"),
        (1e-7, "1.00e-07"),
        (2e7, "2.00e+07"),
    ],
)
def test_numbers_are_shown_so_that_they_can_be_read(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_probabilities_below_belief_are_not_spelled_out() -> None:
    assert [probability(p) for p in (None, 0.0, 1e-13, 2.34e-5, 0.5)] == ["–", "<1e-12", "<1e-12", "2.3e-05", "0.5"]
