"""``kernalign stitch``: its numbers are the library's, held-out scores are explicit folds, errors are one line."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign.cli import main
from kernalign.stitching import (
    AffineStitcher,
    LinearHead,
    LowRankStitcher,
    ProcrustesStitcher,
    RidgeStitcher,
    run_trials,
    stitching_certificate,
)
from reference import stitching as oracle
from reference.folds import fold_numbers
from samples import related
from test_cli import failed, run

N, FOLDS = 61, 4
MAPS = ["affine", "ridge", "procrustes", "low-rank 1", "low-rank 2", "low-rank 4"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """a.npy, b.npz (u and v), a head of u with weight and bias, its targets, and files that do not fit."""
    monkeypatch.chdir(tmp_path)
    x, y = related(N, 5, 4)
    targets = y @ np.arange(8.0).reshape(4, 2) + related(N, 2, 2, 7)[0] + 1
    weight = np.linalg.lstsq(y, targets - 1, rcond=None)[0].T
    np.save("a.npy", x)
    np.savez("b.npz", u=y, v=y[:, :2])
    np.savez("head.npz", weight=weight, bias=np.ones(2))
    np.save("weight.npy", weight)
    np.save("targets.npy", targets)
    np.save("short.npy", x[:30])
    np.save("flat.npy", np.ones((N, 3)))
    return tmp_path


def held_out(stitcher, x, y, folds):
    """Predictions of every item by a map fitted without its fold."""
    items, predicted = fold_numbers(len(x), folds), np.empty(y.shape)
    for fold in range(folds):
        predicted[items == fold] = stitcher.fit(x[items != fold], y[items != fold]).transform(x[items == fold])
    return predicted


@pytest.mark.parametrize("n", [61, 3000])
def test_trials_are_explicit_folds(n: int) -> None:
    x, y = related(n, 5, 4)
    weight, targets = np.random.default_rng(1).standard_normal((2, 4)), related(n, 2, 2, 7)[0]
    stitchers = {"affine": AffineStitcher(), "ridge": RidgeStitcher(3.0), "procrustes": ProcrustesStitcher()}
    stitchers["rank 2"] = LowRankStitcher(2)
    trials = run_trials(x, y, stitchers, folds=FOLDS, head=weight, targets=targets)
    for trial, (name, stitcher) in zip(trials, stitchers.items(), strict=True):
        mapped = held_out(stitcher, x, y, FOLDS)
        assert trial.name == name
        assert trial.misalignment == pytest.approx(oracle.risk(mapped, y))
        assert trial.r2 == pytest.approx(1 - oracle.risk(mapped, y) / y.var(axis=0).sum())
        inside = stitcher.fit(x, y).score(x, y, multioutput="variance_weighted")
        assert trial.r2_in_sample == pytest.approx(inside)
        assert trial.risk == pytest.approx(oracle.risk(y @ weight.T, targets))
        assert trial.stitched_risk == pytest.approx(oracle.risk(mapped @ weight.T, targets))
        kappa = np.linalg.norm(weight, 2)
        assert trial.bound == pytest.approx((trial.risk**0.5 + kappa * trial.misalignment**0.5) ** 2)
        assert trial.stitched_risk <= trial.bound
        assert trial.rank == (2 if name == "rank 2" else 4)
        assert trial.solver == stitcher.solver_


def test_files_with_ids_are_paired_by_them(files: Path) -> None:
    """Rows and targets in another order than those of the first file."""
    ids, order = np.array([f"item {at}" for at in range(N)]), np.random.default_rng(3).permutation(N)
    x, y, targets = np.load("a.npy"), np.load("b.npz")["u"], np.load("targets.npy")
    np.savez("x.npz", x=x, ids=ids)
    np.savez("y.npz", y=y[order], ids=ids[order])
    np.savez("t.npz", t=targets[::-1], ids=ids[::-1])
    args = ("--head", "head.npz", "--json")
    wanted, found = (
        json.loads(run("stitch", *given, *args).stdout)
        for given in (("a.npy", "b.npz:u", "--targets", "targets.npy"), ("x.npz:x", "y.npz:y", "--targets", "t.npz:t"))
    )
    for one, other in zip(found["rows"], wanted["rows"], strict=True):
        for name in ("r2", "r2_in_sample", "risk", "stitched_risk"):
            assert one[name] == pytest.approx(other[name], rel=1e-9)
    assert found["certificate"]["bound"] == pytest.approx(wanted["certificate"]["bound"], rel=1e-9)


def test_trials_check_their_arguments() -> None:
    x, y = related(20, 5, 4)
    stitchers = {"affine": AffineStitcher()}
    with pytest.raises(ValueError, match="head and targets must be given together"):
        run_trials(x, y, stitchers, head=np.ones((1, 4)))
    with pytest.raises(ValueError, match="folds must be between 2 and n = 20, got 21"):
        run_trials(x, y, stitchers, folds=21)
    with pytest.raises(TypeError, match="folds must be an integer, got None"):
        run_trials(x, y, stitchers, folds=None)
    with pytest.raises(TypeError, match="stitchers must be a dict of names and stitchers, got 3"):
        run_trials(x, y, 3)
    with pytest.raises(ValueError, match="every fold must leave at least 2 items"):
        run_trials(x[:3], y[:3], stitchers, folds=2)
    with pytest.raises(ValueError, match="targets must have the 20 rows of x and y, got 19"):
        run_trials(x, y, stitchers, head=np.ones((1, 4)), targets=np.ones((19, 1)))
    with pytest.raises(ValueError, match="lipschitz must be left out without a head, got 2"):
        run_trials(x, y, stitchers, lipschitz=2)


def test_both_ways_by_every_solver(files: Path) -> None:
    result = run("stitch", "a.npy", "b.npz:u", "--folds", str(FOLDS), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    assert document["kernalign"] == ka.__version__
    assert document["settings"]["folds"] == FOLDS
    assert "certificate" not in document
    x, y = np.load("a.npy"), np.load("b.npz")["u"]
    rows = document["rows"]
    assert [(r["x"], r["y"], r["name"]) for r in rows] == [(a, b, m) for a, b in (("a", "u"), ("u", "a")) for m in MAPS]
    assert rows[0]["r2"] == pytest.approx(1 - oracle.risk(held_out(AffineStitcher(), x, y, FOLDS), y) / y.var(0).sum())
    assert rows[6]["r2"] == pytest.approx(1 - oracle.risk(held_out(AffineStitcher(), y, x, FOLDS), x) / x.var(0).sum())
    curve = LowRankStitcher(4).fit(x, y).residual_curve_ / y.var(axis=0).sum()
    assert [1 - r["r2_in_sample"] for r in rows[3:6]] == pytest.approx(curve[[1, 2, 4]])
    assert all(r["risk"] is r["bound"] is None and r["seconds"] > 0 for r in rows)


def test_a_head_adds_risks_and_a_certificate(files: Path) -> None:
    command = ("stitch", "a.npy", "b.npz:u", "--head", "head.npz", "--targets", "targets.npy", "--solver", "affine")
    document = json.loads(run(*command, "--json").stdout)
    [row] = document["rows"]
    x, y, targets = np.load("a.npy"), np.load("b.npz")["u"], np.load("targets.npy")
    head = LinearHead(np.load("weight.npy"), np.ones(2))
    expected = stitching_certificate(x, y, head, targets)
    assert document["certificate"]["bound"] == expected.bound
    assert document["certificate"]["forward"] == list(expected.forward)
    assert document["certificate"]["holds"] is True
    assert row["risk"] == pytest.approx(expected.risk)
    assert row["risk"] < row["stitched_risk"] < row["bound"]
    text = run(*command).stdout
    assert "Certificate of a under the head of u" in text
    assert "holds          yes" in text
    assert "stitched risk" in text.splitlines()[0]
    plain = json.loads(run(*command[:4], "weight.npy", *command[5:], "--json").stdout)
    assert plain["rows"][0]["risk"] == pytest.approx(oracle.risk(y @ head.weight.T, targets))


@pytest.mark.parametrize("suffix", ["json", "csv", "png", "svg", "pdf"])
@pytest.mark.parametrize("head", [(), ("--head", "head.npz", "--targets", "targets.npy")])
def test_output_file(files: Path, suffix: str, head: tuple[str, ...]) -> None:
    if suffix not in ("json", "csv"):
        pytest.importorskip("matplotlib")
    output = Path(f"out.{suffix}")
    command = ("stitch", "a.npy", "b.npz:u", *head, "--output", str(output))
    assert run(*command).exit_code == 0
    content = output.read_bytes()
    count = len(MAPS) * (1 if head else 2)
    if suffix == "json":
        assert len(json.loads(content)["rows"]) == count
    elif suffix == "csv":
        assert len(list(csv.DictReader(io.StringIO(content.decode())))) == count
    else:
        magic = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
        assert content.startswith(magic)
    assert "exists already; --force overwrites it" in failed(run(*command), 2)
    assert output.read_bytes() == content
    assert run(*command, "--force").exit_code == 0


def test_plots_draw_the_trials() -> None:
    pytest.importorskip("matplotlib")
    from kernalign.stitching.plot import plot_trials

    x, y = related(N, 5, 4)
    stitchers = {"affine": AffineStitcher()} | {f"low-rank {rank}": LowRankStitcher(rank) for rank in (1, 2, 4)}
    trials = run_trials(x, y, stitchers, head=np.eye(4), targets=y + 1)
    [axis] = plot_trials({"a → b": trials})
    lines = {line.get_label(): line for line in axis.lines}
    assert axis.get_title() == "a → b"
    np.testing.assert_array_equal(lines["stitched risk"].get_xdata(), [1, 2, 4])
    np.testing.assert_array_equal(lines["stitched risk"].get_ydata(), [t.stitched_risk for t in trials[1:]])
    np.testing.assert_array_equal(lines["bound"].get_ydata(), [t.bound for t in trials[1:]])
    np.testing.assert_array_equal(lines["affine: risk"].get_ydata(), [trials[0].risk])
    with pytest.raises(ValueError, match=r"groups must hold a trial for every title, got {'a → b': \[\]}"):
        plot_trials({"a → b": []})
    with pytest.raises(ValueError, match="all have a head, or that all have none"):
        plot_trials({"a → b": trials + run_trials(x, y, {"affine": AffineStitcher()})})


def test_an_outlier_leaves_room_for_the_others() -> None:
    pytest.importorskip("matplotlib")
    from kernalign.stitching import Trial
    from kernalign.stitching.plot import plot_trials

    left = {"affine": 0.4, "ridge": 0.3, "procrustes": 480.0}
    trials = [Trial(name, 4, 1 - one, 1 - one / 2, one, None, None, None, "tsqr") for name, one in left.items()]
    [axis] = plot_trials({"a → b": trials})
    assert axis.get_ylim() == (0, pytest.approx(0.4 * 1.02))
    beyond = [text.get_text() for text in axis.texts if text.get_gid() == "beyond"]
    assert beyond == ["procrustes 480", "procrustes 240"]
    drawn = [float(line.get_ydata()[0]) for line in axis.lines if line.get_marker() in ("o", "s", "D")]
    assert drawn == pytest.approx([0.4, 0.3, 0.4, 0.2, 0.15, 0.4])
    risks = [Trial("affine", 4, 0.5, 0.5, 1.0, 1.0, 2.0 * one, 3.0 * one, "tsqr") for one in (1.0, 1.1, 1e9)]
    [axis] = plot_trials({"a → b": risks})
    assert axis.get_ylim()[1] < 10
    none = [
        Trial(name, 4, 1.0, 1.0, 0.0, *([one] * 3), "tsqr") for name, one in {"a": 0.0, "b": 1e-30, "c": 4.0}.items()
    ]
    [axis] = plot_trials({"a → b": none})  # which a logarithmic axis would not show
    assert axis.get_yscale() == "log"
    assert axis.get_ylim()[0] == 2.0
    below = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == (3, 0, 180)]
    assert sorted(below) == ["a", "a", "a", "b", "b", "b"]
    [axis] = plot_trials({"a → b": none[:1]})
    assert axis.get_yscale() == "linear"
    every = [Trial("affine", 4, -1.0, -2.0, 1.0, None, None, None, "tsqr")]
    [axis] = plot_trials({"a → b": every})
    assert axis.get_ylim()[1] == pytest.approx(3 * 1.02)


def test_a_missing_matplotlib_names_the_extra(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    message = failed(run("stitch", "a.npy", "b.npz:u", "--output", "out.png"), 1)
    assert "plots need matplotlib: pip install 'kernalign[plot]'" in message


def test_constant_targets_are_a_note(files: Path) -> None:
    result = run("stitch", "a.npy", "flat.npy", "--solver", "affine", "--json")
    rows = json.loads(result.stdout)["rows"]
    assert [row["r2"] for row in rows] == [None, pytest.approx(0, abs=0.2)]
    assert result.stderr == "note: a × flat: R² is undefined: flat is constant\n"


def test_a_certificate_of_a_zero_representation_is_valid_json(files: Path) -> None:
    np.save("zero.npy", np.zeros((61, 3)))
    np.save("weight.npy", np.ones((2, 3)))
    np.save("goal.npy", np.load("a.npy")[:, :2])
    result = run("stitch", "a.npy", "zero.npy", "--head", "weight.npy", "--targets", "goal.npy", "--json")
    certificate = json.loads(result.stdout)["certificate"]
    assert certificate["relative_misalignment"] is None
    assert certificate["misalignment"] == 0


@pytest.mark.parametrize(
    ("status", "args", "message"),
    [
        (1, ["a.npy", "short.npy"], "a and short must have the same number of rows, got 61 and 30"),
        (1, ["a.npy", "nope.npy"], "nope.npy: No such file or directory"),
        (1, ["a.npy", "b.npz"], "b.npz holds 2 arrays; choose one by its key"),
        (1, ["a.npy", "b.npz:u", "--folds", "99"], "between 2 and n = 61, got 99"),
        (1, ["a.npy", "b.npz:v", "--head", "head.npz", "--targets", "targets.npy"], "head must map"),
        (2, ["a.npy", "b.npz:u", "--head", "head.npz"], "--head and --targets must be given together"),
        (2, ["a.npy", "b.npz:u", "--output", "out.txt"], "--output: must end in .json, .csv, .png, .svg or .pdf"),
        (2, ["a.npy", "b.npz:u", "--solver", "magic"], "'magic' is not one of 'affine'"),
        (2, ["a.npy"], "Missing argument 'B'"),
    ],
)
def test_errors_are_one_line(files: Path, status: int, args: list[str], message: str) -> None:
    assert message in failed(run("stitch", *args), status)


def test_help_says_what_it_does() -> None:
    assert "Map A onto B" in run("stitch", "--help").stdout
    assert main.commands["stitch"].help


def test_a_direction_that_was_done_survives_an_interrupt(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given, **options):
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(given)
        return run_trials(*given, **options)

    calls: list[object] = []
    monkeypatch.setattr("kernalign.stitching.run_trials", interrupted)
    done = run("stitch", "a.npy", "b.npz:u", "--solver", "affine", "--output", "x.csv")
    assert done.exit_code == 130
    assert "interrupted: u → a is missing; the rest is written" in done.stderr
    assert [(row["x"], row["y"]) for row in csv.DictReader(io.StringIO(Path("x.csv").read_text()))] == [("a", "u")]
    calls[:] = [()]
    assert failed(run("stitch", "a.npy", "b.npz:u"), 130) == "kernalign: interrupted"
