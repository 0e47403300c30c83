"""``kernalign info``: what was built, what this CPU runs and which optional packages are there."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from typing import Any

import click

from kernalign import _core
from kernalign._engines import devices
from kernalign.cli.output import say

_OPTIONAL = {
    "faiss": ["faiss-cpu"],
    "io": ["ml-dtypes", "zarr", "h5py", "pyarrow", "fsspec"],
    "dask": ["distributed"],
    "plot": ["matplotlib", "pandas"],
    "sklearn": ["scikit-learn"],
    "torch": ["torch"],
    "cuda": ["nvidia-cublas"],
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(as_json: bool) -> None:
    """Show the build, the CPU features in use, BLAS, threads, CUDA and the optional packages found."""
    facts = gather()
    if as_json:
        say(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        if name == "cuda":
            value = _of_cuda(value)
        elif isinstance(value, dict):
            value = ", ".join(f"{package} {version}" for package, version in value.items() if version) or "none"
        say(f"{name + ':':<14}{value}")


def gather() -> dict[str, Any]:
    """The facts, ready for JSON; an optional package that is missing has the version None."""
    build = _core.build_info()
    return {
        "kernalign": build["version"],
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "numpy": metadata.version("numpy"),
        "compiler": f"{build['compiler']}, {build['build_type']}",
        "simd": build["simd"],
        "blas": build["blas"],
        "threads": build["threads"],
        "cuda": devices.facts(),
        "extras": {package: _version(package) for packages in _OPTIONAL.values() for package in packages},
    }


def _of_cuda(facts: dict[str, Any]) -> str:
    if not facts["built"]:
        return "not built"
    cards = [f"{one['name']} ({one['capability']}, {one['memory'] / 2**30:.0f} GiB)" for one in facts["devices"]]
    cublas = facts["cublas"] or "no cuBLAS was found"
    found = f"driver {facts['driver']}: {', '.join(cards)}; {cublas}" if cards else facts["why_not"]
    return f"built for {facts['architectures']}; {found}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
