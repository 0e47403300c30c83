"""Axes in any order and maps with positions become items, layers and features, as NumPy would make them."""

from __future__ import annotations

import json
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner
from kernalign.cli import main
from kernalign.sources.arranged import arranged
from samples import related

N = 40
X, Y = related(N, 6, 4)
MAPS = np.random.default_rng(0).normal(size=(N, 6, 3, 5)) + X[:, :, None, None]


@pytest.mark.parametrize(
    ("given", "how", "expected"),
    [
        (MAPS, {"pool": "mean"}, MAPS.mean((2, 3))),
        (MAPS, {"pool": "flatten"}, MAPS.reshape(N, -1)),
        (MAPS.transpose(0, 2, 3, 1), {"axes": "nttd", "pool": "mean"}, MAPS.mean((2, 3))),
        (MAPS[..., 0].swapaxes(1, 2), {"axes": "ntd", "pool": "mean"}, MAPS[..., 0].mean(2)),
        (MAPS[..., 0].transpose(2, 0, 1), {"axes": "lnd"}, MAPS[..., 0].swapaxes(1, 2)),
        (MAPS.transpose(2, 0, 3, 1), {"axes": "lntd", "pool": "mean"}, MAPS.mean(3).swapaxes(1, 2)),
        (X.T, {"axes": "dn"}, X),
        (MAPS[..., 0].swapaxes(1, 2), {}, MAPS[..., 0].swapaxes(1, 2)),
        ((MAPS * 100).astype(np.int16), {"pool": "mean"}, (MAPS * 100).astype(np.int16).mean((2, 3))),
    ],
)
def test_axes_and_pools(given: np.ndarray, how: dict[str, str], expected: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", given)
    for one in (given, tmp_path / "x.npy"):
        found = arranged(one, **how)  # type: ignore[arg-type]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found.array(), expected, rtol=1e-12, atol=1e-12)
        out = np.empty((5, *found.shape[1:]), found.dtype)
        found.read(3, 8, out)
        np.testing.assert_allclose(out, expected[3:8], rtol=1e-12, atol=1e-12)
        score = ka.compare({"x": found, "y": Y}, metrics=("cka",)).scores["cka"]["x", "y"]
        plain = ka.compare({"x": found.array(), "y": Y}, metrics=("cka",)).scores["cka"]["x", "y"]
        np.testing.assert_allclose(score, plain, rtol=1e-12)


def test_pools_are_functions_arguments_and_streams() -> None:
    expected = ka.cka(MAPS.mean((2, 3)), Y)
    assert float(ka.cka(arranged(MAPS, pool="mean"), Y)) == pytest.approx(float(expected), rel=1e-12)
    assert float(ka.Moments().update(arranged(MAPS, pool="mean"), Y).cka()) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({}, "pool must be 'mean' or 'flatten' where axes has positions"),
        ({"axes": "nld"}, "axes must have a letter for each axis of given, got 'nld'"),
        ({"axes": "nddt"}, "axes must name one n, one d, at most one l, and t for the others, got 'nddt'"),
        ({"axes": "nchw"}, "axes must name one n"),
        ({"pool": "max"}, "pool must be None, 'mean' or 'flatten', got 'max'"),
    ],
)
def test_letters_that_do_not_fit_are_refused(how: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        arranged(MAPS, **how)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pool must be left out"):
        arranged(X[:, None], axes="nld", pool="mean")


def test_axes_and_pools_on_the_command_line(tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", MAPS)
    np.save(tmp_path / "y.npy", Y)
    command = ["compare", str(tmp_path), "--metric", "cka", "--json"]
    expected = float(ka.cka(MAPS.mean((2, 3)), Y))
    for more in (["--pool", "mean"], ["--axes", "ndtt", "--pool", "mean"]):
        result = CliRunner().invoke(main, [*command, *more])
        assert result.exit_code == 0, result.output
        [row] = json.loads(result.stdout)["rows"]
        assert row["score"] == pytest.approx(expected, rel=1e-9)
    assert "pool must be 'mean' or 'flatten'" in CliRunner().invoke(main, [*command, "--axes", "ndtt"]).stderr
