"""How fast a device is: what bounds it, and what calls take beside those of torch."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kernalign._base.kernels import RBF, Linear
from kernalign._engines.neighbors import knn
from kernalign._rows import on_device
from kernalign.comparison.compare import compare
from kernalign.gpucheck import check as checks
from kernalign.gpucheck.check import Check, Skipped
from kernalign.metrics.kernel.cka import cka

CEILING = 8192  # rows of the matrices that are multiplied and copied
REPEATS, LONG, LAYERS = 5, 3.0, (24, 32)  # LONG: seconds after which a job is not repeated
_JOBS = (  # what, of how many rows and columns; the dearest last
    ("knn", 10_000, 1024),
    ("knn", 100_000, 1024),
    ("cka", 1_000_000, 1024),
    ("cka rbf", 100_000, 1024),
    ("cka rbf, medians", 100_000, 1024),
    ("layers, knn", 1024, 1024),
    ("layers, knn", 10_000, 1024),
    ("layers, cka", 10_000, 1024),
    ("knn", 1_000_000, 1024),
    ("cka", 10_000_000, 1024),
)


def ceilings(check: Check) -> dict[str, float]:
    """What bounds every time: bytes read and written, and operations of products, per second."""
    found: dict[str, float] = on_device.extension().ceilings(check.index, CEILING)
    return found


def times(check: Check) -> list[dict[str, Any]]:
    """Seconds of what is on the device already, median of 5, beside torch's in float32 where it is installed."""
    if checks.version("torch") is None:
        raise Skipped("torch is not installed, which would hold the rows")
    torch, done = importlib.import_module("torch"), []
    for job in check.in_time(_JOBS):
        try:
            done.append(_timed(torch, check.device, *job))
        except (MemoryError, torch.cuda.OutOfMemoryError) as error:  # of a card that is too small for it
            done.append({"what": job[0], "n": job[1], "d": job[2], "skipped": str(error)})
        torch.cuda.empty_cache()
    return done


def _timed(torch: Any, device: str, what: str, n: int, d: int) -> dict[str, Any]:
    generator = torch.Generator(device).manual_seed(0)
    made = partial(torch.randn, n, d, device=device, generator=generator)
    job: dict[str, Any] = {"what": what, "n": n, "d": d}
    if what.startswith("layers"):
        layers = {name: [made() for _ in range(count)] for name, count in zip("ab", LAYERS, strict=True)}
        metric = "cka" if what.endswith("cka") else "mutual_knn"
        return {**job, "seconds": _median(lambda: compare(layers, metrics=(metric,)))}
    x = made()
    if what == "knn":
        job["seconds"] = _median(lambda: knn(x, 10))
        if n <= 100_000:  # torch's products and sorts take twenty times as long
            lists, other = knn(x, 10).indices, _torch_knn(torch, x).cpu().numpy()
            job["torch"] = _median(lambda: _torch_knn(torch, x))
            shared = [len(np.intersect1d(a, b)) / 10 for a, b in zip(lists[:2000], other, strict=False)]
            job["torch_recall"] = float(np.mean(shared))
        return job
    y = made()
    kernel: Any = Linear() if what == "cka" else RBF(float(np.sqrt(d))) if what == "cka rbf" else RBF()
    job["seconds"] = _median(lambda: float(cka(x, y, kernel=kernel)))
    if what == "cka" and n <= 1_000_000:  # whose centred copies take as much memory again
        job["torch"] = _median(lambda: _torch_cka(x, y))
    return job


def _torch_knn(torch: Any, x: Any) -> Any:
    unit = torch.nn.functional.normalize(x)
    best = []
    for begin in range(0, len(unit), 4096):
        products = unit[begin : begin + 4096] @ unit.T
        products[range(len(products)), range(begin, begin + len(products))] = -2
        best.append(products.topk(10).indices)
    torch.cuda.synchronize()
    return torch.cat(best)


def _torch_cka(x: Any, y: Any) -> float:
    """Biased, and without a null."""
    x, y = x - x.mean(0), y - y.mean(0)
    return float((x.T @ y).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm()))


def _median(job: Callable[[], Any]) -> float:
    job()
    taken: list[float] = []
    while len(taken) < REPEATS and sum(taken) < LONG:
        began = time.perf_counter()
        job()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))
