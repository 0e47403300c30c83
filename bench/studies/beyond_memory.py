"""Rows that do not fit: peak memory and scores of 5,000,000 x 128 pairs in files, and how often sampled intervals hold.

python -m bench.studies.beyond_memory make FOLDER        the files (3 x 2.6 GB): npy, Zarr, Parquet
python -m bench.studies.beyond_memory memory FOLDER      cka of each, sampled mutual_knn, each in a process of its own
python -m bench.studies.beyond_memory coverage           300 samples of 20,000 of 50,000 rows, against all rows
python -m bench.studies.beyond_memory overhead           of a task, and one worker against two
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import kernalign as ka
import numpy as np
import pyarrow
import zarr
from kernalign._engines import sampled
from pyarrow import parquet

ROWS, COLUMNS, HIDDEN, BLOCK = 5_000_000, 128, 12, 1 << 16
BUDGET = "800 MB"  # of 1 GB; the interpreter and the libraries take the rest


def block(begin: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Two noisy maps of the same few directions."""
    rng = np.random.default_rng(begin)
    maps = np.random.default_rng(1).standard_normal((2, HIDDEN, COLUMNS)).astype(np.float32)
    hidden = rng.standard_normal((rows, HIDDEN), dtype=np.float32)
    x, y = (hidden @ one + 0.5 * rng.standard_normal((rows, COLUMNS), dtype=np.float32) for one in maps)
    return x.astype(np.float16), y.astype(np.float16)


def make(folder: Path, rows: int = ROWS) -> None:
    """Write both sides in each format, block by block."""
    schema = pyarrow.schema([("x", pyarrow.list_(pyarrow.float16(), COLUMNS))])
    files = []
    for side in "xy":
        mapped = np.lib.format.open_memmap(folder / f"{side}.npy", "w+", np.float16, (rows, COLUMNS))
        stored = zarr.create_array(folder / f"{side}.zarr", shape=mapped.shape, dtype="f2", chunks=(BLOCK, COLUMNS))
        files.append((mapped, stored, parquet.ParquetWriter(folder / f"{side}.parquet", schema, use_dictionary=False)))
    for begin in range(0, rows, BLOCK):
        parts = block(begin, min(BLOCK, rows - begin))
        for part, (mapped, stored, writer) in zip(parts, files, strict=True):
            mapped[begin : begin + BLOCK] = stored[begin : begin + BLOCK] = part
            lists = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(part.reshape(-1)), COLUMNS)
            writer.write_table(pyarrow.table({"x": lists}), row_group_size=1 << 14)
    for *_, writer in files:
        writer.close()


def streamed(folder: Path, ending: str, metric: str, queries: str) -> str:
    """One plan's score and the time that it takes."""
    begin = time.perf_counter()
    options = {"queries": int(queries)} if queries else {}
    x, y = (folder / f"{side}.{ending}" for side in "xy")
    plan = ka.plan(metric, x, y, memory_budget=BUDGET, **options)
    score = ka.execute(plan, progress=False)
    interval = "" if score.stderr is None else score.interval()
    taken = time.perf_counter() - begin
    return f"{ending} {metric} {options} chunk={plan.chunk}: {float(score):.12f} {interval} in {taken:.0f} s"


def memory(folder: Path, given: list[str]) -> None:
    """Peak resident memory of each, as the system counts it when the process has ended."""
    every = [(ending, "cka", "") for ending in ("npy", "zarr", "parquet")]
    for one in [tuple(given)] if given else [*every, ("npy", "mutual_knn", "20000")]:
        command = [sys.executable, "-m", __spec__.name, "one", str(folder), *one]
        _, status, used = os.wait4(os.spawnv(os.P_NOWAIT, sys.executable, command), 0)
        print(f"  peak {used.ru_maxrss / 1024:.0f} MiB, {used.ru_utime:.0f} s of CPU, status {status}", flush=True)


def coverage(n: int = 50_000, rows: int = 20_000, repetitions: int = 300) -> float:
    """Share of samples whose 95 % interval holds the score of all rows. Sampled lists are those of the whole search, so
    that the shares of items, once known, can be drawn again and again."""
    x, y = block(0, n)
    score = ka.mutual_knn(x, y, 10, ties="index", per_item=True)
    inside = 0
    for seed in range(repetitions):
        some = score.per_item[np.random.default_rng(seed).choice(n, rows, replace=False)]
        inside += abs(some.mean() - score) <= 1.96 * sampled.stderr(some, n)
    print(f"n={n}, m={rows}: exact {float(score):.5f}, covered {inside / repetitions:.1%} of {repetitions}")
    return inside / repetitions


def overhead(n: int = 2_000_000) -> None:
    """Seconds of a task without work, and how much sooner two workers are done than one."""
    x, y = block(0, n)
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    small = ka.plan("cka", x[:65536, :2], y[:65536, :2], chunk=1024)
    wide = ka.plan("cka", folder / "x.npy", folder / "y.npy", chunk=64 * 1024)
    seconds = {}
    for workers in (1, 2):
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            ka.execute(small, pool, progress=False)  # everything is imported
            begin = time.perf_counter()
            ka.execute(small, pool, progress=False)
            per_task = (time.perf_counter() - begin) / len(small.tasks)
            begin = time.perf_counter()
            ka.execute(wide, pool, progress=False)
            seconds[workers] = time.perf_counter() - begin
        print(f"{workers} workers: {1000 * per_task:.1f} ms a task, {seconds[workers]:.2f} s for {n} rows")
    print(f"1 -> 2 workers: {seconds[1] / seconds[2]:.2f} x (threads: {os.environ.get('KERNALIGN_NUM_THREADS')})")


def main() -> None:
    command, *given = sys.argv[1:]
    if command == "one":
        folder, ending, metric, queries = given
        print(streamed(Path(folder), ending, metric, queries), flush=True)
    elif command == "make":
        make(Path(given[0]))
    elif command == "memory":
        memory(Path(given[0]), given[1:])
    else:
        {"coverage": coverage, "overhead": overhead}[command]()


if __name__ == "__main__":
    main()
