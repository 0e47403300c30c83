"""Commands write any number of files, tell how far they are, and keep what was done when they are interrupted."""

from __future__ import annotations

import csv
import io
import itertools
import json
import subprocess
import sys
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner, Result
from kernalign._base import progress
from kernalign.cli import main
from layered_samples import layered

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in "abcd":
        np.save(f"{name}.npy", rng.normal(size=(60, 5)))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("command", [("compare", "a.npy", "b.npy", "c.npy"), ("stitch", "a.npy", "b.npy")])
def test_several_outputs_of_all_formats(command: tuple[str, ...], files: Path) -> None:
    pytest.importorskip("matplotlib")
    names = [f"out{suffix}" for suffix in (".json", ".csv", *MAGIC)]
    wanted = [text for name in names for text in ("--output", name)]
    result = run(*command, *wanted)
    assert result.exit_code == 0, result.output
    for suffix, magic in MAGIC.items():
        assert (files / f"out{suffix}").read_bytes().startswith(magic)
    rows = json.loads((files / "out.json").read_text())["rows"]
    assert len(rows) == len(list(csv.DictReader(io.StringIO((files / "out.csv").read_text()))))
    result = run(*command, "--output", "new.json", "--output", "out.csv")
    assert result.exit_code == 2
    assert not (files / "new.json").exists()  # refused before the work
    assert "given twice" in run(*command, "--output", "x.csv", "--output", str(files / "x.csv")).stderr
    assert "must end in .json, .csv, .png, .svg or .pdf" in run("compare", *command[1:], "--output", "x.gif").stderr


def test_a_picture_of_layers_is_as_large_as_its_layers_need(files: Path) -> None:
    rng = np.random.default_rng(0)
    for name, layers in (("two", 2), ("thirty", 30)):
        np.save(f"{name}.npy", rng.normal(size=(20, layers, 3)))
    done = run("compare", "two.npy", "thirty.npy", "--metric", "cka", "--layers", "all", "--output", "x.png")
    assert done.exit_code == 0
    width, height = (int.from_bytes(Path("x.png").read_bytes()[at : at + 4], "big") for at in (16, 20))
    assert width > 3 * height


def test_text_of_pictures_stays_text(files: Path) -> None:
    pytest.importorskip("matplotlib")
    assert run("compare", "a.npy", "b.npy", "--output", "x.svg").exit_code == 0
    assert ">mutual_knn<" in (files / "x.svg").read_text()


def test_progress_is_told_where_it_is_asked_for(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(progress, "_OFTEN", 0.0)
    command = ("compare", "a.npy", "b.npy", "c.npy", "d.npy")
    for quiet in ((), ("--no-progress",)):  # standard error is no terminal
        assert "%" not in run(*command, *quiet).stderr
    lines = [line for line in run(*command, "--progress").stderr.splitlines() if line.startswith("comparing")]
    shares = [int(line.split("%")[0].split()[-1]) for line in lines]
    assert shares == sorted(shares)
    assert 3 <= len(shares) <= 10
    assert "%" in run("stitch", "a.npy", "b.npy", "--progress").stderr


def test_a_notebook_without_widgets_has_one_line_and_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(progress, "_OFTEN", 0.0)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.reporting(True, "working") as report:
        for done in range(1, 11):
            report(done, 10)
    text = stream.getvalue()
    assert "\n" not in text
    looks = text.split("\r")
    assert looks[0] == ""
    assert looks[5].startswith("working [###############               ]  50%")
    assert looks[-2].strip() == looks[-1] == ""  # gone at the end


def test_what_is_not_scored_when_it_is_interrupted_says_so() -> None:
    models = {f"m{i}": layered(2, 5, i) for i in range(4)}
    options = {"metrics": ("mutual_knn", "soft_matching"), "k": 5}
    whole = ka.compare(models, **options)

    def interrupted(steps: int) -> ka.Comparison:
        seen = itertools.count()

        def interrupt(done: int, total: int) -> None:
            if next(seen) >= steps:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            ka.compare(models, progress=interrupt, **options)
        return caught.value.partial

    left = set()
    for steps in (12, 20, 30):
        found = interrupted(steps)
        rows = list(found.rows())
        missing = [row for row in rows if row["status"] == "failed"]
        assert found.settings["interrupted"] == len(missing) > 0
        assert {row["reason"] for row in missing} == {"interrupted"}
        left.add(len(missing))
        for row, full in zip(rows, whole.rows(), strict=True):
            assert row["status"] == "failed" or (row["score"], row["p_value"]) == (full["score"], full["p_value"])
    assert len(left) > 1
    with pytest.raises(AttributeError):  # nothing to keep
        interrupted(0)


def test_scores_survive_an_interrupt_of_the_command(tmp_path: Path) -> None:
    """One that a signal ends, as a user's Ctrl-C does."""
    rng = np.random.default_rng(0)
    for name in range(9):
        np.save(tmp_path / f"m{name}.npy", rng.normal(size=(60, 40)))
    halfway = """
import os, signal
from kernalign._base import progress
from kernalign.cli import main
progress._PATIENCE = progress._OFTEN = 0.0
write = progress._Bar._write
def interrupted(self, text):
    write(self, text)
    if " 50%" in text:
        os.kill(os.getpid(), signal.SIGINT)
progress._Bar._write = interrupted
main()
"""
    command = [sys.executable, "-c", halfway, "compare", ".", "--metric", "soft_matching", "--output", "x.csv"]
    done = subprocess.run([*command, "--progress"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert "scores are missing" in done.stderr
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    status = [row["status"] for row in rows]
    assert 0 < status.count("ok") < len(rows) == 36
