"""What code cites of docs/mathematics.md exists there, and what docs/architecture.md draws is what the tree holds."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_cited_sections_exist() -> None:
    headings = set(re.findall(r"^#+ (\d+(?:\.\d+)?)", (ROOT / "docs/mathematics.md").read_text("utf-8"), re.MULTILINE))
    cited = {}
    for top in ("python", "csrc", "tests", "bench"):
        for path in (ROOT / top).rglob("*"):
            if path.suffix in (".py", ".hpp", ".cpp", ".inl", ".cu"):
                for section in re.findall(r"\bmathematics (\d+(?:\.\d+)?)", path.read_text("utf-8")):
                    cited[section] = path.relative_to(ROOT).as_posix()
    assert len(cited) > 5
    assert {section: path for section, path in cited.items() if section not in headings} == {}


def test_the_citation_is_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_every_room_is_drawn() -> None:
    drawn = (ROOT / "docs/architecture.md").read_text("utf-8").split("```text")[1].split("```")[0]
    package = ROOT / "python/kernalign"
    rooms = {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
    rooms |= {path.stem for path in package.glob("*.py") if not path.stem.startswith("_")}
    rooms |= {path.name for path in (ROOT / "csrc/cpu").iterdir() if path.is_dir()}
    assert [room for room in sorted(rooms) if not re.search(rf"\b{room}\b", drawn)] == []
