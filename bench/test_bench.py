"""pytest-benchmark entry points: every contestant on small sizes, run by hand with `pytest bench`."""

from dataclasses import replace
from typing import Any

import pytest

from bench import guarded_peers  # noqa: F401 (registers them)
from bench.case import MissingDataError
from bench.cases import CASES
from bench.peers import FACTORIES
from bench.run import one_thread

LARGEST = 2000
PAIRS = [
    pytest.param(replace(case, n=min(case.n, LARGEST), layers=case.layers and (3, 2)), name, id=f"{case.name}-{name}")
    for case in CASES.values()
    for name in dict.fromkeys((case.ours, *case.peers))
]


@pytest.mark.parametrize(("case", "name"), PAIRS)
def test_bench(benchmark: Any, case: Any, name: str) -> None:
    try:
        contestant = FACTORIES[name]()
        x, y = case.make()
    except (ImportError, MissingDataError) as error:
        pytest.skip(str(error))
    benchmark.group = f"{case.task} n={case.n} d={case.d} {case.data}"
    with one_thread():
        benchmark(contestant, x, y, case.k)
