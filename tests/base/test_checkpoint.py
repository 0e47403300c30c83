"""Saved states: what is written comes back bit for bit, and no other bytes are taken for a state."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from kernalign._base import checkpoint

ARRAYS = {
    "plain": np.arange(6.0).reshape(2, 3),
    "turned": np.arange(6.0).reshape(2, 3).T,
    "big-endian": np.arange(4, dtype=">i4"),
    "flags": np.array([True, False]),
    "scalar": np.float32(0.1),
    "none": np.empty((0, 5), dtype=np.float16),
    "odd": np.array([np.nan, -0.0, np.inf]),
}


def sealed(facts: object, data: bytes = b"") -> bytes:
    text = json.dumps(facts).encode()
    body = b"KERNALIGN THING" + struct.pack("<Q", len(text)) + text + data
    return body + blake3(body).digest()


def refused(path: Path, content: bytes, match: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as caught, checkpoint.reading(path, "thing"):
        pass
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_facts_and_arrays_come_back(tmp_path: Path) -> None:
    facts = {"name": "ä", "share": 0.1, "size": np.int64(3), "nan": float("nan")}
    checkpoint.write(tmp_path / "x", "thing", facts, ARRAYS, overwrite=False)
    with checkpoint.reading(tmp_path / "x", "thing") as (found, arrays):
        assert found.pop("nan") != found.pop("version")
        assert found == {"name": "ä", "share": 0.1, "size": 3}
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == np.asarray(array).dtype.newbyteorder("=")
        assert arrays[name].shape == np.shape(array)
        assert arrays[name].flags.writeable
        np.testing.assert_array_equal(arrays[name], array)


def test_a_file_is_not_overwritten_unless_asked_to(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "x", "thing", {}, {}, overwrite=False)
    with pytest.raises(FileExistsError):
        checkpoint.write(tmp_path / "x", "thing", {}, {}, overwrite=False)
    checkpoint.write(tmp_path / "x", "thing", {}, ARRAYS, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_truncated_and_changed_files_are_refused(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "x", "thing", {"a": 1}, ARRAYS, overwrite=False)
    whole, rng = (tmp_path / "x").read_bytes(), np.random.default_rng(0)
    for length in range(len(whole)):
        refused(tmp_path / "cut", whole[:length], "is (damaged|not a thing file)")
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << int(rng.integers(8))
        refused(tmp_path / "changed", bytes(changed), "is (damaged|not a thing file)")
    with pytest.raises(ValueError, match="is not a other file"), checkpoint.reading(tmp_path / "x", "other"):
        pass


@pytest.mark.parametrize(
    ("facts", "data", "match"),
    [
        ({"version": 2, "arrays": {}}, b"", "format version 2, this release reads 1"),
        ({"arrays": {}}, b"", "malformed"),
        ([], b"", "malformed"),
        ({"version": 1, "arrays": {}}, b"12345678", "8 bytes too many"),
        ({"version": 1, "arrays": {"x": ["<f8", [2]]}}, b"12345678", "ends within x"),
        ({"version": 1, "arrays": {"x": ["<f8", [2**40, 2**40]]}}, b"12345678", "ends within x"),
        ({"version": 1, "arrays": {"x": ["<f8", [0, 2**70]]}}, b"", "malformed"),
        ({"version": 1, "arrays": {"x": ["<f8", [-1]]}}, b"12345678", "numbers of a shape"),
        ({"version": 1, "arrays": {"x": ["<f8", [True]]}}, b"12345678", "numbers of a shape"),
        ({"version": 1, "arrays": {"x": ["|O", [1]]}}, b"12345678", "numbers of a shape"),
        ({"version": 1, "arrays": {"x": ["<U2", [1]]}}, b"12345678", "numbers of a shape"),
        ({"version": 1, "arrays": {"x": ["f8,f8", [1]]}}, b"1" * 16, "numbers of a shape"),
        ({"version": 1, "arrays": {"x": ["no", [1]]}}, b"12345678", "malformed"),
        ({"version": 1, "arrays": {"x": [["<f8"], 1]}}, b"12345678", "malformed"),
        ({"version": 1, "arrays": [1, 2]}, b"", "malformed"),
        ({"version": 1, "arrays": {"x": ["<f8", [1] * 99]}}, b"12345678", "malformed"),
        ({"version": 1}, b"", "malformed"),
    ],
)
def test_lies_under_a_right_checksum_are_one_error(facts, data, match, tmp_path: Path) -> None:
    refused(tmp_path / "bad", sealed(facts, data), match)


def test_what_the_reader_finds_wrong_is_the_same_error(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "x", "thing", {}, {}, overwrite=False)
    with pytest.raises(ValueError, match=r"x is malformed: 'absent'"), checkpoint.reading(tmp_path / "x", "thing") as _:
        raise KeyError("absent")
    with pytest.raises(ValueError, match="must be a regular file"), checkpoint.reading(tmp_path, "thing"):
        pass
    with pytest.raises(FileNotFoundError), checkpoint.reading(tmp_path / "none", "thing"):
        pass
