"""Damaged and hostile files are one clear ValueError: truncated, lying, pickled, inflating without end."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernalign.sources import open_source, open_sources, split_spec
from samples import safetensors_bytes, write
from sources.file_samples import WRITERS, arrow_file, hdf5_plain, parquet_fixed, pt_tensor, write_pt

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 3)).astype(np.float32)
Y = RNG.normal(size=(7, 5))


def npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def npy_claiming(shape: object, descr: str = "<f4", data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """A ``.npy`` file whose header says ``shape`` whatever follows."""
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}}}\n".encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header + data


@pytest.mark.parametrize(
    "content",
    [
        npy_bytes(X)[:-1],
        npy_bytes(X) + b"\0",
        npy_bytes(X)[:20],
        b"",
        b"not numpy",
        npy_claiming((10**12, 768)),
        npy_claiming((-1, 3), data=b"\0" * 12),
        npy_claiming((-2, -2), data=b"\0" * 16),
        npy_claiming((2**62, 8), data=b"\0" * 64),
        npy_claiming((0, 2**70)),
        npy_claiming((True, 3), data=b"\0" * 12),
        npy_claiming((2, 3), descr="|O", data=b"\0" * 48),
        npy_claiming((2, 3), descr="<U4", data=b"\0" * 96),
        npy_claiming((2, 3), descr="<c8", data=b"\0" * 48),
        npy_claiming((1,) * 60, data=b"\0" * 4),
        npy_claiming(7),
        npy_claiming((2, 3), version=(3, 0), data=b"\0" * 24),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}",
        b"\x93NUMPY\x01\x00\x40\x1f" + b"(" * 8000,
        npy_bytes(np.array([[{}, "pickled"]], dtype=object)),
    ],
)
def test_bad_npy_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "bad.npy", content)
    with pytest.raises(ValueError, match=r"bad\.npy") as caught:
        open_source(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_npy_error_names_what_is_required_and_what_was_found(tmp_path: Path) -> None:
    path = write(tmp_path / "short.npy", npy_bytes(X)[:-4])
    with pytest.raises(ValueError, match=r"\(7, 3\), float32\) requires 212 bytes, but there are 208"):
        open_source(path)


def test_pickles_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "p.npy", npy_bytes(np.array([[None]], dtype=object)))
    with pytest.raises(ValueError, match="pickle, which is never loaded"):
        open_source(path)


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors", "pt"])
def test_truncation_anywhere_is_an_error(tmp_path: Path, suffix: str) -> None:
    whole = write_sample(tmp_path / f"whole.{suffix}").read_bytes()
    for cut in range(len(whole)):
        path = write(tmp_path / f"cut.{suffix}", whole[:cut])
        with pytest.raises(ValueError, match=r"cut\."):
            open_sources(path)


@pytest.mark.parametrize("suffix", ["npy", "npz", "compressed.npz", "safetensors", "pt", "h5", "parquet", "arrow"])
@given(data=st.data())
def test_flipped_bytes_never_raise_anything_else(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    content = bytearray(write_sample(tmp_path / f"whole.{suffix}").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = write(tmp_path / f"flipped.{suffix}", bytes(content))
    try:
        sources = open_sources(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        for source in sources:
            try:
                assert source.array.copy().nbytes < 1 << 20
            except ValueError as error:  # what is read late fails late
                assert str(path) in str(error)  # noqa: PT017


def write_sample(path: Path) -> Path:
    if path.suffix == ".npy":
        np.save(path, X)
    elif path.suffix == ".safetensors":
        entry = {"dtype": "F32", "shape": [7, 3], "data_offsets": [0, 84]}
        path.write_bytes(safetensors_bytes({"x": entry}, X.tobytes()))
    elif path.suffix == ".pt":
        write_pt(path, pt_tensor("s", X), s=X)
    elif path.suffix[1:] in ("h5", "parquet", "arrow"):
        {"h5": hdf5_plain, "parquet": parquet_fixed, "arrow": arrow_file}[path.suffix[1:]](path.parent, X)
        (path.parent / f"x{path.suffix}").replace(path)
    else:
        (np.savez_compressed if "compressed" in path.name else np.savez)(path, x=X)
    return path


def zip_with(path: Path, name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)
    return path


def lie_about_size(path: Path, size: int) -> Path:
    """Overwrite the uncompressed size in the archive's directory."""
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", size)
    return write(path, bytes(content))


def test_npz_bomb_is_refused_by_the_directory_size(tmp_path: Path) -> None:
    zeros = np.zeros((1000, 1000), np.float64)
    np.savez_compressed(tmp_path / "bomb.npz", x=zeros, y=zeros)
    with pytest.raises(ValueError, match="array 'x' would take 8,000,000 bytes of memory, more than the 7,999,999"):
        open_source(tmp_path / "bomb.npz", key="x", max_bytes=7_999_999)
    with pytest.raises(ValueError, match=r"2 arrays would take 16,000,000"):
        open_sources(tmp_path / "bomb.npz", max_bytes=12_000_000)
    np.savez(tmp_path / "stored.npz", x=zeros)
    assert open_source(tmp_path / "stored.npz", max_bytes=0).array is not None  # mapped: takes no memory


def test_npz_that_inflates_to_more_or_less_than_its_directory_says(tmp_path: Path) -> None:
    big = npy_bytes(np.zeros((1000, 1000)))
    path = lie_about_size(zip_with(tmp_path / "more.npz", "x.npy", big), 128 + 800)
    with pytest.raises(ValueError, match=r"more\.npz"):
        open_source(path)
    small_header = npy_claiming((10, 10), descr="<f8", data=b"\0" * 8_000_000)  # the header lies as well
    path = lie_about_size(zip_with(tmp_path / "both.npz", "x.npy", small_header), len(small_header) - 8_000_000 + 800)
    with pytest.raises(ValueError, match="intact"):
        open_source(path)
    claim = npy_claiming((1000, 1000), descr="<f8", data=b"\0" * 100)
    path = lie_about_size(zip_with(tmp_path / "less.npz", "x.npy", claim), len(claim) - 100 + 8_000_000)
    with pytest.raises(ValueError, match=r"less\.npz"):
        open_source(path).array.sum()


def test_npz_odd_archives(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="intact"):
        open_source(write(tmp_path / "text.npz", b"hello"))
    with pytest.raises(ValueError, match="stored or deflated"):
        open_source(zip_with(tmp_path / "bz2.npz", "x.npy", npy_bytes(X), zipfile.ZIP_BZIP2))
    with pytest.raises(ValueError, match="pickle"):
        open_source(zip_with(tmp_path / "p.npz", "x.npy", npy_bytes(np.array([[None]], dtype=object))))
    with pytest.raises(ValueError, match="0 arrays"):
        open_source(zip_with(tmp_path / "other.npz", "readme.txt", b"hello"))
    with zipfile.ZipFile(tmp_path / "twice.npz", "w") as archive:
        archive.writestr("x.npy", npy_bytes(X))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", npy_bytes(Y))
    with pytest.raises(ValueError, match="found twice"):
        open_source(tmp_path / "twice.npz")
    stored = zip_with(tmp_path / "stored.npz", "x.npy", npy_bytes(X), zipfile.ZIP_STORED)
    with pytest.raises(ValueError, match=r"stored\.npz"):
        open_source(lie_about_size(stored, 10_000))


F32 = {"dtype": "F32", "shape": [7, 3], "data_offsets": [0, 84]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\0\0",
        safetensors_bytes({"x": F32}, X.tobytes(), length=2**63),
        safetensors_bytes({"x": F32}, X.tobytes(), length=5),
        safetensors_bytes({"x": F32}, X.tobytes()[:-1]),
        safetensors_bytes({"x": F32}, X.tobytes() + b"\0"),
        safetensors_bytes({"x": F32 | {"shape": [7, 4]}}, X.tobytes()),
        safetensors_bytes({"x": F32 | {"shape": [-7, -3]}}, X.tobytes()),
        safetensors_bytes({"x": F32 | {"shape": [2**62, 2**62]}}, X.tobytes()),
        safetensors_bytes({"x": F32 | {"shape": [7.0, 3]}}, X.tobytes()),
        safetensors_bytes({"x": F32 | {"shape": [True, 21]}}, X.tobytes()),
        safetensors_bytes({"x": F32 | {"shape": "73"}}, X.tobytes()),
        safetensors_bytes({"x": F32 | {"data_offsets": [0, 10**18]}}, X.tobytes()),
        safetensors_bytes({"x": F32 | {"data_offsets": [84, 0]}}, X.tobytes()),
        safetensors_bytes({"x": F32 | {"data_offsets": [-84, 0]}}, X.tobytes()),
        safetensors_bytes({"x": F32 | {"data_offsets": [4, 88]}}, X.tobytes() + b"1234"),
        safetensors_bytes({"x": F32 | {"data_offsets": None}}, X.tobytes()),
        safetensors_bytes({"x": F32 | {"dtype": ["F32"]}}, X.tobytes()),
        safetensors_bytes({"x": F32, "y": F32}, X.tobytes()),  # overlapping
        safetensors_bytes({"x": "F32"}, X.tobytes()),
        safetensors_bytes([1, 2]),
        safetensors_bytes(b'{"x": ' * 3000),
        safetensors_bytes(b"\xff\xfe"),
        safetensors_bytes(b'{"x": {}, "x": {}}'),
        safetensors_bytes(
            b'{"x": {"dtype": "F32", "shape": [' + b"9" * 4000 + b'], "data_offsets": [0, 84]}}', b"0" * 84
        ),
        safetensors_bytes(b'{"x": {"dtype": "F32", "shape": [7, 3], "data_offsets": [0, ' + b"9" * 5000 + b"]}}"),
        safetensors_bytes(b'{"x": [' + b"[]," * 5_600_000 + b"[]]}"),
    ],
)
def test_lying_safetensors_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "bad.safetensors", content)
    with pytest.raises(ValueError, match=r"bad\.safetensors") as caught:
        open_source(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_what_a_torch_file_names_is_never_called(tmp_path: Path) -> None:
    """Its pickle may name anything: the names stay words, and what they would build is nothing."""
    evil = b"cos\nsystem\n(X\x05\0\0\0falsetR"
    path = write_pt(tmp_path / "evil.pt", b"}X\x01\0\0\0e" + evil + b"sX\x01\0\0\0x" + pt_tensor("s", X) + b"s", s=X)
    np.testing.assert_array_equal(open_source(path).array, X)
    with pytest.raises(ValueError, match=r"evil\.pt holds no tensors"):
        open_source(write_pt(tmp_path / "evil.pt", evil))


LAUGHS = b"](]q\0" + b"".join(b"](" + b"h\0" * 9 + b"eq\0" for _ in range(60)) + b"e"  # lists of nine times the last


@pytest.mark.parametrize(
    ("structure", "words"),
    [
        (pt_tensor("s", np.zeros((8, 3), np.float32)), "requires 96 bytes, but there are 84"),
        (pt_tensor("elsewhere", X), "intact"),
        (pt_tensor("s", X).replace(b"K\0(", b"J\xff\xff\xff\xff("), "a shape and strides that are not negative"),
        (pt_tensor("s", X).replace(b"FloatStorage", b"MagicStorage"), "must hold real numbers, got another type"),
        (b"\x8a\x08" + b"\xff" * 8, "holds no tensors"),
        (b"I42\n", "instruction INT"),
        (b"h\0", "intact"),
        (b"(" * 100, "intact"),
        (LAUGHS, "at most 1,000,000 values"),
        (b"", "intact"),
    ],
)
def test_lying_torch_files_are_one_clear_error(tmp_path: Path, structure: bytes, words: str) -> None:
    path = write_pt(tmp_path / "bad.pt", structure, s=X)
    with pytest.raises(ValueError, match=rf"bad\.pt.*{words}") as caught:
        open_source(path)
    assert "\n" not in str(caught.value)


def test_torch_files_of_big_endian_machines_are_refused(tmp_path: Path) -> None:
    path = write_pt(tmp_path / "big.pt", pt_tensor("s", X), s=X)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x/byteorder", b"big")
    with pytest.raises(ValueError, match=r"big\.pt must be in little-endian order, got b'big'"):
        open_source(path)


@pytest.mark.parametrize(
    "name", ["npy", "npz", "safetensors", "torch tensor", "fvecs", "fbin", "hdf5", "zarr", "arrow file"]
)
def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path, name: str) -> None:
    """Blocks are read by what the file holds now, never through a map of what it held."""
    needs, writer = WRITERS[name]
    pytest.importorskip(needs)
    place, key = split_spec(writer(tmp_path, np.tile(X, (1000, 1))))
    stored = open_source(place, key=key).stored
    assert stored is not None
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.suffix != ".json":
            os.truncate(file, file.stat().st_size // 2)
    out = np.empty((1000, 3), stored.dtype)
    with pytest.raises((ValueError, OSError)) as caught:
        stored.read(6000, 7000, out)
    assert "x." in str(caught.value)
    if stored.mapped:
        with pytest.raises(ValueError, match="cut short"):
            stored.array()


def test_a_chunk_of_a_billion_rows_is_not_read(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.save_array(tmp_path / "x.zarr", X)
    described = tmp_path / "x.zarr" / "zarr.json"
    content = json.loads(described.read_text())
    content["chunk_grid"]["configuration"]["chunk_shape"] = [10**12, 3]
    described.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"one chunk of \S*x\.zarr would take 12,000,000,000,000 bytes of memory"):
        open_source(tmp_path / "x.zarr").array.sum()
    content["shape"], content["chunk_grid"]["configuration"]["chunk_shape"] = [10**12, 3], [7, 3]
    described.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"x\.zarr.* would take 12,000,000,000,000 bytes of memory, more than"):
        open_source(tmp_path / "x.zarr")


def test_pickles_in_zarr_are_never_loaded(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=2)
    group.create_array("x", data=X)
    described = tmp_path / "x.zarr" / "x" / ".zarray"
    described.write_text(json.dumps(json.loads(described.read_text()) | {"filters": [{"id": "pickle", "protocol": 5}]}))
    with pytest.raises(ValueError, match="pickle"):
        open_source(tmp_path / "x.zarr", key="x")


def test_a_table_that_would_not_fit_is_refused_by_its_footer(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rows = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(1000 * 500, np.float32)), 500)
    pq.write_table(pa.table({"x": rows}), tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 10_000
    with pytest.raises(ValueError, match=r"bomb\.parquet: its array 'x' would take 2,000,000 bytes"):
        open_source(tmp_path / "bomb.parquet", max_bytes=1_000_000)


def test_more_files_and_tensors_than_a_process_may_open(tmp_path: Path) -> None:
    """A map needs no open file: 1,100 of each, and room for 60."""
    code = """
import resource, sys
import numpy as np
from kernalign.sources import open_source, open_sources, split_spec
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
kept = [open_source(f"{sys.argv[1]}/x{at}.npy").array for at in range(1100)]
kept += [one.array for one in open_sources(f"{sys.argv[1]}/m.safetensors")]
assert len(kept) == 2200 and sum(float(one.sum()) for one in kept) == 2200 * 6
"""
    for at in range(1100):
        np.save(tmp_path / f"x{at}.npy", np.ones((2, 3), np.float32))
    one = np.ones((2, 3), np.float32).tobytes()
    header = {f"t{at}": F32 | {"shape": [2, 3], "data_offsets": [24 * at, 24 * at + 24]} for at in range(1100)}
    write(tmp_path / "m.safetensors", safetensors_bytes(header, one * 1100))
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


STATE, ROW = "x/state.json", np.zeros(2, "<f4").tobytes()
SPLITS = "x/dataset_dict.json"
COUNTED = np.array([[2, 7, 7], [3, 7, 7]], "<u4").tobytes()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        *((STATE, json.dumps(given).encode(), "a JSON object with a list of _data_files") for given in (
            [1], 3, {"_data_files": 3}, {"_data_files": None}, {"_data_files": {}})),
        *((STATE, json.dumps({"_data_files": [given]}).encode(), "must name files in it") for given in (
            3, {}, {"filename": 3}, {"filename": "../x"}, {"filename": None})),
        (STATE, b"{", "must be an intact data set directory"),
        (STATE, b"[" * 100_000, "must be an intact data set directory"),
        *((SPLITS, json.dumps(given).encode(), "a JSON object with a list of splits") for given in (
            [1], 3, {"splits": 3}, {"splits": None})),
        *((SPLITS, json.dumps({"splits": [given]}).encode(), "must name files in it") for given in (3, "../x", None)),
        ("x.vec", b"2 3\na 1 2 3\n", r"must have the 2 x 3 numbers that it says it has, got \(1, 3\)"),
        ("x.vec", b"a 1 2 3\n\n1 1 2\n", "must have 3 numbers after a word in line 3"),
        ("x.txt", b"1 2 3\na 1 2 3\n", "must have 3 numbers in line 2"),
        ("x.bin", b"abc", "must begin with the numbers of words and of dimensions"),
        ("x.bin", b"9999 300\n", "requires more than 11,998,800 bytes, but there are 9"),
        ("x.bin", b"2 2\na " + ROW + b"wxyz " + ROW[:4], "requires 2 words of 2 numbers, but ends after 1"),
        ("x.bin", b"1 2\n" + b"a" * 70_000 + b" " + ROW, "must have words of fewer than 65,536 bytes"),
        ("x.fvecs", b"abc", "must begin with its shape, got 3 bytes"),
        ("x.fvecs", COUNTED, "must have rows of one length: row 1 has 3 values, row 0 has 2"),
        ("x.fvecs", COUNTED[:-1], "require"),
        ("x.fbin", b"\1\0\0\0\2\0\0\0\0", "its 1 rows of 2 require 16 bytes, but there are 9"),
        ("x.jsonl", b"[1, 2]\n[3]\n", "must have lists of numbers, all of one length"),
        ("x.jsonl", b"[" * 100_000, "must be an intact file of JSON lines"),
        ("x.jsonl", b'["a"]\n', "must be an intact file of JSON lines"),
        ("x.mat", b"abc", "must be an intact MATLAB file"),
        ("x.nc", b"CDF\1" + b"\xff" * 40, "must be an intact netCDF file"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_its_format_is_one_clear_error(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / name, content)
    place = tmp_path / name.partition("/")[0]
    with pytest.raises(ValueError, match=words) as caught:
        open_source(place).array.sum()
    assert str(place) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[1.0, 2.0], [1.0]], "must have rows of one length: row 1 has 1 values, row 0 has 2"),
        ([[1.0, 2.0], None], "must have a list in every row, row 1 has none"),
        ([None, [1.0, 2.0]], "must have lists of one length in every row"),
        ([[1, 2], [1, None]], "must have no missing values among integers, got one at row 1"),
        ([[[1.0], [2.0]], [[1.0], [2.0]]], "must be lists of fixed sizes where they are nested"),
        ([["a", "b"]], "must hold real numbers, got string"),
    ],
)
def test_columns_that_are_no_rows_are_named(tmp_path: Path, values: list[object], words: str) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"v": pa.array(values)}), tmp_path / "x.parquet")
    with pytest.raises((ValueError, TypeError), match=rf"x\.parquet:v.*{words}"):
        open_source(tmp_path / "x.parquet", key="v").array.sum()


@pytest.mark.parametrize(
    ("ending", "dtype"),
    [
        ("fvecs", "<f4"),
        ("ivecs", "<i4"),
        ("bvecs", "u1"),
        ("fbin", "<f4"),
        ("ibin", "<i4"),
        ("u8bin", "u1"),
        ("i8bin", "i1"),
    ],
)
def test_vectors_of_every_type(tmp_path: Path, ending: str, dtype: str) -> None:
    x = np.arange(12).reshape(4, 3).astype(dtype)
    count, rows = np.array([3], "<u4").tobytes(), [row.tobytes() for row in x]
    whole = np.array([4, 3], "<u4").tobytes() + x.tobytes()
    content = b"".join(count + row for row in rows) if ending.endswith("vecs") else whole
    found = open_source(write(tmp_path / f"x.{ending}", content)).array
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, x)


def test_a_matrix_of_whole_numbers_in_two_columns_is_no_file_of_words(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", b"5 7\n1 2\n\n3 4\n")
    np.testing.assert_array_equal(open_source(path).array, [[5, 7], [1, 2], [3, 4]])
    write_pt(tmp_path / "x.bin", pt_tensor("s", X), s=X)  # as many of PyTorch's files are called
    np.testing.assert_array_equal(open_source(tmp_path / "x.bin").array, X)


def test_pointers_of_git_lfs_are_recognised(tmp_path: Path) -> None:
    path = write(tmp_path / "x.npy", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(ValueError, match=r"x\.npy is a Git LFS pointer, not the file itself: git lfs pull brings it"):
        open_source(path)
