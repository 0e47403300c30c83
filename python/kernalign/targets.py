"""Targets of a task: numbers or class labels as columns, and what they are in a representation's eigenbasis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernalign import arrays
from kernalign.arrays import Options
from kernalign.scaling import divided, exponent_of
from kernalign.spectrum import (
    TOLERANCE,
    Array,
    Spectrum,
    averaged,
    centre,
    check_made,
    decompose_reporting,
    dense,
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
        y = as_targets(targets, made.n, classes)
    else:
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


def as_targets(targets: Any, n: int, classes: bool) -> Array:
    """Targets as an (n, m) float64 array: columns of numbers, or one-hot columns of class labels."""
    if not arrays.check_flag(classes, "classes"):
        return numbers_of(targets, n, "targets", "; classes=True takes class labels")
    inverse, names = class_numbers(targets)
    if len(inverse) != n:
        raise ValueError(f"targets must have one row for each of the {n} rows of x, got {len(inverse)}")
    return one_hot(inverse, len(names))


def one_hot(numbers: NDArray[np.int64], classes: int) -> Array:
    """Numbers of classes as columns of 0 and 1."""
    y = np.zeros((len(numbers), classes))
    y[np.arange(len(numbers)), numbers] = 1.0
    return y


def numbers_of(targets: Any, n: int, name: str, otherwise: str = "") -> Array:
    """Numbers, (n,) or (n, m), as an (n, m) float64 array."""
    array = targets if hasattr(targets, "reshape") else np.asarray(targets)  # a pandas Series has ndim alone
    if getattr(getattr(array, "dtype", None), "kind", "f") in "USO":
        raise TypeError(f"{name} must be numbers, got dtype {array.dtype}{otherwise}")
    y = dense(arrays.rows(array.reshape(-1, 1) if array.ndim == 1 else array, name))
    if len(y) != n:
        raise ValueError(f"{name} must have one row for each of the {n} rows of x, got {len(y)}")
    return y


def class_numbers(labels: Any, name: str = "targets") -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Number of the class of each item, and the classes, sorted."""
    array = np.asarray(labels)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"{name} must be 1-D class labels, one per item, got shape {array.shape}")
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array):
        array = array.astype(str)
    if array.dtype.kind not in "iubUS":
        raise TypeError(f"{name} must be class labels (integers, booleans or strings), got dtype {array.dtype}")
    names, inverse = np.unique(array, return_inverse=True)
    return inverse.astype(np.int64), names
