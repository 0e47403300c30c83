"""The device check on a simulated device: right answers pass, wrong ones fail, and what is missing is said."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from device_arrays import simulated
from kernalign._rows import on_device
from kernalign.gpucheck import answers, cases, check, times
from kernalign.gpucheck.__main__ import STEPS, main


@pytest.fixture
def cuda(monkeypatch):
    module = simulated()
    monkeypatch.setattr(on_device, "extension", lambda: module)
    module.simulate()
    monkeypatch.setattr(check, "version", lambda name: None)  # their arrays are not on the simulated device
    return module


def test_a_device_that_is_right_passes(cuda, tmp_path, monkeypatch):
    out = tmp_path / "report.json"
    cuda.simulate(memory=1 << 27)
    monkeypatch.setattr(answers, "REPEATED", 3)
    monkeypatch.setattr(times, "CEILING", 32)
    said = CliRunner().invoke(main, ["--out", str(out), "--cases", "12"], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    report = json.loads(out.read_text("utf-8"))
    assert report["schema"] == 1
    assert report["card"] == "simulated"
    assert report["failed"] == []
    assert report["contract"] == {"cases": 12, "repeats": 5, "differing": 0}
    assert report["sums"]["worst"] < 1e-12
    assert report["sums"]["streams"] == 0
    assert min(report["ceilings"].values()) > 0
    assert "bytes wanted" in report["arrays"]["out of memory"]
    assert report["arrays"]["bytes kept"] == [0, 0]
    assert report["skipped"]["times"] == "torch is not installed, which would hold the rows"


@pytest.mark.parametrize("what", ["index", "bit", "tie", "sometimes"])
def test_a_device_that_is_wrong_fails(cuda, tmp_path, monkeypatch, what):
    class Wrong:
        calls = 0

        def __getattr__(self, name):
            return getattr(cuda, name)

        def nearest_neighbors(self, *arguments, **way):
            index, similarity, tie, repeated = cuda.nearest_neighbors(*arguments, **way)
            self.calls += 1
            if what == "index" or (what == "sometimes" and self.calls == 4):
                index[-1, -1] += 1
            elif what == "bit":
                similarity[0, 0] = np.nextafter(similarity[0, 0], 9)
            elif what == "tie":
                tie[0] ^= 1
            return index, similarity, tie, repeated

    wrong = Wrong()
    monkeypatch.setattr(on_device, "extension", lambda: wrong)
    out = tmp_path / "report.json"
    said = CliRunner().invoke(main, ["--out", str(out), "--cases", "3", "--step", "contract"])
    assert said.exit_code == 1
    assert json.loads(out.read_text("utf-8"))["failed"][0].startswith("contract: case 0 ")
    assert "FAIL contract: case 0" in said.output


def test_a_step_that_breaks_costs_no_other(cuda, tmp_path):
    cuda.simulate(fail_launch=0)
    out = tmp_path / "report.json"
    assert not check.Check("cuda:0", out, STEPS, cases=2).run(("contract", "facts"))
    report = json.loads(out.read_text("utf-8"))
    assert report["failed"] == ["contract: RuntimeError: CUDA device 0 did not start a kernel: simulated"]
    assert report["card"] == "simulated"


def test_without_a_device_it_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(on_device, "extension", lambda: None)
    said = CliRunner().invoke(main, ["--out", str(tmp_path / "report.json")])
    assert said.exit_code == 0
    assert said.output == "SKIP: kernalign was built without CUDA\n"
    assert not (tmp_path / "report.json").exists()


def test_cases_are_of_all_kinds():
    kinds = [cases.rows_of(seed) for seed in range(check.CASES)]
    assert {x.dtype.name for x, _, _ in kinds} == {"float16", "float32", "float64"}
    assert {metric for _, _, metric in kinds} == {"cosine", "dot", "euclidean"}
    assert len({(seed % 6, x.dtype.name, metric) for seed, (x, _, metric) in enumerate(kinds)}) >= 18


@pytest.mark.parametrize(
    ("said", "report", "expected"), [("3 passed", "{}", 0), ("3 skipped", "{}", 1), ("3 passed", "", 1)]
)
def test_the_check_of_a_device_fails_where_nothing_ran_on_one(tmp_path, said, report, expected):
    """The script, with an interpreter that runs no test and writes this report."""
    (tmp_path / "commit").touch()
    stub = tmp_path / "python"
    stub.write_text(f"""#!/usr/bin/env bash
last="${{@: -1}}"
case "$*" in
  "-m venv "*) mkdir -p "$last/bin" && cp "$0" "$last/bin/python" && ln -s "$(type -P true)" "$last/bin/pip" ;;
  "-m pytest "*) echo "{said} in 0.01s" ;;
  "-m kernalign.gpucheck "*) printf '%s' "{report}" > "$last" ;;
esac
""")
    stub.chmod(0o755)
    script = Path(__file__).parents[1] / "bench/device/check.sh"
    if not script.exists():
        pytest.skip("bench is not here")
    ran = subprocess.run(
        [script, tmp_path, tmp_path / "out"], env={**os.environ, "PYTHON": str(stub)}, capture_output=True, text=True
    )
    assert ran.returncode == expected, ran.stdout + ran.stderr
