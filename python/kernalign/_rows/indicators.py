"""Labels of classes as rows on which a linear or a narrow kernel is the delta kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign._rows.labelled_arrays import Labelled

ONE_HOT = 512  # classes, up to which a product of columns costs less than a table of pairs


class Indicators(Labelled):
    """Columns of 0 and 1, one for each class, or one column of the numbers of many classes.

    No preprocessing changes them. ``labels`` are those of the rows, if the user's labels carry any.
    """


def indicators(numbers: NDArray[np.int64], classes: int, labels: Any) -> Indicators:
    """Of the number of the class of each row."""
    if 1 < classes <= ONE_HOT:
        columns = np.zeros((len(numbers), classes), dtype=np.float16)
        columns[np.arange(len(numbers)), numbers] = 1.0
    else:
        columns = numbers[:, None] + 1.0
    made: Indicators = columns.view(Indicators)
    made.labels = labels
    return made
