"""The device check on a simulated device: right answers pass, wrong ones fail, and what is missing is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
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
    steps = [word for name in STEPS for word in ("--step", name)]  # in this process, which has the simulation
    arguments = ["--out", str(out), "--cases", "12", "--commit", "abc", *steps]
    said = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    report = json.loads(out.read_text("utf-8"))
    assert (report["schema"], report["commit"]) == (1, "abc")
    assert report["card"] == "simulated"
    assert report["failed"] == []
    assert report["contract"] == {"cases": 12, "repeats": 5, "differing": 0}
    assert report["sums"]["worst"] < 1e-12
    assert report["sums"]["streams"] == 0
    assert min(report["ceilings"].values()) > 0
    assert "bytes wanted" in report["arrays"]["out of memory"]
    assert report["arrays"]["bytes kept"] == 0
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


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('echo \'{"card": "it", "failed": [], "skipped": {}, "model": {"a": 1}}\' > "$last"', []),
        ("echo Segmentation fault >&2; kill -SEGV $$", ["model: its process ended with -11: Segmentation fault"]),
        ("sleep 9", ["model: it did not end in time"]),
    ],
)
def test_steps_have_processes_of_their_own(monkeypatch, tmp_path, script, expected):
    stub = tmp_path / "python"
    stub.write_text(f'#!/usr/bin/env bash\nlast="${{@: -1}}"\n{script}\n')
    stub.chmod(0o755)
    monkeypatch.setattr(check.sys, "executable", str(stub))
    monkeypatch.setattr(check, "GRACE", -3.5 if "sleep" in script else 30)
    one = check.Check("cuda:0", tmp_path / "report.json", STEPS, seconds=4)
    assert one.run(("model",), apart=True) == (not expected)
    one.end = 0
    one.run(("sums",), apart=True)
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["failed"] == expected
    assert report["skipped"]["sums"] == "no time was left"
    assert (report["card"], report.get("model")) == (("it", {"a": 1}) if not expected else (None, None))


def test_what_is_not_done_in_time_is_not_counted(cuda, tmp_path, monkeypatch):
    one = check.Check("cuda:0", tmp_path / "report.json", STEPS, seconds=1000)
    monkeypatch.setattr(answers, "REPEATED", 0)
    assert list(one.in_time(range(3))) == [0, 1, 2]
    times_left = iter([5.0, 5.0, 0.0])
    monkeypatch.setattr(check.Check, "left", property(lambda self: next(times_left)))
    assert answers.contract(one)["cases"] == 2


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
    ("said", "report", "expected"), [("3 passed", "{}", 0), ("3 skipped", "{}", 1), ("3 passed", "", 1), ("", "{}", 1)]
)
@pytest.mark.parametrize("runs", [True, False])
def test_the_check_of_a_device_fails_where_nothing_ran_on_one(tmp_path, said, report, expected, runs):
    """The script, with an interpreter that runs no test and writes this report; where the wheel does not run, another
    is built."""
    script = Path(__file__).parents[1] / "bench/device/check.sh"
    if not script.exists():
        pytest.skip("bench is not here")
    kit = tmp_path / "kit"
    (kit / "gpu").mkdir(parents=True)
    (kit / "commit").write_text("abc\n")
    with zipfile.ZipFile(kit / "kernalign-0-x.whl", "w") as wheel:
        wheel.writestr("kernalign/__init__.py", "")
        wheel.writestr("kernalign/_core.py", "" if runs else "import nowhere")
        wheel.writestr("kernalign/_cuda.py", f"def why_not(): return {'no driver' if said == '' else ''!r}")
    stub = tmp_path / "python"
    stub.write_text(f"""#!/usr/bin/env bash
last="${{@: -1}}"
case "$*" in
  "-m pip wheel "*) shift 2; while [ "$1" != --wheel-dir ]; do shift; done; cp {kit}/*.whl "$2" ;;
  "-m pytest "*) echo "{said} in 0.01s" ;;
  "-m kernalign.gpucheck --commit abc "*) printf '%s' "{report}" > "$last" ;;
  *) exec {sys.executable} "$@" ;;
esac
""")
    stub.chmod(0o755)
    path = os.pathsep.join(one for one in os.environ["PATH"].split(os.pathsep) if not Path(one, "ncu").exists())
    ran = subprocess.run(
        [script, kit, tmp_path / "out"],
        env={**os.environ, "PYTHON": str(stub), "PATH": path},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == expected, ran.stdout + ran.stderr
    assert ("FAIL: no device: no driver" in ran.stderr) == (said == "")
    assert ("the wheel does not run here" in ran.stdout) != runs
    assert len(list((tmp_path / "out").iterdir())) <= 4  # few files come back from some machines
