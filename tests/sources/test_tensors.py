"""Tensors that PyTorch wrote are read without it; 16- and 8-bit floats are what they are, with ml-dtypes or without."""

from __future__ import annotations

import sys
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign._rows import arrays
from kernalign.sources import open_layers, open_source, open_sources
from samples import related, safetensors_bytes, write

WRITTEN = Path(__file__).parents[1] / "data" / "tensors.pt"
X, Y = (side.astype(np.float32) for side in related(40, 6, 4))


def test_a_file_of_pytorch() -> None:
    """Of version 2.13, with tensors of several types, transposed ones, a parameter, and what is none of these."""
    x = np.arange(12, dtype=np.float32).reshape(4, 3) / 4
    expected = {
        "feats": np.arange(24.0).reshape(4, 2, 3),
        "nested.half": x,
        "nested.bf16": x,
        "list.0": x,
        "list.1": x.T,
        "list.2": np.trunc(x),
    }
    found = {source.key: source.array for source in open_sources(WRITTEN, dimensions=(2, 3))}
    assert set(found) == set(expected)
    for key, array in found.items():
        np.testing.assert_array_equal(np.asarray(array, dtype=np.float64), expected[str(key)])
    layers = ka.compare({"a": f"{WRITTEN}:feats", "b": f"{WRITTEN}:list.0"}, metrics=("cka",))
    assert layers.scores["cka"]["a", "b"].shape == (2, 1)


def test_what_pytorch_writes_today(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X)
    kinds = [torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.bool]
    torch.save([x, x.t(), x[:, ::2], *(x.to(kind) for kind in kinds)], tmp_path / "x.pt")
    wanted = [x, x.t(), x[:, ::2], *(x.to(kind) for kind in kinds)]
    for source, one in zip(open_layers(tmp_path / "x.pt"), wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(source.array, dtype=np.float64), one.double().numpy())
    torch.save(torch.nn.Linear(3, 2), tmp_path / "module.pt")
    with pytest.raises(ValueError, match="holds no tensors"):
        open_source(tmp_path / "module.pt")


class Named:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("called",)


def test_what_pytorch_wrote_before_its_version_1_6(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    x, path = torch.tensor(X), tmp_path / "old.pt"

    def written(content: object) -> Path:
        torch.save(content, path, _use_new_zipfile_serialization=False)
        return path

    np.testing.assert_array_equal(open_source(written(x)).array, X)
    half = x.bfloat16()
    sources = open_sources(written({"x": x, "of": [half, {"last": x.t()}], 3: torch.nn.Parameter(x)}))
    assert [source.key for source in sources] == ["x", "of.0", "of.1.last", "3"]
    for source, one in zip(sources, (x, half, x.t(), x), strict=True):
        np.testing.assert_array_equal(arrays.rows(source.array).dense(0, len(one)), one.double().numpy())
    for content in (3, {"x": 3}, []):
        with pytest.raises(ValueError, match=r"old\.pt holds no tensors"):
            open_source(written(content))
    with pytest.raises(ValueError, match=r"old\.pt must be an intact PyTorch file"):
        open_source(written({"x": x, "evil": Named()}))
    assert capsys.readouterr().out == ""
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"old\.pt must be an intact PyTorch file"):
        open_source(path)


@pytest.mark.parametrize("installed", [True, False])
def test_bfloat16_needs_no_other_package(tmp_path: Path, installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    rounded = X.astype(ml_dtypes.bfloat16)
    header = {"x": {"dtype": "BF16", "shape": [40, 6], "data_offsets": [0, 480]}}
    path = write(tmp_path / "x.safetensors", safetensors_bytes(header, rounded.tobytes()))
    expected = ka.cka(rounded, Y)
    if not installed:
        monkeypatch.setitem(sys.modules, "ml_dtypes", None)
        assert open_source(path).array.dtype.names == ("bfloat16",)
    assert ka.cka(path, Y) == expected
    assert ka.compare({"x": path, "y": Y}).scores["cka"]["x", "y"] == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(("code", "name"), [("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2")])
def test_8_bit_floats(tmp_path: Path, code: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    rounded = X.astype(getattr(ml_dtypes, name))
    header = {"x": {"dtype": code, "shape": [40, 6], "data_offsets": [0, 240]}}
    path = write(tmp_path / "x.safetensors", safetensors_bytes(header, rounded.tobytes()))
    assert ka.cka(path, Y) == ka.cka(rounded.astype(np.float16), Y)
    assert ka.cka(rounded, Y) == ka.cka(rounded.astype(np.float16), Y)
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ValueError, match=rf"is {code}, which needs ml-dtypes: pip install 'kernalign\[io\]'"):
        open_source(path)
