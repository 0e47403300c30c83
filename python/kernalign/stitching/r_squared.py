"""R² of several outputs from their squared errors, averaged as scikit-learn does."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernalign._base.checks import check_choice
from kernalign._base.score import UndefinedScoreWarning
from kernalign._base.warn import warn

Multioutput: TypeAlias = Literal["uniform_average", "variance_weighted", "raw_values"]


def check_multioutput(multioutput: Any) -> None:
    """Raise unless this is a way to average."""
    check_choice(multioutput, "multioutput", ("uniform_average", "variance_weighted", "raw_values"))


def r_squared(missed: NDArray[np.float64], total: NDArray[np.float64], multioutput: Multioutput) -> Any:
    """1 - SSE / SST of each output or their mean, from both sums (q,); nan with a warning where no output varies.

    As scikit-learn counts them, outputs that do not vary count 1 where they are met exactly, else 0, and nothing in the
    mean that is weighted by variance.
    """
    if not np.isfinite(missed + total).all():
        why = "squares overflow float64"
    elif not (total > 0).any():
        why = "y is constant"
    else:
        flat = total == 0
        if multioutput == "variance_weighted":
            return 1 - float(missed[~flat].sum()) / float(total.sum())
        found = np.where(flat, missed == 0, 1 - missed / np.where(flat, 1.0, total))
        return found if multioutput == "raw_values" else float(found.mean())
    warn(f"R^2 is undefined: {why}", UndefinedScoreWarning)
    return np.full(len(total), math.nan) if multioutput == "raw_values" else math.nan
