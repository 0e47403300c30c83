"""A call that would take more memory than its budget is refused before it takes any, with what would do."""

from __future__ import annotations

import tracemalloc

import kernalign as ka
import numpy as np
import pytest
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
        ValueError, match=r"of 3 layers of 1500 items would take 10[78],\d+,\d+ bytes .*; fewer metrics"
    ):
        ka.compare(models, metrics=names, memory_budget="100 MB")
    assert ka.compare(models, metrics=names, memory_budget="110 MB", p_values=False).n == 1500


@pytest.mark.parametrize(
    "given, nbytes",
    [(None, None), (5, 5), ("5", 5), ("8 GB", 8 * 10**9), ("1.5kb", 1500), ("2 GiB", 2 << 30), (" 7 MiB ", 7 << 20)],
)
def test_budgets_are_bytes_or_words(given, nbytes):
    assert memory.budget_of(given) == nbytes
