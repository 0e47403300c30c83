"""Rows that other libraries keep are read as arrays are, and in blocks where a stream takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kernalign as ka
import numpy as np
import pytest
from kernalign.sources.stored import Stored
from samples import related
from sources.file_samples import WRITERS

N = 300
X, Y = related(N, 5, 4)


class Counted(Stored):
    """Rows that remember how many were asked for at once."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__("counted", array.shape, array.dtype)
        self.given, self.most, self.step = array, 0, 7

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        self.most = max(self.most, stop - start)
        out[...] = self.given[start:stop]

    def spans(self, nbytes: int = 0) -> Iterator[tuple[int, int]]:
        return super().spans(40 * 64)


@pytest.fixture(params=["h5py", "zarr", "dask", "xarray", "xarray of dask"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """X, as an object of a library."""
    name = request.param
    if name == "h5py":
        h5py = pytest.importorskip("h5py")
        return h5py.File(tmp_path / "x.h5", "w").create_dataset("x", data=X, chunks=(50, 5))
    if name == "zarr":
        zarr = pytest.importorskip("zarr")
        return zarr.create_array(tmp_path / "x.zarr", data=X, chunks=(64, 5))
    if name == "dask":
        return pytest.importorskip("dask.array").from_array(X, chunks=(100, 5))
    xarray = pytest.importorskip("xarray")
    found = xarray.DataArray(X, dims=("item", "feature"))
    if name == "xarray":
        return found
    pytest.importorskip("dask.array")
    return found.chunk({"item": 64})


def test_objects_are_read_as_arrays_are(kept: Any) -> None:
    expected = ka.cka(X, Y)
    assert ka.cka(kept, Y) == expected
    assert ka.compare({"x": kept, "y": Y}, metrics=("cka",), errors="raise").scores["cka"]["x", "y"] == expected
    assert ka.mutual_knn(Y, kept, 5) == ka.mutual_knn(Y, X, 5)
    moments = ka.Moments().update(kept, Y)
    assert moments.n == N
    assert moments.cka() == ka.Moments().update(X, Y).cka()


def test_a_stream_never_holds_a_stored_array_whole() -> None:
    x, y = Counted(X), Counted(Y)
    streamed, whole = ka.Moments().update(x, y), ka.Moments().update(X, Y)
    assert 0 < x.most <= 64
    assert streamed.cka() == whole.cka()
    assert streamed.procrustes() == whole.procrustes()
    seen: list[tuple[int, int]] = []
    ka.Moments().update(x, Y, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (N, N)


def test_a_stream_that_meets_a_bad_row_is_as_it_was() -> None:
    bad = X.copy()
    bad[250, 1] = np.nan
    moments = ka.Moments().update(X, Y)
    before = moments.cka()
    with pytest.raises(ValueError, match="x_batch must be finite"):
        moments.update(Counted(bad), Y)
    assert (moments.n, moments.cka()) == (N, before)
    with pytest.raises(ValueError, match="same number of rows"):
        moments.update(Counted(X[:10]), Y)


@pytest.mark.parametrize("name", [name for name, (needs, _) in WRITERS.items() if "by item" not in name])
def test_streams_of_files(tmp_path: Path, name: str) -> None:
    needs, writer = WRITERS[name]
    pytest.importorskip(needs)
    x = X.astype(np.float32)
    spec = writer(tmp_path, x)
    assert float(ka.Moments().update(spec, Y.astype(np.float32)).cka()) == pytest.approx(float(ka.cka(x, Y)), rel=1e-5)
