"""Measures the BLAS that kernalign builds on against NumPy's own, one thread, on the shapes that the engines use.

python -m bench.gemm
"""

from __future__ import annotations

import ctypes
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from bench.machine import describe_machine, warn_about_environment

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112
TILES = (256, 512, 1024)


def private_gemm(letter: str) -> Callable[[Any, Any, Any, bool], None]:
    """out = a @ b.T (``left`` false) or a.T @ b (``left`` true) by scipy-openblas32, as csrc/cpu/blas.cpp calls it."""
    spec = importlib.util.find_spec("scipy_openblas32")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    library = ctypes.CDLL(str(Path(spec.submodule_search_locations[0]) / "lib" / "libscipy_openblas.so"))
    library.scipy_openblas_set_num_threads(1)
    function = getattr(library, f"scipy_cblas_{letter}gemm")
    scalar = ctypes.c_float if letter == "s" else ctypes.c_double
    size, pointer = ctypes.c_int, ctypes.c_void_p
    function.argtypes = [size] * 6 + [scalar, pointer, size, pointer, size, scalar, pointer, size]
    function.restype = None

    def gemm(a: Any, b: Any, out: Any, left: bool) -> None:
        m, n = out.shape
        inner = a.shape[0] if left else a.shape[1]
        ways = (TRANSPOSED, PLAIN) if left else (PLAIN, TRANSPOSED)
        arrays = a.ctypes.data, a.shape[1], b.ctypes.data, b.shape[1]
        function(ROW_MAJOR, *ways, m, n, inner, 1.0, *arrays, 0.0, out.ctypes.data, n)

    return gemm


def numpy_gemm(a: Any, b: Any, out: Any, left: bool) -> None:
    """The same product by NumPy."""
    if left:
        np.matmul(a.T, b, out=out)
    else:
        np.matmul(a, b.T, out=out)


def rates(a: Any, b: Any, left: bool, contestants: dict[str, Any], rounds: int = 9) -> dict[str, float]:
    """Median GF/s of each contestant over interleaved rounds of about 50 ms each, process-CPU time."""
    shape = (a.shape[1], b.shape[1]) if left else (a.shape[0], b.shape[0])
    inner = a.shape[0] if left else a.shape[1]
    out = np.empty(shape, a.dtype)
    work = 2e-9 * shape[0] * shape[1] * inner
    calls = max(1, round(0.05 * 60 / work))
    seen: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):  # the first round warms up
        for name in sorted(contestants, reverse=bool(turn % 2)):
            start = time.process_time()
            for _ in range(calls):
                contestants[name](a, b, out, left)
            if turn:
                seen[name].append(work * calls / (time.process_time() - start))
    return {name: statistics.median(values) for name, values in seen.items()}


def main() -> None:
    """Print one line per dtype and shape."""
    warn_about_environment()
    print(describe_machine())
    for library in threadpool_info():
        if library["user_api"] == "blas":
            print(f"NumPy's BLAS: {library['internal_api']} {library.get('version')} {library.get('architecture')}")
    generator = np.random.default_rng(0)
    print(f"{'product':42s}{'scipy-openblas32':>18s}{'numpy':>10s}{'ratio':>8s}   GF/s, one thread, median of 9")
    for letter, dtype in (("s", np.float32), ("d", np.float64)):
        contestants = {"private": private_gemm(letter), "numpy": numpy_gemm}
        shapes = [(f"tile {t} x {t}, d = {d}", t, t, d, False) for t in TILES for d in (384, 768, 1024)]
        shapes += [(f"X'Y, block of 1024 rows, {t} x {t}", t, t, 1024, True) for t in (256, 512, 1024)]
        for label, m, n, inner, left in shapes:
            sizes = ((inner, m), (inner, n)) if left else ((m, inner), (n, inner))
            a, b = (generator.standard_normal(size).astype(dtype) for size in sizes)
            with threadpool_limits(1):
                rate = rates(a, b, left, contestants)
            ratio = rate["private"] / rate["numpy"]
            print(f"{letter}gemm {label:36s}{rate['private']:18.1f}{rate['numpy']:10.1f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
