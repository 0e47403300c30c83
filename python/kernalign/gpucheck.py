"""``python -m kernalign.gpucheck``: does a CUDA device give the CPU's answers, in all it is asked, and how fast?

Every step rewrites the report, so that one that does not end costs no other. The exit status is 1 if an answer differs.
"""

from __future__ import annotations

import importlib
import json
import platform
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from kernalign import _core
from kernalign._base.files import atomic_write
from kernalign._base.kernels import RBF, Cosine, Laplacian, Linear, Polynomial
from kernalign._engines import devices
from kernalign._engines.neighbors import METRICS, Metric, Neighbors, knn
from kernalign._rows import arrays, on_device
from kernalign.metrics.kernel.cka import cka, hsic, kernel_alignment
from kernalign.metrics.kernel.distance import distance_correlation
from kernalign.metrics.moments import Moments
from kernalign.metrics.neighbors.cknna import cknna

CASES, REPEATED, REPEATS = 200, 20, 5
_DTYPES = ("float16", "float32", "float64")
_TOOLS = ("memcheck", "racecheck", "initcheck")
_CLOSE = 1e-11  # relative, of scores
_CEILING = 8192  # rows of the matrices that are multiplied and copied
_JOBS = (  # what, of how many rows and columns
    ("knn", 10_000, 1024),
    ("knn", 100_000, 1024),
    ("cka", 1_000_000, 1024),
    ("cka rbf", 100_000, 1024),
    ("cka rbf, medians", 100_000, 1024),
)


class Skipped(Exception):
    """A step that cannot be done here, and why."""


class Check:
    """A device, the report so far, and how much shall be done."""

    def __init__(self, device: str, path: Path, cases: int = CASES, jobs: Any = _JOBS) -> None:
        self.device, self.path, self.cases, self.jobs, self.ceiling = device, path, cases, jobs, _CEILING
        self.report: dict[str, Any] = {"schema": 1, "card": None, "failed": [], "skipped": {}}

    @property
    def index(self) -> int:
        return int(self.device.partition(":")[2] or 0)

    def run(self, names: tuple[str, ...]) -> bool:
        """Take these steps; whether all answers were right."""
        for name in names:
            began = time.perf_counter()
            try:
                self.report[name] = STEPS[name](self)
            except Skipped as reason:
                self.report["skipped"][name] = str(reason)
            except Exception as error:  # the other steps are still worth having
                self.report["failed"].append(f"{name}: {type(error).__name__}: {error}")
            took = time.perf_counter() - began
            click.echo(f"{name:<10} {took:6.1f} s  {self._said(name)}")
            with atomic_write(self.path, overwrite=True) as file:
                file.write(json.dumps(self.report, indent=1).encode())
        return not self.report["failed"]

    def _said(self, name: str) -> str:
        failed = [words for words in self.report["failed"] if words.startswith(f"{name}: ")]
        reason = self.report["skipped"].get(name)
        return "FAIL " + "; ".join(failed) if failed else f"SKIP {reason}" if reason else "ok"

    def wrong(self, name: str, words: str) -> None:
        self.report["failed"].append(f"{name}: {words}")


def facts(check: Check) -> dict[str, Any]:
    """What runs here."""
    found = devices.facts()
    if found["why_not"]:
        raise Skipped(found["why_not"])
    check.report["card"] = found["devices"][check.index]["name"]
    build = _core.build_info()
    return {
        **found,
        "kernalign": build["version"],
        "compiler": build["compiler"],
        "python": f"{platform.python_version()} on {platform.machine()}",
        "numpy": np.__version__,
        "arrays": {name: _version(name) for name in ("torch", "cupy", "jax")},
    }


def rows_of(seed: int) -> tuple[np.ndarray, int, Any]:
    """Rows, k and similarity of one case: of all types, near and far, tied and repeated."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 700)), int(rng.integers(1, 90))
    x = rng.standard_normal((n, d))
    kind = seed % 6
    if kind == 1:
        x = rng.standard_normal((7, d))[rng.integers(0, 7, n)] + 1e-3 * x
    elif kind == 2:
        x = x[rng.integers(0, 1 + n // 5, n)]
    elif kind == 3:
        x = rng.integers(1, 4, (n, d)).astype(np.float64)
    elif kind == 4:
        x[:, 0] = 30 * x[:, 0] + 100
    elif kind == 5:
        x[::9] *= 1e3
    return x.astype(_DTYPES[seed % len(_DTYPES)]), int(rng.integers(1, min(n, 70))), METRICS[seed // 3 % 3]


def difference(found: Neighbors, expected: Neighbors) -> str:
    """Where lists differ in any bit; "" if they do not."""
    for name in ("indices", "similarities", "tie_rows"):
        a, b = getattr(found, name), getattr(expected, name)
        if a.tobytes() != b.tobytes():
            row = int(np.flatnonzero((a != b).reshape(len(a), -1).any(axis=1))[0]) if (a != b).any() else -1
            return f"{name} differ, first in row {row}"
    return ""


def through_candidates(check: Check, x: np.ndarray, k: int, metric: Metric) -> Neighbors:
    """Lists of few rows, found as those of many are."""
    rows = on_device.moved(arrays.rows(x), check.index)
    raw = devices.nearest_neighbors(rows, k, metric, False, 1, None, worthwhile=0.0, tile=128)
    return Neighbors(raw[0], raw[1], raw[2].view(np.bool_), metric)


def contract(check: Check) -> dict[str, Any]:
    """Seeded cases against the CPU's engine, in all bits; the first of them again and again."""
    differing = 0
    for seed in range(check.cases):
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
    return {"cases": check.cases, "repeats": REPEATS, "differing": differing}


def sums(check: Check) -> dict[str, Any]:
    """Seeded scores of sums against the CPU's of the same numbers in float64, each twice."""
    kernels: tuple[Any, ...] = (Linear(), Cosine(), RBF(), RBF("median_offdiag"), Laplacian(), Polynomial(2))
    worst, count = 0.0, max(len(kernels), check.cases // 4)
    for seed in range(count):
        x, y, kernel = *paired_rows(seed), kernels[seed % len(kernels)]
        calls: list[Any] = [partial(call, kernel=kernel) for call in (cka, hsic, kernel_alignment)]
        for call in (*calls, distance_correlation, partial(cknna, k=5)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = float(call(x.astype(np.float64), y.astype(np.float64)))
                found, again = (float(call(x, y, device=check.device)) for _ in range(2))
            apart = abs(found - expected) / max(abs(expected), 1e-3)
            worst = max(worst, apart)
            if found != again or not apart <= _CLOSE:
                what = f"case {seed} {x.shape} {y.shape} {x.dtype} {call}"
                check.wrong("sums", f"{what}: {found!r}, {again!r} in place of {expected!r}")
    return {"cases": 5 * count, "worst": worst, "streams": streams(check)}


def streams(check: Check) -> int:
    """Streams whose bits depend on how they were cut; 0."""
    wrong = 0
    for seed in range(3):
        x, y = paired_rows(6 * seed + 1, 3000)
        values = set()
        for size in (3000, 1024, 700):
            state = devices.Stream(check.index, (x.shape[1], y.shape[1]))
            for begin in range(0, 3000, size):
                left, right = (arrays.rows(one[begin : begin + size]) for one in (x, y))
                state.update(left, right, 0, None)
            values.add(state.pack().tobytes())
        if len(values) != 1:
            wrong += 1
            check.wrong("sums", f"stream {seed}: its bits depend on its batches")
    return wrong


def paired_rows(seed: int, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Two sides of some of the same items, with more rows than columns or fewer."""
    rng = np.random.default_rng(1000 + seed)
    n = n or int(rng.integers(40, 400))
    p, q = (int(rng.integers(16, 60 if seed % 2 else 300)) for _ in range(2))
    x = rng.standard_normal((n, p)) + (30 if seed % 3 == 1 else 0)
    y = x[:, :9] @ rng.standard_normal((9, q)) + rng.standard_normal((n, q))
    dtype = _DTYPES[seed // 6 % len(_DTYPES)]
    return x.astype(dtype), y.astype(dtype)


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


def producers(check: Check) -> dict[str, Any]:
    """Arrays of the libraries that are installed, read where they are; and memory that runs out is given back."""
    found: dict[str, Any] = {}
    for name, makers in (("torch", _of_torch), ("cupy", _of_cupy), ("jax", _of_jax)):
        if _version(name) is None:
            found[name] = "SKIP: not installed"
            continue
        x = np.random.default_rng(0).standard_normal((500, 64)).astype(np.float32)
        done = []
        for what, array, same in makers(importlib.import_module(name), x, check.device):
            if words := difference(knn(array, 10), knn(same, 10)):
                check.wrong("arrays", f"{name}, {what}: {words}")
        for what, array, same in makers(importlib.import_module(name), x, check.device):  # made anew
            ours = float(Moments().update(array, array).hsic())
            theirs = float(Moments().update(same.astype(np.float64), same.astype(np.float64)).hsic())
            if not abs(ours - theirs) <= _CLOSE * abs(theirs):
                check.wrong("arrays", f"{name}, {what}: a stream of it has {ours!r} in place of {theirs!r}")
            done.append(what)
        found[name] = done
    before = devices.facts()["devices"]
    huge = int(1.5 * before[0]["memory"]) // 4096
    try:
        knn(np.broadcast_to(np.float32(1), (huge, 1024)), 2, device=check.device)
        check.wrong("arrays", "rows that are larger than the memory were searched")
    except MemoryError as error:
        found["out of memory"] = str(error)
    after = devices.facts()["devices"]
    found["bytes kept"] = [int(b["free"]) - int(a["free"]) for a, b in zip(after, before, strict=True)]
    if max(found["bytes kept"]) > 1 << 26:
        check.wrong("arrays", f"memory was not given back: {found['bytes kept']} bytes")
    return found


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


def sanitizer(check: Check) -> dict[str, Any]:
    """A few cases under each tool of compute-sanitizer."""
    if shutil.which("compute-sanitizer") is None:
        raise Skipped("compute-sanitizer was not found")
    found = {}
    for tool in _TOOLS:
        inner = [sys.executable, "-m", "kernalign.gpucheck", "--step", "contract", "--step", "sums", "--cases", "6"]
        inner += ["--device", check.device, "--out", str(check.path.with_suffix(f".{tool}.json"))]
        command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *inner]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        found[tool] = ran.returncode
        if ran.returncode != 0:
            check.wrong("sanitizer", f"{tool}: {(ran.stdout + ran.stderr)[-500:]}")
    return found


def ceilings(check: Check) -> dict[str, float]:
    """What bounds every time: bytes read and written, and operations of products, per second."""
    found: dict[str, float] = on_device.extension().ceilings(check.index, check.ceiling)
    return found


def times(check: Check) -> list[dict[str, Any]]:
    """Seconds of what is on the device already, median of 5, beside torch's in float32 where it is installed."""
    if _version("torch") is None:
        raise Skipped("torch is not installed, which would hold the rows")
    torch = importlib.import_module("torch")
    return [_timed(torch, check.device, *job) for job in check.jobs]


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


def _version(name: str) -> str | None:
    try:
        return str(getattr(importlib.import_module(name), "__version__", ""))
    except ImportError:
        return None


STEPS: dict[str, Callable[[Check], Any]] = {
    "facts": facts,
    "contract": contract,
    "sums": sums,
    "model": model,
    "arrays": producers,
    "ceilings": ceilings,
    "times": times,
    "sanitizer": sanitizer,
}


@click.command()
@click.option("--device", default="cuda:0", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("gpucheck.json"), show_default=True)
@click.option("--step", "steps", multiple=True, type=click.Choice(list(STEPS)), help="Only this one; may be repeated.")
@click.option("--cases", default=CASES, show_default=True, help="Cases of the contract.")
def main(device: str, out: Path, steps: tuple[str, ...], cases: int) -> None:
    """Check a CUDA device against the CPU and write a JSON report."""
    if reason := devices.why_not():
        click.echo(f"SKIP: {reason}")
        return
    if not Check(device, out, cases).run(steps or tuple(STEPS)):
        sys.exit(1)


if __name__ == "__main__":
    main()
