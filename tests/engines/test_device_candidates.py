"""Neighbours through float16 candidates on the simulated device: the CPU's bits, whatever the tiles and the sums."""

from __future__ import annotations

import gc

import ml_dtypes
import numpy as np
import pytest
from device_arrays import DeviceArray, simulated
from engines.test_neighbors import DATA, make
from kernalign import _core

METRICS = ("cosine", "dot", "euclidean")
DTYPES = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)
SUMS = ({}, {"truncating": True}, {"truncating": True, "capability": 80}, {"truncating": True, "capability": 75})


@pytest.fixture(autouse=True)
def cuda():
    """The simulated device, which has nothing allocated in the end."""
    module = simulated()
    module.simulate()
    yield module
    module.simulate()
    gc.collect()
    assert module.live() == 0


def search(cuda, x, k, metric, **way):
    """Lists through candidates, which must have been used, and how many rows they did not prove."""
    before = cuda.products()
    index, similarity, tie, repeated = cuda.nearest_neighbors(
        cuda.Rows(DeviceArray(x), "x", 0), k, metric, worthwhile=0, **way
    )
    assert cuda.products() > before
    return (index, similarity, tie), repeated


def assert_same(found, x, k, metric) -> None:
    bfloat16 = x.dtype.type.__name__ == "bfloat16"
    rows = _core.Rows(x.view(np.uint16) if bfloat16 else x, "x", bfloat16=bfloat16)
    for ours, theirs in zip(found, _core.nearest_neighbors(rows, k, metric)[:3], strict=True):
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_lists_are_those_of_the_cpu(cuda, metric, dtype):
    for name in DATA:
        x = make(name, 230, 19)
        if dtype == np.float16:
            x = np.clip(x, -6e4, 6e4)
        x = x.astype(dtype)
        if metric == "cosine" and not (x != 0).any(axis=1).all():
            continue  # too small for the type
        assert_same(search(cuda, x, 5, metric, tile=128)[0], x, 5, metric)


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@pytest.mark.parametrize("tile", [32, 100, 256])
def test_neither_tiles_nor_the_order_of_threads_matter(cuda, order, tile):
    cuda.simulate(order=order)
    x = make("gaussian", 210, 24).astype(np.float32)
    for metric in METRICS:
        assert_same(search(cuda, x, 8, metric, tile=tile)[0], x, 8, metric)


@pytest.mark.parametrize("sums", SUMS, ids=lambda sums: f"{sums.get('capability', 90)}{'cut' if sums else ''}")
def test_sums_that_are_cut_off_prove_what_they_say(cuda, sums):
    """Positive rows, of which all products have one sign, are the worst for sums that are cut off."""
    cuda.simulate(**sums)
    rng = np.random.default_rng(0)
    for x in (rng.standard_normal((150, 90)), abs(rng.standard_normal((150, 90))) + 3, make("outlier", 150, 90)):
        for metric in METRICS:
            given = x.astype(np.float32)
            assert_same(search(cuda, given, 6, metric)[0], given, 6, metric)


def test_ordinary_rows_are_proven_by_their_candidates(cuda):
    for metric in METRICS:
        for name in ("gaussian", "low", "outlier"):
            x = make(name, 400, 48).astype(np.float32)
            assert search(cuda, x, 10, metric)[1] <= 4, (name, metric)


def test_queues_that_overflow_again_and_again_cost_no_list(cuda):
    """Neighbours on a line: the first that come are the worst of all."""
    x = np.sort(np.random.default_rng(0).standard_normal((900, 1)), axis=0) * np.ones((1, 20)) + 5
    for order in ("forward", "reverse"):
        cuda.simulate(order=order)
        assert_same(search(cuda, x.astype(np.float32), 3, "euclidean")[0], x.astype(np.float32), 3, "euclidean")


def test_candidates_are_left_where_they_do_not_pay(cuda):
    """Rows that are all alike would all be candidates of each; so would those of a device without products."""
    x = make("constant", 300, 8)
    rows = cuda.Rows(DeviceArray(x), "x", 0)
    assert_same(cuda.nearest_neighbors(rows, 3, "cosine", worthwhile=0)[:3], x, 3, "cosine")
    x = make("gaussian", 300, 8)
    rows = cuda.Rows(DeviceArray(x), "x", 0)
    cuda.simulate()
    cuda.nearest_neighbors(rows, 3, "cosine")
    assert cuda.products() == 0  # too few rows
    cuda.simulate(products=False)
    assert_same(cuda.nearest_neighbors(rows, 3, "cosine", worthwhile=0)[:3], x, 3, "cosine")
    assert cuda.products() == 0
    del rows


def test_failures_anywhere_leave_nothing_allocated(cuda):
    x = make("gaussian", 90, 6)
    counts = {"fail_allocation": cuda.allocations, "fail_launch": cuda.launches, "fail_product": cuda.products}
    words = {"fail_allocation": "out of memory", "fail_launch": "did not start", "fail_product": "failed: simulated"}
    for name, count in counts.items():
        rows = cuda.Rows.uploaded(_core.Rows(x, "x"), 0)
        cuda.simulate()
        cuda.nearest_neighbors(rows, 3, "dot", worthwhile=0, tile=32)
        calls, held = count(), cuda.live()
        assert calls > 2
        for at in range(calls):
            cuda.simulate(**{name: at})
            with pytest.raises((MemoryError, RuntimeError), match=words[name]):
                cuda.nearest_neighbors(rows, 3, "dot", worthwhile=0, tile=32)
            assert cuda.live() == held
        del rows
