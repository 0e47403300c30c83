"""The command: facts, answers, arrays, times and the sanitizer, one step after the other."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from kernalign import _core
from kernalign._engines import devices
from kernalign.gpucheck import answers, times
from kernalign.gpucheck import check as checks
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
        "arrays": {name: checks.version(name) for name in ("torch", "cupy", "jax")},
    }


def sanitizer(check: Check) -> dict[str, Any]:
    """A few cases under each tool of compute-sanitizer."""
    if shutil.which("compute-sanitizer") is None:
        raise Skipped("compute-sanitizer was not found")
    found = {}
    for tool in _TOOLS:
        inner = [sys.executable, "-m", "kernalign.gpucheck", "--step", "contract", "--step", "sums", "--cases", "6"]
        inner += ["--device", check.device, "--out", str(check.path.with_suffix(f".{tool}.json"))]
        command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *inner]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
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
def main(device: str, out: Path, steps: tuple[str, ...], cases: int) -> None:
    """Check a CUDA device against the CPU and write a JSON report."""
    if reason := devices.why_not():
        click.echo(f"SKIP: {reason}")
        return
    if not Check(device, out, STEPS, cases).run(steps or tuple(STEPS)):
        sys.exit(1)


if __name__ == "__main__":
    main()
