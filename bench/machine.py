"""Says on what machine, and with which versions, a figure was measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

PACKAGES = ("kernalign", "numpy", "scipy", "scipy-openblas32", "faiss-cpu", "torch", "scikit-learn", "threadpoolctl")


def cpu_name() -> str:
    """The CPU's name and widest vector instructions, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines) if value}
    flags = facts.get("flags", "").split()
    widest = next((flag for flag in ("avx512f", "avx2", "avx") if flag in flags), "no AVX")
    return f"{facts.get('model name', platform.machine())} ({len(os.sched_getaffinity(0))} cores usable, {widest})"


def versions() -> dict[str, str]:
    """Installed versions of everything that may take part."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe_machine() -> str:
    """One paragraph for the head of a table of figures."""
    return f"CPU: {cpu_name()}\n" + ", ".join(f"{name} {version}" for name, version in versions().items())


def warn_about_environment() -> None:
    """Some variables slow one side only; say so, since a figure measured under them is not fair."""
    for name in ("OPENBLAS_CORETYPE", "KERNALIGN_ISA", "OMP_WAIT_POLICY"):
        if name in os.environ:
            print(f"WARNING {name}={os.environ[name]} is set; run with: env -u {name} ...", file=sys.stderr)
