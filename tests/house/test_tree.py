"""The tree is what the map in docs/architecture.md says, and every file in it keeps the house rules."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE_SUFFIXES = {".py", ".pyi", ".cpp", ".hpp", ".inl", ".cu", ".cuh"}
# What the ecosystem puts at a root needs no line in the map.
ROOT_CUSTOM = {"LICENSE", "README.md", ".gitignore", ".clang-format", ".clang-tidy"}


def tracked() -> list[str]:
    """Every file that belongs to the project, with / between its parts; without git, what lies in its folders."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        return [name for name in listing.stdout.splitlines() if (ROOT / name).exists()]
    found = [path for top in ("csrc", "python", "tests", "bench", ".ci") for path in (ROOT / top).rglob("*")]
    found = [path for path in found if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def mapped_paths() -> list[str]:
    """Paths named in the fenced block under "Map of the tree".

    A line is one or more names, two spaces or more, then words. Names on a line indented under a directory's line
    (its name ends with /) are inside that directory. A name may hold a *, which must match something. Names in the
    words are not checked.
    """
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    block = re.search(r"^#+ Map of the tree\n.*?^```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert block, "docs/architecture.md has no fenced block under a heading 'Map of the tree'"
    paths: list[str] = []
    parents: list[tuple[int, str]] = []
    for line in block[1].splitlines():
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        names = re.split(r"\s{2,}", line.strip())[0].split()
        while parents and parents[-1][0] >= indent:
            parents.pop()
        prefix = parents[-1][1] if parents else ""
        for name in names:
            matches = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(prefix + name))
            paths += matches if "*" in name and matches else [prefix + name]
        if len(names) == 1 and names[0].endswith("/"):
            parents.append((indent, prefix + names[0]))
    return paths


def test_every_path_on_the_map_exists() -> None:
    paths = mapped_paths()
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert len(set(paths)) == len(paths)


def test_everything_in_the_tree_is_on_the_map() -> None:
    """Every top-level entry is named; so is every file of csrc/ and of the package, or a directory that holds it.

    Naming csrc/, python/ or python/kernalign/ is not enough: their files have to be told apart.
    """
    paths = set(mapped_paths())
    too_coarse = {"csrc/", "csrc/cpu/", "python/", "python/kernalign/"}
    missing = []
    for name in tracked():
        parts = name.split("/")
        if parts[0] in ROOT_CUSTOM or parts[-1] == "py.typed":
            continue
        covers = {name} | {"/".join(parts[:depth]) + "/" for depth in range(1, len(parts))}
        if parts[0] in ("csrc", "python") and len(parts) > 1:
            covers -= too_coarse
            covers |= {name.rsplit(".", 1)[0] + ending for ending in (".hpp", ".cpp", ".cu", ".inl")}
        if not covers & paths:
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("name", [name for name in tracked() if Path(name).suffix in SOURCE_SUFFIXES])
def test_first_line_says_what_the_file_is_for(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    opening = '"""' if name.endswith((".py", ".pyi")) else "// "
    assert lines, "empty file"
    assert lines[0].startswith(opening), lines[0]
    # A sentence may run on over following lines; it ends with a full stop or goes on after a colon.
    start = " ".join(lines[:4])
    assert re.search(r"[.:]", start), lines[0]
    assert len(lines[0].split()) >= 4, lines[0]


def test_no_file_names_a_machine() -> None:
    """Nothing tracked may hold an absolute path of somebody's machine."""
    private = re.compile(rb"(?<![\w./-])/(?:home|Users|root|work|tmp|mnt|opt|scratch)/\w+")
    found = {}
    for name in tracked():
        data = (ROOT / name).read_bytes()
        if b"\0" not in data[:4096] and (match := private.search(data)):
            found[name] = match[0].decode()
    assert found == {}


def test_readme_and_gate_share_one_test_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    tests = "pytest -n auto --dist loadfile"
    assert f"pip install '.[test]' && {tests}\n" in readme
    assert "pip install --quiet '.[test]'" in gate
    assert gate.endswith(f"in_venv test {tests}\n"), "pytest's summary must be the gate's last line"
