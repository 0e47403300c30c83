"""Directories as people lay them out: layers are one model, parts are joined, labels are passed over, nothing stops."""

from __future__ import annotations

import json
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner, Result
from kernalign.cli import main
from kernalign.sources import open_source
from kernalign.sources.directories import models_of
from kernalign.sources.place import Place
from kernalign.sources.shards import units
from samples import related

N = 40
X, Y = related(N, 5, 4)


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, args), "--json"])


def rows_of(result: Result) -> list[dict[str, object]]:
    return json.loads(result.stdout)["rows"]  # type: ignore[no-any-return]


def save_layers(folder: Path, x: np.ndarray, count: int = 12) -> list[np.ndarray]:
    folder.mkdir(parents=True)
    layers = [x + np.random.default_rng(at).normal(size=x.shape) for at in range(count)]
    for at, layer in enumerate(layers):
        np.save(folder / f"layer_{at}.npy", layer)
    return layers


def names(*stems: str, shards: bool = False) -> list[tuple[str, int]]:
    found = units([Place(f"d/{stem}.npy") for stem in stems], shards=shards)
    return [(unit.name, len(unit.places)) for unit in found]


def test_parts_are_told_by_their_names() -> None:
    assert names("part-00001-of-00002", "part-00000-of-00002") == [("part", 2)]
    assert names("f_0-100", "f_100-200", "f_200-250") == [("f", 3)]
    assert names("f_0-99", "f_100-199") == [("f", 2)]
    assert names("f_3-5", "f_4-2") == [("f_3-5", 1), ("f_4-2", 1)]  # no spans of rows
    assert names("x.part1", "x.part2", "y") == [("x", 2), ("y", 1)]
    assert names("model1", "model2") == [("model1", 1), ("model2", 1)]
    assert names("model1", "model2", shards=True) == [("model", 2)]
    assert names("a", "b", shards=True) == [("a", 1), ("b", 1)]
    with pytest.raises(ValueError, match=r"one of 3 parts, of which number 1 is missing"):
        names("x-0-of-3", "x-2-of-3")
    with pytest.raises(ValueError, match=r"number 4 is missing"):
        names("x_shard2", "x_shard10", "x_shard3", "y")
    with pytest.raises(ValueError, match=r"number 2 is missing"):
        names("part1", "part3")


def test_a_directory_of_layers_is_one_model(tmp_path: Path) -> None:
    a, b = save_layers(tmp_path / "A", X), save_layers(tmp_path / "B", Y, 3)
    expected = ka.compare({"A": a, "B": b}, metrics=("cka",), layers="best")
    [row] = rows_of(run(tmp_path / "A", tmp_path / "B", "--metric", "cka"))
    assert (row["x"], row["y"]) == ("A", "B")
    [wanted] = expected.rows()
    assert row["score"] == pytest.approx(wanted["score"], rel=1e-12)
    assert row["x_layer"] == f"layer_{wanted['x_layer']}"
    both = rows_of(run(tmp_path, "--metric", "cka"))
    assert [(one["x"], one["y"], one["score"]) for one in both] == [("A", "B", row["score"])]
    found = ka.compare({"A": tmp_path / "A", "B": str(tmp_path / "B")}, metrics=("cka",))
    assert found.scores["cka"]["A", "B"].shape == (12, 3)
    assert found.x_layers["A"][:3] == ("layer_0", "layer_1", "layer_2")
    assert found.x_layers["A"][-1] == "layer_11"


def test_parts_are_joined_by_rows_and_never_compared(tmp_path: Path) -> None:
    for name, rows in (("f_0-15", X[:15]), ("f_15-30", X[15:30]), ("f_30-40", X[30:])):
        np.save(tmp_path / f"{name}.npy", rows)
    np.save(tmp_path / "y.npy", Y)
    value = float(ka.cka(X, Y))
    for given in ([tmp_path], sorted(tmp_path.iterdir())):
        [row] = rows_of(run(*given, "--metric", "cka"))
        assert {row["x"], row["y"]} == {"f", "y"}
        assert row["score"] == pytest.approx(value, rel=1e-12)
    (tmp_path / "y.npy").replace(tmp_path.parent / "elsewhere.npy")
    np.testing.assert_array_equal(open_source(tmp_path).array, X)
    assert float(ka.cka(tmp_path, Y)) == value


def test_parts_that_are_numbered_only_are_joined_when_asked_for(tmp_path: Path) -> None:
    for at in range(4):
        np.savez(tmp_path / f"feats{at}.npz", x=X[10 * at : 10 * at + 10], y=Y[10 * at : 10 * at + 10])
    [row] = rows_of(run(tmp_path, "--shards", "--metric", "cka"))
    assert (row["x"], row["y"]) == ("x", "y")
    assert row["score"] == pytest.approx(float(ka.cka(X, Y)), rel=1e-12)


def test_what_is_no_representation_is_passed_over_and_said(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    np.save(tmp_path / "b.npy", Y)
    np.save(tmp_path / "labels.npy", np.arange(N))
    np.save(tmp_path / "times.npy", np.arange(N))
    (tmp_path / "._a.npy").write_bytes(b"\0")
    (tmp_path / "README.md").write_text("read me")
    (tmp_path / ".git").mkdir()
    np.save(tmp_path / ".git" / "c.npy", Y)
    result = run(tmp_path, "--metric", "cka")
    assert result.exit_code == 0
    assert [(row["x"], row["y"]) for row in rows_of(result)] == [("a", "b")]
    notes = [line for line in result.stderr.splitlines() if "not taken" in line]
    assert len(notes) == 3
    for name in ("labels.npy", "times.npy", "._a.npy"):
        assert any(name in note for note in notes)


def test_a_damaged_file_costs_its_own_scores(tmp_path: Path) -> None:
    for name, array in (("a", X), ("b", Y), ("c", X + Y[:, :1])):
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-8])
    save_layers(tmp_path / "deep" / "M", X, 2)
    (tmp_path / "deep" / "M" / "layer_1.npy").write_bytes(b"not numpy")
    result = run(tmp_path, "--metric", "cka")
    assert result.exit_code == 1
    status = {frozenset((row["x"], row["y"])): row["status"] for row in rows_of(result)}
    assert status[frozenset("ac")] == "ok"
    assert {pair for pair, one in status.items() if one != "ok"} == {frozenset(("b", one)) for one in ("a", "c", "M")}
    assert {row["x_layer"] for row in rows_of(result) if row["x"] == "M"} <= {"layer_0", None}
    assert "layer_1.npy must start with a NumPy header" in result.stderr


def test_names_come_from_files_and_from_keys_where_these_differ(tmp_path: Path) -> None:
    for name, array in (("vit", X), ("bert", Y)):
        np.savez(tmp_path / f"{name}.npz", features=array)
    np.savez(tmp_path / "gpt.npz", first=X, second=Y)
    found = [model.short for model in models_of(Place(tmp_path)).models]
    assert sorted(found) == ["bert", "first", "second", "vit"]


def test_directories_that_lead_back_to_themselves_are_read_once(tmp_path: Path) -> None:
    """Two links to where they are would be walked 2^16 times."""
    save_layers(tmp_path / "m", X, 2)
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(".")
        (tmp_path / "m" / name).symlink_to("..")
    found = models_of(Place(tmp_path))
    assert [model.short for model in found.models] == ["m"]
    assert len([one for one in found.skipped if one.endswith("it leads to a directory that was read already")]) == 4
