"""Every include of the engines points down: contracts include contracts, a room of the CPU the rooms below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CSRC = ROOT / "csrc"
# From the ground up; a file may include those of its own room and of rooms in earlier lines.
FLOORS = (
    ("contracts",),
    ("cpu/simd",),
    ("cpu/runtime",),
    ("cpu/products",),
    ("cpu/decompositions", "cpu/moments", "cpu/grams", "cpu/neighbors"),
    ("cpu/lists",),
    ("cuda",),
    ("bindings",),
    ("bindings/cuda",),
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(p.relative_to(CSRC).as_posix() for p in CSRC.rglob("*") if p.suffix in {".hpp", ".cpp", ".inl", ".cu"})


def room(name: str) -> str:
    return name.rpartition("/")[0] or "contracts"


def text(name: str) -> str:
    return (CSRC / name).read_text(encoding="utf-8")


def includes(name: str) -> list[str]:
    return re.findall(r'^ *# *include "(.+)"', text(name), re.MULTILINE)


def test_every_file_is_in_a_room() -> None:
    assert {room(name) for name in FILES} == set(FLOOR)


@pytest.mark.parametrize("name", FILES)
def test_includes_point_down(name: str) -> None:
    """By path from csrc/, which no file of the same name nearby can shadow."""
    own = room(name)
    assert [used for used in includes(name) if used not in FILES] == []
    assert [used for used in includes(name) if room(used) != own and FLOOR[room(used)] >= FLOOR[own]] == []


def test_devices_share_contracts_with_the_cpu_and_nothing_else() -> None:
    """But for the loader, which has the words for bad values."""
    used = {used for name in FILES if room(name) == "cuda" for used in includes(name) if used.startswith("cpu/")}
    assert used <= {"cpu/runtime/load.hpp", "cpu/runtime/blas.hpp"}


def test_no_name_is_found_nearer_than_from_csrc() -> None:
    nearer = {f"{room(name)}/{used}" for name in FILES if "/" in name for used in includes(name)}
    assert nearer & set(FILES) == set()


def test_includes_form_no_circle() -> None:
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        assert name not in path, f"circle: {' -> '.join([*path[path.index(name) :], name])}"
        if name not in done:
            for used in includes(name):
                visit(used, [*path, name])
            done.add(name)

    for name in FILES:
        visit(name, [])


def test_engines_know_nothing_of_python() -> None:
    engines = [CSRC / name for name in FILES if not room(name).startswith("bindings")]
    engines += (ROOT / "tests" / "native").rglob("*.?pp")
    assert len(engines) > 80
    knowing = [path for path in engines if re.search(r"Python\.h|pybind11|numpy", path.read_text(encoding="utf-8"))]
    assert knowing == []


def test_files_with_options_of_their_own_refuse_to_be_built_without() -> None:
    """A path that CMakeLists.txt forgets would otherwise be a slow library, not an error."""
    commands = re.findall(
        r"set_source_files_properties\(([^)]+)PROPERTIES", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    )
    named = {path.removeprefix("csrc/") for command in commands for path in command.split()}
    refusing = {name for name in FILES if "#error" in text(name)}
    assert named == {n for n in FILES if n.endswith(".cpp") and refusing & {n, *includes(n)}}
    assert len(named) == 5
