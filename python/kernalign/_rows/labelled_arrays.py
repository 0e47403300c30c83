"""Arrays whose rows carry labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Labelled(np.ndarray):
    """An array with the ``labels`` of its rows, which no array that is made of it has."""

    labels: Any = None

    def __array_finalize__(self, given: Any) -> None:
        self.labels = None


def labelled(array: NDArray[Any], labels: Any) -> Labelled:
    """The array, with these labels."""
    made = array.view(Labelled)
    made.labels = labels
    return made
