"""The README's Python runs, block by block, and says what its comments say."""

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[2] / "README.md"


def python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What is defined after all blocks have run, one after the other, in an empty folder."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    defined = {}
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("readme")
        patch.chdir(folder)
        for block in python_blocks():
            exec(compile(block, str(README), "exec"), defined)
    return defined | {"folder": folder}


def test_readme_shows_python() -> None:
    text = "\n".join(python_blocks())
    for name in ("cka", "mutual_knn", "Moments", "compare", "permutation_test", "describe", "stitching_certificate"):
        assert re.search(rf"\b{name}\(", text), name


def test_readme_python_runs(names) -> None:
    ka, x, y = names["ka"], names["x"], names["y"]
    assert names["moments"].cka() == pytest.approx(ka.cka(x, y), rel=1e-9)
    assert abs(names["score"].chance) < 1e-12
    assert names["score"].p_value < 1e-3
    assert names["test"].p_value <= 1 / 100
    assert names["test"].mean == pytest.approx(10 / 999, rel=0.1)
    eta = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    assert names["description"].top_share == pytest.approx(eta[0] / eta.sum(), rel=1e-6)
    assert names["description"].warnings == []


def test_readme_comparison(names) -> None:
    ka, found = names["ka"], names["found"]
    score, layers, p_value = found.best("cka")["model 1", "model 2"]
    assert score == found.scores["cka"]["model 1", "model 2"].max()
    assert len(layers) == 2
    assert p_value < 0.01
    assert found.scores["mutual_knn"]["model 1", "model 2"].shape == (3, 3)
    again = ka.Comparison.load(names["folder"] / "scores.ka")
    np.testing.assert_array_equal(again.best("cka").score, found.best("cka").score)
    assert (names["folder"] / "cka.png").stat().st_size > 1000


def test_readme_stitching(names) -> None:
    certificate = names["certificate"]
    assert certificate.holds
    assert certificate.risk < certificate.stitched_risk <= certificate.bound
    assert 0 < names["stitcher"].score(names["x"], names["y"]) < 1
