"""Random paired representations and file contents that several test files share."""

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
from kernalign.metrics import registry


def related(n, p, q, seed=0, dtype=np.float64):
    """Two noisy linear views of one latent cloud, so that every score is well away from 0 and from 1."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 3))
    x = latent @ rng.normal(size=(3, p)) + rng.normal(size=(n, p))
    y = latent @ rng.normal(size=(3, q)) + rng.normal(size=(n, q))
    return x.astype(dtype), y.astype(dtype)


def scaled_pair(n, p, q, seed=0, dtype=np.float64):
    """The same with a mean and two scales, which matter to metrics that normalise nothing."""
    x, y = related(n, p, q, seed)
    return (x + 0.3).astype(dtype), (y * 2).astype(dtype)


def orthogonal(p, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(p, p)))[0]


def safetensors_bytes(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A ``.safetensors`` file with this header (raw if bytes), which may claim another length."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def write(path: Path, content: bytes) -> Path:
    """Write and return ``path``."""
    path.write_bytes(content)
    return path


def stand_in(monkeypatch, metric, function):
    """Until the test ends, calls of a metric by its name reach another function."""
    record = dataclasses.replace(registry.METRICS[metric], function=function)
    monkeypatch.setitem(registry._RECORDS, metric, record)


def saved_rows(folder, n, width):
    """x.npy and y.npy, which is x and as much noise, in a folder."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, width))
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", x + rng.standard_normal((n, width)))
    return folder
