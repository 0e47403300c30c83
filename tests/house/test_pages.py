"""The Python of every page of docs/ runs, block by block; fragments that cannot are fenced as ``py``."""

import ast
import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
_specification = importlib.util.spec_from_file_location("extract", DOCS / "extract.py")
extract = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(extract)


@pytest.mark.parametrize("page", [page for page in extract.pages() if page.parent == DOCS], ids=lambda page: page.stem)
def test_python_of_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for node in ast.walk(ast.parse("".join(extract.blocks(page)))):
        if isinstance(node, ast.Import):
            for name in node.names:
                pytest.importorskip(name.name)
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in extract.blocks(page):
        exec(compile(block, str(page), "exec"), names)


def test_type_checkers_see_every_page_and_example(tmp_path: Path) -> None:
    extract.write(tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    assert {"page_README.py", "page_quick_start.py"} <= written
    assert {script.name for script in DOCS.glob("gallery/*.py")} <= written
