"""How fast files of each format become arrays, beside the format's own reader alone: python -m bench.formats."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from kernalign.sources import open_source

Array = np.ndarray
GOAL = 0.8  # of the throughput of the format's own reader


class Reading(NamedTuple):
    """What writes an array to a path, and what the format's own library reads it with."""

    ending: str
    write: Callable[[Path, Array], Any]
    own: Callable[[Path], Array]
    share: float = 1.0  # of the rows, where a text would take minutes


def _table(x: Array, kind: str) -> Any:
    import pyarrow as pa

    if kind == "columns":
        return pa.table({f"f{at}": x[:, at] for at in range(x.shape[1])})
    flat = pa.array(x.reshape(-1))
    if kind == "fixed":
        return pa.table({"x": pa.FixedSizeListArray.from_arrays(flat, x.shape[1])})
    offsets = pa.array(np.arange(0, x.size + 1, x.shape[1], dtype=np.int32))
    return pa.table({"x": pa.ListArray.from_arrays(offsets, flat)})


def _lists(table: Any) -> Array:
    column = table.column("x").combine_chunks()
    return np.array(column.flatten().to_numpy().reshape(len(column), -1))


def _columns(table: Any) -> Array:
    return np.column_stack([column.to_numpy() for column in table.columns])


def _parquet(kind: str) -> Reading:
    import pyarrow.parquet as pq

    def write(path: Path, x: Array) -> None:
        pq.write_table(_table(x, kind), path, row_group_size=16_384, compression="none", use_dictionary=False)

    return Reading(".parquet", write, lambda path: (_columns if kind == "columns" else _lists)(pq.read_table(path)))


def _ipc(kind: str) -> Reading:
    import pyarrow as pa

    def write(path: Path, x: Array) -> None:
        table = _table(x, kind)
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=16_384)

    return Reading(".arrow", write, lambda path: _lists(pa.ipc.open_file(pa.memory_map(str(path))).read_all()))


def _hdf5(**how: Any) -> Reading:
    import h5py

    def write(path: Path, x: Array) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=x, **how)

    def own(path: Path) -> Array:
        with h5py.File(path) as file:
            return file["x"][:]

    return Reading(".h5", write, own)


def readings() -> dict[str, Reading]:
    """By name."""
    import zarr
    from pyarrow import csv
    from pyarrow import json as lines
    from safetensors.numpy import load_file, save_file
    from scipy.io import loadmat, savemat

    def mapped(path: Path) -> Array:
        return np.array(np.load(path, mmap_mode="r"))

    def write_lines(path: Path, x: Array) -> None:
        path.write_text("".join(json.dumps({"x": row}) + "\n" for row in x.tolist()))

    def write_csv(path: Path, x: Array) -> None:
        csv.write_csv(_table(x, "columns"), path)

    def zarr_array(**how: Any) -> Reading:
        def write(path: Path, x: Array) -> None:
            zarr.create_array(path, data=x, **how)

        return Reading(".zarr", write, lambda path: zarr.open_array(path, mode="r")[:])

    chunks = (16_384, 512)
    return {
        "npy": Reading(".npy", np.save, mapped),
        "npz": Reading(".npz", lambda path, x: np.savez(path, x=x), lambda path: np.load(path)["x"]),
        "npz deflated": Reading(
            ".npz", lambda path, x: np.savez_compressed(path, x=x), lambda path: np.load(path)["x"], 0.05
        ),
        "safetensors": Reading(
            ".safetensors", lambda path, x: save_file({"x": x}, path), lambda path: load_file(path)["x"]
        ),
        "hdf5": _hdf5(),
        "hdf5 chunked": _hdf5(chunks=(1024, 512)),
        "hdf5 gzip": _hdf5(chunks=(1024, 512), compression="gzip", compression_opts=1),
        "zarr": zarr_array(chunks=chunks, compressors=None),
        "zarr zstd": zarr_array(chunks=chunks),
        "parquet fixed": _parquet("fixed"),
        "parquet lists": _parquet("lists"),
        "parquet columns": _parquet("columns"),
        "arrow fixed": _ipc("fixed"),
        "arrow lists": _ipc("lists"),
        "csv": Reading(".csv", write_csv, lambda path: _columns(csv.read_csv(path)), 0.02),
        "json lines": Reading(
            ".jsonl",
            write_lines,
            lambda path: _lists(lines.read_json(path, lines.ReadOptions(block_size=16 << 20))),
            0.02,
        ),
        "matlab 5": Reading(".mat", lambda path, x: savemat(path, {"x": x}), lambda path: loadmat(path)["x"]),
    }


def _read(path: Path) -> Array:
    """Rows in memory of their own: of a map, the copy is the reading."""
    source = open_source(path)
    return np.array(source.array, copy=True if source.stored.mapped else None)


def measure(one: Reading, x: Array, rounds: int) -> tuple[float, float, float]:
    """Megabytes that end up in memory a second of CPU time: ours, its own, and the median of ratios of rounds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{one.ending}"
        one.write(path, x)
        calls = (lambda: _read(path), lambda: one.own(path))
        times: tuple[list[float], list[float]] = ([], [])
        for turn in range(rounds + 1):
            for call, own in zip(calls, times, strict=True):
                begin = time.process_time()
                found = call()
                if turn:
                    own.append(time.process_time() - begin)
                assert found.shape == x.shape
                del found
    ratios = [theirs / ours for ours, theirs in zip(*times, strict=True)]
    return x.nbytes / median(times[0]) / 1e6, x.nbytes / median(times[1]) / 1e6, median(ratios)


def main() -> None:
    """Print a table; the exit status says whether a format is below the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    x = np.random.default_rng(0).normal(size=(given.rows, 512)).astype(np.float32)
    slow = []
    for name, one in readings().items():
        if given.names and name not in given.names:
            continue
        ours, own, ratio = measure(one, x[: int(len(x) * one.share)], given.rounds)
        print(f"{name:16} {ours:8.0f} MB/s   its own reader {own:8.0f} MB/s   {ratio:5.2f}x", flush=True)
        slow += [name] if ratio < GOAL else []
    if slow:
        raise SystemExit(f"below {GOAL} of their own readers: {', '.join(slow)}")


if __name__ == "__main__":
    main()
