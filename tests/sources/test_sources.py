"""Files of arrays: what is read is what was written, mapped where the format allows, and found by its key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kernalign.sources import array_names, open_layers, open_source, open_sources, split_spec
from samples import safetensors_bytes, write


def is_mapped(array: np.ndarray) -> bool:
    """Whether the array's bytes are those of a map, which no array owns."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return isinstance(array.base, memoryview)


RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 3)).astype(np.float32)
Y = RNG.normal(size=(7, 5))


# What is read is what was written.


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i1", "u2", "i8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped_read_only(tmp_path: Path, dtype: str, order: str) -> None:
    expected = np.asarray(X * 3, dtype=dtype, order=order)
    np.save(tmp_path / "x.npy", expected)
    with open_source(tmp_path / "x.npy") as array:
        assert is_mapped(array)
        assert not array.flags.writeable
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_members_by_key(tmp_path: Path, save: object) -> None:
    path = tmp_path / "both.npz"
    save(path, x=X, y=np.asfortranarray(Y), labels=np.arange(7))  # type: ignore[operator]
    np.testing.assert_array_equal(open_source(path, key="y").array, Y)
    sources = open_sources(path)
    assert [source.name for source in sources] == ["x", "y"]  # labels are not 2-D
    for source, expected in zip(sources, (X, Y), strict=True):
        np.testing.assert_array_equal(source.array, expected)
        assert is_mapped(source.array) == (save is np.savez)
    [named] = open_sources(f"{path}:x")
    np.testing.assert_array_equal(named.array, X)


def test_npz_bytes_before_the_archive_do_not_shift_mapped_members(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=X)
    path = write(tmp_path / "prefixed.npz", b"#!" * 50 + (tmp_path / "x.npz").read_bytes())
    np.testing.assert_array_equal(open_source(path).array, X)


def test_safetensors_is_mapped(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.numpy").save_file
    save_file({"x": X, "y": Y, "ids": np.arange(7)}, tmp_path / "m.safetensors", metadata={"made": "here"})
    sources = {source.name: source.array for source in open_sources(tmp_path / "m.safetensors")}
    assert set(sources) == {"x", "y"}
    np.testing.assert_array_equal(sources["x"], X)
    np.testing.assert_array_equal(sources["y"], Y)
    assert is_mapped(sources["x"])


def test_safetensors_bfloat16(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    expected = X.astype(ml_dtypes.bfloat16)
    header = {"x": {"dtype": "BF16", "shape": [7, 3], "data_offsets": [0, 42]}}
    path = write(tmp_path / "m.safetensors", safetensors_bytes(header, expected.tobytes()))
    array = open_source(path).array
    assert array is not None
    assert array.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(array.astype(np.float32), expected.astype(np.float32))


def test_safetensors_of_other_types_are_passed_over(tmp_path: Path) -> None:
    header = {
        "weird": {"dtype": "F4", "shape": [4], "data_offsets": [0, 4]},
        "x": {"dtype": "F32", "shape": [7, 3], "data_offsets": [4, 88]},
        "empty": {"dtype": "F32", "shape": [0, 3], "data_offsets": [88, 88]},
    }
    path = write(tmp_path / "m.safetensors", safetensors_bytes(header, b"abcd" + X.tobytes()))
    np.testing.assert_array_equal(open_source(path).array, X)


def test_a_closed_source_says_so(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    source = open_source(tmp_path / "x.npy")
    with source:
        pass
    with pytest.raises(ValueError, match="closed"), source:
        pass


def test_names_are_sorted_by_the_numbers_in_them(tmp_path: Path) -> None:
    names = ["a", "a1", "a01b", "a2", "a2.1", "a2.10", "a10", "b", "a" + "9" * 5000]
    np.savez(tmp_path / "m.npz", **dict.fromkeys(names, X))  # type: ignore[arg-type]
    expected = ["a", "a1", "a01b", "a2", "a2.1", "a2.10", "a10", "a" + "9" * 5000, "b"]
    assert [one.name for one in open_layers(tmp_path / "m.npz")] == expected


def test_arrays_without_numbers_are_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    np.savez(path, words=np.array(["a"]), x=X, epoch=3, objects=np.array([None]), none=np.empty((0, 3)))
    for found in (open_source(path), open_source(path, key="x"), *open_sources(path)):
        np.testing.assert_array_equal(found.array, X)
    assert array_names(path) == ["x"]
    with pytest.raises(ValueError, match=r"words\.npy must hold real numbers, got dtype <U1"):
        open_source(path, key="words")
    with pytest.raises(ValueError, match="pickle, which is never loaded"):
        open_source(path, key="objects")
    with pytest.raises(ValueError, match=r"it holds: words \(no numbers\), x \(7, 3\), epoch \(no numbers\)"):
        open_source(path, key="z")


def test_split_spec(tmp_path: Path) -> None:
    def parts(spec: object) -> tuple[str, str | None]:
        place, key = split_spec(spec)  # type: ignore[arg-type]
        return str(place), key

    assert parts("a/b.npz:layer.3:mean") == ("a/b.npz", "layer.3:mean")
    assert parts("a:b/c.npy") == ("a:b/c.npy", None)
    assert parts("s3://b/c.h5:x/y") == ("s3://b/c.h5", "x/y")
    assert parts("https://host/c.npy?token=1") == ("https://host/c.npy?token=1", None)
    odd = tmp_path / "x.npz:y.npz"
    np.savez(odd, x=X)
    assert parts(odd) == (str(odd), None)


# Keys and names.


def test_wrong_keys(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "xy.npz", x=X, y=Y)
    np.savez(tmp_path / "flat.npz", labels=np.arange(7))
    with pytest.raises(ValueError, match=r"takes no key; got 'a'"):
        open_source(tmp_path / "x.npy", key="a")
    with pytest.raises(ValueError, match=r"no array 'z'; it holds: x \(7, 3\), y \(7, 5\)"):
        open_source(tmp_path / "xy.npz", key="z")
    with pytest.raises(ValueError, match="2 arrays; choose one"):
        open_source(tmp_path / "xy.npz")
    with pytest.raises(ValueError, match=r"^\S*flat\.npz:labels must be 2-D \(items, features\), got shape \(7,\)"):
        open_sources(f"{tmp_path / 'flat.npz'}:labels")
    with pytest.raises(ValueError, match=r"no 2-D array .*labels \(7,\)"):
        open_sources(tmp_path / "flat.npz")


def test_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "x.xyz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"must end in \.npy, \.npz, \.safetensors, .*, got '\.xyz'; .*numpy\.save"):
        open_source(tmp_path / "x.xyz")


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors"])
def test_missing_files_and_directories(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / f"x.{suffix}")
    (tmp_path / f"d.{suffix}").mkdir()
    with pytest.raises(ValueError, match="holds no file"):
        open_source(tmp_path / f"d.{suffix}")
