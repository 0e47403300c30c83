"""The rows of sources a few at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kernalign import _core

_BLOCK_ELEMENTS = 1 << 20


def blocks(*sources: _core.Rows) -> Iterator[NDArray[np.float64]]:
    """The rows of each source, a few at a time, in float64."""
    for source in sources:
        n, p = source.shape
        step = max(1, _BLOCK_ELEMENTS // p)
        for begin in range(0, n, step):
            yield source.dense(begin, min(n, begin + step))
