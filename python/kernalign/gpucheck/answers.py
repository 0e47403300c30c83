"""Lists, sums and products of a device against the CPU's."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from kernalign import _core
from kernalign._base.kernels import RBF, Cosine, Laplacian, Linear, Polynomial
from kernalign._engines import devices
from kernalign._engines.neighbors import Metric, Neighbors, knn
from kernalign._rows import arrays, on_device
from kernalign.gpucheck.cases import difference, paired_rows, rows_of
from kernalign.gpucheck.check import Check, Skipped
from kernalign.metrics.kernel.cka import cka, hsic, kernel_alignment
from kernalign.metrics.kernel.distance import distance_correlation
from kernalign.metrics.neighbors.cknna import cknna

REPEATED, REPEATS = 20, 5
CLOSE = 1e-11  # relative, of scores


def through_candidates(check: Check, x: np.ndarray, k: int, metric: Metric) -> Neighbors:
    """Lists of few rows, found as those of many are."""
    rows = on_device.moved(arrays.rows(x), check.index)
    raw = devices.nearest_neighbors(rows, k, metric, False, 1, None, worthwhile=0.0, tile=128)
    return Neighbors(raw[0], raw[1], raw[2].view(np.bool_), metric)


def contract(check: Check) -> dict[str, Any]:
    """Seeded cases against the CPU's engine, in all bits; the first of them again and again."""
    differing = done = 0
    for seed in check.in_time(range(check.cases)):
        done += 1
        x, k, metric = rows_of(seed)
        expected = knn(x, k, metric=metric)
        for _ in range(REPEATS if seed < REPEATED else 1):
            found = {
                "scored": knn(x, k, metric=metric, device=check.device),
                "candidates": through_candidates(check, x, k, metric),
            }
            words = "; ".join(f"{way}: {w}" for way, lists in found.items() if (w := difference(lists, expected)))
            if words:
                differing += 1
                check.wrong("contract", f"case {seed} {x.shape} {x.dtype} k={k} {metric}: {words}")
                break
    return {"cases": done, "repeats": REPEATS, "differing": differing}


def sums(check: Check) -> dict[str, Any]:
    """Seeded scores of sums against the CPU's of the same numbers in float64, each twice."""
    kernels: tuple[Any, ...] = (Linear(), Cosine(), RBF(), RBF("median_offdiag"), Laplacian(), Polynomial(2))
    worst, done = 0.0, 0
    for seed in check.in_time(range(max(len(kernels), check.cases // 4))):
        done += 1
        x, y, kernel = *paired_rows(seed), kernels[seed % len(kernels)]
        calls: list[Any] = [partial(call, kernel=kernel) for call in (cka, hsic, kernel_alignment)]
        for call in (*calls, distance_correlation, partial(cknna, k=5)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = float(call(x.astype(np.float64), y.astype(np.float64)))
                found, again = (float(call(x, y, device=check.device)) for _ in range(2))
            apart = abs(found - expected) / max(abs(expected), 1e-3)
            worst = max(worst, apart)
            if found != again or not apart <= CLOSE:
                what = f"case {seed} {x.shape} {y.shape} {x.dtype} {call}"
                check.wrong("sums", f"{what}: {found!r}, {again!r} in place of {expected!r}")
    return {"cases": 5 * done, "worst": worst, "streams": streams(check)}


def streams(check: Check) -> int:
    """Streams whose bits depend on how they were cut; 0."""
    wrong = 0
    for seed in range(3):
        x, y = paired_rows(6 * seed + 1, 3000)
        values = set()
        for size in (3000, 1024, 700):
            state = devices.Stream(check.index, _core.Moments(x.shape[1], y.shape[1], double_precision=True))
            for begin in range(0, 3000, size):
                left, right = (arrays.rows(one[begin : begin + size]) for one in (x, y))
                state.update(left, right, 0, None)
            values.add(state.pack().tobytes())
        if len(values) != 1:
            wrong += 1
            check.wrong("sums", f"stream {seed}: its bits depend on its batches")
    return wrong


def model(check: Check) -> dict[str, Any]:
    """How far float16 products are off, as a share of what the bound of candidates allows them."""
    if not devices.facts()["cublas"]:
        raise Skipped("cuBLAS was not found")
    device, rng, found = on_device.extension(), np.random.default_rng(0), {}
    unit = device.accumulation_unit(check.index)
    for depth in (16, 64, 256, 1024, 4096, 8192):
        normal = rng.standard_normal((64, depth))
        large = 1e-3 * normal
        large[:, ::37] += 1
        for name, x in (
            ("normal", normal),
            ("positive", abs(normal) + 3),
            ("a few large", large),
            ("falling", normal * 0.97 ** (np.arange(depth) % 300)),
        ):
            half = x.astype(np.float16)
            bits, wide = half.view(np.uint16), half.astype(np.float64)
            gap = np.abs(device.half_products(bits, bits, check.index) - wide @ wide.T)
            allowed = depth * unit / (1 - depth * unit) * (abs(wide) @ abs(wide).T)
            share = float((gap / allowed).max())
            found[f"{name}, {depth}"] = share
            if share > 1:
                check.wrong("model", f"{name}, {depth}: {share:.2f} of what is allowed")
    return found
