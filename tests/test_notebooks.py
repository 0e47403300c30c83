"""The notebooks of docs/ run in a kernel without a head: figures are shown where they are drawn, and nothing warns."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytestmark = pytest.mark.notebooks

NOTEBOOKS = Path(__file__).parents[1] / "docs/notebooks"
PICTURES = {"quick_start": 2, "layers_and_models": 4, "stitching_and_inference": 2}
TABLES = {"quick_start": 3, "layers_and_models": 0, "stitching_and_inference": 3}


def executed(notebook, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """The outputs of all cells."""
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(
        notebook, timeout=600, startup_timeout=600, kernel_name="python3", resources=resources
    ).execute(env=os.environ)
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def shown(outputs: list[dict], kind: str) -> list[str]:
    return [output["data"][kind] for output in outputs if kind in output.get("data", {})]


def test_every_notebook_is_expected() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(PICTURES)


@pytest.mark.parametrize("name", list(PICTURES))
def test_notebooks_show_figures_and_tables(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        assert not cell.get("outputs"), "outputs are not stored"
        assert cell.get("execution_count") is None
    outputs = executed(notebook, tmp_path, monkeypatch)
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
    assert len(shown(outputs, "image/png")) == PICTURES[name]
    assert len(shown(outputs, "text/html")) == TABLES[name]


def test_progress_and_last_lines_of_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ipywidgets, and without pyplot by the user's hand."""
    new = nbformat.v4.new_code_cell
    cells = [
        new(
            "import numpy as np, kernalign as ka\nfrom kernalign._base import progress\nprogress._PATIENCE = 0.0\n"
            "rng = np.random.default_rng(0)\nmodels = {name: rng.normal(size=(300, 20)) for name in 'abcdef'}\n"
            "found = ka.compare(models, metrics=('soft_matching', 'nbs'), progress=True)"
        ),
        new("found.plot('nbs')"),
        new("import matplotlib.pyplot as plt\nfound.plot('nbs', 'map')\nplt.show()"),
    ]
    outputs = executed(nbformat.v4.new_notebook(cells=cells), tmp_path, monkeypatch)
    told = "".join(output["text"] for output in outputs if output.get("name") == "stderr")
    assert "arning" not in told
    assert "\n" not in told.strip()
    assert len(shown(outputs, "image/png")) == 2
