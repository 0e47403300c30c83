"""Approximate neighbours by faiss: it proposes candidates in float32, float64 arithmetic ranks them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign import _core
from kernalign._base.progress import Report
from kernalign._base.score import AlignmentWarning
from kernalign._base.warn import warn
from kernalign._engines import sampled
from kernalign._engines.sampled import Lists
from kernalign._rows.blocks import spans

Blocks: TypeAlias = Callable[[int, int], NDArray[np.float32]]

_FLAT_WORK = 1e12  # products of a flat search; beyond, an inverted file
_EXACT_WORK = 1e14  # products of an exact search that "auto" still makes: some half an hour on one core
_NATIVE_RATE, _SAMPLE_RATE = 3e10, 1.3e10  # products a second, float32 and float64
_TRAINING = 64  # rows per list that k-means sees
_ASKED_WORK = 1e9  # products of the queries that a flat index is asked about at once: a tenth of a second
_PROBES = 48  # lists that a query searches


def choose(n: int, p: int) -> tuple[Literal["native", "faiss"], str]:
    """The backend that "auto" stands for, and why."""
    work = float(n) * n * p
    if work <= _EXACT_WORK:
        return "native", f"native: n^2 p = {work:.2g} is at most {_EXACT_WORK:.0e}, so exact search is affordable"
    found, why = "faiss", "so exact search would take very long"
    if importlib.util.find_spec("faiss") is None:
        found, why = "native", "but faiss is not installed"
    said = f"{found}: n^2 p = {work:.2g} exceeds {_EXACT_WORK:.0e}, {why}. {costs(n, p)}"
    warn(f"backend='auto' is {said}", AlignmentWarning)  # before hours have passed
    return ("native" if found == "native" else "faiss"), said


def costs(n: int, p: int) -> str:
    """What each backend takes for a side: products, bytes, and time of one core, roughly."""
    drawn = sampled.ROWS
    lists = max(1, int(2 * np.sqrt(n)))
    scanned = float(n) * p + n * _PROBES * (float(n) / lists) * p / 8  # codes of 4 bits, many at a time
    ways = {
        "native": (float(n) * n * p / 2, 500.0 * n, _NATIVE_RATE),
        f"sample (of {drawn} rows)": (float(drawn) * n * p, 30.0 * n, _SAMPLE_RATE),
        "faiss": (scanned, n * (p / 4 + 8), _SAMPLE_RATE),
    }
    words = [
        f"{way}: {products:.1e} products, {nbytes / 1e6:,.0f} MB, {_duration(products / rate)}"
        for way, (products, nbytes, rate) in ways.items()
    ]
    return "On one core, about: " + "; ".join(words)


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(1.0, seconds / 60):.0f} min"


def search(
    source: _core.Rows, k: int, metric: str, sample: NDArray[np.int32], threads: int, report: Report
) -> tuple[Lists, Lists, str]:
    """Approximate lists of all rows, exact lists of the rows of the sample, and the index used."""
    faiss = _faiss()
    scorer = _core.ExactRows(source, metric, threads)  # refuses what is not finite, and zero rows under cosine
    n, p = source.shape
    points, queries, inner = _float32(source, metric)
    candidates = min(n, 4 * k + 60)  # codes of 4 bits rank roughly; more found little on clustered data
    steps = _Steps(report, n)
    with _threads(faiss, threads):
        steps.tell(0, 0)
        index, name = _index(faiss, n, p + p % 2, candidates, points, inner)
        for begin, end in spans(n, p):
            index.add(points(begin, end))
            steps.tell(0, end)
        # A flat index does not look for Ctrl-C while it searches; lists do.
        step = max(32, int(_ASKED_WORK / (float(n) * p))) if name == "Flat" else n
        indices = np.empty((n, k), dtype=np.int32)
        similarities, tied = np.empty((n, k)), np.empty(n, dtype=np.uint8)
        for begin, end in spans(n, p):
            rows, part = np.arange(begin, end, dtype=np.int32), slice(begin, end)
            asked = queries(begin, end)
            parts = [index.search(asked[at : at + step], candidates)[1] for at in range(0, len(asked), step)]
            proposed = np.concatenate(parts).astype(np.int32)
            indices[part], similarities[part], tied[part] = scorer.nearest(rows, proposed, k, threads)
            steps.tell(1, end)
    del index
    found: Lists = indices, similarities, tied.view(np.bool_)
    short = np.flatnonzero(indices[:, -1] < 0).astype(np.int32)
    for begin in range(0, len(short), 1000):  # fewer than k in the lists that were looked at
        rows = short[begin : begin + 1000]
        exact = sampled.lists_of(scorer, rows, k, threads)
        found[0][rows], found[1][rows], found[2][rows] = exact
    exact = sampled.lists_of(scorer, sample, k, threads)
    steps.tell(2, n)
    return found, exact, name


@dataclass(frozen=True)
class _Steps:
    """Progress of three passes over n rows: they are added, searched and compared with a sample."""

    report: Report
    n: int

    def tell(self, passes: int, rows: int) -> None:
        if self.report is not None:
            self.report(passes * self.n + rows, 3 * self.n)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError("backend='faiss' needs faiss: pip install 'kernalign[faiss]'") from error
    return faiss


@contextmanager
def _threads(faiss: Any, threads: int) -> Iterator[None]:
    """faiss keeps one thread count per calling thread."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads or _core.build_info()["threads"])
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _index(faiss: Any, n: int, p: int, candidates: int, points: Blocks, inner: bool) -> tuple[Any, str]:
    metric = faiss.METRIC_INNER_PRODUCT if inner else faiss.METRIC_L2
    if float(n) * n * p <= _FLAT_WORK:
        return faiss.IndexFlat(p, metric), "Flat"
    lists = int(2 * np.sqrt(n))
    coarse = faiss.IndexFlat(p, metric)
    index = faiss.IndexIVFPQFastScan(coarse, p, lists, p // 2, 4, metric)  # 4 bits for 2 columns
    index.nprobe = min(lists, max(_PROBES, 4 * candidates * lists // n))
    some = np.sort(np.random.default_rng(0).choice(n, min(n, _TRAINING * lists), replace=False))
    index.train(np.concatenate([points(int(i), int(i) + 1) for i in some]))
    return index, f"IVF{lists},PQ{p // 2}x4fs, {index.nprobe} lists searched"


def _float32(source: _core.Rows, metric: str) -> tuple[Blocks, Blocks, bool]:
    """Stored rows and queries whose float32 distances (or products) rank as the metric does.

    Rows are centred in float64: what is common to all has no say in the order, but costs float32 its digits. For
    cosine they are brought to unit length before, where the Euclidean order is that of the cosine. An odd number of
    columns is padded.
    """
    n, p = source.shape

    def rows(begin: int, end: int) -> NDArray[np.float64]:
        block = source.dense(begin, end)
        if metric == "cosine":
            block /= np.abs(block).max(axis=1, keepdims=True)
            block /= np.linalg.norm(block, axis=1, keepdims=True)
        return block

    steps = list(spans(n, p))
    mean = sum((rows(*part).sum(axis=0) for part in steps), np.zeros(p)) / n
    size = max(float(np.abs(rows(*part) - mean).max()) for part in steps) or 1.0

    def padded(block: NDArray[np.float64]) -> NDArray[np.float32]:
        out = np.zeros((len(block), p + p % 2), dtype=np.float32)
        out[:, :p] = block
        return out

    def points(begin: int, end: int) -> NDArray[np.float32]:
        return padded((rows(begin, end) - mean) / size)

    def queries(begin: int, end: int) -> NDArray[np.float32]:
        block = rows(begin, end)
        block /= np.abs(block).max(axis=1, keepdims=True) + np.finfo(np.float64).tiny
        return padded(block)

    return points, queries if metric == "dot" else points, metric == "dot"
