"""What a call costs beside its arithmetic: few steps of Python, no threads for work that is done before they start."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import kernalign as ka
import numpy as np
import pytest

X = np.random.default_rng(0).standard_normal((64, 64))
Y = X + np.random.default_rng(1).standard_normal((64, 64))


def python_calls(call: Callable[[], object]) -> int:
    call()  # what is made once is made here
    count = 0

    def saw(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(saw)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count - 1  # the lambda


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("metric", "most"), [("cka", 38), ("mutual_knn", 39), ("kernel_alignment", 39), ("hsic", 49)])
def test_python_calls_of_one_pair(metric, most, dtype):
    x, y = X.astype(dtype), Y.astype(dtype)
    assert python_calls(lambda: getattr(ka, metric)(x, y)) <= most


def test_python_calls_of_a_batch():
    moments = ka.Moments()
    assert python_calls(lambda: moments.update(X, Y)) <= 20


def test_python_calls_of_a_small_comparison():
    rng = np.random.default_rng(0)
    models = {f"model {i}": rng.standard_normal((40, 2, 8)) for i in range(3)}
    assert python_calls(lambda: ka.compare(models)) < 1500


@pytest.mark.parametrize("metric", ["cka", "mutual_knn", "hsic"])
def test_automatic_threads_change_nothing(metric):
    """A small call takes one thread by itself, and as many as it is told to: the same bits."""
    before = threading.active_count()
    x, y = np.tile(X, (10, 1)) + 0.1 * np.arange(640)[:, None] % 7, np.tile(Y, (10, 1))
    for rows in (64, 640):
        found = {float(ka.measure(metric, x[:rows], y[:rows], threads=threads)) for threads in (None, 1, 2, 5)}
        assert len(found) == 1
    assert threading.active_count() == before
