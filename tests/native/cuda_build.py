"""Compiles the kernels with nvcc: for every architecture, without spills or stacks; and looks at the built module."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_BYTES = 3 << 20


def architectures() -> list[str]:
    """What CMakeLists.txt lists: 75, 80 and so on; PTX is of the last."""
    listed = re.search(r'KERNALIGN_CUDA_ARCHITECTURES "([^"]+)"', (ROOT / "CMakeLists.txt").read_text("utf-8"))
    assert listed
    return re.findall(r"\d+", listed[1])


def faults_of(source: Path, folder: Path) -> list[str]:
    wanted = architectures()
    command = ["nvcc", "-std=c++17", "-O3", "-fmad=false", "-Xptxas=-v", "-I", ROOT / "csrc", "-c", source]
    for arch in wanted:
        code = f"sm_{arch}" if arch != wanted[-1] else f"[sm_{arch},compute_{arch}]"
        command += ["-gencode", f"arch=compute_{arch},code={code}"]
    out = folder / f"{source.stem}.o"
    ran = subprocess.run([*map(str, command), "-o", str(out)], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        return [f"{source.name} does not compile:\n{ran.stderr}"]
    said = ran.stderr + ran.stdout
    kernels = re.findall(
        r"Compiling entry function '(\w+)' for 'sm_(\d+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
        r"(\d+) bytes spill loads.*?Used (\d+) registers",
        said,
        re.DOTALL,
    )
    faults = [
        f"{name} for sm_{arch}: stack {stack}, spilled {stores}, loaded {loads}"
        for name, arch, stack, stores, loads, _ in kernels
        if (stack, stores, loads) != ("0", "0", "0")
    ]
    counts = {arch: sum(one[1] == arch for one in kernels) for arch in wanted}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        faults.append(f"{source.name}: kernels by architecture: {counts}")
    registers = max((int(one[5]) for one in kernels), default=0)
    print(f"{source.name}: {counts[wanted[0]]} kernels for sm_{', sm_'.join(wanted)}, at most {registers} registers")
    return faults


def faults_of_module() -> list[str]:
    """Of kernalign._cuda, if this Python has it: its size, and that it says why there is no device."""
    spec = importlib.util.find_spec("kernalign")
    found = (
        list(Path(spec.submodule_search_locations[0]).glob("_cuda.*"))
        if spec and spec.submodule_search_locations
        else []
    )
    if not found:
        return ["nvcc is there, but kernalign._cuda was not built"]
    size = found[0].stat().st_size
    said = subprocess.run(
        [sys.executable, "-c", "import kernalign; from kernalign import _cuda; print(_cuda.count(), _cuda.why_not())"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(f"{found[0].name}: {size / 2**20:.1f} MB; devices: {said.stdout.strip()}")
    faults = [] if size <= MOST_BYTES else [f"kernalign._cuda has {size} bytes, more than {MOST_BYTES}"]
    return faults + ([] if said.returncode == 0 else [f"kernalign._cuda cannot be imported:\n{said.stderr}"])


def main() -> int:
    if shutil.which("nvcc") is None:
        print("SKIP: nvcc was not found, so the kernels were compiled as C++ alone")
        return 0
    version = re.search(
        r"release ([\d.]+)", subprocess.run(["nvcc", "--version"], capture_output=True, text=True).stdout
    )
    if version is None or int(version[1].split(".")[0]) < 13:
        print(
            f"SKIP: nvcc 13 or later was not found, only {version and version[1]}; kernels were compiled as C++ alone"
        )
        return 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as workers:
        sources = sorted((ROOT / "csrc/cuda").glob("*.cu"))
        faults = [f for some in workers.map(lambda source: faults_of(source, Path(folder)), sources) for f in some]
    faults += faults_of_module()
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
