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
from kernalign.sources.formats import FORMATS

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
    """Show the build, the CPU features in use, BLAS, threads, CUDA, readable files and the optional packages found."""
    facts = gather()
    if as_json:
        say(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        if name == "cuda":
            value = _of_cuda(value)
        elif name == "formats":
            value = _of_formats(value)
        elif isinstance(value, dict):
            value = ", ".join(f"{package} {version}" for package, version in value.items() if version) or "none"
        say(f"{name + ':':<14}{value}")


def gather() -> dict[str, Any]:
    """The facts, ready for JSON; an optional package that is missing has the version None, a format that can be read no
    extra."""
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
        "formats": {ending: None if one.readable else one.extra for ending, one in FORMATS.items()},
        "extras": {package: _version(package) for packages in _OPTIONAL.values() for package in packages},
    }


def _of_formats(formats: dict[str, str | None]) -> str:
    """The endings that can be read here, and what brings the others."""
    by_extra: dict[str | None, list[str]] = {None: []}
    for ending, extra in formats.items():
        by_extra.setdefault(extra, []).append(ending)
    missing = [f"; pip install 'kernalign[{extra}]' for {' '.join(own)}" for extra, own in by_extra.items() if extra]
    return " ".join(by_extra[None]) + "".join(missing)


def _of_cuda(facts: dict[str, Any]) -> str:
    if not facts["built"]:
        return "not built"
    cards = [
        f"{one['name']} ({one['capability']}, {one['memory'] / 2**30:.0f} GiB, "
        f"{'float32' if one['multiplies_floats'] else 'float64'} products of narrow rows)"
        for one in facts["devices"]
    ]
    cublas = facts["cublas"] or "no cuBLAS was found"
    found = f"driver {facts['driver']}: {', '.join(cards)}; {cublas}" if cards else facts["why_not"]
    return f"built for {facts['architectures']}; {found}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
