"""Plants defects in copies of the device kernels, one at a time: the check that is named with each must find it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CHECKS = ROOT / "tests/native/test_cuda_kernels.cpp"
DEVICE = ROOT / "csrc/cuda/device_sim.cpp"
FLAGS = ["-std=c++17", "-O1", "-ffp-contract=off", "-Wno-unknown-pragmas", "-DKERNALIGN_SIMULATED", "-pthread"]
ADDRESS, THREAD = "address,undefined", "thread"
OVERFLOW, RACE = "heap-buffer-overflow", "data race"


class Defect(NamedTuple):
    """``old`` becomes ``new`` in a file; ``found_by`` is a test, or what a sanitizer says."""

    name: str
    file: str
    old: str
    new: str
    found_by: str
    sanitizer: str = ADDRESS


SQUARES, LISTS = "FAIL squares_are_those_of_sixteen_lanes", "FAIL exact_lists_are_those_of_all_scores"
DEFECTS = [
    Defect(
        "two phases of Squares made one",
        "row_kernels.hpp",
        """        });
        block.each([&](Thread t, Shared& s) {
            if (t >= kRows""",
        """            if (t >= kRows""",
        SQUARES,
    ),
    Defect("a lane of Squares left out", "row_kernels.hpp", "lane < kLanes;", "lane + 1 < kLanes;", SQUARES),
    Defect(
        "two phases of Exact made one",
        "exact.hpp",
        """            });
            block.each([&](Thread t, Shared& s) {
                if (begin + t >= x.count) return;""",
        """                if (begin + t >= x.count) return;""",
        LISTS,
    ),
    Defect("k kept in place of k + 1", "exact.hpp", "keep = int(k + 1)", "keep = int(k)", LISTS),
    Defect("larger indices first", "exact.hpp", "a.index < b.index", "a.index > b.index", LISTS),
    Defect("rows among their own neighbours", "exact.hpp", "|| j == rows[first + q]", "", LISTS),
    Defect("shared memory that nobody set", "exact.hpp", "            s.count[t] = 0;\n", "", OVERFLOW),
    Defect("no test of capacity", "exact.hpp", "size + kThreads > capacity(k)", "size > capacity(k)", OVERFLOW),
    Defect("++ in place of fetch_add", "exact.hpp", "fetch_add(&s.count[q], 1)", "s.count[q]++", RACE, THREAD),
]  # fmt: skip


def compiled(folder: Path, name: str, *arguments: str | Path, sanitizer: str) -> Path:
    out = folder / name
    command = ["g++", *FLAGS, f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-I", ROOT / "csrc", *arguments]
    subprocess.run([*map(str, command), "-o", str(out)], check=True)
    return out


def outcome(program: Path) -> tuple[int, str]:
    ran = subprocess.run([program], capture_output=True, text=True, check=False, timeout=300)
    return ran.returncode, ran.stdout + ran.stderr


def survives(folder: Path, objects: dict[str, Path], defect: Defect) -> str:
    """Nothing if the named check finds the defect, else what was found instead."""
    place = folder / defect.name
    (place / "cuda").mkdir(parents=True)
    text = (ROOT / "csrc/cuda" / defect.file).read_text(encoding="utf-8")
    if text.count(defect.old) != 1:
        return f"{defect.name}: its text is {text.count(defect.old)} times in {defect.file}"
    (place / "cuda" / defect.file).write_text(text.replace(defect.old, defect.new), encoding="utf-8")
    shadowed = ("-iquote", place, CHECKS, objects[defect.sanitizer])
    code, said = outcome(compiled(place, "checks", *shadowed, sanitizer=defect.sanitizer))
    if code != 0 and defect.found_by in said:
        return ""
    return f"{defect.name}: expected {defect.found_by!r}, got exit {code}:\n{said[-2000:]}"


def main() -> int:
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as workers:
        folder = Path(name)
        objects = {
            sanitizer: compiled(folder, f"device-{sanitizer}.o", "-c", DEVICE, sanitizer=sanitizer)
            for sanitizer in (ADDRESS, THREAD)
        }
        for sanitizer, device in objects.items():
            code, said = outcome(compiled(folder, f"whole-{sanitizer}", CHECKS, device, sanitizer=sanitizer))
            if code != 0:
                print(f"without a defect: exit {code}:\n{said}")
                return 1
        living = [said for said in workers.map(lambda one: survives(folder, objects, one), DEFECTS) if said]
    print("\n".join([*living, f"{len(DEFECTS) - len(living)} of {len(DEFECTS)} planted defects were found"]))
    return 1 if living else 0


if __name__ == "__main__":
    sys.exit(main())
