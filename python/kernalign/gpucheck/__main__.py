"""The command: facts, answers, arrays, times and the sanitizer, one step after the other."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np

from kernalign import _core
from kernalign._engines import devices
from kernalign.gpucheck import answers, times
from kernalign.gpucheck.check import CASES, Check, Skipped, Steps
from kernalign.gpucheck.producers import producers

_TOOLS = ("memcheck", "racecheck", "initcheck")


def facts(check: Check) -> dict[str, Any]:
    """What runs here."""
    found = devices.facts()
    if found["why_not"]:
        raise Skipped(found["why_not"])
    check.report["card"] = found["devices"][check.index]["name"]
    build = _core.build_info()
    return {
        **found,
        "kernalign": build["version"],
        "compiler": build["compiler"],
        "python": f"{platform.python_version()} on {platform.machine()}",
        "numpy": np.__version__,
    }


def sanitizer(check: Check) -> dict[str, Any]:
    """A few cases under each tool of compute-sanitizer."""
    if shutil.which("compute-sanitizer") is None:
        raise Skipped("compute-sanitizer was not found")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        inner = [sys.executable, "-m", "kernalign.gpucheck", "--step", "contract", "--step", "sums", "--cases", "6"]
        inner += ["--device", check.device, "--out", str(Path(folder, "report.json"))]
        for tool in check.in_time(_TOOLS):
            command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *inner]
            limit = min(120, check.left)
            try:
                ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
            except subprocess.TimeoutExpired:
                found[tool] = f"not done after {limit:.0f} s"
                continue
            found[tool] = ran.returncode
            if ran.returncode != 0:
                check.wrong("sanitizer", f"{tool}: {(ran.stdout + ran.stderr)[-500:]}")
    return found


STEPS: Steps = {
    "facts": facts,
    "contract": answers.contract,
    "sums": answers.sums,
    "model": answers.model,
    "arrays": producers,
    "ceilings": times.ceilings,
    "times": times.times,
    "sanitizer": sanitizer,
}


@click.command()
@click.option("--device", default="cuda:0", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("gpucheck.json"), show_default=True)
@click.option("--step", "steps", multiple=True, type=click.Choice(list(STEPS)), help="Only this one; may be repeated.")
@click.option("--cases", default=CASES, show_default=True, help="Cases of the contract.")
@click.option("--seconds", default=600.0, show_default=True, help="What is not done by then is skipped.")
@click.option("--commit", help="What was built, for the report.")
def main(device: str, out: Path, steps: tuple[str, ...], cases: int, seconds: float, commit: str | None) -> None:
    """Check a CUDA device against the CPU and write a JSON report."""
    if reason := devices.why_not():
        click.echo(f"SKIP: {reason}")
        return
    check = Check(device, out, STEPS, cases, seconds)
    if commit:
        check.report["commit"] = commit
    if not check.run(steps or STEPS, apart=not steps):
        sys.exit(1)


if __name__ == "__main__":
    main()
