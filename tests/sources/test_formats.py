"""The same numbers come from every format and every object, as from the array that was written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign.sources import open_layers, open_source, split_spec
from kernalign.sources.formats import FORMATS
from samples import related
from sources.file_samples import WRITERS

X, Y = (side.astype(np.float32) for side in related(37, 6, 4))


@pytest.fixture(params=WRITERS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What opens X, in each of the formats."""
    needs, writer = WRITERS[request.param]
    pytest.importorskip(needs)
    return writer(tmp_path, X)


def test_every_format_gives_the_same_numbers(written: str) -> None:
    path, key = split_spec(written)
    source = open_source(path, key=key)
    assert source.stored is not None
    assert source.shape == X.shape
    np.testing.assert_array_equal(source.array, X)
    assert not source.array.flags.writeable
    assert ka.cka(written, Y) == ka.cka(X, Y)
    assert ka.mutual_knn(Path(written), Y, 5) == ka.mutual_knn(X, Y, 5)
    found = ka.compare({"x": written, "y": Y}, metrics=("cka",), errors="raise")
    assert found.scores["cka"]["x", "y"] == ka.cka(X, Y)
    np.testing.assert_array_equal(open_layers(written)[0].array, X)


def test_every_format_is_read_in_blocks(written: str) -> None:
    path, key = split_spec(written)
    stored = open_source(path, key=key).stored
    assert stored is not None
    for start, stop in ((0, 37), (0, 1), (36, 37), (3, 19), (5, 5)):
        out = np.empty((stop - start, 6), stored.dtype)
        stored.read(start, stop, out)
        np.testing.assert_array_equal(out, X[start:stop])
    spans = list(stored.spans(100))
    assert [span[0] for span in spans] == [0, *(stop for _, stop in spans[:-1])]
    assert spans[-1][1] == 37


def test_a_fingerprint_changes_when_a_file_is_written_anew(written: str, tmp_path: Path) -> None:
    path, key = split_spec(written)
    before = open_source(path, key=key).stored
    assert before is not None
    known = before.fingerprint()
    assert open_source(path, key=key).stored.fingerprint() == known  # type: ignore[union-attr]
    for file in tmp_path.rglob("*"):
        os.utime(file, (1, 1))
    assert before.fingerprint() != known


def test_every_file_is_read_from_an_address(written: str, tmp_path: Path) -> None:
    """Nothing but the address differs: here that of a file system in memory."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path), "/bucket", recursive=True)
    try:
        url = written.replace(str(tmp_path), "memory://bucket")
        place, key = split_spec(url)
        np.testing.assert_array_equal(open_source(place, key=key).array, X)
        assert ka.cka(url, Y) == ka.cka(X, Y)
        assert open_source(place, key=key).stored.fingerprint()  # type: ignore[union-attr]
    finally:
        memory.rm("/bucket", recursive=True)


def test_a_column_of_numbers_with_a_word_in_it_is_not_left_out(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "x.csv"
    path.write_text("name,a,b,split\nu,1,2,train\nv,3,4x,test\nw,5,6,test\n")
    with pytest.raises(ValueError, match=r"x\.csv:b must hold numbers throughout, or text, got '4x' in row 1"):
        open_source(path)
    path.write_text("name,a,b,split\nu,1,2,train\nv,3,,test\nw,5,6,test\n")
    np.testing.assert_array_equal(open_source(path).array, [[1, 2], [3, np.nan], [5, 6]])
    assert open_source(path).labels == ["u", "v", "w"]


def test_files_are_taken_where_all_rows_are_needed(tmp_path: Path) -> None:
    """By tests of pairings, which pair them by their names, as queries and as targets."""
    order, names = np.random.default_rng(0).permutation(len(X)), np.array([f"item {at}" for at in range(len(X))])
    np.savez(tmp_path / "x.npz", x=X, ids=names)
    np.savez(tmp_path / "y.npz", y=Y[order], ids=names[order])
    np.save(tmp_path / "target.npy", Y[:, 0])
    x, y, target = (str(tmp_path / name) for name in ("x.npz:x", "y.npz:y", "target.npy"))
    opened = [open_source(tmp_path / f"{name}.npz", key=name) for name in "xy"]
    expected = ka.permutation_test(["cka", "cca"], X, Y, permutations=19)
    for given in ((x, y), opened, ([x], {"y": y})):
        found = ka.permutation_test(["cka", "cca"], *given, permutations=19)
        assert {name: one.score for name, one in found.items()} == pytest.approx(
            {name: one.score for name, one in expected.items()}
        )
    queries = ka.knn(Y, 3, queries=Y[order]).indices
    np.testing.assert_array_equal(ka.knn(Y, 3, queries=y).indices, queries)
    assert ka.kare(x, target, [1.0]).risk == pytest.approx(ka.kare(X, Y[:, 0], [1.0]).risk)


def test_hdf5_is_mapped_where_it_lies_as_in_memory(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w", userblock_size=1024) as file:
        for name, dtype in {"double": "<f8", "big": ">f4", "half": "<f2", "short": "<i2", "flags": "?"}.items():
            file[name] = X.astype(dtype)
        file["cube"] = X[:, :, None]
        file.create_dataset("chunked", data=X, chunks=(10, X.shape[1]))
        file.create_dataset("never written", X.shape, "f4", fillvalue=3)
        narrow = h5py.h5t.STD_I16LE.copy()
        narrow.set_precision(12)  # of 16 bits, which another library puts right
        space = h5py.h5s.create_simple(X.shape)
        made = h5py.h5d.create(file.id, b"narrow", narrow, space)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, (100 * X).astype("i2"))
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        made = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F64LE, space, compact)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, X.astype("f8"))
    mapped = set()
    with h5py.File(tmp_path / "x.h5") as file:
        for name in file:
            source = open_source(tmp_path / "x.h5", key=name)
            np.testing.assert_array_equal(source.array, file[name][()])
            if source.stored.mapped:
                mapped.add(name)
    assert mapped == {"double", "big", "half", "short", "cube"}


@pytest.mark.parametrize(("module", "name"), [("h5py", "hdf5"), ("zarr", "zarr"), ("pyarrow", "csv")])
def test_what_a_format_needs_is_said(tmp_path: Path, module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(module)
    spec = WRITERS[name][1](tmp_path, X)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"x\.\w+ needs {module}: pip install 'kernalign\[io\]'"):
        ka.cka(spec, Y)
    with pytest.warns(ka.UndefinedScoreWarning, match=f"needs {module}"):
        found = ka.compare({"x": X, "y": Y, "z": spec}, metrics=("cka",))
    assert found.scores["cka"]["x", "y"] == ka.cka(X, Y)
    assert any(f"needs {module}" in reason.text for reason in found.reasons)


def test_every_ending_has_a_reader() -> None:
    for ending, found in FORMATS.items():
        assert callable(found.reader().members), ending
