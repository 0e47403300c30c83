"""Fixtures of tests in several folders."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import scipy.linalg  # noqa: F401  (whose BLAS must be loaded to be held)
from device_arrays import simulated
from kernalign._rows import on_device
from threadpoolctl import threadpool_limits

# Oracles work on small matrices, on which the threads of a BLAS wait for each other: beside other work up to 30 times
# as long. Tests of threads set numbers of their own.
threadpool_limits(1, user_api="blas")

# The same examples everywhere, and no judgement of how long they take: a machine that is busy is not a fault.
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """pyplot holds all figures that nobody closes, and warns of twenty."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The simulation in the place of the CUDA extension; whatever a test does, it leaves nothing allocated."""
    module = simulated()
    monkeypatch.setattr(on_device, "extension", lambda: module)
    module.simulate()
    yield module
    module.simulate()
    gc.collect()
    assert module.live() == 0
