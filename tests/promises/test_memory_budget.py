"""A call that would take more memory than its budget is refused before it takes any, with what would do."""

from __future__ import annotations

import ctypes
import re
import tracemalloc
from pathlib import Path

import kernalign as ka
import numpy as np
import pytest
from kernalign import embedding, stitching
from kernalign._base import memory
from kernalign._rows import arrays

N, P = 30_000, 3000
BIG = np.lib.stride_tricks.as_strided(np.ones(1, dtype=np.float32), (N, P), (0, 0))  # 360 MB that are 4 bytes
METRICS = {
    "cka": {},
    "hsic": {},
    "cca": {},
    "svcca": {},
    "procrustes": {},
    "linear_predictivity": {},
    "one_to_one": {},
    "rsa": {},
    "mutual_knn": {"k": 100},
    "cknna": {"k": 100},
}


@pytest.mark.filterwarnings("ignore")  # of equal rows
@pytest.mark.parametrize("metric", list(METRICS))
def test_what_is_over_the_budget_is_refused_before_it_is_begun(metric, monkeypatch):
    refused = r"30000 x 3000 would take [\d,]+ bytes of memory, more than the 90,000,000 that memory_budget allows; "
    tracemalloc.start()
    with pytest.raises(ValueError, match=refused):
        ka.measure(metric, BIG, BIG, **METRICS[metric], memory_budget="90 MB")
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    monkeypatch.setattr(memory, "available", lambda: 100_000_000)  # of which a share is the default
    monkeypatch.setattr(arrays, "MUCH", 0)
    with pytest.raises(ValueError, match=r"more than the 80,000,000 that are free"):
        ka.measure(metric, BIG, BIG, **METRICS[metric])


RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 40, 6))
TARGET, PAIRS = RNG.standard_normal(40), np.arange(40) // 2


def of_shape(n, p):
    """Two sides, of few digits so that they take little themselves."""
    return RNG.standard_normal((2, n, p)).astype(np.float16)


CALLS = {  # a call of two sides, and shapes of which it holds much
    "cka": (ka.cka, (3000, 1500)),
    "cka of groups": (lambda x, y, **how: ka.cka(x, y, groups=np.arange(len(x)) // 2, **how), (3000, 400)),
    "cka of RBF": (lambda x, y, **how: ka.cka(x, y, kernel=ka.RBF(), **how), (3000, 400)),
    "cka of RBF, of groups": (
        lambda x, y, **how: ka.cka(x, y, kernel=ka.RBF(), groups=np.arange(len(x)) // 2, **how),
        (1800, 10),
    ),
    "cka, its error": (lambda x, y, **how: ka.cka(x, y, uncertainty="jackknife", **how), (50_000, 50)),
    "partial cka": (lambda x, y, **how: ka.cka(x, y, given=x[:, :5], **how), (3000, 400)),
    "residual cka": (lambda x, y, **how: ka.cka(x, y, given=x[:, :2] ** 2, adjust="columns", **how), (50_000, 100)),
    "distance_alignment": (ka.distance_alignment, (3000, 400)),
    "distance_correlation": (ka.distance_correlation, (3000, 400)),
    "mmd": (ka.mmd, (3000, 400)),
    "energy_distance": (ka.energy_distance, (3000, 400)),
    "rsa": (ka.rsa, (2500, 20)),
    "rsa, its error": (lambda x, y, **how: ka.rsa(x, y, uncertainty="jackknife", **how), (2000, 20)),
    "rsa of Pearson, its error": (
        lambda x, y, **how: ka.rsa(x, y, comparison="pearson", uncertainty="jackknife", **how),
        (2500, 20),
    ),
    "mutual_knn": (lambda x, y, **how: ka.mutual_knn(x, y, min(100, len(x) - 1), **how), (20_000, 8)),
    "mutual_knn, its error": (
        lambda x, y, **how: ka.mutual_knn(x, y, 5, uncertainty="half-sampling", **how),
        (30_000, 8),
    ),
    "cknna": (ka.cknna, (30_000, 8)),
    "cca": (ka.cca, (4000, 1000)),
    "ridge_cca": (lambda x, y, **how: ka.ridge_cca(x, y, [1.0], **how), (4000, 1000)),
    "linear_predictivity": (ka.linear_predictivity, (4000, 1000)),
    "procrustes": (ka.procrustes, (400, 9000)),
    "one_to_one": (ka.one_to_one, (3000, 1500)),
    "soft_matching": (lambda x, y, **how: ka.soft_matching(x, y[:, :-1], **how), (2000, 600)),
    "spectrum": (lambda x, y, **how: ka.spectrum(x, **how), (1500, 1500)),
    "spectral_overlap": (lambda x, y, **how: ka.spectral_overlap(x, y, 3, **how), (20_000, 300)),
    "band_alignment": (lambda x, y, **how: ka.band_alignment(x, y, [(0, 3)], **how), (20_000, 300)),
    "kare": (lambda x, y, **how: ka.kare(x, y[:, 0], [1.0], **how), (20_000, 300)),
    "learning_curve": (lambda x, y, **how: ka.learning_curve(x, y[:, 0], [10], **how), (400, 6000)),
    "cumulative_power": (lambda x, y, **how: ka.cumulative_power(x, y[:, 0], cv=3, **how), (20_000, 300)),
    "source_condition": (lambda x, y, **how: ka.source_condition(x, y[:, 0], **how), (20_000, 300)),
    "kernel_target_alignment": (lambda x, y, **how: ka.kernel_target_alignment(x, y[:, 0], **how), (3000, 2000)),
    "check_pairing": (ka.check_pairing, (30_000, 64)),
    "independence_test": (ka.independence_test, (3000, 400)),
    "compare_scores": (lambda x, y, **how: ka.compare_scores("cka", x, y, y[::-1], **how), (3000, 1000)),
    "compare_scores of lists": (
        lambda x, y, **how: ka.compare_scores("mutual_knn", x, y, y[::-1], k=5, **how),
        (20_000, 8),
    ),
    "permutation_test": (lambda x, y, **how: ka.permutation_test("cka", x, y, permutations=9, **how), (3000, 400)),
    "permutation_test of RBF": (
        lambda x, y, **how: ka.permutation_test("cka", [x, y], y, kernel=ka.RBF(), permutations=9, **how),
        (2500, 20),
    ),
    "permutation_test of lists": (
        lambda x, y, **how: ka.permutation_test(["mutual_knn", "cknna"], x, y, permutations=9, **how),
        (30_000, 8),
    ),
    "permutation_test of rsa": (
        lambda x, y, **how: ka.permutation_test("rsa", [x, y], y, permutations=9, **how),
        (2000, 20),
    ),
}


def needed(call, most=1):
    """Bytes that a call says it needs: that its parts say, one after the other."""
    try:
        call(memory_budget=most)
    except ValueError as error:
        told = str(error)
        assert re.search(r"more than the [\d,]+ that memory_budget allows; (fewer|queries|comparison|without)", told), (
            told
        )
        found = int(re.search(r"would take ([\d,]+) bytes", told)[1].replace(",", ""))
        assert found > most
        return needed(call, found)
    assert most > 1
    return most


@pytest.mark.filterwarnings("ignore")  # of small and random data
@pytest.mark.parametrize("name", list(CALLS))
def test_a_call_says_what_it_needs_and_does_with_that(name):
    call, _ = CALLS[name]
    assert needed(lambda **how: call(X, Y, **how)) > 100e6


def peak_of(call):
    """Bytes by which this process grows at most."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = status("VmRSS")
    call()
    return status("VmHWM") - before


def status(name):
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system does not tell the peak of a call")
@pytest.mark.parametrize("name", list(CALLS))
def test_a_call_takes_no_more_than_it_says(name):
    call, (n, p) = CALLS[name]
    x, y = of_shape(n, p)
    call(X, Y)  # everything is imported

    def refused():
        with pytest.raises(ValueError, match="memory_budget"):
            call(x, y, memory_budget=1)

    assert peak_of(refused) < 10e6
    most = needed(lambda **how: call(x, y, **how))
    assert peak_of(lambda: getattr(call(x, y), "p_value", None)) <= most


def distances(x):
    return np.abs(x[:, :1].astype(np.float64) - x[:, 0])


FIXED = 40e6
CLAIMS = {  # a call of two sides, their shape, and the bytes that a docstring says it holds, with distances made in it
    "cka of columns": (
        lambda x, y: ka.cka(x, y, given=x[:, :2] ** 2, adjust="columns"),
        (50_000, 8),
        lambda n, p: 160 * n * p,
    ),
    "one_to_one": (ka.one_to_one, (100, 1800), lambda n, p: 24 * p * p),
    "soft_matching": (lambda x, y: ka.soft_matching(x, y[:, :-1]), (60, 500), lambda n, p: 260 * p * p),
    "procrustes": (ka.procrustes, (4500, 2200), lambda n, p: 24 * p * p),
    "spectrum": (lambda x, y: ka.spectrum(x), (1000, 1000), lambda n, p: 88 * n * p),
    "spectrum of few columns": (lambda x, y: ka.spectrum(x), (40_000, 50), lambda n, p: 40 * n * p + 48 * p * p),
    "Moments": (lambda x, y: ka.Moments().update(x, y), (1500, 1800), lambda n, p: 24 * p * p + 2 * 8 * 1024 * p),
    "Moments.cka": (
        lambda x, y: ka.Moments().update(x, y).cka(),
        (1500, 1500),
        lambda n, p: 3 * 24 * p * p + 2 * 8 * 1024 * p,
    ),
    "LeastSquaresState": (
        lambda x, y: stitching.LeastSquaresState().update(x, y),
        (3000, 600),
        lambda n, p: 100 * (1 + 2 * p) ** 2,
    ),
    "LinearProbe": (
        lambda x, y: stitching.LinearProbe(task="regression").fit(x, y[:, 0]),
        (30_000, 50),
        lambda n, p: 48 * n * p,
    ),
    "classical_mds": (lambda x, y: embedding.classical_mds(distances(x)), (1500, 1), lambda n, p: 48 * n * n),
    "smacof": (
        lambda x, y: embedding.smacof(distances(x), starts=1, max_iter=2),
        (1500, 1),
        lambda n, p: 72 * n * n,
    ),
    "permutation_test": (
        lambda x, y: ka.permutation_test("cka", x, y, permutations=2),
        (60_000, 50),
        lambda n, p: 32 * n * p,
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system does not tell the peak of a call")
@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow if one in ("procrustes", "spectrum") else ()) for one in CLAIMS]
)
def test_docstrings_say_what_is_held(name):
    """And some more, whatever the shape: tiles, and what a BLAS has for its threads."""
    call, (n, p), held = CLAIMS[name]
    x, y = of_shape(n, p)
    call(x[:40, :40], y[:40, :40])  # everything is imported
    assert peak_of(lambda: call(x, y)) < held(n, p) + FIXED


def test_calls_without_a_budget_ask_what_is_free(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 100_000_000)
    monkeypatch.setattr(arrays, "MUCH", 0)
    for call in (
        lambda: stitching.RidgeStitcher().fit(X, Y),
        lambda: stitching.LinearProbe(task="regression").fit(X, TARGET),
        lambda: embedding.classical_mds(np.abs(np.subtract.outer(TARGET, TARGET))),
        lambda: ka.describe(X),
        lambda: ka.dissimilarities(X),
    ):
        with pytest.raises(
            ValueError, match=r"would take [\d,]+ bytes of memory, more than the 80,000,000 that are free"
        ):
            call()


def test_what_is_within_the_budget_is_done():
    x = np.random.default_rng(0).standard_normal((200, 5))
    for metric in METRICS:
        assert ka.measure(metric, x, x, memory_budget="1 GB") == pytest.approx(ka.measure(metric, x, x), abs=1e-12)
    assert ka.knn(x, 3, memory_budget=10**9).k == 3
    with pytest.raises(ValueError, match="queries=20_000 draws rows"):
        ka.knn(x, 3, memory_budget="1 MB")


def test_a_comparison_counts_what_it_keeps_of_all_layers():
    rng = np.random.default_rng(0)
    models = {name: rng.standard_normal((1500, 4)) for name in "abc"}
    names = ("mutual_knn", "cknna", "rsa", "cca")
    with pytest.raises(
        ValueError, match=r"of 3 layers of 1500 items would take [\d,]+ bytes .*; fewer metrics"
    ) as told:
        ka.compare(models, metrics=names, memory_budget="100 MB")
    most = re.search(r"take ([\d,]+) bytes", str(told.value))[1].replace(",", "")
    assert ka.compare(models, metrics=names, memory_budget=most, p_values=False).n == 1500


@pytest.mark.parametrize(
    "given, nbytes",
    [(None, None), (5, 5), ("5", 5), ("8 GB", 8 * 10**9), ("1.5kb", 1500), ("2 GiB", 2 << 30), (" 7 MiB ", 7 << 20)],
)
def test_budgets_are_bytes_or_words(given, nbytes):
    assert memory.budget_of(given) == nbytes
