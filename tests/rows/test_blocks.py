"""Blocks cover everything once, in order, within their budget, and report what has been done."""

from __future__ import annotations

import pytest
from kernalign._rows.blocks import spans


@pytest.mark.parametrize("n", [0, 1, 7, 100])
@pytest.mark.parametrize("width", [1, 3, 50])
@pytest.mark.parametrize("least", [1, 4])
def test_spans_cover_everything_once(n, width, least) -> None:
    seen: list[tuple[int, int]] = []
    found = list(spans(n, width, elements=12, least=least, report=lambda done, total: seen.append((done, total))))
    assert [i for begin, end in found for i in range(begin, end)] == list(range(n))
    assert all(end - begin <= max(least, 12 // width) for begin, end in found)
    assert seen == [(end, n) for _, end in found]


def test_work_is_reported_when_it_is_done() -> None:
    seen: list[int] = []
    for begin, _ in spans(5, 1, elements=2, report=lambda done, total: seen.append(done)):
        assert seen == list(range(2, begin + 1, 2))
