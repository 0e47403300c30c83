"""Arrays of other libraries, read on the device where they are; and memory that runs out."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kernalign._engines import devices
from kernalign._engines.neighbors import knn
from kernalign.gpucheck import check as checks
from kernalign.gpucheck.answers import CLOSE
from kernalign.gpucheck.cases import difference
from kernalign.gpucheck.check import Check
from kernalign.metrics.moments import Moments


def producers(check: Check) -> dict[str, Any]:
    """Arrays of the libraries that are installed, read where they are; and memory that runs out is given back."""
    found: dict[str, Any] = {}
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take most of the memory
    for name, makers in (("torch", _of_torch), ("cupy", _of_cupy), ("jax", _of_jax)):
        installed = checks.version(name)
        if installed is None:
            found[name] = "SKIP: not installed"
            continue
        try:
            found[name] = [installed, *_read(check, name, makers)]
        except Exception as error:  # the other libraries are still worth a look
            check.wrong("arrays", f"{name}: {type(error).__name__}: {error}")
    before = devices.facts()["devices"][check.index]["memory"], devices.free_memory(check.index)
    huge = int(1.5 * before[0]) // 4096
    try:
        knn(np.broadcast_to(np.float32(1), (huge, 1024)), 2, device=check.device)
        check.wrong("arrays", "rows that are larger than the memory were searched")
    except MemoryError as error:
        found["out of memory"] = str(error)
    found["bytes kept"] = before[1] - devices.free_memory(check.index)
    if found["bytes kept"] > 1 << 26:
        check.wrong("arrays", f"memory was not given back: {found['bytes kept']} bytes")
    return found


def _read(check: Check, name: str, makers: Callable[..., Iterator[tuple[str, Any, np.ndarray]]]) -> list[str]:
    """What arrays of a library were read."""
    x = np.random.default_rng(0).standard_normal((500, 64)).astype(np.float32)
    done = []
    for what, array, same in makers(importlib.import_module(name), x, check.device):
        if words := difference(knn(array, 10), knn(same, 10)):
            check.wrong("arrays", f"{name}, {what}: {words}")
    for what, array, same in makers(importlib.import_module(name), x, check.device):  # made anew
        ours = float(Moments().update(array, array).hsic())
        theirs = float(Moments().update(same.astype(np.float64), same.astype(np.float64)).hsic())
        if not abs(ours - theirs) <= CLOSE * abs(theirs):
            check.wrong("arrays", f"{name}, {what}: a stream of it has {ours!r} in place of {theirs!r}")
        done.append(what)
    return done


def _of_torch(torch: Any, x: np.ndarray, device: str) -> Any:
    held = torch.from_numpy(x).to(device)
    yield "float32", held, x
    yield "requires_grad", held.clone().requires_grad_(), x
    yield "every second row, 40 columns", held[::2, 3:43], x[::2, 3:43]
    half = held.bfloat16()
    yield "bfloat16", half, half.float().cpu().numpy()
    stream = torch.cuda.Stream(device)
    with torch.cuda.stream(stream):  # not done when it is handed over
        torch.cuda._sleep(200_000_000)
        late = held * 2 - held
        yield "made on another stream", late, x


def _of_cupy(cupy: Any, x: np.ndarray, device: str) -> Any:
    with cupy.cuda.Device(int(device.partition(":")[2] or 0)):
        yield "float32", cupy.asarray(x), x
        yield "float64", cupy.asarray(x, dtype="float64"), x.astype(np.float64)


def _of_jax(jax: Any, x: np.ndarray, device: str) -> Any:
    cards = [card for card in jax.devices() if card.platform in ("gpu", "cuda")]
    if cards:
        yield "float32", jax.device_put(x, cards[int(device.partition(":")[2] or 0)]), x
