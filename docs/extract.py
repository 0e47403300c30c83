"""Writes the Python of README, pages and gallery to files, for type checkers: `python docs/extract.py FOLDER`."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page, which run one after the other; fragments are fenced as ``py``."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Pages that hold Python."""
    return [page for page in (HERE.parent / "README.md", *sorted(HERE.glob("*.md"))) if blocks(page)]


def write(folder: Path) -> None:
    """One file a page or example."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in pages():
        (folder / f"page_{page.stem}.py").write_text("\n".join(blocks(page)), encoding="utf-8")
    # Libraries that are not here are no fault of an example.
    (folder / "pyrightconfig.json").write_text('{"reportMissingImports": false}', encoding="utf-8")
    for script in HERE.glob("gallery/*.py"):
        (folder / script.name).write_text(script.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
