"""How fast a device is: what bounds it, and what calls take beside those of torch."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kernalign._base.kernels import RBF, Linear
from kernalign._engines.neighbors import knn
from kernalign._rows import on_device
from kernalign.gpucheck import check as checks
from kernalign.gpucheck.check import Check, Skipped
from kernalign.metrics.kernel.cka import cka

CEILING = 8192  # rows of the matrices that are multiplied and copied
_JOBS = (  # what, of how many rows and columns
    ("knn", 10_000, 1024),
    ("knn", 100_000, 1024),
    ("cka", 1_000_000, 1024),
    ("cka rbf", 100_000, 1024),
    ("cka rbf, medians", 100_000, 1024),
)


def ceilings(check: Check) -> dict[str, float]:
    """What bounds every time: bytes read and written, and operations of products, per second."""
    found: dict[str, float] = on_device.extension().ceilings(check.index, CEILING)
    return found


def times(check: Check) -> list[dict[str, Any]]:
    """Seconds of what is on the device already, median of 5, beside torch's in float32 where it is installed."""
    if checks.version("torch") is None:
        raise Skipped("torch is not installed, which would hold the rows")
    torch = importlib.import_module("torch")
    return [_timed(torch, check.device, *job) for job in _JOBS]


def _timed(torch: Any, device: str, what: str, n: int, d: int) -> dict[str, Any]:
    generator = torch.Generator(device).manual_seed(0)
    x, y = (torch.randn(n, d, device=device, generator=generator) for _ in range(2))
    job: dict[str, Any] = {"what": what, "n": n, "d": d}
    if what != "knn":
        kernel: Any = Linear() if what == "cka" else RBF(float(np.sqrt(d))) if what == "cka rbf" else RBF()
        peer = {"torch": _median(lambda: _torch_cka(x, y))} if what == "cka" else {}
        return {**job, "seconds": _median(lambda: float(cka(x, y, kernel=kernel))), **peer}
    lists, other = knn(x, 10).indices, _torch_knn(torch, x).cpu().numpy()
    recall = float(np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(lists, other, strict=True)]))
    seconds, theirs = _median(lambda: knn(x, 10)), _median(lambda: _torch_knn(torch, x))
    return {**job, "seconds": seconds, "torch": theirs, "torch_recall": recall}


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
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        job()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))
