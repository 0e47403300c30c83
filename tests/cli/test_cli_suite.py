"""kernalign suite: every verb, its words and its exit status."""

from __future__ import annotations

import csv
import itertools
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from kernalign.cli import main
from kernalign.suite import builtin, difference, difference_map

TOML = """
[sets.main]
ids = "by-position"
[[models]]
glob = "*.npy"
[[metrics]]
id = "cka"
"""


def invoke(*words: object) -> tuple[int, str, str]:
    found = CliRunner().invoke(main, ["suite", *map(str, words)])
    return found.exit_code, found.stdout, found.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in "abc":
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(40, 5)))
    return tmp_path


def test_from_a_folder_to_results(folder: Path):
    assert invoke("init", folder)[0] == 0
    assert invoke("init", folder)[0] == 1  # is not overwritten
    status, out, _ = invoke("check", folder)
    assert status == 0
    assert out.splitlines()[1].split()[:5] == ["main", "40", "3", "3", "6"]
    assert not (folder / "runs").exists()
    status, out, _ = invoke("run", folder, "--no-report")
    assert status == 0
    assert out.split()[:2] == ["metric", "scores"]
    assert "cka" in out
    assert invoke("status", folder)[1].split("known")[1].split()[0] == "6"
    assert invoke("verify", folder)[:2] == (0, "verified\n")
    assert invoke("gc", folder)[1] == "0 scores forgotten\n"
    assert folder.name in invoke("list", folder)[1]
    run = folder / "runs" / folder.name
    for form in ("json", "parquet"):
        if form == "parquet":
            pytest.importorskip("pyarrow")
        assert invoke("export", folder, f"--{form}")[0] == 0
    assert len(json.loads((run / "results.json").read_text())["rows"]) == 6
    assert invoke("export", folder, "--csv", "--output", folder / "x.csv")[0] == 0
    assert (folder / "x.csv").read_text() == (run / "results.csv").read_text()


def test_arrays_of_a_file_are_layers_and_names_differ(folder: Path):
    for place in ("x", "y"):
        (folder / place).mkdir()
        np.savez(folder / place / "deep.npz", layer1=np.load(folder / "a.npy"), layer2=np.load(folder / "b.npy"))
    assert invoke("init", folder)[0] == 0
    models = tomllib.loads((folder / "suite.toml").read_text())["models"]
    assert {one["name"]: one["set"]["main"] for one in models} == {
        **{name: f"{name}.npy" for name in "abc"},
        **{f"{place}/deep.npz": f"{place}/deep.npz" for place in "xy"},
    }
    assert invoke("check", folder)[1].splitlines()[1].split()[:4] == ["main", "40", "5", "7"]


def test_differences_of_runs_are_named(folder: Path):
    (folder / "suite.toml").write_text(TOML)
    invoke("run", folder, "--no-report")
    first = folder / "first.csv"
    first.write_bytes((folder / "runs" / folder.name / "results.csv").read_bytes())
    now = folder / "runs" / folder.name
    assert invoke("compare", first, now)[:2] == (0, "3 same\n")
    np.save(folder / "c.npy", np.random.default_rng(1).normal(size=(40, 5)))
    (folder / "b.npy").rename(folder / "d.npy")
    assert "suite.lock.toml is not" in invoke("verify", folder)[2]
    invoke("run", folder, "--no-report")
    status, out, _ = invoke("compare", first, now, "--json", "--fail-on", "missing")
    assert status == 1
    assert json.loads(out)["counts"] == {"missing": 2, "moved by input": 1, "new": 2}
    assert invoke("compare", first, now, "--fail-on", "moved by version")[0] == 0
    outputs = [folder / f"change{suffix}" for suffix in (".csv", ".png")]
    assert invoke("compare", first, now, *(word for one in outputs for word in ("--output", one)))[0] == 0
    kinds = [row["kind"] for row in csv.DictReader(outputs[0].read_text().splitlines())]
    assert sorted(kinds) == ["missing", "missing", "moved by input", "new", "new"]
    assert outputs[1].read_bytes().startswith(b"\x89PNG")
    [ax, _] = difference_map.draw(difference.compare(difference.read(first), difference.read(now))).axes
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["a", "b", "c", "d"]
    drawn = ax.images[0].get_array()
    rows = [{(row["x"], row["y"]): float(row["score"]) for row in difference.read(one)} for one in (first, now)]
    assert drawn[0, 2] == drawn[2, 0] == pytest.approx(rows[1]["a", "c"] - rows[0]["a", "c"], rel=1e-12)
    assert drawn.count() == 2
    hatched = {(one.get_y() + 0.5, one.get_x() + 0.5) for one in ax.patches if one.get_gid() == "alone"}
    assert hatched == {(i, j) for i, j in itertools.permutations(range(4), 2) if (1 in (i, j)) != (3 in (i, j))}


def test_maps_of_changes_are_a_panel_for_each_metric():
    with pytest.raises(ValueError, match="the two runs hold no score"):
        difference_map.draw([])
    change = {"set": "s", "kind": "moved", "a": 0.25, "b": 0.5}
    pairs = [{**change, "metric_id": f"m{at}", "x": x, "y": y} for at in range(4) for x in "ab" for y in "cde"]
    drawn = difference_map.draw(pairs[:-1]).axes
    maps = [ax for ax in drawn if ax.images]
    assert [ax.get_title().split("\n")[0] for ax in maps] == ["m0", "m1", "m2", "m3"]
    assert len(drawn) == 2 * len(maps)  # each with its colours, and no panel beyond them
    assert [[len(ax.get_yticklabels()), len(ax.get_xticklabels())] for ax in maps] == [[2, 3]] * 4
    assert [ax.images[0].get_array().count() for ax in maps] == [6, 6, 6, 5]


def test_exit_statuses(folder: Path):
    (folder / "suite.toml").write_text(TOML + '[[checks]]\nkind = "bound"\nmetric = "cka"\nlow = 2.0\n')
    status, out, _ = invoke("run", folder, "--no-report")
    assert status == 3
    assert "refuted: cka of every model × every other is in [2.0, inf]" in out
    (folder / "suite.toml").write_text(TOML)
    (folder / "b.npy").write_bytes(b"")
    status, _, told = invoke("run", folder, "--no-report")
    assert (status, told.count("note: ")) == (1, 1)
    assert "note: b has no score: b.npy" in told
    assert invoke("check", folder)[0] == 1
    (folder / "suite.toml").write_text(TOML + "[run]\nexcutor = 'processes'\n")
    assert invoke("run", folder)[0] == 2
    assert invoke("run", folder / "nowhere")[0] == 2
    assert invoke("run", "builtin:magic")[0] == 2
    assert invoke("magic")[0] == 2
    (folder / "suite.toml").write_text(TOML)
    status, _, told = invoke("run", folder, "--executor", "magic")
    assert (status, "must be serial, threads, processes or dask://HOST:PORT, got 'magic'" in told) == (2, True)


@pytest.mark.parametrize("name", ["quick", "traps"])
def test_suites_that_ship_hold(name: str, tmp_path: Path):
    run = builtin.load(name, tmp_path).run()
    assert run.failed == 0
    assert [claim.text for claim in run.claims if claim.verdict != "held"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["calibration", "cross-modal"])
def test_longer_suites_that_ship_hold(name: str, tmp_path: Path):
    run = builtin.load(name, tmp_path).run()
    assert [claim.text for claim in run.claims if claim.verdict != "held"] == []


def test_files_of_runs_that_are_damaged_are_named(folder: Path):
    (folder / "suite.toml").write_text('[suite]\nname = "s"\n' + TOML)
    status, _, told = invoke("export", folder, "--output", folder / "none.csv")
    assert (status, "3 scores not made yet" in told) == (0, True)
    assert invoke("run", folder, "--no-report")[0] == 0
    run = folder / "runs" / "s"
    for name, whole in (("other", '{"scores": 1}'), ("torn", '{"finished_at": ')):
        (folder / "runs" / name).mkdir()
        (folder / "runs" / name / "provenance.json").write_text(whole)
    status, out, told = invoke("list", folder)
    assert (status, str(run) in out, told.count("cannot be read")) == (0, True, 2)
    text = (run / "results.csv").read_text()
    for bad, match in (
        (text.replace("score,", "value,", 1), "no column score"),
        (text[:-40], "not as many cells as columns"),
        (text.replace("ok", "ok,more", 1), "not as many cells as columns"),
        (
            text.replace(next(csv.DictReader(text.splitlines()))["score"], "high", 1),
            "could not convert string to float",
        ),
        ("", "no column set"),
    ):
        (folder / "bad.csv").write_text(bad)
        status, _, told = invoke("compare", run, folder / "bad.csv")
        assert (status, "bad.csv must be the results.csv of a run" in told, match in told) == (1, True, True), told
    status, _, told = invoke("export", folder, "--json", "--output", folder / "bad.csv")
    assert (status, "must end in .json, got bad.csv" in told) == (2, True)
    assert invoke("export", folder, "--json")[0] == 0
    status, _, told = invoke("export", folder, "--json")
    assert (status, "--force overwrites it" in told) == (2, True)
    assert invoke("export", folder)[0] == 0


def test_an_unknown_suite_is_named():
    with pytest.raises(ValueError, match="no suite builtin:magic; there are quick"):
        builtin.load("magic")


def test_metrics_under_the_same_checks_are_a_table(folder: Path):
    """Checks that held are in it; what was refuted has a line too."""
    checks = "".join(
        f'[[checks]]\nkind = "known"\nmetric = "{metric}"\nleast = {least}\n'
        'values = [["a", "b", 1], ["a", "c", 2], ["b", "c", 3]]\n'
        for metric, least in (("cka", -1), ("nbs", 1.1))
    )
    (folder / "suite.toml").write_text(TOML + '[[metrics]]\nid = "nbs"\n' + checks)
    status, out, _ = invoke("run", folder, "--no-report")
    assert status == 3
    assert "main: known" in out
    assert "held: " not in out
    assert out.splitlines()[-1].startswith("refuted: nbs orders pairs by what is known of them")
