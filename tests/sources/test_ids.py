"""Rows of files are paired by the names that these hold, whatever their order; lost and repeated names are counted."""

from __future__ import annotations

import json
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from click.testing import CliRunner, Result
from kernalign.cli import main
from kernalign.sources import open_source
from samples import related
from sources.file_samples import WRITERS, ids_of

N = 40
X, Y = related(N, 5, 4)
ORDER = np.random.default_rng(1).permutation(N)
IDS = np.array(ids_of(N))


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, args), "--metric", "cka", "--json"])


def score_of(result: Result) -> float:
    assert result.exit_code == 0, result.output
    [row] = json.loads(result.stdout)["rows"]
    return float(row["score"])


def save(folder: Path, kind: str, name: str, rows: np.ndarray, ids: np.ndarray) -> str:
    """Rows with their names, in one of the ways in which files hold these."""
    if kind == "npz":
        np.savez(folder / f"{name}.npz", features=rows, ids=ids)
        return str(folder / f"{name}.npz")
    if kind == "beside":
        np.save(folder / f"{name}.npy", rows)
        (folder / f"{name}.ids.txt").write_text("\n".join(ids) + "\n")
        return str(folder / f"{name}.npy")
    if kind == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["features"], file["item_id"] = rows, ids.tolist()
        return f"{folder / name}.h5:features"
    if kind == "zarr":
        zarr = pytest.importorskip("zarr")
        group = zarr.open_group(folder / f"{name}.zarr", mode="w", zarr_format=2)
        group.create_array("features", data=rows)
        group.create_array("ids", data=ids.astype("U20"))
        return f"{folder / name}.zarr:features"
    if kind == "words":
        text = [" ".join(map(repr, row.tolist())) for row in rows]
        lines = (f"{word.replace(' ', '_')} {row}" for word, row in zip(ids, text, strict=True))
        (folder / f"{name}.txt").write_text("\n".join(lines))
        return str(folder / f"{name}.txt")
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(rows, columns=[f"f{at}" for at in range(rows.shape[1])])
    if kind == "csv":
        frame.assign(id=ids).to_csv(folder / f"{name}.csv", index=False)
    elif kind == "jsonl":
        table = pd.DataFrame({"key": ids, "vector": rows.tolist()})
        table.to_json(folder / f"{name}.jsonl", orient="records", lines=True, double_precision=15)
        return f"{folder / name}.jsonl:vector"
    else:
        frame.set_axis(ids).to_parquet(folder / f"{name}.parquet")
    return str(folder / f"{name}.{kind}")


@pytest.mark.parametrize("kind", ["npz", "beside", "h5", "zarr", "words", "csv", "jsonl", "parquet"])
def test_rows_are_paired_by_the_names_that_files_hold(tmp_path: Path, kind: str) -> None:
    dtype = np.float32 if kind == "words" else np.float64
    x, y = X.astype(dtype), Y.astype(dtype)
    a, b = save(tmp_path, kind, "a", x, IDS), save(tmp_path, kind, "b", y[ORDER], IDS[ORDER])
    expected = float(ka.cka(x, y))
    assert float(ka.cka(a, b)) == pytest.approx(expected, rel=1e-9)
    assert score_of(run(a, b)) == pytest.approx(expected, rel=1e-9)
    assert float(ka.cka(a, b, pairing="position")) == pytest.approx(float(ka.cka(x, y[ORDER])), rel=1e-9)
    few = save(tmp_path, kind, "few", y[ORDER[:30]], IDS[ORDER[:30]])
    kept = np.sort(ORDER[:30])
    expected = float(ka.cka(x[kept], y[kept]))
    assert float(ka.cka(a, few, pairing="ids")) == pytest.approx(expected, rel=1e-9)
    result = run(a, few, "--pairing", "ids")
    assert score_of(result) == pytest.approx(expected, rel=1e-9)
    assert "10 rows have ids that not all others have ('item" in result.stderr
    with pytest.raises(ValueError, match="pairing='ids' takes the 30"):
        ka.cka(a, few)
    assert "--pairing ids takes the 30 that both have" in run(a, few).stderr


def test_ids_are_named_on_the_command_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, stimulus=IDS)
    np.savez(tmp_path / "b.npz", x=Y[ORDER], stimulus=IDS[ORDER])
    expected = float(ka.cka(X, Y))
    assert score_of(run(tmp_path / "a.npz:x", tmp_path / "b.npz:x", "--ids", "stimulus")) == pytest.approx(expected)
    (tmp_path / "all.txt").write_text("\n".join(IDS))
    assert score_of(run(tmp_path / "a.npz:x", tmp_path / "b.npz:x", "--ids", tmp_path / "all.txt")) == pytest.approx(
        float(ka.cka(X, Y[ORDER]))
    )
    assert "has no array or column 'nothing' of ids; it holds" in run(tmp_path, "--ids", "nothing").stderr
    assert "not available with --pairing position" in run(tmp_path, "--ids", "x", "--pairing", "position").stderr


def test_repeated_names_are_counted_and_named(tmp_path: Path) -> None:
    ids = IDS.copy()
    ids[[3, 7, 9]] = ids[[2, 6, 6]]
    a, b = save(tmp_path, "npz", "a", X, ids), save(tmp_path, "npz", "b", Y, IDS)
    words = r"got 'item 2' in rows 2 and 3 \(and 1 more labels more than once\)"
    with pytest.raises(ValueError, match=words):
        ka.cka(a, b, pairing="ids")


def test_a_list_beside_a_file_has_a_line_for_every_row(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "a.ids.txt").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match=r"a\.ids\.txt must have a line for each of the 40 rows, got 2"):
        open_source(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["parquet of lists", "hdf5 by item", "anndata", "csv", "json lines"])
def test_formats_with_names_of_rows(tmp_path: Path, name: str) -> None:
    needs, writer = WRITERS[name]
    pytest.importorskip(needs)
    spec = writer(tmp_path, X.astype(np.float32))
    path, _, key = spec.partition(":")
    assert open_source(path, key=key or None).labels == ids_of(N)
