"""Targets of a task: numbers or class labels as columns, and what they are in a representation's eigenbasis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kernalign._rows import arrays, followed
from kernalign._rows.labels import as_targets
from kernalign._rows.magnitude import divided, exponent_of
from kernalign._rows.matrices import centre
from kernalign._rows.options import Options
from kernalign._rows.pairing import Kept, Side
from kernalign.theory.spectrum import (
    TOLERANCE,
    Array,
    Spectrum,
    averaged,
    check_made,
    decompose_reporting,
    eigenspaces,
    one_side,
)


@dataclass(frozen=True)
class Problem:
    """Targets in the eigenbasis of a representation; they are divided by 2^exponent."""

    spectrum: Spectrum
    targets: Array  # (n, m), centred if the spectrum is
    exponent: int
    coefficients: Array  # (r, m) = u' targets
    residual: float  # sum of squares of the targets outside the range of the kernel

    @property
    def n(self) -> int:
        return self.spectrum.n

    @property
    def total(self) -> float:
        """Mean over the items of the squared targets."""
        return float((self.targets**2).sum() / self.n)

    def powers(self) -> Array:
        """a_l^2, averaged inside eigenspaces."""
        squares = np.asarray((self.coefficients**2).sum(axis=1) / self.n)
        return averaged(squares, eigenspaces(self.spectrum.singular_values, TOLERANCE))


def decomposed(x: Any, targets: Any, centred: bool | None, classes: bool, options: Options) -> Problem:
    """Validate x (array or Spectrum) and its targets, and bring them into one basis."""
    if isinstance(x, Spectrum):
        made = check_made(x, centred, options)
        kept = Kept(made.n, None, (Side("x", made.n, made.labels),))
        y = as_targets(followed.rows(targets, kept, "targets"), made.n, classes)
    else:
        x, targets = arrays.aligned(("x", x), ("targets", targets))
        rows, settings = one_side(x, "x", options)
        y = as_targets(targets, rows.shape[0], classes)
        made = decompose_reporting(rows, False if centred is None else centred, settings, options)
    if made.centred:
        y = centre(y)
    exponent = exponent_of(y)
    y = divided(y, exponent)
    coefficients = made.left.T @ y
    residual = float(((y - made.left @ coefficients) ** 2).sum())
    return Problem(made, y, exponent, coefficients, residual)
