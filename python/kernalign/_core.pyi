"""Stub of the extension module; kept equal to the bindings by tests/test_stub.py."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[int, int], object] | None

class Rows:
    def __init__(
        self,
        data: NDArray[Any],
        name: str,
        *,
        bfloat16: bool = False,
        clip: float | None = None,
        shift: list[float] = ...,
        scale: list[float] = ...,
        unit_norm: bool = False,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def name(self) -> str: ...
    @property
    def double_precision(self) -> bool: ...
    def dense(self, begin: int, end: int) -> NDArray[np.float64]: ...

def build_info() -> dict[str, Any]: ...
