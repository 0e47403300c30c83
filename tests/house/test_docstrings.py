"""Every public function and class says what else there is, and shows what it is for by an example that runs."""

import ast
import doctest
import importlib
import importlib.util
import inspect
import re
import warnings
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def _reference_pages():
    specification = importlib.util.spec_from_file_location("reference_pages", ROOT / "docs/reference_pages.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


pages = _reference_pages()
PUBLIC = [(module, name) for module, names in pages.public().items() for name in names]


def test_public_names_are_found() -> None:
    found = {name for _, name in PUBLIC}
    assert {"cka", "RidgeStitcher", "classical_mds", "pmi_kernel", "noise_resilience", "AlignmentMetrics"} <= found
    assert {name for name in ka.__all__ if callable(getattr(ka, name))} <= found


def test_dir_shows_public_names_alone() -> None:
    assert [name for name in dir(ka) if name.startswith("_") and name != "__version__"] == []
    modules = {name.split(".")[1] for name in pages.public() if "." in name}
    assert set(dir(ka)) - {*ka.__all__, "__version__"} <= modules | {"compat", "sources"}


def _missing(examples: list[doctest.Example]) -> str | None:
    for example in examples:
        for node in ast.walk(ast.parse(example.source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names + ([node.module] if isinstance(node, ast.ImportFrom) else []):
                if importlib.util.find_spec(name.split(".")[0]) is None:
                    return name
    return None


def _is_public(name: str, module: str) -> bool:
    """Whether the pages of the reference have it: as it is called in the module, or by its path."""
    where, _, last = name.rpartition(".")
    return (where or module, last) in PUBLIC or name in ("METRICS", *pages.public())


@pytest.mark.parametrize("module, name", PUBLIC, ids=[f"{module}.{name}" for module, name in PUBLIC])
def test_see_also_names_what_is_there(module: str, name: str) -> None:
    doc = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
    _, _, after = doc.partition("\nSee Also\n--------\n")
    entries = [line for line in re.split(r"\n\n|\n[A-Z][A-Za-z ]+\n---", after)[0].splitlines() if line[:1].strip()]
    named = [one.strip(" `") for entry in entries for one in entry.split(" : ")[0].split(",")]
    assert named
    optional = "kernalign.compat."  # of libraries that may not be here
    assert [one for one in named if not one.startswith(optional) and not _is_public(one, module)] == []


@pytest.mark.parametrize("module, name", PUBLIC, ids=[f"{module}.{name}" for module, name in PUBLIC])
def test_examples_run(module: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = getattr(importlib.import_module(module), name)
    doc = inspect.getdoc(public) or ""
    for section in ("See Also", "Examples"):
        assert f"\n{section}\n{'-' * len(section)}\n" in doc, f"{module}.{name} has no section {section}"
    examples = doctest.DocTestParser().get_examples(doc)
    assert inspect.isclass(public) or any(name in example.source for example in examples)
    assert not any(doctest.SKIP in example.options for example in examples)
    if missing := _missing(examples):
        pytest.skip(f"{missing} is not installed")
    monkeypatch.chdir(tmp_path)
    found = doctest.DocTest(examples, {}, f"{module}.{name}", None, 0, doc)
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        failed, _ = doctest.DocTestRunner().run(found, out=said.append)
    assert failed == 0, "".join(said)


class TestTableOfMetrics:
    def test_it_has_every_metric_with_all_its_cells(self) -> None:
        rows = [line.split(" | ") for line in pages.metrics_page().splitlines() if line.startswith("| {py:obj}")]
        assert [row[0].split("~kernalign.")[1].rstrip("`") for row in rows] == list(ka.METRICS)
        for row in rows:
            assert len(row) == 7, row
            assert all(cell.strip(" |`") for cell in row), row

    def test_the_page_on_choosing_a_metric_has_them_all(self) -> None:
        page = (ROOT / "docs/which_metric.md").read_text("utf-8")
        assert [name for name in ka.METRICS if f"`{name}" not in page] == []

    @pytest.mark.parametrize("name", list(ka.METRICS))
    def test_calls_run_and_chance_is_known_where_it_says_so(self, name: str) -> None:
        rng = np.random.default_rng(0)
        x, noise = rng.standard_normal((2, 60, 12))
        score = eval(pages.example(name), {"ka": ka, "x": x, "y": x + noise})
        assert isinstance(score, float)
        assert (score.chance is None) == (ka.METRICS[name].chance == "not known")
        stated = {"0": 0.0, "k / (n − 1)": 10 / 59, "rank / (n − 1)": 10 / 59}
        if ka.METRICS[name].chance in stated:
            assert score.chance == pytest.approx(stated[ka.METRICS[name].chance], abs=1e-12)
