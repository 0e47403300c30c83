"""Fuzzes the readers of files with atheris: ``python tests/fuzz/readers.py npy -max_total_time=60``."""

from __future__ import annotations

import io
import json
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["kernalign.sources"]):
    from kernalign.sources import open_sources

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
PLACE = Path(tempfile.mkdtemp())


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, ROWS)
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, x=ROWS)
    return stream.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"x": {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}}).encode()
    return struct.pack("<Q", len(header)) + header + ROWS.tobytes()


GOOD: dict[str, Callable[[], bytes]] = {"npy": npy, "npz": npz, "safetensors": safetensors}


def reads_or_refuses(suffix: str, data: bytes) -> None:
    """Rows, or one ValueError that names the file."""
    path = PLACE / f"x.{suffix}"
    path.write_bytes(data)
    try:
        for source in open_sources(path):
            source.array.copy()
    except ValueError as error:
        if str(path) not in str(error):
            raise AssertionError(f"the error names no file: {error}") from error


if __name__ == "__main__":
    suffix = sys.argv.pop(1)
    seeds = PLACE / "seeds"
    seeds.mkdir()
    (seeds / "good").write_bytes(GOOD[suffix]())
    atheris.Setup([*sys.argv, str(seeds)], lambda data: reads_or_refuses(suffix, data))
    atheris.Fuzz()
