"""kernalign compare of files that hold dissimilarities, and its options of rsa."""

from __future__ import annotations

from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from test_cli import failed, rows_of, run


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """a.npy, a triangle, and b.npz, a matrix beside labels; and rows.npy."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(3, 16, 5))
    found = [pdist(x[0]), pdist(x[0] + x[1])]
    np.save("a.npy", found[0])
    np.save("b.npy", squareform(found[1]))
    np.save("rows.npy", x[2])
    return found


@pytest.mark.parametrize("comparison", ["spearman", "kendall", "tau_b", "whitened_cosine"])
def test_triangles_and_matrices(sides: list[np.ndarray], comparison: str) -> None:
    given = ["a.npy", "b.npy", "--metric", "rsa", "--distance", "precomputed", "--comparison", comparison, "--json"]
    [row] = rows_of(run("compare", *given))
    score = ka.rsa(*sides, distance="precomputed", comparison=comparison)  # type: ignore[arg-type]
    assert row["score"] == pytest.approx(float(score), rel=1e-12)
    assert row["p_value"] == pytest.approx(score.p_value, rel=1e-9)


def test_options_of_rsa_need_it(sides: list[np.ndarray]) -> None:
    assert "--comparison is for rsa" in failed(run("compare", "a.npy", "b.npy", "--comparison", "kendall"), 2)
    assert "is not one of" in failed(run("compare", "a.npy", "b.npy", "--metric", "rsa", "--distance", "cityblock"), 2)
    told = failed(
        run("compare", "a.npy", "b.npy", "--metric", "rsa", "--metric", "cka", "--distance", "precomputed"), 1
    )
    assert "cka needs rows, but --distance precomputed says that dissimilarities are given" in told


def test_a_triangle_is_no_representation_without_them(sides: list[np.ndarray]) -> None:
    result = run("compare", "a.npy", "rows.npy", "--metric", "rsa")
    assert result.exit_code != 0
